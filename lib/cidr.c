/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Addresses with a prefix length: see cidr.h. */

#include "cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "text.h"

int cidr_parse(const char *text, struct cidr *ret)
{
	const char *slash = strchr(text, '/');
	struct cidr cidr = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	char address[INET6_ADDRSTRLEN];
	size_t length = slash ? (size_t)(slash - text) : sizeof(address);

	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(cidr.family, address, &cidr.in6) != 1 ||
		text_to_uint32(slash + 1, 0, cidr.family == AF_INET ? 32 : 128, &cidr.prefix) < 0)
		return -EINVAL;
	*ret = cidr;
	return 0;
}
