/* SPDX-License-Identifier: GPL-2.0-or-later */

/* IP packets: see uplink-packet.h. Fields by their place in the headers (RFC 791, 768, 792, 8200,
 * 9293). */

#include "uplink-packet.h"

#include <errno.h>
#include <netinet/ip6.h>
#include <string.h>

#define IPV4_SIZE 20
#define IPV6_SIZE 40
#define TCP_SIZE 20
#define ICMP_SIZE 4
/* More extension headers than any packet needs. */
#define EXTENSIONS_MAX 8

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct in6_addr uplink_map4(struct in_addr address)
{
	struct in6_addr mapped;

	memcpy(&mapped, mapped_prefix, sizeof(mapped_prefix));
	memcpy(mapped.s6_addr + sizeof(mapped_prefix), &address, sizeof(address));
	return mapped;
}

bool uplink_unmap4(const struct in6_addr *address, struct in_addr *ret)
{
	if (memcmp(address, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return false;
	memcpy(ret, address->s6_addr + sizeof(mapped_prefix), sizeof(*ret));
	return true;
}

bool uplink_address_equal(const struct uplink_address *a, const struct uplink_address *b)
{
	return a->port == b->port && !memcmp(&a->ip, &b->ip, sizeof(a->ip));
}

uint32_t uplink_address_hash(const struct uplink_address *address, uint64_t seed)
{
	const uint64_t factor = 0x9e3779b97f4a7c15ULL;
	uint64_t words[2], h = (seed + 1) * factor;

	memcpy(words, &address->ip, sizeof(words));
	h = (h ^ words[0]) * factor;
	h = (h ^ words[1]) * factor;
	h = (h ^ address->port) * factor;
	return (uint32_t)(h >> 32);
}

socklen_t uplink_sockaddr(const struct uplink_address *address, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (uplink_unmap4(&address->ip, &in->sin_addr)) {
		in->sin_family = AF_INET;
		in->sin_port = address->port;
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = address->port;
	in6->sin6_addr = address->ip;
	return sizeof(*in6);
}

bool uplink_from_sockaddr(const struct sockaddr_storage *address, struct uplink_address *ret)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET) {
		ret->ip = uplink_map4(in->sin_addr);
		ret->port = in->sin_port;
		return true;
	}
	ret->ip = in6->sin6_addr;
	ret->port = in6->sin6_port;
	return address->ss_family == AF_INET6;
}

bool uplink_is_loopback(uint8_t family, const struct in6_addr *address)
{
	static const uint8_t zeros[10];
	const uint8_t *last = address->s6_addr + sizeof(mapped_prefix);

	/* Ten zero bytes begin ::, ::1, IPv4-mapped and IPv4-compatible addresses. */
	if (family == AF_INET6)
		return !memcmp(address, zeros, sizeof(zeros));
	return last[0] == 127 || last[0] == 0;
}

bool uplink_is_group(const struct in6_addr *address)
{
	struct in_addr four;

	if (uplink_unmap4(address, &four))
		return ntohl(four.s_addr) >= 0xe0000000;
	return address->s6_addr[0] == 0xff;
}

bool uplink_is_link_local(const struct in6_addr *address)
{
	struct in_addr four;

	if (uplink_unmap4(address, &four))
		return ntohl(four.s_addr) >> 16 == 0xa9fe;
	return address->s6_addr[0] == 0xfe && (address->s6_addr[1] & 0xc0) == 0x80;
}

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static int parse_transport(const uint8_t *data, size_t length, struct uplink_packet *packet)
{
	packet->transport = data;
	packet->transport_length = length;
	if (packet->fragment)
		return 0;
	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (length < TCP_SIZE)
			return -EBADMSG;
		packet->tcp_flags = data[13];
		break;
	case IPPROTO_UDP:
		if (length < UDP_HEADER_SIZE)
			return -EBADMSG;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (length < ICMP_SIZE)
			return -EBADMSG;
		packet->icmp_type = data[0];
		packet->icmp_code = data[1];
		return 0;
	default:
		return 0;
	}
	memcpy(&packet->source.port, data, 2);
	memcpy(&packet->destination.port, data + 2, 2);
	return 0;
}

