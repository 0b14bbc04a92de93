/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Frames: see uplink-frame.h. Fields by their place in the headers (RFC 791, 826, 8200). */

#include "uplink-frame.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define IPV4_SIZE 20
#define IPV6_SIZE 40
#define IPV6_NEXT_HEADER 6
#define NEIGHBOUR_SOLICITATION 135
#define NEIGHBOUR_ADVERTISEMENT 136

/* 0 for what is shorter than its header. */
static unsigned frame_protocol(const uint8_t *frame, size_t length)
{
	return length < ETH_HLEN ? 0 : (unsigned)frame[12] << 8 | frame[13];
}

int uplink_frame_parse(const uint8_t *frame, size_t length, struct uplink_packet *ret)
{
	unsigned protocol = frame_protocol(frame, length);

	if (protocol != ETHERTYPE_IP && protocol != ETHERTYPE_IPV6)
		return -ENOMSG;
	if (length == ETH_HLEN || frame[ETH_HLEN] >> 4 != (protocol == ETHERTYPE_IP ? 4 : 6))
		return -EBADMSG;
	return uplink_packet_parse(frame + ETH_HLEN, length - ETH_HLEN, ret);
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

static uint64_t sum(const uint8_t *data, size_t length, uint64_t sum)
{
	uint32_t word;

	for (; length >= sizeof(word); data += sizeof(word), length -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum += word;
	}
	if (length > 0) {
		word = 0;
		memcpy(&word, data, length);
		sum += word;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_checksum(uint8_t *place, uint64_t total, bool zero_is_none)
{
	uint16_t value = fold(total);

	if (zero_is_none && value == 0)
		value = 0xffff;
	memcpy(place, &value, sizeof(value));
}

/* Where a TCP segment, a UDP datagram or an ICMP message has its checksum. */
static size_t checksum_place(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	default:
		return 2;
	}
}

void uplink_frame_checksum(uint8_t *frame, size_t length)
{
	uint8_t *ip = frame + ETH_HLEN;
	bool six = frame_protocol(frame, length) == ETHERTYPE_IPV6;
	size_t header = six ? IPV6_SIZE : IPV4_SIZE;
	uint8_t protocol = ip[six ? IPV6_NEXT_HEADER : 9];
	uint8_t *transport = ip + header;
	uint8_t *place = transport + checksum_place(protocol);
	size_t size = length - ETH_HLEN - header;
	uint64_t total = 0;

	if (!six) {
		memset(ip + 10, 0, 2);
		put_checksum(ip + 10, sum(ip, IPV4_SIZE, 0), false);
	}
	memset(place, 0, 2);
	/* The pseudo-header; ICMP has none. */
	if (six || protocol != IPPROTO_ICMP)
		total = sum(six ? ip + 8 : ip + 12, six ? 32 : 8, htons(protocol)) +
			htons((uint16_t)size);
	put_checksum(place, sum(transport, size, total), protocol == IPPROTO_UDP);
}

static void put16(uint8_t *place, size_t value)
{
	place[0] = (uint8_t)(value >> 8);
	place[1] = (uint8_t)value;
}

/* A bridge with a smaller MTU fragments an IPv4 packet, so it has an id. */
static void put_ip(uint8_t *ip, size_t length, uint8_t protocol, const struct in6_addr *source,
	const struct in6_addr *destination, uint16_t ip_id)
{
	struct in_addr four;

	if (!uplink_unmap4(destination, &four)) {
		memset(ip, 0, IPV6_SIZE);
		ip[0] = 0x60;
		put16(ip + 4, length);
		ip[6] = protocol;
		ip[7] = 64;
		memcpy(ip + 8, source, 16);
		memcpy(ip + 24, destination, 16);
		return;
	}
	memset(ip, 0, IPV4_SIZE);
	ip[0] = 0x45;
	put16(ip + 2, length + IPV4_SIZE);
	put16(ip + 4, ip_id);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 16, &four, sizeof(four));
	uplink_unmap4(source, &four);
	memcpy(ip + 12, &four, sizeof(four));
}

uint8_t *uplink_frame_put_udp(uint8_t *payload, size_t length, const struct uplink_address *source,
	const struct uplink_address *destination, const uint8_t mac[6], uint16_t ip_id)
{
	/* As libslirp's own frames have it (52:55 and the gateway's address). */
	static const uint8_t from[ETH_ALEN] = {0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};
	struct in_addr four;
	bool is_four = uplink_unmap4(&destination->ip, &four);
	uint8_t *udp = payload - UDP_HEADER_SIZE;
	uint8_t *ip = udp - (is_four ? IPV4_SIZE : IPV6_SIZE);
	uint8_t *frame = ip - ETH_HLEN;

	memcpy(frame, mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, from, ETH_ALEN);
	put16(frame + 2 * ETH_ALEN, is_four ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	put_ip(ip, length + UDP_HEADER_SIZE, IPPROTO_UDP, &source->ip, &destination->ip, ip_id);
	memcpy(udp, &source->port, 2);
	memcpy(udp + 2, &destination->port, 2);
	put16(udp + 4, length + UDP_HEADER_SIZE);
	uplink_frame_checksum(frame, (size_t)(payload - frame) + length);
	return frame;
}

uint8_t *uplink_frame_put_ip(uint8_t *content, size_t length, uint8_t protocol,
	const struct in6_addr *source, const struct in6_addr *destination, const uint8_t macs[12])
{
	struct in_addr four;
	bool is_four = uplink_unmap4(destination, &four);
	uint8_t *ip = content - (is_four ? IPV4_SIZE : IPV6_SIZE);
	uint8_t *frame = ip - ETH_HLEN;

	memcpy(frame, macs, 2 * ETH_ALEN);
	put16(frame + 2 * ETH_ALEN, is_four ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	put_ip(ip, length, protocol, source, destination, 0);
	if (is_four)
		put_checksum(ip + 10, sum(ip, IPV4_SIZE, 0), false);
	return frame;
}
