/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * TCP acknowledgements on their way to the pod, held back while frames are taken from it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ethernet, IPv6 and TCP without options. */
#define UPLINK_ACK_SIZE_MAX (14 + 40 + 20)
#define UPLINK_ACKS_MAX 16

struct uplink_ack {
	size_t length;
	uint8_t frame[UPLINK_ACK_SIZE_MAX];
};

/* In the order in which they are to be sent. */
struct uplink_acks {
	size_t n;
	struct uplink_ack held[UPLINK_ACKS_MAX];
};

/* Takes a copy of the frame if it is an acknowledgement and nothing else, instead of an earlier
 * one of the same connection that it makes superfluous.
 * Return: false when the frame has to be sent now, after those that are held. */
bool uplink_acks_hold(struct uplink_acks *acks, const uint8_t *frame, size_t length);
