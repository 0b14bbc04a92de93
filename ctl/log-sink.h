/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Printing entries of a container's log: stdout's on stdout, stderr's on stderr, in their order. */

#include <stdbool.h>

#include "log.h"

#define LOG_SINK_SIZE (64 * 1024)

struct log_sink {
	bool timestamps;
	bool has_since, has_until;
	struct timespec since, until; /* both included */
	bool in_line[2];              /* the line goes on, by stream */
	int fd;                       /* of what is in the buffer */
	int error;                    /* of a write that failed: -errno */
	size_t length;
	char buffer[LOG_SINK_SIZE];
};

/* Return: 0, or -errno when it cannot be written. */
int log_sink_put(struct log_sink *sink, const struct log_entry *entry);
int log_sink_flush(struct log_sink *sink);

/* True when the entry is later than what is wanted. */
bool log_sink_is_late(const struct log_sink *sink, const struct timespec *time);
