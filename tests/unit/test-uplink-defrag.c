/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Packets that come in fragments. */

#include "uplink-defrag.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

#define CONTENT 3000

/* A fragment's frame, and what is known of it. */
struct piece {
	uint8_t frame[PACKET_MAX];
	size_t length;
	struct uplink_packet packet;
};

static void cut(struct piece *piece, bool six, unsigned protocol, unsigned id,
	const uint8_t *content, size_t offset, size_t size, bool more)
{
	const char *source = six ? "fd00:88::2" : "10.88.0.2", *to = six ? "2001:db8::1" : "192.0.2.1";
	uint8_t *ip = piece->frame + ETHERNET_SIZE, with_header[PACKET_MAX];
	size_t length;

	if (six) {
		memset(with_header, 0, 8);
		with_header[0] = (uint8_t)protocol;
		with_header[2] = (uint8_t)(offset >> 8);
		with_header[3] = (uint8_t)(offset | more);
		with_header[7] = (uint8_t)id;
		memcpy(with_header + 8, content + offset, size);
		length = make_packet(ip, source, to, IPPROTO_FRAGMENT, with_header, size + 8);
	} else {
		length = make_packet(ip, source, to, protocol, content + offset, size);
		ip[5] = (uint8_t)id;
		ip[6] = (uint8_t)(offset / 8 >> 8 | (more ? 0x20 : 0));
		ip[7] = (uint8_t)(offset / 8);
	}
	piece->length = make_frame(piece->frame, length);
	assert_int_equal(uplink_frame_parse(piece->frame, piece->length, &piece->packet), 0);
}

static const uint8_t *add(struct uplink_defrag *defrag, bool six, unsigned protocol, unsigned id,
	const uint8_t *content, size_t offset, size_t size, bool more, size_t *ret_length)
{
	struct piece piece;

	cut(&piece, six, protocol, id, content, offset, size, more);
	return uplink_defrag_add(defrag, piece.frame, &piece.packet, ret_length);
}

static void fill(uint8_t content[CONTENT])
{
	uint8_t data[CONTENT - 8];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	make_udp(content, 5000, 53, data, sizeof(data));
}

static void a_whole_is_made_of_its_parts(void **state)
{
	for (int six = 0; six < 2; six++) {
		struct uplink_defrag defrag = {};
		struct uplink_packet whole;
		uint8_t content[CONTENT];
		const uint8_t *frame;
		size_t length = 0;

		fill(content);
		assert_null(add(&defrag, six, IPPROTO_UDP, 7, content, 0, 1480, true, &length));
		assert_null(add(&defrag, six, IPPROTO_UDP, 7, content, 1480, 1480, true, &length));
		frame = add(&defrag, six, IPPROTO_UDP, 7, content, 2960, 40, false, &length);
		assert_non_null(frame);
		assert_int_equal(uplink_frame_parse(frame, length, &whole), 0);
		assert_false(whole.fragment || whole.more_fragments);
		assert_int_equal(whole.source.port, htons(5000));
		assert_int_equal(whole.transport_length, CONTENT);
		assert_memory_equal(whole.transport, content, CONTENT);
		uplink_defrag_done(&defrag);
	}
}

static void other_protocols_are_put_together_too(void **state)
{
	struct uplink_defrag defrag = {};
	struct uplink_packet whole;
	uint8_t content[CONTENT] = {8};
	const uint8_t *frame;
	size_t length;

	assert_null(add(&defrag, false, IPPROTO_ICMP, 1, content, 0, 1480, true, &length));
	frame = add(&defrag, false, IPPROTO_ICMP, 1, content, 1480, 500, false, &length);
	assert_non_null(frame);
	assert_int_equal(uplink_frame_parse(frame, length, &whole), 0);
	assert_int_equal(whole.protocol, IPPROTO_ICMP);
	assert_int_equal(whole.icmp_type, 8);
	assert_int_equal(whole.transport_length, 1980);
	uplink_defrag_done(&defrag);
}

static void what_does_not_fit_makes_no_whole(void **state)
{
	struct uplink_defrag defrag = {};
	uint8_t content[CONTENT];
	size_t length;

	fill(content);
	/* The last one first, as libslirp must never see it. */
	assert_null(add(&defrag, false, IPPROTO_TCP, 1, content, 24, 32, false, &length));
	/* A gap; an overlap; another id; another protocol. */
	assert_null(add(&defrag, false, IPPROTO_UDP, 2, content, 0, 80, true, &length));
	assert_null(add(&defrag, false, IPPROTO_UDP, 2, content, 160, 80, false, &length));
	assert_null(add(&defrag, false, IPPROTO_UDP, 3, content, 0, 80, true, &length));
	assert_null(add(&defrag, false, IPPROTO_UDP, 3, content, 40, 80, false, &length));
	assert_null(add(&defrag, false, IPPROTO_UDP, 4, content, 0, 80, true, &length));
	assert_null(add(&defrag, false, IPPROTO_UDP, 5, content, 80, 80, false, &length));
	assert_null(add(&defrag, false, IPPROTO_TCP, 4, content, 80, 80, false, &length));
	assert_non_null(add(&defrag, false, IPPROTO_UDP, 4, content, 80, 80, false, &length));
	/* It is gone with its end. */
	assert_null(add(&defrag, false, IPPROTO_UDP, 4, content, 80, 80, false, &length));
	uplink_defrag_done(&defrag);
}

static void there_is_a_limit_and_the_oldest_go(void **state)
{
	struct uplink_defrag defrag = {};
	uint8_t content[CONTENT];
	size_t length;

	fill(content);
	for (unsigned id = 1; id <= UPLINK_DEFRAG_MAX + 1; id++)
		assert_null(add(&defrag, false, IPPROTO_UDP, id, content, 0, 80, true, &length));
	assert_null(add(&defrag, false, IPPROTO_UDP, 1, content, 80, 80, false, &length));
	assert_non_null(add(&defrag, false, IPPROTO_UDP, 2, content, 80, 80, false, &length));
	uplink_defrag_done(&defrag);
}

static void no_whole_is_larger_than_a_packet(void **state)
{
	struct uplink_defrag defrag = {};
	uint8_t content[65535 + 1480] = {};
	const uint8_t *frame = NULL;
	size_t length, offset = 0;

	for (; offset + 1480 <= 65535; offset += 1480)
		assert_null(add(&defrag, false, IPPROTO_UDP, 9, content, offset, 1480, true, &length));
	frame = add(&defrag, false, IPPROTO_UDP, 9, content, offset, 1480, false, &length);
	assert_null(frame);
	uplink_defrag_done(&defrag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_is_made_of_its_parts),
		cmocka_unit_test(other_protocols_are_put_together_too),
		cmocka_unit_test(what_does_not_fit_makes_no_whole),
		cmocka_unit_test(there_is_a_limit_and_the_oldest_go),
		cmocka_unit_test(no_whole_is_larger_than_a_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
