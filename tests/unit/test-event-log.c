/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log of events: numbers, limits, torn lines, and what was told of. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event-log.h"
#include "event-missed.h"
#include "text.h"

#include "fixture.h"

static struct json *make(const char *child, const char *type, const char *record, bool late)
{
	struct json *event = event_new("net0", child, type, NULL);

	json_set_string(event, "record", record);
	if (late)
		json_set_bool(event, "late", true);
	return event;
}

static void append(struct event_log *log, const char *type)
{
	autoptr(json) event = make("a", type, NULL, false);

	assert_int_equal(event_log_append(log, event, NULL), 0);
}

static int64_t seq_at(const struct json *array, size_t i)
{
	int64_t seq = 0;

	assert_int_equal(json_int(json_get(json_at(array, i), "seq"), &seq), 0);
	return seq;
}

static void test_append_and_read(void **state)
{
	struct event_log log = EVENT_LOG_NONE;
	struct scratch scratch;
	struct json *past, *read;
	bool cut = true;

	scratch_init(&scratch);
	assert_int_equal(event_log_open(scratch.fd, &log, &past, NULL), 0);
	assert_int_equal(json_length(past), 0);
	json_free(past);
	append(&log, "one");
	append(&log, "two");
	event_log_done(&log);
	assert_int_equal(event_log_read(scratch.fd, &read, &cut, NULL), 0);
	assert_false(cut);
	assert_int_equal(json_length(read), 2);
	assert_int_equal(seq_at(read, 1), 2);
	json_free(read);
	assert_int_equal(event_log_open(scratch.fd, &log, &past, NULL), 0);
	assert_int_equal(log.seq, 2);
	json_free(past);
	event_log_done(&log);
	scratch_done(&scratch);
}

static void test_torn_line(void **state)
{
	static const char torn[] = "{\"type\": \"x\", \"time\": ";
	struct event_log log = EVENT_LOG_NONE;
	struct scratch scratch;
	struct json *past;
	int fd;

	scratch_init(&scratch);
	assert_int_equal(event_log_open(scratch.fd, &log, &past, NULL), 0);
	json_free(past);
	append(&log, "one");
	event_log_done(&log);
	fd = openat(scratch.fd, EVENT_LOG, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, torn, strlen(torn)), strlen(torn));
	close(fd);
	assert_int_equal(event_log_open(scratch.fd, &log, &past, NULL), 0);
	assert_int_equal(json_length(past), 1);
	json_free(past);
	append(&log, "two");
	event_log_done(&log);
	assert_int_equal(event_log_read(scratch.fd, &past, NULL, NULL), 0);
	assert_int_equal(json_length(past), 2);
	json_free(past);
	scratch_done(&scratch);
}

static void test_limit(void **state)
{
	struct event_log log = EVENT_LOG_NONE;
	struct scratch scratch;
	struct json *past;
	struct stat st;
	bool cut = false;

	scratch_init(&scratch);
	assert_int_equal(event_log_open(scratch.fd, &log, &past, NULL), 0);
	json_free(past);
	for (int i = 0; i < 8000; i++)
		append(&log, "something-of-some-length");
	event_log_done(&log);
	assert_int_equal(fstatat(scratch.fd, EVENT_LOG, &st, 0), 0);
	assert_in_range(st.st_size, 1, EVENT_LOG_BYTES_MAX);
	assert_int_equal(fstatat(scratch.fd, EVENT_LOG_OLD, &st, 0), 0);
	assert_in_range(st.st_size, EVENT_LOG_BYTES_MAX / 2, EVENT_LOG_BYTES_MAX);
	assert_int_equal(event_log_read(scratch.fd, &past, &cut, NULL), 0);
	assert_true(cut);
	assert_int_equal(seq_at(past, json_length(past) - 1), 8000);
	for (size_t i = 1; i < json_length(past); i++)
		assert_int_equal(seq_at(past, i), seq_at(past, i - 1) + 1);
	json_free(past);
	scratch_done(&scratch);
}

/* What cannot be written leaves nothing, and the next one is whole. */
static void test_full_disk(void **state)
{
	const struct rlimit none = {150, RLIM_INFINITY};
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct event_log log = EVENT_LOG_NONE;
	struct scratch scratch;
	struct json *past, *event;

	scratch_init(&scratch);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(event_log_open(scratch.fd, &log, &past, NULL), 0);
	json_free(past);
	append(&log, "one");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	event = make("a", "two", NULL, false);
	assert_true(event_log_append(&log, event, NULL) < 0);
	json_free(event);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	append(&log, "three");
	event_log_done(&log);
	assert_int_equal(event_log_read(scratch.fd, &past, NULL, NULL), 0);
	assert_int_equal(json_length(past), 2);
	assert_int_equal(seq_at(past, 1), 3);
	json_free(past);
	scratch_done(&scratch);
}

static void note(struct json *ledger, struct json *event)
{
	event_ledger_note(ledger, event);
	json_free(event);
}

static bool has(struct json *ledger, struct json *event)
{
	bool answer = event_ledger_has(ledger, event);

	json_free(event);
	return answer;
}

static void test_ledger(void **state)
{
	autoptr(json) ledger = event_ledger_new();

	note(ledger, make("a", "create", "T1", false));
	assert_string_equal(event_ledger_record(ledger, "a", "create"), "T1");
	/* Only what was made up is expected once more, and once only. */
	assert_false(has(ledger, make("a", "create", "T1", true)));
	note(ledger, make("a", "died", "T2", true));
	assert_false(has(ledger, make("a", "died", "T3", false)));
	assert_true(has(ledger, make("a", "died", "T2", false)));
	assert_false(has(ledger, make("a", "died", "T2", false)));
	note(ledger, make("a", "remove", NULL, true));
	assert_null(event_ledger_record(ledger, "a", "create"));
	assert_true(has(ledger, make("a", "remove", NULL, true)));
	assert_false(has(ledger, make("a", "remove", NULL, false)));
	note(ledger, make(NULL, "started", "T4", false));
	assert_string_equal(event_ledger_record(ledger, NULL, "started"), "T4");
}

static void test_order(void **state)
{
	static const char *const times[] = {"2024-01-31T12:00:03.000000Z",
		"2024-01-31T12:00:01.000000Z", "2024-01-31T12:00:03.000000Z",
		"2024-01-31T12:00:02.000000Z"};
	struct json *array = json_new_array();
	static const char *const sorted[] = {"1", "3", "0", "2"};

	for (size_t i = 0; i < 4; i++) {
		char type[2] = {(char)('0' + i), '\0'};

		json_append(array, event_new("net0", NULL, type, times[i]));
	}
	assert_int_equal(event_sort(&array), 0);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(json_string(json_get(json_at(array, i), "type")), sorted[i]);
	json_free(array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_read),
		cmocka_unit_test(test_torn_line),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_ledger),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
