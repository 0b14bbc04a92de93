/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A container's log, line by line: what is read survives being written and read again. The first
 * byte chooses the form. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Years that strftime(3) has four digits for. */
static bool is_usual(const struct timespec *time)
{
	return time->tv_sec >= 0 && time->tv_sec < 253402300800;
}

static void check(enum container_log form, const struct log_entry *entry)
{
	static char target[LOG_ENTRY_MAX];
	struct log_entry again;
	size_t length, skip;

	if (entry->length > LOG_TEXT_MAX || !is_usual(&entry->time))
		return;
	length = log_format(form, entry, target);
	if (length > LOG_ENTRY_MAX ||
		log_parse(form, target, length, &again, &skip) != (ssize_t)length)
		abort();
	if (again.is_stderr != entry->is_stderr || again.is_partial != entry->is_partial ||
		again.time.tv_sec != entry->time.tv_sec ||
		again.time.tv_nsec != entry->time.tv_nsec)
		abort();
	/* Only JSON changes a text: bytes that are no UTF-8. */
	if (form == LOG_K8S_FILE && (again.length != entry->length ||
					    memcmp(again.text, entry->text, entry->length) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum container_log form;
	char *buffer, *next;

	if (size == 0)
		return 0;
	form = data[0] & 1 ? LOG_JSON_FILE : LOG_K8S_FILE;
	size--;
	/* No byte more than the text, so that reading beyond it is seen. */
	buffer = malloc(size ? size : 1);
	if (!buffer)
		abort();
	memcpy(buffer, data + 1, size);
	next = buffer;
	for (;;) {
		struct log_entry entry;
		size_t left = size - (size_t)(next - buffer), skip = 0;
		ssize_t n = log_parse(form, next, left, &entry, &skip);

		if (n == 0)
			break;
		if (n > 0)
			check(form, &entry);
		else if (skip == 0)
			abort();
		next += n > 0 ? (size_t)n : skip;
		if ((size_t)(next - buffer) > size)
			abort();
	}
	free(buffer);
	return 0;
}
