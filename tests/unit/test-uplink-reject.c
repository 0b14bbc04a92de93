/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the pod, and whoever carries its connection, are told of a packet that was not let out. */

#include "uplink-reject.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

#define SELF4 "10.0.2.100"
#define OUT4 "1.2.3.4"
#define SELF6 "fd00::64"
#define OUT6 "2001:db8::1"

struct answer {
	uint8_t frame[UPLINK_REJECT_MAX];
	size_t length;
	struct uplink_packet packet;
};

/* The answer has to be a packet itself, with right checksums. */
static void check(struct answer *answer)
{
	uint8_t again[UPLINK_REJECT_MAX];

	if (answer->length == 0)
		return;
	assert_int_equal(uplink_frame_parse(answer->frame, answer->length, &answer->packet), 0);
	memcpy(again, answer->frame, answer->length);
	uplink_frame_checksum(again, answer->length);
	assert_memory_equal(again, answer->frame, answer->length);
}

static struct answer answer_to(const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	struct answer answer;

	assert_int_equal(uplink_frame_parse(frame, length, &packet), 0);
	answer.length = uplink_reject_answer(frame, length, &packet, answer.frame);
	check(&answer);
	return answer;
}

static struct answer end_of(const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	struct answer answer;

	assert_int_equal(uplink_frame_parse(frame, length, &packet), 0);
	answer.length = uplink_reject_end(frame, length, &packet, answer.frame);
	check(&answer);
	return answer;
}

static void assert_way(const struct answer *answer, const char *from, const char *to)
{
	struct in6_addr source = make_ip(from), destination = make_ip(to);

	assert_memory_equal(&answer->packet.source.ip, &source, sizeof(source));
	assert_memory_equal(&answer->packet.destination.ip, &destination, sizeof(destination));
}

static void what_is_new_is_prohibited(void **state)
{
	static const struct {
		const char *self, *out;
		uint8_t protocol, type, code;
	} cases[] = {
		{SELF4, OUT4, IPPROTO_ICMP, 3, 13},
		{SELF6, OUT6, IPPROTO_ICMPV6, 1, 1},
	};

	for (size_t i = 0; i < 2; i++) {
		uint8_t frame[PACKET_MAX];
		size_t length = make_tcp_frame(frame, cases[i].self, 4000, cases[i].out, 25, TH_SYN);
		struct answer answer = answer_to(frame, length);

		assert_way(&answer, cases[i].out, cases[i].self);
		assert_int_equal(answer.packet.protocol, cases[i].protocol);
		assert_int_equal(answer.packet.icmp_type, cases[i].type);
		assert_int_equal(answer.packet.icmp_code, cases[i].code);
		assert_memory_equal(answer.frame, frame + ETH_ALEN, ETH_ALEN);
		assert_memory_equal(answer.frame + ETH_ALEN, frame, ETH_ALEN);
		/* It quotes what it is about. */
		assert_int_equal(answer.packet.transport_length, 8 + length - ETH_HLEN);
		assert_memory_equal(answer.packet.transport + 8, frame + ETH_HLEN,
			length - ETH_HLEN);
		assert_int_equal(end_of(frame, length).length, 0);
	}
}

static void no_more_is_quoted_than_allowed(void **state)
{
	static const char *const ways[][2] = {{SELF4, OUT4}, {SELF6, OUT6}};
	static const uint8_t data[1400];

	for (size_t i = 0; i < 2; i++) {
		uint8_t frame[PACKET_MAX];
		size_t length = make_udp_frame(frame, ways[i][0], 4000, ways[i][1], 53, data,
			sizeof(data));
		struct answer answer = answer_to(frame, length);

		assert_int_equal(answer.packet.transport_length, 8 + UPLINK_REJECT_QUOTE);
		assert_int_equal(answer.frame[ETH_HLEN + (i ? 4 : 2)] << 8 |
					 answer.frame[ETH_HLEN + (i ? 5 : 3)],
			8 + UPLINK_REJECT_QUOTE + (i ? 0 : 20));
	}
}

