/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Addresses with a prefix length. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "cidr.h"

static void test_right(void **state)
{
	static const struct {
		const char *text, *address;
		int family;
		uint32_t prefix;
	} cases[] = {
		{"10.88.0.2/16", "10.88.0.2", AF_INET, 16},
		{"0.0.0.0/0", "0.0.0.0", AF_INET, 0},
		{"255.255.255.255/32", "255.255.255.255", AF_INET, 32},
		{"::/0", "::", AF_INET6, 0},
		{"fd00:88::2/64", "fd00:88::2", AF_INET6, 64},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6, 128},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char address[INET6_ADDRSTRLEN];
		struct cidr cidr;

		assert_int_equal(cidr_parse(cases[i].text, &cidr), 0);
		assert_int_equal(cidr.family, cases[i].family);
		assert_int_equal(cidr.prefix, cases[i].prefix);
		assert_non_null(inet_ntop(cidr.family, &cidr.in6, address, sizeof(address)));
		assert_string_equal(address, cases[i].address);
	}
}

/* Nothing is said then. */
static void test_wrong(void **state)
{
	static const char *const wrong[] = {"", "/", "/8", "10.0.0.1", "10.0.0.1/", "10.0.0/8",
		"10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/8/8", "10.0.0.1/8 ", " 10.0.0.1/8", "::1",
		"::/129", "::/x", "fe80::1%eth0/64",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555/128",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"};
	struct cidr cidr = {.family = 4711};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (cidr_parse(wrong[i], &cidr) != -EINVAL)
			fail_msg("taken: %s", wrong[i]);
	assert_int_equal(cidr.family, 4711);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
