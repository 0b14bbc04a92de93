/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Collects what goes to one descriptor, and writes it before anything goes to the other one. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"

#include "log-sink.h"

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

int log_sink_flush(struct log_sink *sink)
{
	if (sink->length > 0 && sink->error == 0)
		sink->error = fd_write_all(sink->fd, sink->buffer, sink->length);
	sink->length = 0;
	return sink->error;
}

static void put(struct log_sink *sink, const char *text, size_t length)
{
	while (length > 0) {
		size_t room = LOG_SINK_SIZE - sink->length;
		size_t n = length < room ? length : room;

		memcpy(sink->buffer + sink->length, text, n);
		sink->length += n;
		text += n;
		length -= n;
		if (sink->length == LOG_SINK_SIZE)
			log_sink_flush(sink);
	}
}

static void put_time(struct log_sink *sink, const struct timespec *time)
{
	char text[64];
	struct tm tm;
	size_t n;

	gmtime_r(&time->tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(text + n, sizeof(text) - n, ".%09ldZ ", time->tv_nsec);
	put(sink, text, n);
}

bool log_sink_is_late(const struct log_sink *sink, const struct timespec *time)
{
	return sink->has_until && is_before(&sink->until, time);
}

int log_sink_put(struct log_sink *sink, const struct log_entry *entry)
{
	int fd = entry->is_stderr ? STDERR_FILENO : STDOUT_FILENO;
	bool *in_line = &sink->in_line[entry->is_stderr];

	if ((sink->has_since && is_before(&entry->time, &sink->since)) ||
		log_sink_is_late(sink, &entry->time))
		return sink->error;
	if (sink->fd != fd)
		log_sink_flush(sink);
	sink->fd = fd;
	if (sink->timestamps && !*in_line)
		put_time(sink, &entry->time);
	put(sink, entry->text, entry->length);
	if (!entry->is_partial)
		put(sink, "\n", 1);
	*in_line = entry->is_partial;
	return sink->error;
}
