/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which frames are held back on their way to the pod, and which replace an earlier one. */

#include "uplink-acks.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* clang-format off */
static const uint8_t frame4[] = {
	0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0x08, 0x00,
	0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 2, 2, 10, 0, 2, 100,
	0, 80, 0x30, 0x39, 0, 0, 0, 1, 0, 0, 0, 10, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
};
static const uint8_t frame6[] = {
	0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 20, 6, 64,
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
	0, 80, 0x30, 0x39, 0, 0, 0, 1, 0, 0, 0, 10, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
};
/* clang-format on */
#define TCP4 (ETH_HLEN + IPV4_SIZE)
#define TCP6 (ETH_HLEN + IPV6_SIZE)

static bool hold_changed(struct uplink_acks *acks, const uint8_t *frame, size_t length,
	size_t offset, uint8_t value)
{
	uint8_t changed[UPLINK_ACK_SIZE_MAX];

	memcpy(changed, frame, length);
	changed[offset] = value;
	return uplink_acks_hold(acks, changed, length);
}

static void higher_number_replaces(void **state)
{
	struct uplink_acks acks = {};

	assert_true(uplink_acks_hold(&acks, frame4, sizeof(frame4)));
	assert_true(uplink_acks_hold(&acks, frame6, sizeof(frame6)));
	assert_true(hold_changed(&acks, frame4, sizeof(frame4), TCP4 + 11, 20));
	assert_true(hold_changed(&acks, frame6, sizeof(frame6), TCP6 + 11, 30));
	assert_int_equal(acks.n, 2);
	assert_int_equal(acks.held[0].frame[TCP4 + 11], 20);
	assert_int_equal(acks.held[1].frame[TCP6 + 11], 30);
}

static void same_number_is_kept_in_order(void **state)
{
	struct uplink_acks acks = {};

	assert_true(uplink_acks_hold(&acks, frame4, sizeof(frame4)));
	assert_true(uplink_acks_hold(&acks, frame4, sizeof(frame4)));
	assert_true(hold_changed(&acks, frame4, sizeof(frame4), TCP4 + 11, 20));
	assert_int_equal(acks.n, 2);
	assert_int_equal(acks.held[0].frame[TCP4 + 11], 10);
	assert_int_equal(acks.held[1].frame[TCP4 + 11], 20);
}

static void connections_are_told_apart(void **state)
{
	static const size_t offsets[] = {ETH_HLEN + 15, ETH_HLEN + 19, TCP4 + 1, TCP4 + 3};
	struct uplink_acks acks = {};

	assert_true(uplink_acks_hold(&acks, frame4, sizeof(frame4)));
	for (size_t i = 0; i < 4; i++)
		assert_true(hold_changed(&acks, frame4, sizeof(frame4), offsets[i], 99));
	assert_int_equal(acks.n, 5);
}

static void others_are_not_held(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} changes[] = {
		{12, 0x86},           /* another protocol */
		{ETH_HLEN, 0x46},     /* options */
		{ETH_HLEN + 3, 41},   /* another length */
		{ETH_HLEN + 7, 1},    /* a fragment */
		{ETH_HLEN + 6, 0x20}, /* the first one */
		{ETH_HLEN + 9, 17},   /* UDP */
		{TCP4 + 12, 0x60},    /* TCP options */
		{TCP4 + 13, 0x11},    /* FIN */
		{TCP4 + 13, 0x12},    /* SYN */
		{TCP4 + 13, 0x14},    /* RST */
		{TCP4 + 13, 0x18},    /* PSH */
	};
	uint8_t longer[sizeof(frame4) + 1] = {};
	struct uplink_acks acks = {};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		assert_false(hold_changed(&acks, frame4, sizeof(frame4), changes[i].offset,
			changes[i].value));
	memcpy(longer, frame4, sizeof(frame4));
	assert_false(uplink_acks_hold(&acks, longer, sizeof(longer)));
	for (size_t length = 0; length < sizeof(frame4); length++)
		assert_false(uplink_acks_hold(&acks, frame4, length));
	assert_false(hold_changed(&acks, frame6, sizeof(frame6), ETH_HLEN + 6, 44));
	assert_false(hold_changed(&acks, frame6, sizeof(frame6), TCP6 + 13, 0x11));
	assert_int_equal(acks.n, 0);
}

static void no_more_than_there_is_room_for(void **state)
{
	struct uplink_acks acks = {};

	for (size_t i = 0; i < UPLINK_ACKS_MAX; i++)
		assert_true(hold_changed(&acks, frame4, sizeof(frame4), TCP4 + 1, (uint8_t)i));
	assert_false(hold_changed(&acks, frame4, sizeof(frame4), TCP4 + 1, UPLINK_ACKS_MAX));
	assert_int_equal(acks.n, UPLINK_ACKS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(higher_number_replaces),
		cmocka_unit_test(same_number_is_kept_in_order),
		cmocka_unit_test(connections_are_told_apart),
		cmocka_unit_test(others_are_not_held),
		cmocka_unit_test(no_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
