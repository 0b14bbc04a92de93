/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The standard streams of one process in the container: pipes, or a terminal whose master end the
 * runtime sends over a console socket (runc's docs/terminals.md, "Detached"). Nothing here blocks,
 * and nothing is kept: what is read is handed on at once, what cannot be written is given back.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "err.h"
#include "place.h"

struct streams;

struct streams_handler {
	/* At most SHIM_DATA_MAX bytes. */
	void (*output)(void *userdata, bool is_stderr, const char *data, size_t length);
	/* streams_write() took less than it was given; now there is room. */
	void (*writable)(void *userdata);
	/* After streams_finish(): all of the output was handed on. */
	void (*finished)(void *userdata);
};

struct streams_options {
	bool terminal;
	bool interactive; /* has an input */
};

int streams_new(sd_event *event, const struct place *place, const struct streams_options *options,
	const struct streams_handler *handler, void *userdata, struct streams **ret,
	struct err *err);
void streams_free(struct streams *streams);
CLEANUP_DEFINE(streams, streams_free)

/* What the runtime is given: its fds 0 to 2 (-1: none), where its own stderr can be read then (or
 * -1), and for --console-socket a path (NULL: no terminal). */
int streams_child_fd(const struct streams *streams, int number);
int streams_errors_fd(const struct streams *streams);
const char *streams_console(const struct streams *streams);

/* The runtime has started the process: reads from now on. Return: 0 or -errno. */
int streams_begin(struct streams *streams);

/* Return: bytes that were taken; all of them when nobody wants them. */
size_t streams_write(struct streams *streams, const void *data, size_t length);
/* The end of the input; a terminal has none. */
void streams_close_input(struct streams *streams);
/* Closes a terminal, as if a telephone line were cut; pipes are read on. */
void streams_hang_up(struct streams *streams);
/* Also before there is a terminal. */
void streams_resize(struct streams *streams, uint32_t rows, uint32_t columns);

/* While it is paused, the output waits in the kernel. */
void streams_pause(struct streams *streams, bool paused);

/* The process and what it started are gone: what they wrote is read to its end, then finished() is
 * called. Other processes that keep a stream open do not hold that up. */
void streams_finish(struct streams *streams);
