/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Frames from the pod: which of them have a packet, which bring an address; and the checksums of
 * those that are made. */

#include "uplink-frame.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>

/* A frame of exactly this length, so that a sanitizer sees what is read beyond it. */
static uint8_t *make_frame(unsigned protocol, size_t length)
{
	uint8_t *frame = calloc(1, length);

	assert_non_null(frame);
	frame[12] = (uint8_t)(protocol >> 8);
	frame[13] = (uint8_t)protocol;
	if (protocol == ETHERTYPE_IP)
		frame[ETH_HLEN] = 0x45;
	else if (protocol == ETHERTYPE_IPV6)
		frame[ETH_HLEN] = 0x60;
	return frame;
}

static void packets_are_found_behind_the_header(void **state)
{
	uint8_t *frame = make_frame(ETHERTYPE_IP, ETH_HLEN + IPV4_SIZE);
	struct uplink_packet packet;

	assert_int_equal(uplink_frame_parse(frame, ETH_HLEN + IPV4_SIZE, &packet), 0);
	assert_int_equal(packet.family, AF_INET);
	assert_ptr_equal(packet.transport, frame + ETH_HLEN + IPV4_SIZE);
	free(frame);
	frame = make_frame(ETHERTYPE_IPV6, ETH_HLEN + IPV6_SIZE);
	frame[ETH_HLEN + IPV6_NEXT_HEADER] = IPPROTO_NONE;
	assert_int_equal(uplink_frame_parse(frame, ETH_HLEN + IPV6_SIZE, &packet), 0);
	assert_int_equal(packet.family, AF_INET6);
	free(frame);
}

static void what_has_no_packet_is_refused(void **state)
{
	struct uplink_packet packet = {.family = 99};

	for (size_t length = 0; length < ETH_HLEN + IPV4_SIZE; length++) {
		uint8_t *frame = make_frame(ETHERTYPE_IP, ETH_HLEN + IPV4_SIZE);
		uint8_t *cut = realloc(frame, length > 0 ? length : 1);

		assert_int_equal(uplink_frame_parse(cut, length, &packet), -EBADMSG);
		assert_false(uplink_frame_is_of_neighbour(cut, length));
		free(cut);
	}
	for (unsigned protocol = 0; protocol <= 0xffff; protocol++) {
		uint8_t frame[ETH_HLEN + IPV6_SIZE] = {[12] = (uint8_t)(protocol >> 8),
			[13] = (uint8_t)protocol, [ETH_HLEN] = 0x45};

		if (protocol != ETHERTYPE_IP && protocol != ETHERTYPE_IPV6)
			assert_int_equal(uplink_frame_parse(frame, sizeof(frame), &packet),
				-EBADMSG);
	}
	assert_int_equal(packet.family, 99);
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

static void neighbours_are_told(void **state)
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
		cmocka_unit_test(packets_are_found_behind_the_header),
		cmocka_unit_test(what_has_no_packet_is_refused),
		cmocka_unit_test(neighbours_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
