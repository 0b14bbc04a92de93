/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON: strictness, positions in errors, bounds, numbers and order kept, building. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cleanup.h"
#include "json.h"
#include "text.h"

static struct json *parse(const char *text)
{
	struct json *document = NULL;
	struct err err = {0};

	if (json_parse("test", text, strlen(text), &document, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return document;
}

static void assert_written(const struct json *document, const char *expected)
{
	autofree char *text = NULL;
	size_t length;

	assert_int_equal(json_write(document, false, &text, &length), 0);
	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

static void refused_with_length(const char *text, size_t length, int code, const char *message)
{
	struct json *document = (struct json *)&length;
	struct err err = {0};
	/* Exactly the text, so that a sanitizer sees a read behind it. */
	autofree char *copy = malloc(length + (length == 0));

	memcpy(copy, text, length);
	assert_int_equal(json_parse("test", copy, length, &document, &err), code);
	assert_string_equal(err.msg, message);
	assert_ptr_equal(document, &length);
}

static void refused(const char *text, const char *message)
{
	refused_with_length(text, strlen(text), -EINVAL, message);
}

static void test_round_trip(void **state)
{
	static const char *const texts[] = {
		"{\"b\":[1.0e3,12345678901234567890,-0,0.10,1E+2],\"a\":\"x\"}",
		"[true,false,null,{},[]]",
		"\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\xc3\xa9\xf0\x9f\x98\x80\"",
		"{\"\":{\"z\":1,\"y\":{\"x\":[[]]}}}",
		"7",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		autoptr(json) document = parse(texts[i]);
		autoptr(json) copy = json_copy(document);

		assert_written(document, texts[i]);
		assert_written(copy, texts[i]);
		assert_true(json_equal(document, copy));
	}
}

static void test_pretty(void **state)
{
	autoptr(json) document = parse(" {\"a\" : [1,{ }], \"b\":{\"c\":null}, \"d\":[]} ");
	autofree char *text = NULL;

	assert_int_equal(json_write(document, true, &text, NULL), 0);
	assert_string_equal(text,
		"{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n"
		"  },\n  \"d\": []\n}\n");
}

static void test_escapes(void **state)
{
	autoptr(json) document = parse("\"\\u00e9\\ud83d\\ude00\\/\"");

	assert_string_equal(json_string(document), "\xc3\xa9\xf0\x9f\x98\x80/");
}

static void test_empty(void **state)
{
	refused("", "test is empty");
	refused(" \n\t\r ", "test is empty");
}

static void test_syntax(void **state)
{
	refused("{", "test:1:2: premature EOF");
	refused("[1,2", "test:1:5: premature EOF");
	refused("\"abc", "test:1:5: premature EOF");
	refused("{\"a\":1,\n  \"b\":x}", "test:2:7: invalid char in json text");
	refused("[1] x", "test:1:5: trailing garbage");
	refused("[1]]", "test:1:4: trailing garbage");
	refused("{}\n{}", "test:2:1: trailing garbage");
	refused("[01]", "test:1:2: after array element, I expect ',' or ']'");
	refused("[1,]", "test:1:4: unallowed token at this point in JSON text");
	refused("{1:2}", "test:1:2: invalid object key (must be a string)");
	refused("[1.]", "test:1:4: malformed number, a digit is required after the decimal point");
	refused("\"a\nb\"", "test:1:3: invalid character inside string");
	refused("nul", "test:1:4: invalid string in json text");
	refused("// c\n1",
		"test:1:1: probable comment found in input text, comments are not "
		"enabled");
	refused_with_length("[1\0001]", 5, -EINVAL, "test:1:3: invalid char in json text");
}

static void test_strings_refused(void **state)
{
	refused("[\"a\\u0000b\"]", "test:1:2: a string with a NUL character");
	refused("{\"\\u0000\":1}", "test:1:2: a string with a NUL character");
	refused("[\"\xc3(\"]", "test:1:5: invalid bytes in UTF8 string");
	refused("[\"\xed\xa0\x80\"]", "test:1:2: a string that is not valid UTF-8");
	refused("[\"\xc0\xaf\"]", "test:1:2: a string that is not valid UTF-8");
	refused("[\"\xf4\x90\x80\x80\"]", "test:1:2: a string that is not valid UTF-8");
}

static void test_duplicate_keys(void **state)
{
	refused("{\"a\":1,\"b\":2,\"a\":3}", "test:1:14: the key \"a\" is there twice");
	refused("{\"x\\\"y\":1,\n  \"x\\\"y\":2}", "test:2:3: the key \"x\"y\" is there twice");
	refused("[{\"a\":{\"b\":1,\"b\":2}}]", "test:1:14: the key \"b\" is there twice");
	/* The same key in different objects is fine. */
	json_free(parse("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}"));
}

/* Return: @n times @part, allocated. */
static char *repeat(const char *part, size_t n)
{
	size_t length = strlen(part);
	char *text = malloc(n * length + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * length, part, length);
	text[n * length] = '\0';
	return text;
}

static void test_depth(void **state)
{
	autofree char *deep = repeat("[", 10000);
	autofree char *objects = repeat("{\"a\":", 10000);
	autofree char *opening = repeat("[", JSON_DEPTH_MAX);
	autofree char *closing = repeat("]", JSON_DEPTH_MAX);
	autofree char *fits = text_format("%s%s", opening, closing);
	autofree char *too_deep = text_format("[%s]", fits);

	json_free(parse(fits));
	refused_with_length(
		deep, strlen(deep), -EFBIG, "test:1:65: nested deeper than podd accepts");
	refused_with_length(
		objects, strlen(objects), -EFBIG, "test:1:321: nested deeper than podd accepts");
	refused_with_length(
		too_deep, strlen(too_deep), -EFBIG, "test:1:65: nested deeper than podd accepts");
}

static void test_size(void **state)
{
	autofree char *fits = repeat(" ", JSON_BYTES_MAX);
	autofree char *large = repeat(" ", JSON_BYTES_MAX + 1);
	struct json *document = NULL;

	fits[0] = large[0] = '7';
	assert_int_equal(json_parse("test", fits, JSON_BYTES_MAX, &document, NULL), 0);
	json_free(document);
	refused_with_length(large, JSON_BYTES_MAX + 1, -EFBIG,
		"test has more than the 1048576 bytes that podd accepts");
}

static void test_values(void **state)
{
	autofree char *most = repeat("1,", JSON_VALUES_MAX - 2);
	autofree char *more = repeat("1,", JSON_VALUES_MAX);
	autofree char *fits = text_format("[%s1]", most);
	autofree char *large = text_format("[%s1]", more);
	autoptr(json) document = parse(fits);

	assert_int_equal(json_length(document), JSON_VALUES_MAX - 1);
	refused_with_length(large, strlen(large), -EFBIG,
		"test:1:131072: more values than podd accepts in one document");
}

/* 65535 members: noticing a duplicate must not take the square of that. */
static void test_many_members(void **state)
{
	size_t n = 0, size = 1024 * 1024;
	autofree char *text = malloc(size);
	struct timespec begin, end;

	n += (size_t)snprintf(text, size, "{\"k0\":0");
	for (int i = 1; i < JSON_VALUES_MAX - 1; i++)
		n += (size_t)snprintf(text + n, size - n, ",\"k%d\":0", i);
	snprintf(text + n, size - n, "}");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	json_free(parse(text));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_true(end.tv_sec - begin.tv_sec <= 1);

	snprintf(text + n, size - n, ",\"k0\":0}");
	assert_int_equal(
		json_parse("test", text, strlen(text), &(struct json *){NULL}, NULL), -EINVAL);
}

static void test_lookups(void **state)
{
	autoptr(json) document = parse("{\"s\":\"x\",\"a\":[1,true],\"n\":null}");

	assert_string_equal(json_string(json_get(document, "s")), "x");
	assert_int_equal(json_length(json_get(document, "a")), 2);
	assert_true(json_is_true(json_at(json_get(document, "a"), 1)));
	assert_string_equal(json_key_at(document, 1), "a");
	assert_int_equal(json_type(json_get(document, "n")), JSON_NULL);
	assert_null(json_key_at(document, 3));
	assert_null(json_at(json_get(document, "a"), 2));
	assert_null(json_get(document, "missing"));
	assert_null(json_get(json_get(document, "a"), "s"));
	assert_null(json_get(NULL, "s"));
	assert_null(json_string(json_get(document, "a")));
	assert_int_equal(json_length(json_get(document, "s")), 0);
	assert_false(json_is_true(json_get(document, "s")));
}

static void test_int(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t number;
	} cases[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"-17", 0, -17},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775809", -ERANGE, 0},
		{"12345678901234567890123", -ERANGE, 0},
		{"1.0", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"\"1\"", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autoptr(json) document = parse(cases[i].text);
		int64_t number = 4711;

		assert_int_equal(json_int(document, &number), cases[i].result);
		assert_true(number == (cases[i].result ? 4711 : cases[i].number));
	}
}

static void test_read(void **state)
{
	autoptr(json) document =
		parse("{\"s\":\"x\",\"i\":5,\"b\":true,\"o\":{},\"a\":[],"
		      "\"v\":[\"p\",\"q\"],\"n\":null}");
	const char *text = NULL;
	const struct json *value = NULL;
	int64_t number = 0;
	bool boolean = false;
	autostrv strv = NULL;

	assert_int_equal(json_read_string(document, "s", true, &text, NULL), 0);
	assert_string_equal(text, "x");
	assert_int_equal(json_read_int(document, "i", true, 5, 5, &number, NULL), 0);
	assert_int_equal(number, 5);
	assert_int_equal(json_read_bool(document, "b", true, &boolean, NULL), 0);
	assert_true(boolean);
	assert_int_equal(json_read_object(document, "o", true, &value, NULL), 0);
	assert_ptr_equal(value, json_get(document, "o"));
	assert_int_equal(json_read_array(document, "a", true, &value, NULL), 0);
	assert_ptr_equal(value, json_get(document, "a"));
	assert_int_equal(json_read_strv(document, "v", true, &strv, NULL), 0);
	assert_int_equal(strv_length(strv), 2);
	assert_string_equal(strv[1], "q");
}

static void test_read_absent(void **state)
{
	autoptr(json) document = parse("{\"n\":null}");
	const char *text = "before";
	int64_t number = 17;
	char **strv = (char **)&number;
	struct err err;

	assert_int_equal(json_read_string(document, "x", false, &text, NULL), 0);
	assert_int_equal(json_read_string(document, "n", false, &text, NULL), 0);
	assert_int_equal(json_read_string(NULL, "n", false, &text, NULL), 0);
	assert_string_equal(text, "before");
	assert_int_equal(json_read_int(document, "n", false, 0, 1, &number, NULL), 0);
	assert_int_equal(number, 17);
	assert_int_equal(json_read_strv(document, "n", false, &strv, NULL), 0);
	assert_ptr_equal(strv, &number);

	assert_int_equal(json_read_string(document, "x", true, &text, &err), -EINVAL);
	assert_string_equal(err.msg, "\"x\" is missing");
	assert_int_equal(json_read_string(document, "n", true, &text, &err), -EINVAL);
	assert_string_equal(err.msg, "\"n\" must be a string, found null");
}

static void test_read_wrong(void **state)
{
	autoptr(json) document = parse("{\"s\":\"x\",\"i\":5,\"f\":1.5,\"v\":[\"p\",7]}");
	const struct json *value = NULL;
	const char *text = NULL;
	int64_t number = 0;
	char **strv = NULL;
	bool boolean;
	struct err err;

	assert_int_equal(json_read_string(document, "i", false, &text, &err), -EINVAL);
	assert_string_equal(err.msg, "\"i\" must be a string, found number");
	assert_int_equal(json_read_int(document, "i", false, 6, 9, &number, &err), -EINVAL);
	assert_string_equal(err.msg, "\"i\" must be an integer from 6 to 9, found 5");
	assert_int_equal(json_read_int(document, "f", false, 0, 9, &number, &err), -EINVAL);
	assert_string_equal(err.msg, "\"f\" must be an integer from 0 to 9, found 1.5");
	assert_int_equal(json_read_bool(document, "s", false, &boolean, &err), -EINVAL);
	assert_string_equal(err.msg, "\"s\" must be a boolean, found string");
	assert_int_equal(json_read_object(document, "v", false, &value, &err), -EINVAL);
	assert_string_equal(err.msg, "\"v\" must be an object, found array");
	assert_int_equal(json_read_array(document, "s", false, &value, &err), -EINVAL);
	assert_string_equal(err.msg, "\"s\" must be an array, found string");
	assert_int_equal(json_read_strv(document, "v", false, &strv, &err), -EINVAL);
	assert_string_equal(err.msg, "\"v\"[1] must be a string, found number");
	assert_int_equal(
		json_read_string(json_get(document, "v"), "s", false, &text, &err), -EINVAL);
	assert_string_equal(err.msg, "expected an object with \"s\", found array");
	assert_null(strv);
	assert_null(value);
}

static void test_build(void **state)
{
	autoptr(json) document = json_new_object();
	char *strv[] = {(char[]){"x"}, (char[]){"y"}, NULL};
	struct json *object, *array;

	json_set_string(document, "s", "a/b");
	json_set_int(document, "i", INT64_MIN);
	json_set_bool(document, "b", false);
	json_set_strv(document, "v", strv);
	json_set_strv(document, "e", NULL);
	object = json_set_object(document, "o");
	json_set(object, "n", json_new_null());
	array = json_set_array(document, "a");
	json_append(array, json_new_int(1));
	json_append(array, json_new_string("two"));
	assert_written(document,
		"{\"s\":\"a/b\",\"i\":-9223372036854775808,\"b\":false,"
		"\"v\":[\"x\",\"y\"],\"e\":[],\"o\":{\"n\":null},\"a\":[1,\"two\"]}");
}

static void test_change(void **state)
{
	autoptr(json) document = parse("{\"a\":1,\"b\":[1,2,3],\"c\":3}");

	json_set_string(document, "a", "in its place");
	json_remove_at(json_get(document, "b"), 1);
	json_remove_at(json_get(document, "b"), 9);
	json_remove(document, "c");
	json_remove(document, "missing");
	json_set_int(document, "d", 4);
	assert_written(document, "{\"a\":\"in its place\",\"b\":[1,3],\"d\":4}");
}

/* What could not be allocated shows when the document is written. */
static void test_incomplete(void **state)
{
	autoptr(json) document = json_new_object();
	autoptr(json) copy = NULL;
	char *text = NULL;

	json_set(json_set_object(document, "inner"), "missing", NULL);
	assert_int_equal(json_write(document, false, &text, NULL), -ENOMEM);
	copy = json_copy(document);
	assert_int_equal(json_write(copy, false, &text, NULL), -ENOMEM);
	assert_int_equal(json_write(NULL, false, &text, NULL), -ENOMEM);
	assert_null(text);
}

static void test_null_targets(void **state)
{
	autoptr(json) number = json_new_int(1);

	json_set(NULL, "a", json_new_int(1));
	json_set(number, "a", json_new_int(1));
	json_append(NULL, json_new_int(1));
	json_append(number, json_new_int(1));
	json_remove(NULL, "a");
	json_remove_at(NULL, 0);
	assert_null(json_set_object(NULL, "a"));
	assert_written(number, "1");
}

/* What is written can always be read again. */
static void test_invalid_utf8_is_replaced(void **state)
{
	autoptr(json) document = json_new_string("a\xff\xc3\xa9\xc3");
	autoptr(json) again = NULL;
	autofree char *text = NULL;

	assert_int_equal(json_write(document, false, &text, NULL), 0);
	again = parse(text);
	assert_string_equal(json_string(again), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
}

static void test_equal(void **state)
{
	autoptr(json) a = parse("{\"a\":1,\"b\":[1,\"x\",null,true]}");
	autoptr(json) same = parse("{\"b\":[1,\"x\",null,true],\"a\":1}");
	static const char *const others[] = {
		"{\"a\":1,\"b\":[\"x\",1,null,true]}",
		"{\"a\":1.0,\"b\":[1,\"x\",null,true]}",
		"{\"a\":1,\"b\":[1,\"x\",null,false]}",
		"{\"a\":1,\"c\":[1,\"x\",null,true]}",
		"{\"a\":1}",
		"[]",
	};

	assert_true(json_equal(a, same));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		autoptr(json) other = parse(others[i]);

		assert_false(json_equal(a, other));
		assert_false(json_equal(other, a));
	}
	assert_false(json_equal(a, NULL));
	assert_true(json_equal(NULL, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_strings_refused),
		cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_many_members),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_int),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_absent),
		cmocka_unit_test(test_read_wrong),
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_null_targets),
		cmocka_unit_test(test_invalid_utf8_is_replaced),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