static int parse4(const uint8_t *data, size_t length, struct uplink_packet *packet)
{
	size_t header = (data[0] & 15u) * 4u;
	struct in_addr source, destination;

	if (length < IPV4_SIZE || header < IPV4_SIZE || header > length)
		return -EBADMSG;
	/* What follows it in the frame is none of it. A copy that was cut is shorter. */
	if (get16(data + 2) >= header && get16(data + 2) < length)
		length = get16(data + 2);
	memcpy(&source, data + 12, sizeof(source));
	memcpy(&destination, data + 16, sizeof(destination));
	packet->family = AF_INET;
	packet->source.ip = uplink_map4(source);
	packet->destination.ip = uplink_map4(destination);
	packet->protocol = data[9];
	packet->fragment_id = get16(data + 4);
	packet->fragment_offset = (uint16_t)((get16(data + 6) & 0x1fff) * 8u);
	packet->fragment = packet->fragment_offset != 0;
	packet->more_fragments = (get16(data + 6) & 0x2000) != 0;
	return parse_transport(data + header, length - header, packet);
}

/* Return: the size of the extension header, 0 when @protocol is none, -EBADMSG. */
static int extension_size(uint8_t protocol, const uint8_t *data, size_t length)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		if (length < 8 || length < (size_t)(data[1] + 1) * 8)
			return -EBADMSG;
		return (data[1] + 1) * 8;
	case IPPROTO_FRAGMENT:
		return length < 8 ? -EBADMSG : 8;
	default:
		return 0;
	}
}

static int parse6(const uint8_t *data, size_t length, struct uplink_packet *packet)
{
	if (length < IPV6_SIZE)
		return -EBADMSG;
	packet->family = AF_INET6;
	memcpy(&packet->source.ip, data + 8, sizeof(struct in6_addr));
	memcpy(&packet->destination.ip, data + 24, sizeof(struct in6_addr));
	packet->protocol = data[6];
	length -= IPV6_SIZE;
	if (get16(data + 4) > 0 && get16(data + 4) < length)
		length = get16(data + 4);
	data += IPV6_SIZE;
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		int size = extension_size(packet->protocol, data, length);

		if (size < 0)
			return size;
		if (size == 0)
			return parse_transport(data, length, packet);
		if (packet->protocol == IPPROTO_FRAGMENT) {
			packet->fragment_offset = get16(data + 2) & 0xfff8;
			packet->fragment = packet->fragment_offset != 0;
			packet->more_fragments = data[3] & 1;
			memcpy(&packet->fragment_id, data + 4, sizeof(packet->fragment_id));
		}
		packet->protocol = data[0];
		data += size;
		length -= (size_t)size;
	}
	return -EBADMSG;
}

/* On no wire (RFC 4291, 2.5.5.2): here it would be taken for one of IPv4. */
static bool has_mapped(const struct uplink_packet *packet)
{
	return packet->family == AF_INET6 &&
	       (IN6_IS_ADDR_V4MAPPED(&packet->source.ip) ||
		       IN6_IS_ADDR_V4MAPPED(&packet->destination.ip));
}

int uplink_packet_parse(const uint8_t *data, size_t length, struct uplink_packet *ret)
{
	struct uplink_packet packet = {};
	int r = -EBADMSG;

	if (length > 0 && data[0] >> 4 == 4)
		r = parse4(data, length, &packet);
	else if (length > 0 && data[0] >> 4 == 6)
		r = parse6(data, length, &packet);
	if (r == 0 && has_mapped(&packet))
		r = -EBADMSG;
	if (r == 0)
		*ret = packet;
	return r;
}
