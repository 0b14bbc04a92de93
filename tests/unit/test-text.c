/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text: checked numbers, bounded copies, quoting, string vectors. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "text.h"

static void test_uint64(void **state)
{
	static const struct {
		const char *text;
		int result;
	} bad[] = {
		{NULL, -EINVAL},
		{"", -EINVAL},
		{" 1", -EINVAL},
		{"1 ", -EINVAL},
		{"+1", -EINVAL},
		{"-1", -EINVAL},
		{"0x10", -EINVAL},
		{"1e3", -EINVAL},
		{"99999999999999999999999x", -EINVAL},
		{"18446744073709551616", -ERANGE},
		{"99999999999999999999999", -ERANGE},
	};
	uint64_t number = 17;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(
			text_to_uint64(bad[i].text, 0, UINT64_MAX, &number), bad[i].result);
	assert_int_equal(text_to_uint64("9", 10, 20, &number), -ERANGE);
	assert_int_equal(text_to_uint64("21", 10, 20, &number), -ERANGE);
	assert_true(number == 17);
	assert_int_equal(text_to_uint64("18446744073709551615", 0, UINT64_MAX, &number), 0);
	assert_true(number == UINT64_MAX);
	assert_int_equal(text_to_uint64("0", 0, 0, &number), 0);
	assert_true(number == 0);
}

static void test_uint32(void **state)
{
	uint32_t number = 17;

	assert_int_equal(text_to_uint32("4294967296", 0, UINT32_MAX, &number), -ERANGE);
	assert_int_equal(text_to_uint32("x", 0, UINT32_MAX, &number), -EINVAL);
	assert_int_equal(number, 17);
	assert_int_equal(text_to_uint32("4294967295", 0, UINT32_MAX, &number), 0);
	assert_true(number == UINT32_MAX);
}

static void test_format(void **state)
{
	autofree char *text = text_format("%s-%d", "a", 5);

	assert_string_equal(text, "a-5");
}

static void test_compare(void **state)
{
	assert_true(text_starts_with("abc", "ab"));
	assert_true(text_starts_with("abc", ""));
	assert_false(text_starts_with("a", "ab"));
	assert_false(text_starts_with(NULL, ""));
	assert_true(text_ends_with("abc", "bc"));
	assert_false(text_ends_with("c", "bc"));
	assert_false(text_ends_with(NULL, ""));
	assert_true(text_equal("a", "a"));
	assert_true(text_equal(NULL, NULL));
	assert_false(text_equal("a", NULL));
	assert_false(text_equal(NULL, "a"));
	assert_false(text_equal("a", "b"));
}

static void test_copy(void **state)
{
	char target[4] = "xyz";

	assert_int_equal(text_copy(target, sizeof(target), "abc"), 0);
	assert_string_equal(target, "abc");
	assert_int_equal(text_copy(target, sizeof(target), "abcd"), -ENAMETOOLONG);
	assert_string_equal(target, "");
	assert_int_equal(text_copy(target, 0, ""), -ENAMETOOLONG);
}

static void test_sanitize(void **state)
{
	char target[8];

	assert_string_equal(text_sanitize(target, sizeof(target), "a\n\x1b\x7f\xc3z"), "a????z");
	assert_string_equal(text_sanitize(target, sizeof(target), "1234567"), "1234567");
	assert_string_equal(text_sanitize(target, sizeof(target), "12345678"), "1234...");
	assert_string_equal(text_sanitize(target, 2, "abc"), "a");
	target[0] = 'k';
	text_sanitize(target, 0, "abc");
	assert_int_equal(target[0], 'k');
}

static void test_vectors(void **state)
{
	autostrv strv = NULL;
	autostrv copy = NULL;
	autostrv empty = NULL;

	assert_int_equal(strv_length(NULL), 0);
	assert_false(strv_contains(NULL, "a"));
	assert_int_equal(strv_add(&strv, NULL), 0);
	assert_int_equal(strv_length(strv), 0);
	assert_int_equal(strv_add(&strv, "a"), 0);
	assert_int_equal(strv_add(&strv, "b"), 0);
	assert_int_equal(strv_length(strv), 2);
	assert_true(strv_contains(strv, "b"));
	assert_false(strv_contains(strv, "c"));
	copy = strv_copy(strv);
	assert_int_equal(strv_length(copy), 2);
	assert_string_equal(copy[0], "a");
	assert_ptr_not_equal(copy[0], strv[0]);
	empty = strv_copy(NULL);
	assert_non_null(empty);
	assert_null(empty[0]);
}

static void test_split(void **state)
{
	autostrv strv = NULL;
	autostrv empty = NULL;

	assert_int_equal(strv_split(",a,,bc,d,,", ',', &strv), 0);
	assert_int_equal(strv_length(strv), 3);
	assert_string_equal(strv[0], "a");
	assert_string_equal(strv[1], "bc");
	assert_string_equal(strv[2], "d");
	assert_int_equal(strv_split("", ',', &empty), 0);
	assert_int_equal(strv_length(empty), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uint64),
		cmocka_unit_test(test_uint32),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_sanitize),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
