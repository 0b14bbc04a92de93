/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Addresses and ports as text: see endpoint.h. */

#include "endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>

void endpoint_format_address(const struct in6_addr *address, char ret[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		inet_ntop(AF_INET, &address->s6_addr[12], ret, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address, ret, INET6_ADDRSTRLEN);
}

void endpoint_format(const struct in6_addr *address, uint16_t port, char ret[ENDPOINT_TEXT_SIZE])
{
	char text[INET6_ADDRSTRLEN];

	endpoint_format_address(address, text);
	snprintf(ret, ENDPOINT_TEXT_SIZE, IN6_IS_ADDR_V4MAPPED(address) ? "%s:%u" : "[%s]:%u", text,
		port);
}

const char *endpoint_protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		return "other";
	}
}
