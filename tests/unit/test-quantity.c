/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals, sizes, times and CPUs as people write them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "quantity.h"

static void test_signals(void **state)
{
	static const char *const wrong[] = {"", "SIG", "0", "65", "-1", "TERMINATE", "SIGSIGTERM",
		"RTMIN+", "RTMIN-1", "RTMAX+1", "RTMIN+40", "9 ", "RTMIN+x"};
	uint32_t number = 4711;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (quantity_parse_signal(wrong[i], &number) != -EINVAL)
			fail_msg("taken: %s", wrong[i]);
	assert_int_equal(number, 4711);
	assert_int_equal(quantity_parse_signal("TERM", &number), 0);
	assert_int_equal(number, SIGTERM);
	assert_int_equal(quantity_parse_signal("sigkill", &number), 0);
	assert_int_equal(number, SIGKILL);
	assert_int_equal(quantity_parse_signal("64", &number), 0);
	assert_int_equal(number, 64);
	assert_int_equal(quantity_parse_signal("SIGRTMIN+3", &number), 0);
	assert_int_equal(number, SIGRTMIN + 3);
	assert_int_equal(quantity_parse_signal("rtmax-1", &number), 0);
	assert_int_equal(number, SIGRTMAX - 1);
	assert_int_equal(quantity_parse_signal("RTMIN", &number), 0);
	assert_int_equal(number, SIGRTMIN);
}

static const struct {
	const char *text;
	int result;
	uint64_t bytes;
} sizes[] = {
	{"0", 0, 0},
	{"1024", 0, 1024},
	{"7b", 0, 7},
	{"64k", 0, 65536},
	{"64K", 0, 65536},
	{"1kb", 0, 1024},
	{"1KiB", 0, 1024},
	{"1.5m", 0, 1572864},
	{".5g", 0, 536870912},
	{"2t", 0, UINT64_C(2) << 40},
	{"1p", 0, UINT64_C(1) << 50},
	{"9223372036854775807", 0, INT64_MAX},
	{"9223372036854775808", -ERANGE, 0},
	{"99999999999999999999", -ERANGE, 0},
	{"8192p", -ERANGE, 0},
	{"", -EINVAL, 0},
	{".", -EINVAL, 0},
	{"m", -EINVAL, 0},
	{"-1", -EINVAL, 0},
	{"1bb", -EINVAL, 0},
	{"1x", -EINVAL, 0},
	{"1mm", -EINVAL, 0},
	{"1 m", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"1kibx", -EINVAL, 0},
};

static void test_bytes(void **state)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t bytes = 0;

		if (quantity_parse_bytes(sizes[i].text, &bytes) != sizes[i].result ||
			bytes != sizes[i].bytes)
			fail_msg("%s: %llu", sizes[i].text, (unsigned long long)bytes);
	}
}

static void test_milli(void **state)
{
	uint32_t milli = 0;

	assert_int_equal(quantity_parse_milli("1.5", &milli), 0);
	assert_int_equal(milli, 1500);
	assert_int_equal(quantity_parse_milli("0.0009", &milli), 0);
	assert_int_equal(milli, 0);
	assert_int_equal(quantity_parse_milli("4294967", &milli), 0);
	assert_int_equal(quantity_parse_milli("4294968", &milli), -ERANGE);
	assert_int_equal(quantity_parse_milli("", &milli), -EINVAL);
	assert_int_equal(quantity_parse_milli("1,5", &milli), -EINVAL);
	assert_int_equal(quantity_parse_milli("-1", &milli), -EINVAL);
}

static void test_durations(void **state)
{
	uint32_t seconds;
	int64_t ns;

	assert_int_equal(quantity_parse_duration("1h30m0.5s", &ns), 0);
	assert_int_equal(ns, INT64_C(5400500000000));
	assert_int_equal(quantity_parse_duration("90", &ns), 0);
	assert_int_equal(ns, INT64_C(90000000000));
	assert_int_equal(quantity_parse_duration("500ms", &ns), 0);
	assert_int_equal(ns, 500000000);
	assert_int_equal(quantity_parse_duration("2us3ns", &ns), 0);
	assert_int_equal(ns, 2003);
	assert_int_equal(quantity_parse_duration("", &ns), -EINVAL);
	assert_int_equal(quantity_parse_duration("1h30", &ns), -EINVAL);
	assert_int_equal(quantity_parse_duration("h", &ns), -EINVAL);
	assert_int_equal(quantity_parse_duration("1w", &ns), -EINVAL);
	assert_int_equal(quantity_parse_duration("-1s", &ns), -EINVAL);
	assert_int_equal(quantity_parse_duration("200000d", &ns), -ERANGE);
	assert_int_equal(quantity_parse_duration("100000d100000d", &ns), -ERANGE);
	assert_int_equal(quantity_parse_seconds("1.001s", &seconds), 0);
	assert_int_equal(seconds, 2);
	assert_int_equal(quantity_parse_seconds("2m", &seconds), 0);
	assert_int_equal(seconds, 120);
	assert_int_equal(quantity_parse_seconds("4294967296", &seconds), -ERANGE);
}

static void assert_time(const char *text, time_t seconds, long nano)
{
	static const struct timespec now = {.tv_sec = 1000000, .tv_nsec = 100};
	struct timespec time = {0};

	if (quantity_parse_time(text, &now, &time) != 0)
		fail_msg("refused: %s", text);
	if (time.tv_sec != seconds || time.tv_nsec != nano)
		fail_msg("%s: %lld.%09ld", text, (long long)time.tv_sec, time.tv_nsec);
}

static void test_times(void **state)
{
	static const char *const wrong[] = {"", "yesterday", "2024-01-31T", "2024-01-31T12:00:00X",
		"2024-01-31T12:00:00+0200", "2024-01-31T12:00:00+25:00", "1h30", "2024-13-01",
		"99999999999999"};
	struct timespec time;

	setenv("TZ", "EST5", 1);
	tzset();
	assert_time("2024-01-31T12:00:00Z", 1706702400, 0);
	assert_time("2024-01-31T12:00:00.5Z", 1706702400, 500000000);
	assert_time("2024-01-31T14:30:00+02:30", 1706702400, 0);
	assert_time("2024-01-31T07:00:00", 1706702400, 0);
	assert_time("2024-01-31 07:00:00", 1706702400, 0);
	assert_time("2024-01-31", 1706702400 - 7 * 3600, 0);
	assert_time("1706702400", 1706702400, 0);
	assert_time("1706702400.25", 1706702400, 250000000);
	assert_time("1m", 999940, 100);
	assert_time("1.5s", 999998, 500000100);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (quantity_parse_time(wrong[i], &time, &time) != -EINVAL)
			fail_msg("taken: %s", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_milli),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
