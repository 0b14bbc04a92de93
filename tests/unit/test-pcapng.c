/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Blocks of a pcapng stream: whole ones are taken, wherever it is cut. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "pcapng.c"

struct stream {
	size_t length;
	uint8_t data[1024];
};

static void put(struct stream *stream, uint32_t number)
{
	memcpy(stream->data + stream->length, &number, sizeof(number));
	stream->length += sizeof(number);
}

static void put_block(struct stream *stream, uint32_t type, size_t words)
{
	uint32_t total = (uint32_t)(BLOCK_MIN + words * 4);

	put(stream, type);
	put(stream, total);
	for (size_t i = 0; i < words; i++)
		put(stream, 0x1a2b3c4d);
	put(stream, total);
}

/* Section header, interface, two packets: 28, 20, 44 and 16 bytes. */
static void make_stream(struct stream *stream)
{
	stream->length = 0;
	put_block(stream, SECTION_HEADER, 4);
	put_block(stream, 1, 2);
	put_block(stream, ENHANCED_PACKET, 8);
	put_block(stream, SIMPLE_PACKET, 1);
}

static void test_whole(void **state)
{
	struct pcapng pcapng = {};
	struct stream stream;
	size_t n = 7;

	make_stream(&stream);
	assert_int_equal(pcapng_take(&pcapng, stream.data, stream.length, &n), 0);
	assert_int_equal(n, stream.length);
	assert_int_equal(pcapng.packets, 2);
	assert_int_equal(pcapng_take(&pcapng, stream.data, 0, &n), 0);
	assert_int_equal(n, 0);
}

/* A byte more each time: what is taken is always one of the ends of blocks. */
static void test_cut(void **state)
{
	struct stream stream;

	make_stream(&stream);
	for (size_t length = 0; length <= stream.length; length++) {
		size_t expected = length < 28 ? 0 : length < 48 ? 28 : length < 92 ? 48 : 92;
		struct pcapng pcapng = {};
		size_t n = 7;

		if (length == stream.length)
			expected = length;
		assert_int_equal(pcapng_take(&pcapng, stream.data, length, &n), 0);
		assert_int_equal(n, expected);
		assert_int_equal(pcapng.begun, length >= 28);
		assert_int_equal(pcapng_take(&pcapng, stream.data + n, stream.length - n, &n), 0);
		assert_int_equal(n, stream.length - expected);
		assert_int_equal(pcapng.packets, 2);
	}
}

static void test_refused(void **state)
{
	static const struct {
		size_t offset;
		uint32_t number;
	} damages[] = {
		{0, ENHANCED_PACKET},           /* does not begin as one */
		{4, 8},                         /* shorter than what must be there */
		{4, 30},                        /* no multiple of four */
		{4, PCAPNG_BLOCK_MAX + 4},
		{24, 32},                       /* the length at the end is another */
		{32, 0},                        /* the second block */
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct pcapng pcapng = {};
		struct stream stream;
		size_t n = 7;

		make_stream(&stream);
		memcpy(stream.data + damages[i].offset, &damages[i].number, sizeof(uint32_t));
		assert_int_equal(pcapng_take(&pcapng, stream.data, stream.length, &n), -EINVAL);
		assert_int_equal(n, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
