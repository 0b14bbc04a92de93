/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Names and addresses: see uplink-target.h. */

#include "uplink-target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define DNS_PORT 53

static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool is_address(const struct in6_addr *address, struct in_addr four,
	const struct in6_addr *six)
{
	struct in6_addr mapped = uplink_map4(four);

	return same(address, &mapped) || same(address, six);
}

bool uplink_target_is_dns(const struct uplink_target *target, const struct uplink_address *address)
{
	const struct uplink_config *config = &target->config;

	return address->port == htons(DNS_PORT) &&
	       is_address(&address->ip, config->dns4, &config->dns6);
}

bool uplink_target_of(const struct uplink_target *target, const struct uplink_packet *packet,
	struct uplink_address *ret)
{
	const struct uplink_config *config = &target->config;
	const struct in_addr loopback4 = {htonl(INADDR_LOOPBACK)};
	int six = packet->family == AF_INET6;

	*ret = packet->destination;
	if (uplink_target_is_dns(target, ret)) {
		const struct uplink_address *server = &target->nameservers[six];

		if (server->port == 0)
			server = &target->nameservers[!six];
		*ret = *server;
		return server->port != 0;
	}
	if (is_address(&ret->ip, config->gateway4, &config->gateway6)) {
		ret->ip = six ? in6addr_loopback : uplink_map4(loopback4);
		return config->host_loopback;
	}
	return !uplink_is_loopback(packet->family, &ret->ip);
}

struct uplink_address uplink_target_name(const struct uplink_target *target, int family,
	const struct uplink_address *from, bool asked_dns)
{
	const struct uplink_config *config = &target->config;
	struct uplink_address name = *from;
	struct in_addr four;
	bool six = family == AF_INET6;

	for (int i = 0; asked_dns && i < 2; i++) {
		const struct uplink_address *server = &target->nameservers[i];

		if (server->port != from->port || !same(&server->ip, &from->ip))
			continue;
		name.ip = six ? config->dns6 : uplink_map4(config->dns4);
		return name;
	}
	if (uplink_is_loopback(uplink_unmap4(&from->ip, &four) ? AF_INET : AF_INET6, &from->ip))
		name.ip = six ? config->gateway6 : uplink_map4(config->gateway4);
	return name;
}

void uplink_target_set_nameservers(struct uplink_target *target, const char *resolv,
	size_t length)
{
	const char *end = resolv + length;

	memset(target->nameservers, 0, sizeof(target->nameservers));
	while (resolv < end) {
		const char *next = memchr(resolv, '\n', (size_t)(end - resolv));
		char line[128] = "", text[INET6_ADDRSTRLEN];
		struct in6_addr address;
		struct in_addr four;
		size_t n = (size_t)((next ? next : end) - resolv);

		memcpy(line, resolv, n < sizeof(line) ? n : sizeof(line) - 1);
		resolv = next ? next + 1 : end;
		if (sscanf(line, "nameserver %45s", text) != 1)
			continue;
		if (inet_pton(AF_INET, text, &four) == 1)
			address = uplink_map4(four);
		else if (inet_pton(AF_INET6, text, &address) != 1)
			continue;
		n = strchr(text, ':') != NULL;
		if (target->nameservers[n].port == 0)
			target->nameservers[n] = (struct uplink_address){address, htons(DNS_PORT)};
	}
}
