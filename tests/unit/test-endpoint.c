/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Addresses and ports as text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "endpoint.h"

static void test_endpoint(void **state)
{
	static const struct {
		const char *address, *text, *with_port;
	} cases[] = {
		{"::ffff:10.88.0.2", "10.88.0.2", "10.88.0.2:65535"},
		{"fd00:88::2", "fd00:88::2", "[fd00:88::2]:65535"},
		{"::", "::", "[::]:65535"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char address[INET6_ADDRSTRLEN], endpoint[ENDPOINT_TEXT_SIZE];
		struct in6_addr in6;

		assert_int_equal(inet_pton(AF_INET6, cases[i].address, &in6), 1);
		endpoint_format_address(&in6, address);
		assert_string_equal(address, cases[i].text);
		endpoint_format(&in6, 65535, endpoint);
		assert_string_equal(endpoint, cases[i].with_port);
	}
}

static void test_protocol(void **state)
{
	assert_string_equal(endpoint_protocol_name(IPPROTO_TCP), "tcp");
	assert_string_equal(endpoint_protocol_name(IPPROTO_UDP), "udp");
	assert_string_equal(endpoint_protocol_name(IPPROTO_ICMP), "icmp");
	assert_string_equal(endpoint_protocol_name(IPPROTO_ICMPV6), "icmp");
	assert_string_equal(endpoint_protocol_name(IPPROTO_SCTP), "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
