/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* podd-shim --reap: what a shim that was killed left is cleared up. */

#include <systemd/sd-event.h>

#include "place.h"
#include "reaper.h"
#include "runtime.h"

/* Ends the loop when it is done, with 0, or with 1 when the runtime's state is left: it may be tried
 * again. Return: 0 or -errno. */
int reap_begin(sd_event *event, struct place *place, struct reaper *reaper, struct runtime *runtime,
	struct err *err);
