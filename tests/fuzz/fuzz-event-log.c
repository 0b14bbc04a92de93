/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log of events as it may lie in a pod's directory. What is accepted has what its readers take
 * for granted, can be noted and sorted, and is accepted again.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "event-log.h"
#include "event-missed.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct json *event)
{
	autoptr(json) again = json_new_array();
	autofree char *text = NULL;
	autofree char *line = NULL;
	size_t length;

	assert(json_write(event, false, &text, &length) == 0);
	line = text_format("%s\n", text);
	/* Escapes may make it longer than a line may be. */
	assert(event_log_parse(line, length + 1, again) == length + 1);
	assert(json_length(again) == 1 || length > EVENT_LINE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *array = json_new_array();
	autoptr(json) ledger = event_ledger_new();
	size_t whole = event_log_parse((const char *)data, size, array);

	assert(whole <= size && (whole == 0 || data[whole - 1] == '\n'));
	for (size_t i = 0; i < json_length(array); i++) {
		const struct json *event = json_at(array, i);
		int64_t seq = 0;

		assert(json_string(json_get(event, "type")) &&
			json_string(json_get(event, "time")) &&
			json_string(json_get(event, "pod")));
		assert(json_int(json_get(event, "seq"), &seq) == 0 && seq > 0);
		event_ledger_has(ledger, event);
		event_ledger_note(ledger, event);
		check_again(event);
	}
	assert(event_sort(&array) == 0);
	json_free(array);
	return 0;
}
