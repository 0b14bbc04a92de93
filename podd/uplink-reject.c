/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Answers to what was not let out: see uplink-reject.h. RFC 792, 4443, 9293 (3.10.7.1). */

#include "uplink-reject.h"

#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <string.h>

#include "uplink-frame.h"

#define TCP_SIZE 20
#define ICMP_HEADER 8
#define ICMP_UNREACHABLE 3
#define ICMP_PROHIBITED 13
#define ICMP6_UNREACHABLE 1
#define ICMP6_PROHIBITED 1

struct place {
	uint8_t *transport;
	size_t length; /* of the headers before it */
};

/* An Ethernet and an IP header, from one of the addresses to the other. */
static struct place put_headers(const uint8_t *frame, const struct uplink_packet *packet,
	bool back, uint8_t protocol, size_t payload, uint8_t *ret)
{
	const struct in6_addr *from = back ? &packet->destination.ip : &packet->source.ip;
	const struct in6_addr *to = back ? &packet->source.ip : &packet->destination.ip;
	uint8_t *ip = ret + ETH_HLEN;
	struct in_addr four;

	memcpy(ret, frame + (back ? ETH_ALEN : 0), ETH_ALEN);
	memcpy(ret + ETH_ALEN, frame + (back ? 0 : ETH_ALEN), ETH_ALEN);
	memcpy(ret + 2 * ETH_ALEN, frame + 2 * ETH_ALEN, 2);
	if (packet->family == AF_INET) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		ip[2] = (uint8_t)((payload + 20) >> 8);
		ip[3] = (uint8_t)(payload + 20);
		ip[8] = 64;
		ip[9] = protocol;
		uplink_unmap4(from, &four);
		memcpy(ip + 12, &four, sizeof(four));
		uplink_unmap4(to, &four);
		memcpy(ip + 16, &four, sizeof(four));
		return (struct place){ip + 20, ETH_HLEN + 20};
	}
	memset(ip, 0, 40);
	ip[0] = 0x60;
	ip[4] = (uint8_t)(payload >> 8);
	ip[5] = (uint8_t)payload;
	ip[6] = protocol;
	ip[7] = 64;
	memcpy(ip + 8, from, 16);
	memcpy(ip + 24, to, 16);
	return (struct place){ip + 40, ETH_HLEN + 40};
}

static size_t put_reset(const uint8_t *frame, const struct uplink_packet *packet, bool back,
	const uint8_t sequence[4], uint8_t *ret)
{
	struct place place = put_headers(frame, packet, back, IPPROTO_TCP, TCP_SIZE, ret);
	uint8_t *tcp = place.transport;

	memset(tcp, 0, TCP_SIZE);
	memcpy(tcp, packet->transport + (back ? 2 : 0), 2);
	memcpy(tcp + 2, packet->transport + (back ? 0 : 2), 2);
	memcpy(tcp + 4, sequence, 4);
	tcp[12] = TCP_SIZE / 4 << 4;
	tcp[13] = TH_RST;
	uplink_frame_checksum(ret, place.length + TCP_SIZE);
	return place.length + TCP_SIZE;
}

static bool is_error(const struct uplink_packet *packet)
{
	if (packet->protocol == IPPROTO_ICMPV6)
		return packet->icmp_type < 128;
	return packet->protocol == IPPROTO_ICMP &&
	       (packet->icmp_type == 3 || packet->icmp_type == 4 || packet->icmp_type == 5 ||
		       packet->icmp_type == 11 || packet->icmp_type == 12);
}

static size_t put_error(const uint8_t *frame, size_t length, const struct uplink_packet *packet,
	uint8_t type, uint8_t code, uint8_t *ret)
{
	bool four = packet->family == AF_INET;
	size_t quote = length - ETH_HLEN;
	struct place place;

	if (quote > UPLINK_REJECT_QUOTE)
		quote = UPLINK_REJECT_QUOTE;
	place = put_headers(frame, packet, true, four ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		ICMP_HEADER + quote, ret);
	memset(place.transport, 0, ICMP_HEADER);
	place.transport[0] = type;
	place.transport[1] = code;
	memcpy(place.transport + ICMP_HEADER, frame + ETH_HLEN, quote);
	uplink_frame_checksum(ret, place.length + ICMP_HEADER + quote);
	return place.length + ICMP_HEADER + quote;
}

/* Nothing answers an error, or what was meant for many (RFC 1122, 3.2.2). */
static bool is_answerable(const struct uplink_packet *packet)
{
	return !packet->fragment && !is_error(packet) &&
	       !uplink_is_group(&packet->destination.ip) && !uplink_is_group(&packet->source.ip);
}

size_t uplink_reject_error(const uint8_t *frame, size_t length, const struct uplink_packet *packet,
	uint8_t type, uint8_t code, uint8_t ret[UPLINK_REJECT_MAX])
{
	return is_answerable(packet) ? put_error(frame, length, packet, type, code, ret) : 0;
}

size_t uplink_reject_answer(const uint8_t *frame, size_t length,
	const struct uplink_packet *packet, uint8_t ret[UPLINK_REJECT_MAX])
{
	bool four = packet->family == AF_INET;

	if (!is_answerable(packet))
		return 0;
	if (packet->protocol == IPPROTO_TCP && (packet->tcp_flags & TH_RST))
		return 0;
	if (packet->protocol == IPPROTO_TCP && (packet->tcp_flags & TH_ACK))
		return put_reset(frame, packet, true, packet->transport + 8, ret);
	return put_error(frame, length, packet, four ? ICMP_UNREACHABLE : ICMP6_UNREACHABLE,
		four ? ICMP_PROHIBITED : ICMP6_PROHIBITED, ret);
}

size_t uplink_reject_end(const uint8_t *frame, size_t length, const struct uplink_packet *packet,
	uint8_t ret[UPLINK_REJECT_MAX])
{
	if (packet->fragment || packet->protocol != IPPROTO_TCP ||
		!(packet->tcp_flags & TH_ACK) || (packet->tcp_flags & TH_RST))
		return 0;
	return put_reset(frame, packet, false, packet->transport + 4, ret);
}
