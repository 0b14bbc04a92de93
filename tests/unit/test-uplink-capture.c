/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The capture's stream, read back as pcapng; and what happens when nobody reads it fast enough, or
 * at all. */

#include "uplink-capture.c"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/ioctl.h>

struct packet {
	uint32_t interface, time_high, time_low, kept, length, flags;
	uint8_t frame[FRAME_MAX];
};

struct stream {
	uint8_t *data;
	size_t length, at;
	uint32_t snaplen;
};

static uint32_t get32(const struct stream *stream, size_t at)
{
	uint32_t value;

	assert_true(at + 4 <= stream->length);
	memcpy(&value, stream->data + at, 4);
	return value;
}

/* Return: the type of the block at stream->at; its length stands at both ends. */
static uint32_t block_at(const struct stream *stream, uint32_t *ret_length)
{
	uint32_t length = get32(stream, stream->at + 4);

	assert_true(length % 4 == 0 && stream->at + length <= stream->length);
	assert_int_equal(get32(stream, stream->at + length - 4), length);
	*ret_length = length;
	return get32(stream, stream->at);
}

static void read_head(struct stream *stream)
{
	uint32_t length;

	assert_int_equal(block_at(stream, &length), 0x0a0d0d0a);
	assert_int_equal(get32(stream, stream->at + 8), 0x1a2b3c4d);
	assert_int_equal(get32(stream, stream->at + 12), 1);
	stream->at += length;
	assert_int_equal(block_at(stream, &length), 1);
	assert_int_equal(get32(stream, stream->at + 8), 1); /* Ethernet */
	stream->snaplen = get32(stream, stream->at + 12);
	assert_int_equal(get32(stream, stream->at + 16), 4u << 16 | 2);
	assert_memory_equal(stream->data + stream->at + 20, "tap0", 4);
	assert_int_equal(get32(stream, stream->at + 24), 1u << 16 | 9);
	assert_int_equal(get32(stream, stream->at + 28), 9); /* nanoseconds, then padding */
	assert_int_equal(get32(stream, stream->at + 32), 0);
	assert_int_equal(length, 40);
	stream->at += length;
}

/* Return: false at the end. */
static bool read_packet(struct stream *stream, struct packet *ret)
{
	size_t at = stream->at + 8, options;
	uint32_t length;

	if (stream->at == stream->length)
		return false;
	assert_int_equal(block_at(stream, &length), 6);
	ret->interface = get32(stream, at);
	ret->time_high = get32(stream, at + 4);
	ret->time_low = get32(stream, at + 8);
	ret->kept = get32(stream, at + 12);
	ret->length = get32(stream, at + 16);
	options = at + 20 + (ret->kept + 3) / 4 * 4;
	assert_int_equal(options + 16, stream->at + length);
	memcpy(ret->frame, stream->data + at + 20, ret->kept);
	for (size_t i = at + 20 + ret->kept; i < options; i++)
		assert_int_equal(stream->data[i], 0);
	assert_int_equal(get32(stream, options), 4u << 16 | 2);
	ret->flags = get32(stream, options + 4);
	assert_int_equal(get32(stream, options + 8), 0);
	stream->at += length;
	return true;
}

/* What is in the pipe now goes to the stream's end. */
static void take(struct stream *stream, int pipe)
{
	int n = 0;

	assert_int_equal(ioctl(pipe, FIONREAD, &n), 0);
	stream->data = realloc(stream->data, stream->length + (size_t)n + 1);
	assert_non_null(stream->data);
	assert_int_equal(read(pipe, stream->data + stream->length, (size_t)n), n);
	stream->length += (size_t)n;
}

struct capturing {
	struct uplink_capture *capture;
	int pipe; /* to read */
	struct stream stream;
};

