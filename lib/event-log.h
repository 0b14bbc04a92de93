/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * events.jsonl in a pod's directory: what podd has told, an object on each line as
 * schemas/event.schema.json describes. Writer: podd. Each line is one write(2), so that whoever is
 * killed leaves at most one torn line at the end, which readers drop. At EVENT_LOG_BYTES_MAX it is
 * renamed to events.jsonl.1, which is the past that is kept.
 *
 * An event has a number, "seq", which grows by one within the life of a pod. "record" is what it is
 * of in the records: a time or a generation that is written there; it tells whether something that
 * a record says has been told already. "late": made up from records afterwards.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"

#define EVENT_LOG "events.jsonl"
#define EVENT_LOG_OLD EVENT_LOG ".1"
#define EVENT_LOG_BYTES_MAX (256 * 1024)
#define EVENT_LINE_MAX 4096
#define EVENT_TYPE_MAX 63

struct event_log {
	int dirfd; /* the caller's */
	int fd;
	off_t size;
	int64_t seq; /* of the last one */
};
#define EVENT_LOG_NONE                \
	{                             \
		.dirfd = -1, .fd = -1 \
	}

/* Opens the pod's log for writing, and cuts a torn last line off. *ret_events are those that it
 * has. Return: 0 or -errno. */
int event_log_open(int podfd, struct event_log *ret, struct json **ret_events, struct err *err);
void event_log_done(struct event_log *log);

/* Gives the event its number and writes it. One that cannot be written has its number all the same,
 * and nothing of it is left in the file. What is longer than EVENT_LINE_MAX loses its attributes.
 * Return: 0 or -errno. */
int event_log_append(struct event_log *log, struct json *event, struct err *err);

/* Those of both files in their order, as an array. *ret_horizon (may be NULL): is the past cut off
 * by the limit? Return: 0, also where there is none, or -errno. */
int event_log_read(int podfd, struct json **ret_events, bool *ret_cut, struct err *err);

/* The lines of a text that are events, appended to @array; others are passed over. Return: the
 * bytes up to the end of the last whole line. */
size_t event_log_parse(const char *text, size_t length, struct json *array);

/* An event of a pod (@child NULL) or a child; @time NULL: now. */
struct json *event_new(const char *pod, const char *child, const char *type, const char *time);
