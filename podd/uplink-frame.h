/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Ethernet frames with IP packets: what is to be known of one that comes, and what has to be right
 * in one that is made. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uplink-packet.h"

/* Return: 0; -ENOMSG, when it is of another protocol than IP; -EBADMSG, when it is none of that
 * version, or uplink_packet_parse() cannot read it. */
int uplink_frame_parse(const uint8_t *frame, size_t length, struct uplink_packet *ret);

/* True for ARP and for neighbour discovery (ICMPv6 types 135 and 136, RFC 4861), which may bring an
 * address that something waits for. */
bool uplink_frame_is_of_neighbour(const uint8_t *frame, size_t length);

/* Sets the IPv4 header's checksum, and that of the TCP segment, UDP datagram or ICMP message
 * (RFC 768, 792, 1071, 8200 8.1, 9293). The frame is one of ours: its headers are whole, without options. */
void uplink_frame_checksum(uint8_t *frame, size_t length);

/* Ethernet, IPv6 and UDP; IPv4's header is shorter. */
#define UPLINK_FRAME_UDP_HEADERS (14 + 40 + 8)

/* Puts the headers of a datagram to the pod in front of its payload, where there are
 * UPLINK_FRAME_UDP_HEADERS bytes for them. Both addresses are of one family. Return: where the frame
 * begins. */
uint8_t *uplink_frame_put_udp(uint8_t *payload, size_t length, const struct uplink_address *source,
	const struct uplink_address *destination, const uint8_t mac[6], uint16_t ip_id);

/* Ethernet and IPv6. */
#define UPLINK_FRAME_IP_HEADERS (14 + 40)

/* Puts the headers of a packet in front of what it carries, which is left as it is. @macs: both
 * hardware addresses. Return: where the frame begins. */
uint8_t *uplink_frame_put_ip(uint8_t *content, size_t length, uint8_t protocol,
	const struct in6_addr *source, const struct in6_addr *destination, const uint8_t macs[12]);
