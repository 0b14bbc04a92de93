/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Frames as a pcapng stream (draft-ietf-opsawg-pcapng), for somebody at the other end of a pipe. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"

struct uplink_capture;

/* @pipe: its writing end, made non-blocking and taken over on success. @snaplen: bytes of each
 * frame; 0: all. */
int uplink_capture_new(int pipe, size_t snaplen, struct uplink_capture **ret, struct err *err);
void uplink_capture_free(struct uplink_capture *capture);
CLEANUP_DEFINE(uplink_capture, uplink_capture_free)

/* A frame that the pipe has no room for is left out and counted. Return: false, when nobody reads
 * the pipe any more. */
bool uplink_capture_write(struct uplink_capture *capture, const uint8_t *frame, size_t length,
	bool from_pod);
/* Has who read the pipe gone? */
bool uplink_capture_is_over(const struct uplink_capture *capture);
uint64_t uplink_capture_dropped(const struct uplink_capture *capture);
