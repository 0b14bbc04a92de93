/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Passing a container's output on to one of podctl's standard descriptors, in full and in order,
 * without ever being stuck in a write: signals are taken care of meanwhile. The descriptor itself
 * may be shared with others and stays as it is.
 */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct output {
	int fd;              /* the standard descriptor */
	int own;             /* what is written to where it can be another, non-blocking; or -1 */
	bool is_socket;
	bool must_poll;      /* a write may wait, and cannot be told not to */
	int error; /* errno of the write that failed; what comes after it is thrown away */
	const char *data;    /* what is still to be written, not owned */
	size_t length;
};

void output_init(struct output *output, int fd);
void output_done(struct output *output);

/* Writes as much as there is room for; the data of the call before must be written. @data must stay
 * until everything is. */
void output_put(struct output *output, const void *data, size_t length);
/* Goes on with it. Only for when the descriptor that output_wait_fd() tells is writable. */
void output_flush(struct output *output);
/* Return: the descriptor to wait for, or -1 when everything is written. */
int output_wait_fd(const struct output *output);
