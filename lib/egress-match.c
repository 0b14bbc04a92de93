/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What rules say of a packet: see egress.h. This is all of them that podd-uplink has. */

#include "egress.h"

#include <stdbool.h>
#include <string.h>

static bool is_one_of(const struct in6_addr *address, const struct in6_addr list[2])
{
	return !IN6_IS_ADDR_UNSPECIFIED(address) &&
	       (IN6_ARE_ADDR_EQUAL(address, &list[0]) || IN6_ARE_ADDR_EQUAL(address, &list[1]));
}

static bool matches_destination(const struct egress_rule *rule, const struct egress_packet *packet)
{
	const struct egress_addresses *addresses = packet->addresses;
	const struct in6_addr *to = &packet->destination;

	if (rule->to != EGRESS_TO_RANGE)
		return addresses && is_one_of(to, rule->to == EGRESS_TO_DNS ? addresses->dns
									    : addresses->gateway);
	if (rule->family == 0)
		return true;
	return IN6_IS_ADDR_V4MAPPED(to) == (rule->family == AF_INET) &&
	       memcmp(to, &rule->first, sizeof(*to)) >= 0 &&
	       memcmp(to, &rule->last, sizeof(*to)) <= 0;
}

static bool matches_protocol(const struct egress_rule *rule, const struct egress_packet *packet)
{
	switch (rule->protocol) {
	case EGRESS_ALL:
		return true;
	case IPPROTO_ICMP:
		return (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) &&
		       (rule->icmp_type < 0 || rule->icmp_type == packet->icmp_type) &&
		       (rule->icmp_code < 0 || rule->icmp_code == packet->icmp_code);
	default:
		return rule->protocol == packet->protocol && packet->port >= rule->port_first &&
		       packet->port <= rule->port_last;
	}
}

int egress_match(const struct egress_rule *rules, size_t n, const struct egress_packet *packet)
{
	for (size_t i = 0; i < n; i++)
		if (matches_protocol(&rules[i], packet) && matches_destination(&rules[i], packet))
			return (int)i;
	return -1;
}
