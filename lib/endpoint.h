/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Addresses and ports of packets as people read them. IPv4 is in ::ffff:0:0/96 (RFC 4291). */

#include <netinet/in.h>
#include <stdint.h>

/* Bytes for "[address]:65535", the NUL included. */
#define ENDPOINT_TEXT_SIZE (INET6_ADDRSTRLEN + 8)

/* "10.88.0.2" or "fd00:88::2". */
void endpoint_format_address(const struct in6_addr *address, char ret[INET6_ADDRSTRLEN]);

/* "10.88.0.2:80" or "[fd00:88::2]:80"; @port is in the host's byte order. */
void endpoint_format(const struct in6_addr *address, uint16_t port, char ret[ENDPOINT_TEXT_SIZE]);

/* "tcp", "udp", "icmp" for both of it, or "other". */
const char *endpoint_protocol_name(uint8_t protocol);