static void capturing_init(struct capturing *capturing, size_t snaplen)
{
	int ends[2];

	*capturing = (struct capturing){};
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(uplink_capture_new(ends[1], snaplen, &capturing->capture, NULL), 0);
	assert_true(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	capturing->pipe = ends[0];
	take(&capturing->stream, capturing->pipe);
	read_head(&capturing->stream);
	assert_int_equal(capturing->stream.at, capturing->stream.length);
}

static void capturing_done(struct capturing *capturing)
{
	uplink_capture_free(capturing->capture);
	close(capturing->pipe);
	free(capturing->stream.data);
}

static void fill_frame(uint8_t *frame, size_t length, uint8_t seed)
{
	for (size_t i = 0; i < length; i++)
		frame[i] = (uint8_t)(seed + i * 7);
}

static void frames_are_read_back(void **state)
{
	static uint8_t frame[FRAME_MAX];
	static struct packet packet;
	struct capturing capturing;
	struct timespec now;
	uint64_t time;

	capturing_init(&capturing, 0);
	assert_int_equal(capturing.stream.snaplen, FRAME_MAX);
	for (size_t length = 0; length < 70; length++) {
		fill_frame(frame, length, (uint8_t)length);
		assert_true(uplink_capture_write(capturing.capture, frame, length, length % 2));
		take(&capturing.stream, capturing.pipe);
		assert_true(read_packet(&capturing.stream, &packet));
		assert_int_equal(packet.interface, 0);
		assert_int_equal(packet.kept, length);
		assert_int_equal(packet.length, length);
		assert_int_equal(packet.flags, length % 2 ? 1 : 2);
		assert_memory_equal(packet.frame, frame, length);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	time = ((uint64_t)packet.time_high << 32 | packet.time_low) / 1000000000;
	assert_true(time <= (uint64_t)now.tv_sec && time + 60 > (uint64_t)now.tv_sec);
	assert_int_equal(uplink_capture_dropped(capturing.capture), 0);
	capturing_done(&capturing);
}

static void frames_are_cut_where_wanted(void **state)
{
	static const size_t lengths[][2] = {{1500, 61}, {61, 61}, {60, 60}, {FRAME_MAX + 100, 61}};
	static uint8_t frame[FRAME_MAX + 100];
	static struct packet packet;
	struct capturing capturing;

	capturing_init(&capturing, 61);
	assert_int_equal(capturing.stream.snaplen, 61);
	for (size_t i = 0; i < 4; i++) {
		assert_true(uplink_capture_write(capturing.capture, frame, lengths[i][0], true));
		take(&capturing.stream, capturing.pipe);
		assert_true(read_packet(&capturing.stream, &packet));
		assert_int_equal(packet.length, lengths[i][0]);
		assert_int_equal(packet.kept, lengths[i][1]);
	}
	capturing_done(&capturing);
}

/* Nothing is longer than there is room for, whatever somebody asks for. */
static void the_longest_frame_fits(void **state)
{
	static uint8_t frame[FRAME_MAX + 100];
	static struct packet packet;
	struct capturing capturing;

	capturing_init(&capturing, SIZE_MAX);
	fill_frame(frame, sizeof(frame), 3);
	assert_true(uplink_capture_write(capturing.capture, frame, sizeof(frame), false));
	take(&capturing.stream, capturing.pipe);
	assert_true(read_packet(&capturing.stream, &packet));
	assert_int_equal(packet.kept, FRAME_MAX);
	assert_int_equal(packet.length, sizeof(frame));
	assert_memory_equal(packet.frame, frame, FRAME_MAX);
	capturing_done(&capturing);
}

/* Writes frames of that size until one is left out. Return: how many were not. */
static unsigned fill_pipe(struct capturing *capturing, const uint8_t *frame, size_t length)
{
	uint64_t dropped = uplink_capture_dropped(capturing->capture);
	unsigned n = 0;

	for (;; n++) {
		assert_true(uplink_capture_write(capturing->capture, frame, length, true));
		if (uplink_capture_dropped(capturing->capture) > dropped)
			return n;
	}
}

static void a_full_pipe_leaves_frames_out_and_counts_them(void **state)
{
	static uint8_t frame[1500];
	static struct packet packet;
	struct capturing capturing;
	unsigned n, read = 0;

	capturing_init(&capturing, 0);
	n = fill_pipe(&capturing, frame, sizeof(frame));
	for (int i = 0; i < 9; i++)
		assert_true(uplink_capture_write(capturing.capture, frame, sizeof(frame), true));
	assert_int_equal(uplink_capture_dropped(capturing.capture), 10);
	take(&capturing.stream, capturing.pipe);
	while (read_packet(&capturing.stream, &packet))
		read++;
	assert_int_equal(read, n);
	/* There is room again. */
	fill_frame(frame, sizeof(frame), 9);
	assert_true(uplink_capture_write(capturing.capture, frame, sizeof(frame), true));
	take(&capturing.stream, capturing.pipe);
	assert_true(read_packet(&capturing.stream, &packet));
	assert_memory_equal(packet.frame, frame, sizeof(frame));
	assert_int_equal(uplink_capture_dropped(capturing.capture), 10);
	capturing_done(&capturing);
}

static void a_block_that_was_cut_goes_on_before_others(void **state)
{
	static uint8_t frame[60000];
	static struct packet packet;
	struct capturing capturing;
	unsigned n, read = 0;

	capturing_init(&capturing, 0);
	fill_frame(frame, sizeof(frame), 1);
	n = fill_pipe(&capturing, frame, sizeof(frame));
	assert_true(capturing.capture->rest_length > 0);
	take(&capturing.stream, capturing.pipe);
	fill_frame(frame, sizeof(frame), 2);
	assert_true(uplink_capture_write(capturing.capture, frame, 100, true));
	take(&capturing.stream, capturing.pipe);
	while (read_packet(&capturing.stream, &packet))
		read += packet.kept == sizeof(frame);
	assert_int_equal(read, n);
	assert_int_equal(packet.kept, 100);
	assert_memory_equal(packet.frame, frame, 100);
	assert_int_equal(capturing.stream.at, capturing.stream.length);
	capturing_done(&capturing);
}

static void without_a_reader_it_ends(void **state)
{
	static const uint8_t frame[100];
	struct capturing capturing;

	signal(SIGPIPE, SIG_IGN);
	capturing_init(&capturing, 0);
	close(capturing.pipe);
	capturing.pipe = -1;
	assert_false(uplink_capture_write(capturing.capture, frame, sizeof(frame), true));
	capturing_done(&capturing);
}

/* The rest of a block finds nobody as well. */
static void without_a_reader_a_cut_block_ends_it(void **state)
{
	static const uint8_t frame[60000];
	struct capturing capturing;

	signal(SIGPIPE, SIG_IGN);
	capturing_init(&capturing, 0);
	fill_pipe(&capturing, frame, sizeof(frame));
	assert_true(capturing.capture->rest_length > 0);
	close(capturing.pipe);
	capturing.pipe = -1;
	assert_false(uplink_capture_write(capturing.capture, frame, sizeof(frame), true));
	capturing_done(&capturing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_read_back),
		cmocka_unit_test(frames_are_cut_where_wanted),
		cmocka_unit_test(the_longest_frame_fits),
		cmocka_unit_test(a_full_pipe_leaves_frames_out_and_counts_them),
		cmocka_unit_test(a_block_that_was_cut_goes_on_before_others),
		cmocka_unit_test(without_a_reader_it_ends),
		cmocka_unit_test(without_a_reader_a_cut_block_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
