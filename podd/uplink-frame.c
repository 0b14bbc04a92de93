/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Frames as they come from the pod, whose root may make any: every length is checked. Fields by
 * their place in the headers (RFC 791, 826, 8200).
 */

#include "uplink-frame.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define IPV4_SIZE 20
#define IPV4_DESTINATION 16
#define IPV6_SIZE 40
#define IPV6_NEXT_HEADER 6
#define IPV6_DESTINATION 24
#define NEIGHBOUR_SOLICITATION 135
#define NEIGHBOUR_ADVERTISEMENT 136

/* 0 for what is shorter than its header. */
static unsigned frame_protocol(const uint8_t *frame, size_t length)
{
	return length < ETH_HLEN ? 0 : (unsigned)frame[12] << 8 | frame[13];
}

bool uplink_frame_is_for_loopback(const uint8_t *frame, size_t length)
{
	/* To Linux 0.0.0.0 and :: are the loopback as well (ip(7)), and IPv6 has both worlds again
	 * as IPv4-mapped and IPv4-compatible addresses: ten zero bytes begin them all. */
	static const uint8_t zeros[10];
	const uint8_t *packet = frame + ETH_HLEN;
	unsigned protocol = frame_protocol(frame, length);

	if (protocol == ETHERTYPE_IP && length >= ETH_HLEN + IPV4_SIZE)
		return packet[IPV4_DESTINATION] == 127 || packet[IPV4_DESTINATION] == 0;
	return protocol == ETHERTYPE_IPV6 && length >= ETH_HLEN + IPV6_SIZE &&
	       !memcmp(packet + IPV6_DESTINATION, zeros, sizeof(zeros));
}

bool uplink_frame_is_of_neighbour(const uint8_t *frame, size_t length)
{
	const uint8_t *packet = frame + ETH_HLEN;
	unsigned protocol = frame_protocol(frame, length);

	if (protocol == ETHERTYPE_ARP)
		return true;
	return protocol == ETHERTYPE_IPV6 && length > ETH_HLEN + IPV6_SIZE &&
	       packet[IPV6_NEXT_HEADER] == IPPROTO_ICMPV6 &&
	       (packet[IPV6_SIZE] == NEIGHBOUR_SOLICITATION ||
		       packet[IPV6_SIZE] == NEIGHBOUR_ADVERTISEMENT);
}
