/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The few rtnetlink requests that a pod's network needs; see rtnetlink(7). Each waits for the
 * kernel's answer. Needs CAP_NET_ADMIN in the user namespace that owns the network namespace.
 */

#include <netinet/in.h>
#include <stdbool.h>

/* Opens a NETLINK_ROUTE socket. Return: 0 or -errno. */
int netlink_open(int *ret_fd);

/* Sets the mtu, the length of the transmit queue in packets (0: leaves either) and the interface
 * up. */
int netlink_link_up(int fd, unsigned ifindex, unsigned mtu, unsigned queue);

/* Adds an address; @family is AF_INET or AF_INET6, @address a struct in_addr or in6_addr. An IPv6
 * one is usable at once (IFA_F_NODAD: there is nobody to have the same). */
int netlink_address_add(int fd, unsigned ifindex, int family, const void *address,
	unsigned prefix);

/* Adds the default route by @gateway. */
int netlink_route_default(int fd, unsigned ifindex, int family, const void *gateway);

/* Packets with the mark are routed by the table. */
int netlink_rule_mark(int fd, int family, uint32_t mark, uint32_t table);

/* In the table every address is a local one. */
int netlink_route_local(int fd, unsigned ifindex, int family, uint32_t table);
