/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How the pod is told that a packet of its was not let out. */

#include <stddef.h>
#include <stdint.h>

#include "uplink-packet.h"

/* Most of a rejected packet that an ICMP error quotes (RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c) allows
 * more). */
#define UPLINK_REJECT_QUOTE 512
#define UPLINK_REJECT_MAX (14 + 40 + 8 + UPLINK_REJECT_QUOTE)

/* The frame that answers @frame, which is @packet: "administratively prohibited", or for a segment
 * of a connection a reset. Return: its length; 0: nothing answers this one (errors, groups). */
size_t uplink_reject_answer(const uint8_t *frame, size_t length,
	const struct uplink_packet *packet, uint8_t ret[UPLINK_REJECT_MAX]);

/* The frame with an ICMP error about @frame, of that type and code. Return: as above. */
size_t uplink_reject_error(const uint8_t *frame, size_t length, const struct uplink_packet *packet,
	uint8_t type, uint8_t code, uint8_t ret[UPLINK_REJECT_MAX]);

/* The frame that ends, for whoever carries it, the connection that the segment @frame is of.
 * Return: its length, or 0. */
size_t uplink_reject_end(const uint8_t *frame, size_t length, const struct uplink_packet *packet,
	uint8_t ret[UPLINK_REJECT_MAX]);
