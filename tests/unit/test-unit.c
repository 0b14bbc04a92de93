/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Names of units, and finding one in a cgroup's path. */

#include "unit.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fixture.h"

/* What systemd-escape(1) prints for the same. */
static void test_name(void **state)
{
	static const struct {
		const char *pod, *name;
	} pods[] = {
		{"net0", "podd@net0.service"},
		{"net0/web", "podd@net0-web.service"},
		{"a-b_c", "podd@a\\x2db_c.service"},
		{"a-/b", "podd@a\\x2d-b.service"},
	};

	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++) {
		char name[UNIT_NAME_SIZE];

		unit_name(pods[i].pod, UNIT_SERVICE, name);
		assert_string_equal(name, pods[i].name);
	}
}

static void test_longest_name(void **state)
{
	char pod[NAME_PATH_SIZE], name[UNIT_NAME_SIZE];

	memset(pod, '-', sizeof(pod) - 1);
	pod[sizeof(pod) - 1] = '\0';
	unit_name(pod, UNIT_SERVICE, name);
	assert_true(text_ends_with(name, UNIT_SERVICE));
	assert_int_equal(strlen(name), 4 * strlen(pod) + strlen(UNIT_PREFIX UNIT_SERVICE));
}

static void test_component(void **state)
{
	const char *path = "/a/podd@n.service.d/podd@n.service/podd";

	assert_string_equal(find_component(path, "podd@n.service"), "/podd");
	assert_string_equal(find_component("/x/podd@n.service", "podd@n.service"), "");
	assert_null(find_component("/x/podd@n.services", "podd@n.service"));
	assert_null(find_component("/x/my-podd@n.service", "podd@n.service"));
	assert_null(find_component("podd@n.service", "podd@n.service"));
	assert_null(find_component("/", "podd@n.service"));
}

static void test_own(void **state)
{
	autofree char *unit = NULL;

	assert_int_equal(unit_cgroup_of(getpid(), "no-such-pod", &unit), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_component),
		cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
