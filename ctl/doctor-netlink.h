/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Looking at a network namespace: rtnetlink(7) and nfnetlink, as far as doctor needs it. A socket
 * belongs to the namespace in which it was opened.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* Return: 0 or -errno. @protocol is NETLINK_ROUTE or NETLINK_NETFILTER. */
int doctor_netlink_open(int protocol, int *ret_fd);

struct doctor_link {
	unsigned index;
	unsigned mtu;
	bool up;
};
/* Return: 0, -ENODEV, -errno. */
int doctor_netlink_link(int fd, const char *name, struct doctor_link *ret);
int doctor_netlink_up(int fd, unsigned index);

/* @text is "10.88.0.2/16". Return: 1 when the interface has it, 0, -EINVAL, -errno. */
int doctor_netlink_has_address(int fd, unsigned index, const char *text);
int doctor_netlink_add_address(int fd, unsigned index, const char *text);

/* Return: 1 when the main table has a default route by the interface, 0, -errno. */
int doctor_netlink_has_default(int fd, int family, unsigned index);
int doctor_netlink_add_default(int fd, unsigned index, const char *gateway);

/* How many rules a chain has, with a NETLINK_NETFILTER socket; @family is one of NFPROTO_*. Return:
 * -ENOENT without such a table or chain, -errno. */
int doctor_netlink_rules(int fd, uint8_t family, const char *table, const char *chain);
