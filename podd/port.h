/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The host's sockets of published ports. */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "publish.h"

#define PORT_FDS_MAX 2 /* IPv4, IPv6 */

/* Binds, and for TCP listens on, the port number @offset of @publish: on both families, unless an
 * address is given. A socket that podd was started with (sd_listen_fds(3)) and that is just this
 * one is taken instead. *ret_port is the host's port. Return: 0, or -errno with what to do about
 * it: -EACCES, -EADDRINUSE, -EADDRNOTAVAIL. */
int port_open(const struct publish *publish, unsigned offset, int ret_fds[PORT_FDS_MAX],
	unsigned *ret_n, uint16_t *ret_port, struct err *err);

/* Is it a socket of just that port? For one that podd has from somebody else. */
bool port_is_of(int fd, const struct publish *publish, unsigned offset);

/* The host's port that a socket has. */
uint16_t port_number(int fd);
