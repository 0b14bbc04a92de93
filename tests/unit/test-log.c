/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forms of a container's log: what is written is read, and what others write as well. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static char buffer[LOG_ENTRY_MAX + 1];

static const char *format(enum container_log form, const struct log_entry *entry)
{
	size_t n = log_format(form, entry, buffer);

	assert_true(n <= LOG_ENTRY_MAX);
	buffer[n] = '\0';
	return buffer;
}

static struct log_entry entry_of(const char *text, size_t length)
{
	return (struct log_entry){
		.time = {.tv_sec = 1706702400, .tv_nsec = 123456789},
		.text = text,
		.length = length,
	};
}

static void test_format_k8s(void **state)
{
	struct log_entry entry = entry_of("a b", 3);

	assert_string_equal(
		format(LOG_K8S_FILE, &entry), "2024-01-31T12:00:00.123456789Z stdout F a b\n");
	entry.is_stderr = entry.is_partial = true;
	entry.time = (struct timespec){.tv_sec = 1706702401, .tv_nsec = 7};
	assert_string_equal(
		format(LOG_K8S_FILE, &entry), "2024-01-31T12:00:01.000000007Z stderr P a b\n");
	entry.length = 0;
	assert_string_equal(
		format(LOG_K8S_FILE, &entry), "2024-01-31T12:00:01.000000007Z stderr P \n");
	/* The epoch, and back again. */
	entry.time = (struct timespec){0};
	assert_string_equal(
		format(LOG_K8S_FILE, &entry), "1970-01-01T00:00:00.000000000Z stderr P \n");
}

static void test_format_json(void **state)
{
	struct log_entry entry = entry_of("a\"\\\t\x01\x7f\xc3\xa9\xff/", 10);

	assert_string_equal(format(LOG_JSON_FILE, &entry),
		"{\"log\":\"a\\\"\\\\\\t\\u0001\x7f\xc3\xa9\\ufffd/\\n\",\"stream\":\"stdout\","
		"\"time\":\"2024-01-31T12:00:00.123456789Z\"}\n");
	entry.is_partial = entry.is_stderr = true;
	entry.length = 1;
	assert_string_equal(format(LOG_JSON_FILE, &entry),
		"{\"log\":\"a\",\"stream\":\"stderr\","
		"\"time\":\"2024-01-31T12:00:00.123456789Z\"}\n");
}

/* Every byte, alone and at the end of the longest text. */
static void test_longest(void **state)
{
	static const enum container_log forms[] = {LOG_K8S_FILE, LOG_JSON_FILE};
	static char text[LOG_TEXT_MAX];

	for (int byte = 0; byte < 256; byte++) {
		struct log_entry entry = entry_of(text, sizeof(text));

		memset(text, byte, sizeof(text));
		for (size_t i = 0; i < 2; i++)
			assert_true(log_format(forms[i], &entry, buffer) <= LOG_ENTRY_MAX);
	}
}

static void assert_same(const struct log_entry *a, const struct log_entry *b)
{
	assert_int_equal(a->time.tv_sec, b->time.tv_sec);
	assert_int_equal(a->time.tv_nsec, b->time.tv_nsec);
	assert_int_equal(a->is_stderr, b->is_stderr);
	assert_int_equal(a->is_partial, b->is_partial);
	assert_int_equal(a->length, b->length);
	assert_memory_equal(a->text, b->text, a->length);
}

static void test_round_trip(void **state)
{
	static const char text[] = "\0\x01\x1f \"\\/\b\f\r\t\x7f\xc3\xa9\xf0\x9f\x98\x80\xed\x9f\xbf{}";
	static const enum container_log forms[] = {LOG_K8S_FILE, LOG_JSON_FILE};

	for (int i = 0; i < 8; i++) {
		struct log_entry entry = entry_of(text, i < 4 ? sizeof(text) - 1 : 0), again;
		size_t n, skip;

		entry.is_stderr = i & 1;
		entry.is_partial = i & 2;
		entry.time.tv_nsec = i == 0 ? 0 : 999999999;
		for (size_t j = 0; j < 2; j++) {
			n = log_format(forms[j], &entry, buffer);
			assert_int_equal(log_parse(forms[j], buffer, n, &again, &skip), n);
			assert_same(&entry, &again);
			n = log_format(forms[j], &entry, buffer);
			assert_int_equal(log_parse(forms[j], buffer, n - 1, &again, &skip), 0);
		}
	}
}

/* ---- reading what others wrote ---- */

