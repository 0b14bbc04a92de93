/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Receiving datagrams, several by one system call, each with room in front of it for the headers of
 * a frame; and what a socket's error queue has. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "uplink-packet.h"

/* Datagrams of one call, and calls before others have their turn. */
#define UPLINK_BATCH 16
#define UPLINK_BATCH_CALLS 8

struct uplink_batch {
	uint8_t *buffers; /* made when they are needed */
};

/* There are UPLINK_FRAME_UDP_HEADERS bytes in front of @payload. */
typedef void (*batch_handler)(void *opaque, struct msghdr *message, uint8_t *payload,
	size_t length);

/* Calls @handler for each datagram that is there, up to the limits. Return: 0 when there was no
 * more; 1 when there may be; -errno of recvmmsg(2), after which there may be more. */
int uplink_batch_receive(struct uplink_batch *batch, int fd, batch_handler handler, void *opaque);
/* Gives the memory back. */
void uplink_batch_trim(struct uplink_batch *batch);

/* Calls @each for the errors in a socket's queue (ip(7), IP_RECVERR): what it was, where the datagram
 * was to go, and its head. */
void uplink_batch_errors(int fd,
	void (*each)(void *opaque, int error, const struct uplink_address *destination,
		const uint8_t *payload, size_t length),
	void *opaque);

/* An error as the ICMP message (or ICMPv6, @six) that tells it. Return: false: there is none. */
bool uplink_batch_icmp(bool six, int error, uint8_t *ret_type, uint8_t *ret_code);
