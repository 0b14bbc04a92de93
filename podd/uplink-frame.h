/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is to be known of a frame from the pod before libslirp parses it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for a destination that would be the host's loopback. libslirp only translates the
 * gateway's address and connects to any other as it is, so the pod's root could reach 127.0.0.1
 * with a hand-made frame. */
bool uplink_frame_is_for_loopback(const uint8_t *frame, size_t length);

/* True for ARP and for neighbour discovery (ICMPv6 types 135 and 136, RFC 4861), which may bring an
 * address that something waits for. */
bool uplink_frame_is_of_neighbour(const uint8_t *frame, size_t length);
