/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Port specifications: their forms, and what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "publish.h"

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		struct publish expected;
	} cases[] = {
		{"80", {"", 0, 80, 1, IPPROTO_TCP}},
		{"8080:80", {"", 8080, 80, 1, IPPROTO_TCP}},
		{"8080:80/udp", {"", 8080, 80, 1, IPPROTO_UDP}},
		{"8000-8009:80-89/tcp", {"", 8000, 80, 10, IPPROTO_TCP}},
		{"127.0.0.1:8080:80", {"127.0.0.1", 8080, 80, 1, IPPROTO_TCP}},
		{"127.0.0.1::80", {"127.0.0.1", 0, 80, 1, IPPROTO_TCP}},
		{"[::1]:8080:80", {"::1", 8080, 80, 1, IPPROTO_TCP}},
		{"1-65535:1-65535", {"", 1, 1, 65535, IPPROTO_TCP}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct publish publish;

		assert_int_equal(publish_parse(cases[i].text, &publish, NULL), 0);
		assert_string_equal(publish.host_ip, cases[i].expected.host_ip);
		assert_int_equal(publish.host_port, cases[i].expected.host_port);
		assert_int_equal(publish.container_port, cases[i].expected.container_port);
		assert_int_equal(publish.n, cases[i].expected.n);
		assert_int_equal(publish.protocol, cases[i].expected.protocol);
	}
}

static void test_refused(void **state)
{
	static const char *const cases[] = {"", ":", "0", "65536", "80/", "80/sctp", "a:80", "80:",
		"-1", "9-8", "8000-8001:80", "300.0.0.1:1:1", "::1:80:80", "[::1]80", "[::1:80", "[]:1:1",
		"1:2:3:4", " 80", "80 ", "+80", "80-", "-80", "1.2.3.4:80:"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct publish publish = {.n = 77};
		struct err err = {};

		if (publish_parse(cases[i], &publish, &err) != -EINVAL)
			fail_msg("'%s' was taken", cases[i]);
		assert_int_equal(publish.n, 77);
		assert_non_null(strstr(err.msg, "containerPort"));
	}
}

static void test_port_mappings(void **state)
{
	char *const specs[] = {(char *)"8080-8081:80-81", (char *)"90", (char *)"[::1]:53:53/udp", NULL};
	char *const many[] = {(char *)"1-65535:1-65535", NULL};
	autoptr(json) array = NULL;
	autoptr(json) none = NULL;
	int64_t port = 0;

	assert_int_equal(publish_to_port_mappings(specs, &array, NULL), 0);
	assert_int_equal(json_length(array), 3);
	assert_int_equal(json_int(json_get(json_at(array, 1), "hostPort"), &port), 0);
	assert_int_equal(port, 8081);
	assert_string_equal(json_string(json_get(json_at(array, 2), "hostIP")), "::1");
	assert_string_equal(json_string(json_get(json_at(array, 2), "protocol")), "udp");
	assert_int_equal(publish_to_port_mappings(many, &none, NULL), -E2BIG);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_port_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
