/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Processes of a container without a pid namespace of its own: those in its mount namespace. Without
 * its first process they go on. */

#include <systemd/sd-event.h>

#include "err.h"
#include "ns.h"

struct leftovers;

/* SIGKILL to all of them until there are none; then @done is called, perhaps at once. It is to be freed
 * after that (or then). Return: 0 or -ENOMEM. */
int leftovers_begin(sd_event *event, const struct ns_id *mounts, void (*done)(void *userdata),
	void *userdata, struct leftovers **ret, struct err *err);
void leftovers_free(struct leftovers *leftovers);
