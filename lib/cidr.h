/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Addresses with a prefix length, as text. */

#include <netinet/in.h>
#include <stdint.h>

struct cidr {
	int family; /* AF_INET or AF_INET6 */
	union {
		struct in_addr in;
		struct in6_addr in6;
	};
	uint32_t prefix;
};

/* "10.88.0.2/16" or "fd00:88::2/64": both parts, and nothing else. Return: 0 or -EINVAL. */
int cidr_parse(const char *text, struct cidr *ret);
