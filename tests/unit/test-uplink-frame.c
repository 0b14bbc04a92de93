/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Frames from the pod: which of them would reach the host's loopback, which bring an address. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "uplink-frame.c"

/* A frame of exactly this length, so that a sanitizer sees what is read beyond it. */
static uint8_t *make_frame(unsigned protocol, size_t length)
{
	uint8_t *frame = calloc(1, length);

	assert_non_null(frame);
	frame[12] = (uint8_t)(protocol >> 8);
	frame[13] = (uint8_t)protocol;
	return frame;
}

static bool to_address(int family, const char *address)
{
	bool ipv6 = family == AF_INET6;
	size_t length = ETH_HLEN + (ipv6 ? IPV6_SIZE : IPV4_SIZE);
	uint8_t *frame = make_frame(ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP, length);
	bool result;

	inet_pton(family, address,
		frame + ETH_HLEN + (ipv6 ? IPV6_DESTINATION : IPV4_DESTINATION));
	result = uplink_frame_is_for_loopback(frame, length);
	assert_false(uplink_frame_is_for_loopback(frame, length - 1));
	free(frame);
	return result;
}

static void test_loopback(void **state)
{
	assert_true(to_address(AF_INET, "127.0.0.1"));
	assert_true(to_address(AF_INET, "127.255.0.9"));
	assert_true(to_address(AF_INET, "0.0.0.0"));
	assert_false(to_address(AF_INET, "10.0.2.2"));
	assert_false(to_address(AF_INET, "128.0.0.1"));
	assert_true(to_address(AF_INET6, "::1"));
	assert_true(to_address(AF_INET6, "::"));
	assert_true(to_address(AF_INET6, "::ffff:127.0.0.1"));
	assert_true(to_address(AF_INET6, "::127.0.0.1"));
	assert_false(to_address(AF_INET6, "fd00::2"));
}

static bool is_neighbour(unsigned next_header, unsigned type)
{
	uint8_t *frame = make_frame(ETHERTYPE_IPV6, ETH_HLEN + IPV6_SIZE + 1);
	bool result;

	frame[ETH_HLEN + IPV6_NEXT_HEADER] = (uint8_t)next_header;
	frame[ETH_HLEN + IPV6_SIZE] = (uint8_t)type;
	result = uplink_frame_is_of_neighbour(frame, ETH_HLEN + IPV6_SIZE + 1);
	assert_false(uplink_frame_is_of_neighbour(frame, ETH_HLEN + IPV6_SIZE));
	free(frame);
	return result;
}

static void test_neighbour(void **state)
{
	uint8_t *arp = make_frame(ETHERTYPE_ARP, ETH_HLEN);

	assert_true(uplink_frame_is_of_neighbour(arp, ETH_HLEN));
	assert_false(uplink_frame_is_of_neighbour(arp, ETH_HLEN - 1));
	free(arp);
	assert_true(is_neighbour(IPPROTO_ICMPV6, 135));
	assert_true(is_neighbour(IPPROTO_ICMPV6, 136));
	assert_false(is_neighbour(IPPROTO_ICMPV6, 128));
	assert_false(is_neighbour(IPPROTO_TCP, 135));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_neighbour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