static void an_open_connection_is_reset_on_both_sides(void **state)
{
	static const char *const ways[][2] = {{SELF4, OUT4}, {SELF6, OUT6}};
	static const uint8_t numbers[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	for (size_t i = 0; i < 2; i++) {
		uint8_t frame[PACKET_MAX];
		size_t length = make_tcp_frame(frame, ways[i][0], 4000, ways[i][1], 25, TH_ACK);
		struct answer answer;

		memcpy(frame + length - 20 + 4, numbers, sizeof(numbers));
		answer = answer_to(frame, length);
		assert_way(&answer, ways[i][1], ways[i][0]);
		assert_int_equal(answer.packet.source.port, htons(25));
		assert_int_equal(answer.packet.destination.port, htons(4000));
		assert_int_equal(answer.packet.tcp_flags, TH_RST);
		assert_memory_equal(answer.packet.transport + 4, numbers + 4, 4);
		assert_int_equal(answer.packet.transport_length, 20);

		answer = end_of(frame, length);
		assert_way(&answer, ways[i][0], ways[i][1]);
		assert_int_equal(answer.packet.source.port, htons(4000));
		assert_int_equal(answer.packet.tcp_flags, TH_RST);
		assert_memory_equal(answer.packet.transport + 4, numbers, 4);
		assert_memory_equal(answer.frame, frame, ETH_HLEN);
	}
}

static void a_reset_is_not_answered(void **state)
{
	uint8_t frame[PACKET_MAX];
	size_t length = make_tcp_frame(frame, SELF4, 4000, OUT4, 25, TH_RST | TH_ACK);

	assert_int_equal(answer_to(frame, length).length, 0);
	assert_int_equal(end_of(frame, length).length, 0);
	length = make_tcp_frame(frame, SELF4, 4000, OUT4, 25, TH_RST);
	assert_int_equal(answer_to(frame, length).length, 0);
}

static size_t make_icmp_frame(uint8_t *frame, const char *from, const char *to, uint8_t type)
{
	const uint8_t message[8] = {type};

	return make_frame(frame, make_packet(frame + ETHERNET_SIZE, from, to,
		strchr(from, ':') ? IPPROTO_ICMPV6 : IPPROTO_ICMP, message, sizeof(message)));
}

static void errors_are_not_answered(void **state)
{
	static const uint8_t errors4[] = {3, 4, 5, 11, 12};
	uint8_t frame[PACKET_MAX];

	for (unsigned type = 0; type < 256; type++) {
		size_t length = make_icmp_frame(frame, SELF4, OUT4, (uint8_t)type);

		assert_int_equal(answer_to(frame, length).length == 0,
			memchr(errors4, (int)type, sizeof(errors4)) != NULL);
		length = make_icmp_frame(frame, SELF6, OUT6, (uint8_t)type);
		assert_int_equal(answer_to(frame, length).length == 0, type < 128);
		assert_int_equal(end_of(frame, length).length, 0);
	}
}

static void groups_and_fragments_are_not_answered(void **state)
{
	static const char *const ways[][2] = {{SELF4, "239.255.255.250"}, {SELF6, "ff02::fb"},
		{SELF4, "255.255.255.255"}, {"ff02::1", OUT6}, {"224.0.0.1", OUT4}};
	uint8_t frame[PACKET_MAX];
	size_t length;

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		length = make_udp_frame(frame, ways[i][0], 1, ways[i][1], 2, "x", 1);
		assert_int_equal(answer_to(frame, length).length, 0);
	}
	length = make_tcp_frame(frame, SELF4, 4000, OUT4, 25, TH_ACK);
	frame[ETH_HLEN + 7] = 1;
	assert_int_equal(answer_to(frame, length).length, 0);
	assert_int_equal(end_of(frame, length).length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_new_is_prohibited),
		cmocka_unit_test(no_more_is_quoted_than_allowed),
		cmocka_unit_test(an_open_connection_is_reset_on_both_sides),
		cmocka_unit_test(a_reset_is_not_answered),
		cmocka_unit_test(errors_are_not_answered),
		cmocka_unit_test(groups_and_fragments_are_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
