/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The stream: a section header and an interface description, then one enhanced packet block for
 * each frame. A block is written whole or not at all: the pipe does not block, and a write of up to
 * PIPE_BUF bytes is all or nothing (pipe(7)); a larger one may be cut, and then its rest goes
 * before anything else.
 *
 * System calls: write, poll, ppoll, fcntl[1 == F_SETPIPE_SZ], fcntl[1 == F_GETFL],
 *   fcntl[1 == F_SETFL], close, clock_gettime (where the vDSO has no clock).
 */

#include "uplink-capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"

#define BLOCK_SECTION 0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET 6
#define MAGIC 0x1a2b3c4d
#define LINKTYPE_ETHERNET 1
#define OPTION_NAME 2
#define OPTION_TIME_RESOLUTION 9
#define OPTION_FLAGS 2
#define NANOSECONDS 9
#define FLAG_INBOUND 1 /* as the interface sees it: from the pod */
#define FLAG_OUTBOUND 2
#define FRAME_MAX 65600
#define BLOCK_MAX (FRAME_MAX + 64)
/* As large as a user's pipe may be. */
#define PIPE_SIZE (1024 * 1024)

struct uplink_capture {
	int pipe;
	size_t snaplen;
	uint64_t dropped;
	size_t rest_offset;
	size_t rest_length; /* of a block that was cut */
	uint8_t block[BLOCK_MAX];
};

/* ---- blocks ---- */

static size_t put32(uint8_t *block, size_t at, uint32_t value)
{
	memcpy(block + at, &value, sizeof(value));
	return at + sizeof(value);
}

static size_t put_option(uint8_t *block, size_t at, uint16_t code, const void *value, uint16_t size)
{
	memcpy(block + at, &code, 2);
	memcpy(block + at + 2, &size, 2);
	at += 4;
	if (size == 0)
		return at;
	memset(block + at + size / 4 * 4, 0, 4);
	memcpy(block + at, value, size);
	return at + (size + 3u) / 4 * 4;
}

/* The length stands at both ends. */
static size_t end_block(uint8_t *block, size_t at)
{
	at = put32(block, at, (uint32_t)at + 4);
	put32(block, 4, (uint32_t)at);
	return at;
}

static size_t put_section(uint8_t *block)
{
	size_t at = put32(block, 0, BLOCK_SECTION);

	at = put32(block, at + 4, MAGIC);
	at = put32(block, at, 1); /* version 1.0, in either byte order of the two halves */
	at = put32(block, at, UINT32_MAX); /* the section's length is not known */
	at = put32(block, at, UINT32_MAX);
	return end_block(block, at);
}

static size_t put_interface(uint8_t *block, size_t snaplen)
{
	const uint8_t resolution = NANOSECONDS;
	size_t at = put32(block, 0, BLOCK_INTERFACE);

	at = put32(block, at + 4, LINKTYPE_ETHERNET);
	at = put32(block, at, (uint32_t)snaplen);
	at = put_option(block, at, OPTION_NAME, "tap0", 4);
	at = put_option(block, at, OPTION_TIME_RESOLUTION, &resolution, 1);
	at = put_option(block, at, 0, NULL, 0);
	return end_block(block, at);
}

static size_t put_packet(uint8_t *block, const uint8_t *frame, size_t kept, size_t length,
	bool from_pod)
{
	const uint32_t flags = from_pod ? FLAG_INBOUND : FLAG_OUTBOUND;
	struct timespec now;
	uint64_t time;
	size_t at = put32(block, 0, BLOCK_PACKET);

	clock_gettime(CLOCK_REALTIME, &now);
	time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	at = put32(block, at + 4, 0); /* the interface */
	at = put32(block, at, (uint32_t)(time >> 32));
	at = put32(block, at, (uint32_t)time);
	at = put32(block, at, (uint32_t)kept);
	at = put32(block, at, (uint32_t)length);
	memset(block + at + kept / 4 * 4, 0, 4);
	memcpy(block + at, frame, kept);
	at += (kept + 3) / 4 * 4;
	at = put_option(block, at, OPTION_FLAGS, &flags, sizeof(flags));
	at = put_option(block, at, 0, NULL, 0);
	return end_block(block, at);
}

/* ---- the pipe ---- */

/* Return: false, when nobody reads. */
static bool write_rest(struct uplink_capture *capture)
{
	ssize_t n;

	if (capture->rest_length == 0)
		return true;
	n = write(capture->pipe, capture->block + capture->rest_offset, capture->rest_length);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	capture->rest_offset += (size_t)n;
	capture->rest_length -= (size_t)n;
	return true;
}

static bool write_block(struct uplink_capture *capture, size_t size)
{
	ssize_t n = write(capture->pipe, capture->block, size);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (n < 0) {
		capture->dropped++;
		return true;
	}
	capture->rest_offset = (size_t)n;
	capture->rest_length = size - (size_t)n;
	return true;
}

bool uplink_capture_write(struct uplink_capture *capture, const uint8_t *frame, size_t length,
	bool from_pod)
{
	size_t kept = length < capture->snaplen ? length : capture->snaplen;

	if (!write_rest(capture))
		return false;
	if (capture->rest_length > 0) {
		capture->dropped++;
		return true;
	}
	return write_block(capture, put_packet(capture->block, frame, kept, length, from_pod));
}

bool uplink_capture_is_over(const struct uplink_capture *capture)
{
	struct pollfd pipe = {.fd = capture->pipe};

	return poll(&pipe, 1, 0) > 0 && (pipe.revents & POLLERR);
}

uint64_t uplink_capture_dropped(const struct uplink_capture *capture)
{
	return capture->dropped;
}

int uplink_capture_new(int pipe, size_t snaplen, struct uplink_capture **ret, struct err *err)
{
	autoptr(uplink_capture) capture = calloc(1, sizeof(*capture));
	size_t size;
	int r;

	if (!capture)
		return err_oom(err);
	capture->pipe = -1;
	capture->snaplen = snaplen == 0 || snaplen > FRAME_MAX ? FRAME_MAX : snaplen;
	r = fd_set_nonblock(pipe);
	if (r < 0)
		return err_set(err, r, "the capture's pipe: %s", strerror(-r));
	(void)fcntl(pipe, F_SETPIPE_SZ, PIPE_SIZE);
	size = put_section(capture->block);
	size += put_interface(capture->block + size, capture->snaplen);
	if (write(pipe, capture->block, size) != (ssize_t)size)
		return err_errno(err, "writing the capture's header");
	capture->pipe = pipe;
	*ret = take_ptr(capture);
	return 0;
}

void uplink_capture_free(struct uplink_capture *capture)
{
	if (!capture)
		return;
	if (capture->pipe >= 0)
		close(capture->pipe);
	free(capture);
}
