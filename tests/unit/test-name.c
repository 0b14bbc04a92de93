/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: the grammar, its edges, and the way from a path to an id and back. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "name.h"

#define X31 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X63 X31 X31 "x"
#define X64 X63 "x"

static void test_component(void **state)
{
	static const char *const good[] = {"a", "0", "net0", "a-b_c", "9--", X63};
	static const char *const bad[] = {"", "-a", "_a", "A", "aB", "a b", "a.b", "a/b", ".", "..",
		"../x", "a\n", "\xc3\xa9", X64};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(name_check_component(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(name_check_component(bad[i], NULL), -EINVAL);
}

static void test_messages(void **state)
{
	struct err err;

	name_check_component("A\n", &err);
	assert_string_equal(err.msg,
		"\"A?\" is not a valid name: a name has 1 to 63 characters from "
		"a-z, 0-9, '_' and '-', and starts with a letter or digit");
	name_check_path("a//b", &err);
	assert_string_equal(err.msg,
		"\"a//b\" is not a valid path: it is names joined by '/', and a "
		"name has 1 to 63 characters from a-z, 0-9, '_' and '-', and "
		"starts with a letter or digit");
	name_check_path("a/a/a/a/a/a/a/a/a/a", &err);
	assert_string_equal(err.msg,
		"\"a/a/a/a/a/a/a/a/a/a\" is not a valid path: it has more than "
		"9 components");
}

static void test_path(void **state)
{
	static const char *const good[] = {"a", "a/b", "net0/web/nginx", "a/a/a/a/a/a/a/a/a"};
	static const char *const bad[] = {"", "/", "/a", "a/", "a//b", "a/../b", "a/B", "a.b",
		"a/a/a/a/a/a/a/a/a/a", "a/" X64};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(name_check_path(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(name_check_path(bad[i], NULL), -EINVAL);
}

static void test_depth(void **state)
{
	assert_int_equal(name_depth("a"), 1);
	assert_int_equal(name_depth("a/b/c"), 3);
}

static void test_id(void **state)
{
	char id[NAME_PATH_SIZE], path[NAME_PATH_SIZE];
	const char *longest = X63 "/" X63 "/" X63 "/" X63 "/" X63 "/" X63 "/" X63 "/" X63 "/" X63;

	name_path_to_id("net0/web/nginx", id);
	assert_string_equal(id, "net0.web.nginx");
	assert_int_equal(name_id_to_path(id, path, NULL), 0);
	assert_string_equal(path, "net0/web/nginx");

	assert_int_equal(strlen(longest) + 1, NAME_PATH_SIZE);
	name_path_to_id(longest, id);
	assert_int_equal(name_id_to_path(id, path, NULL), 0);
	assert_string_equal(path, longest);
}

static void test_bad_id(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a..b", ".a", "a.", "a/b", "A.b", "a.b c"};
	char path[NAME_PATH_SIZE] = "before";

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(name_id_to_path(bad[i], path, NULL), -EINVAL);
	assert_string_equal(path, "before");
}

static void test_read_path(void **state)
{
	static const char *const bad[] = {"", ".", "a..b", "a//b", "a.b/c", "A"};
	char path[NAME_PATH_SIZE];

	assert_int_equal(name_read_path("net0.web", path, NULL), 0);
	assert_string_equal(path, "net0/web");
	assert_int_equal(name_read_path("net0/web", path, NULL), 0);
	assert_string_equal(path, "net0/web");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(name_read_path(bad[i], path, NULL), -EINVAL);
}

static void test_hostname(void **state)
{
	static const char *const bad[] = {"", "-a", ".a", "a_b", "a b", "\303\244", X63 "aa"};

	assert_int_equal(name_check_hostname("Web-1.example.org", NULL), 0);
	assert_int_equal(name_check_hostname(X63 "a", NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(name_check_hostname(bad[i], NULL), -EINVAL);
}

static void test_split(void **state)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];

	name_split("a/b/c", parent, leaf);
	assert_string_equal(parent, "a/b");
	assert_string_equal(leaf, "c");
	name_split("a", parent, leaf);
	assert_string_equal(parent, "");
	assert_string_equal(leaf, "a");
	name_split(X63 "/" X63, parent, leaf);
	assert_string_equal(parent, X63);
	assert_string_equal(leaf, X63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_component),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_bad_id),
		cmocka_unit_test(test_read_path),
		cmocka_unit_test(test_hostname),
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
