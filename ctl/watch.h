/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Waiting for what other processes do to directories and processes, by inotify and pidfds. */

#include <stdint.h>

#include "container.h"
#include "err.h"

#define WATCH_PIDS_MAX 2

struct watch {
	int inotify;
	int pidfds[WATCH_PIDS_MAX]; /* of the shim and the first process; -1: none */
};
#define WATCH_NONE                                                                                 \
	{                                                                                          \
		.inotify = -1, .pidfds = {-1, -1}                                                  \
	}

/* Return: 0 or -errno. */
int watch_init(struct watch *watch, struct err *err);
void watch_done(struct watch *watch);

/* Watches what is written, made, renamed and removed in a directory. */
int watch_add_dir(struct watch *watch, int dirfd, struct err *err);
/* Watches the processes of a container, instead of those before; what has ended is not watched. */
void watch_set_processes(struct watch *watch, const struct container_state *state);

/* Waits until something happens, @input (-1: none) is readable, or @output has no reader, at most
 * @timeout_ms
 * (-1: without end). What happened before the call and after watch_add_dir() counts. Return: 1, 0
 * after the time, -EPIPE for the reader, -errno. */
int watch_wait(struct watch *watch, int input, int output, int timeout_ms);
