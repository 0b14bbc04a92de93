/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the uplink wants to know of an IP packet. Packets come from the pod, whose root may make
 * any: every length is checked, nothing is believed.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UDP_HEADER_SIZE 8

/* An address with its port, or what an ICMP message has instead; in network byte order. */
struct uplink_address {
	struct in6_addr ip; /* IPv4: mapped (RFC 4291, 2.5.5.2) */
	in_port_t port;
};

struct uplink_packet {
	struct uplink_address source;
	struct uplink_address destination;
	const uint8_t *transport; /* in the packet, right behind the IP headers */
	size_t transport_length;
	uint8_t family;	  /* AF_INET or AF_INET6 */
	uint8_t protocol; /* behind IPv6's extension headers */
	uint8_t tcp_flags;
	uint8_t icmp_type;
	uint8_t icmp_code;
	bool fragment; /* not the first: no ports */
	bool more_fragments;
	uint16_t fragment_offset; /* bytes */
	uint32_t fragment_id;     /* of one that is in fragments */
};

/* Return: 0, or -EBADMSG when it is not a whole IPv4 or IPv6 header and the first bytes of what
 * it carries (ports, the fixed part of TCP's header, ICMP's type and code), or has IPv4-mapped
 * addresses in IPv6. */
int uplink_packet_parse(const uint8_t *data, size_t length, struct uplink_packet *ret);

struct in6_addr uplink_map4(struct in_addr address);
/* In the other direction; false when it is no mapped address. */
bool uplink_unmap4(const struct in6_addr *address, struct in_addr *ret);

bool uplink_address_equal(const struct uplink_address *a, const struct uplink_address *b);
/* For a table of any size. */
uint32_t uplink_address_hash(const struct uplink_address *address, uint64_t seed);

/* Fills a socket address. Return: its length. */
socklen_t uplink_sockaddr(const struct uplink_address *address, struct sockaddr_storage *ret);
/* From a socket address of either family; false when it is of another one. */
bool uplink_from_sockaddr(const struct sockaddr_storage *address, struct uplink_address *ret);

/* To Linux 0.0.0.0 and :: are the loopback as well (ip(7)), and IPv6 has both worlds again as
 * IPv4-mapped and IPv4-compatible addresses. @family is the packet's. */
bool uplink_is_loopback(uint8_t family, const struct in6_addr *address);
/* Nothing that a TCP connection can be made to. */
bool uplink_is_group(const struct in6_addr *address);
/* Means something on one link only: 169.254.0.0/16, fe80::/10. */
bool uplink_is_link_local(const struct in6_addr *address);
