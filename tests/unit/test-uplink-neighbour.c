/* SPDX-License-Identifier: GPL-2.0-or-later */

/* libslirp's questions for hardware addresses, and what is told it. */

#include "uplink-neighbour.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x64};
static const uint8_t slirp_mac[6] = {0x52, 0x55, 10, 0, 2, 2};

/* clang-format off */
static const uint8_t arp_question[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x55, 10, 0, 2, 2, 0x08, 0x06,
	0, 1, 0x08, 0, 6, 4, 0, 1,
	0x52, 0x55, 10, 0, 2, 2, 10, 0, 2, 2,
	0, 0, 0, 0, 0, 0, 10, 0, 2, 100,
};
static const uint8_t arp_answer[] = {
	0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 0x64, 0x08, 0x06,
	0, 1, 0x08, 0, 6, 4, 0, 2,
	2, 0, 0, 0, 0, 0x64, 10, 0, 2, 100,
	0x52, 0x55, 10, 0, 2, 2, 10, 0, 2, 2,
};
static const uint8_t solicitation[] = {
	0x33, 0x33, 0xff, 0, 0, 0x64, 0x52, 0x55, 10, 0, 2, 2, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 32, 58, 255,
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x64,
	135, 0, 0, 0, 0, 0, 0, 0,
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64,
	1, 1, 0x52, 0x55, 10, 0, 2, 2,
};
/* clang-format on */

/* Asks with exactly these bytes, so that a sanitizer sees what is read beyond them. */
static size_t ask(const uint8_t *frame, size_t length, uint8_t ret[UPLINK_NEIGHBOUR_FRAME])
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	size_t size;

	assert_non_null(copy);
	memcpy(copy, frame, length);
	size = uplink_neighbour_answer(copy, length, mac, ret);
	free(copy);
	return size;
}

static void arp_is_answered(void **state)
{
	uint8_t answer[UPLINK_NEIGHBOUR_FRAME];

	assert_int_equal(ask(arp_question, sizeof(arp_question), answer), sizeof(arp_answer));
	assert_memory_equal(answer, arp_answer, sizeof(arp_answer));
	for (size_t length = 0; length < sizeof(arp_question); length++)
		assert_int_equal(ask(arp_question, length, answer), 0);
}

static void an_answer_is_no_question(void **state)
{
	uint8_t answer[UPLINK_NEIGHBOUR_FRAME];

	assert_int_equal(ask(arp_answer, sizeof(arp_answer), answer), 0);
}

static void solicitation_is_answered(void **state)
{
	const size_t icmp = ETH_HLEN + 40;
	uint8_t answer[UPLINK_NEIGHBOUR_FRAME], again[UPLINK_NEIGHBOUR_FRAME];
	const uint8_t header[8] = {0x60, 0, 0, 0, 0, 32, 58, 255};

	assert_int_equal(ask(solicitation, sizeof(solicitation), answer), sizeof(answer));
	assert_memory_equal(answer, slirp_mac, 6);
	assert_memory_equal(answer + 6, mac, 6);
	assert_memory_equal(answer + ETH_HLEN, header, sizeof(header));
	/* From who was asked for, to who asked. */
	assert_memory_equal(answer + ETH_HLEN + 8, solicitation + icmp + 8, 16);
	assert_memory_equal(answer + ETH_HLEN + 24, solicitation + ETH_HLEN + 8, 16);
	assert_int_equal(answer[icmp], 136);
	assert_int_equal(answer[icmp + 1], 0);
	assert_int_equal(answer[icmp + 4], 0x60); /* solicited, override */
	assert_memory_equal(answer + icmp + 8, solicitation + icmp + 8, 16);
	assert_int_equal(answer[icmp + 24], 2);
	assert_int_equal(answer[icmp + 25], 1);
	assert_memory_equal(answer + icmp + 26, mac, 6);
	memcpy(again, answer, sizeof(again));
	uplink_frame_checksum(again, sizeof(again));
	assert_memory_equal(again, answer, sizeof(again));
}

static void short_solicitations_are_not_answered(void **state)
{
	uint8_t answer[UPLINK_NEIGHBOUR_FRAME];

	for (size_t length = 0; length < ETH_HLEN + 40 + 24; length++)
		assert_int_equal(ask(solicitation, length, answer), 0);
	/* The option is nothing that the answer needs. */
	assert_int_equal(ask(solicitation, ETH_HLEN + 40 + 24, answer), sizeof(answer));
}

static void others_are_not_answered(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} changes[] = {
		{12, 0x08},            /* another protocol */
		{ETH_HLEN + 6, 17},    /* UDP */
		{ETH_HLEN + 40, 136},  /* an advertisement */
		{ETH_HLEN + 40, 128},  /* an echo request */
	};
	uint8_t answer[UPLINK_NEIGHBOUR_FRAME];

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		uint8_t frame[sizeof(solicitation)];

		memcpy(frame, solicitation, sizeof(frame));
		frame[changes[i].offset] = changes[i].value;
		assert_int_equal(ask(frame, sizeof(frame), answer), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_is_answered),
		cmocka_unit_test(an_answer_is_no_question),
		cmocka_unit_test(solicitation_is_answered),
		cmocka_unit_test(short_solicitations_are_not_answered),
		cmocka_unit_test(others_are_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
