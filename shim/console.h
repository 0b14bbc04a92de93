/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The socket by which a runtime hands over the master end of a terminal. */

#include <systemd/sd-event.h>

#include "err.h"
#include "place.h"

struct console;

/* Listens in the container's run directory. @received owns the master end from then; it is called
 * at most once. */
int console_new(sd_event *event, const struct place *place,
	void (*received)(void *userdata, int master), void *userdata, struct console **ret,
	struct err *err);
void console_free(struct console *console);

/* Takes what has come already: the runtime ended, so it has sent. */
void console_poll(struct console *console);

/* For --console-socket: short enough for sun_path, however deep the container lies. */
const char *console_path(const struct console *console);
