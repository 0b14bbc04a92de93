/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* RUNTIME delete --force, until nothing of the container is left in the runtime's state. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "place.h"
#include "runtime.h"

struct deletion;

/* True when the runtime knows a container of this id: one of an earlier run. */
bool deletion_is_needed(const struct place *place);

/* Calls @done when it is over, mostly from the loop: @clean is false when the runtime has failed too
 * often; why stands in shim.log then. The deletion is to be freed after that (or then), or before to
 * give it up. Return: 0 or -ENOMEM. */
int deletion_begin(sd_event *event, const struct place *place, struct runtime *runtime,
	void (*done)(void *userdata, bool clean), void *userdata, struct deletion **ret,
	struct err *err);
void deletion_free(struct deletion *deletion);