static ssize_t parse(enum container_log form, const char *text, struct log_entry *ret)
{
	size_t skip = 4711;
	ssize_t n;

	snprintf(buffer, sizeof(buffer), "%s", text);
	n = log_parse(form, buffer, strlen(text), ret, &skip);
	if (n == -EBADMSG)
		assert_int_equal(skip, strchr(text, '\n') - text + 1);
	return n;
}

static void test_parse_k8s(void **state)
{
	struct log_entry entry;

	/* podman's zone, other fractions, further tags, several lines */
	assert_int_equal(
		parse(LOG_K8S_FILE, "2024-01-31T14:30:00.5+02:30 stderr P:x hello\nmore", &entry),
		45);
	assert_int_equal(entry.time.tv_sec, 1706702400);
	assert_int_equal(entry.time.tv_nsec, 500000000);
	assert_true(entry.is_stderr && entry.is_partial);
	assert_int_equal(entry.length, 5);
	assert_memory_equal(entry.text, "hello", 5);
	assert_true(parse(LOG_K8S_FILE, "2024-01-31T09:00:00-03:00 stdout F\n", &entry) > 0);
	assert_int_equal(entry.time.tv_sec, 1706702400);
	assert_int_equal(entry.time.tv_nsec, 0);
	assert_int_equal(entry.length, 0);
	assert_true(!entry.is_stderr && !entry.is_partial);
}

static void test_parse_json(void **state)
{
	struct log_entry entry;

	assert_true(parse(LOG_JSON_FILE,
			    " {\t\"time\" : \"2024-01-31T12:00:00Z\", \"x\":\"y\",\"stream\":\"stdout\","
			    "\"log\":\"\\ud83d\\uDE00\\/\\ud83d\\u00e9\\u0000\\n\" } \n",
			    &entry) > 0);
	assert_int_equal(entry.length, 11);
	assert_memory_equal(entry.text, "\xf0\x9f\x98\x80/\xef\xbf\xbd\xc3\xa9\0", 11);
	assert_false(entry.is_partial);
}

static void test_bad_lines(void **state)
{
	static const char *const k8s[] = {"\n", "x\n", "2024-01-31T12:00:00Z\n",
		"2024-01-31T12:00:00Z \n", "2024-01-31T12:00:00Z stdin F x\n",
		"2024-01-31T12:00:00Z stdout X x\n", "2024-01-31T12:00:00Z stdout\n",
		"2024-13-31T12:00:00Z stdout F x\n", "2024-00-31T12:00:00Z stdout F x\n",
		"2024-01-31 12:00:00Z stdout F x\n", "2024-01-31T12:00:00 stdout F x\n",
		"2024-01-31T12:00:00+2:00 stdout F x\n", "2024-01-31T24:00:00Z stdout F x\n"};
	static const char *const json[] = {"\n", "{}\n", "[]\n", "{\"log\":\"x\"}\n",
		"{\"log\":\"x\",\"stream\":\"stdin\",\"time\":\"2024-01-31T12:00:00Z\"}\n",
		"{\"log\":\"x\",\"stream\":\"stdoutx\",\"time\":\"2024-01-31T12:00:00Z\"}\n",
		"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2024-01-31T12:00:00Zx\"}\n",
		"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2024-01-31T12:00:00Z\"\n",
		"{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"2024-01-31T12:00:00Z\"}x\n",
		"{\"log\":\"\\x\",\"stream\":\"stdout\",\"time\":\"2024-01-31T12:00:00Z\"}\n",
		"{\"log\":\"\\u12\",\"stream\":\"stdout\",\"time\":\"2024-01-31T12:00:00Z\"}\n",
		"{\"log\":\"\\\n", "{\"log\":7,\"stream\":\"stdout\"}\n"};
	struct log_entry entry = {.length = 4711};

	for (size_t i = 0; i < sizeof(k8s) / sizeof(*k8s); i++)
		if (parse(LOG_K8S_FILE, k8s[i], &entry) != -EBADMSG)
			fail_msg("taken: %s", k8s[i]);
	for (size_t i = 0; i < sizeof(json) / sizeof(*json); i++)
		if (parse(LOG_JSON_FILE, json[i], &entry) != -EBADMSG)
			fail_msg("taken: %s", json[i]);
	assert_int_equal(entry.length, 4711);
	assert_int_equal(parse(LOG_K8S_FILE, "", &entry), 0);
	assert_int_equal(parse(LOG_JSON_FILE, "{\"log\":", &entry), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_k8s),
		cmocka_unit_test(test_format_json),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_parse_k8s),
		cmocka_unit_test(test_parse_json),
		cmocka_unit_test(test_bad_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
