/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The forms of a container's log, and reading them.
 *
 *   k8s-file   "2024-01-31T12:00:00.123456789Z stdout F text": one line for each line of output; P
 *              instead of F where the line goes on in the next one of the same stream (Kubernetes,
 *              CRI container log format)
 *   json-file  {"log":"text\n","stream":"stdout","time":"2024-..Z"}: without "\n" it goes on
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "container.h"
#include "err.h"

/* Longest text of one entry; a longer line of output becomes several partial entries. */
#define LOG_TEXT_MAX (16 * 1024)
/* Room that any entry of that text takes at most in a file: json-file may need six bytes a byte. */
#define LOG_ENTRY_MAX (LOG_TEXT_MAX * 6 + 256)

struct log_entry {
	struct timespec time;  /* CLOCK_REALTIME */
	bool is_stderr;
	bool is_partial;       /* the line goes on */
	const char *text;      /* without the newline; in the caller's buffer */
	size_t length;
};

/* Writes one entry, newline included. @target has LOG_ENTRY_MAX bytes. Return: bytes. */
size_t log_format(enum container_log form, const struct log_entry *entry, char *target);

/* Reads the entry at the front of the buffer; its text may be changed in place (json-file's
 * escapes). Return: bytes of it with its newline; 0 when there is no whole line; -EBADMSG for a
 * line that is no entry (*ret_skip: its bytes). */
ssize_t log_parse(enum container_log form, char *buffer, size_t length, struct log_entry *ret,
	size_t *ret_skip);
