/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Published ports: see the tops of uplink-port.c (TCP) and uplink-datagram.c (UDP). */

#include "cleanup.h"
#include "err.h"
#include "uplink-datagram.h"
#include "uplink-flow.h"
#include "uplink-sockets.h"
#include "uplink.h"

/* A pod's listening sockets; podd has a smaller limit. */
#define UPLINK_PORTS_MAX 8192

struct uplink_ports;

/* @sockets: see uplink_sockets_new(), taken over on success. */
int uplink_ports_new(struct uplink_loop *loop, struct uplink_flows *flows,
	struct uplink_scopes *scopes, struct uplink_datagrams *datagrams, bool transparent,
	int sockets,
	struct uplink_ports **ret, struct err *err);
void uplink_ports_free(struct uplink_ports *ports);
CLEANUP_DEFINE(uplink_ports, uplink_ports_free)

/* @fds: one or two sockets of the host, bound, and listening if they are TCP's; taken over on
 * success. Return: 0, -EEXIST, -E2BIG, -errno. */
int uplink_ports_add(struct uplink_ports *ports, const struct uplink_port *port, int *fds,
	struct err *err);
/* Closes its sockets; connections that are open stay. Removing twice is fine. */
void uplink_ports_remove(struct uplink_ports *ports, uint32_t id);
/* Removes all of them, and cuts every connection; what is under way in the loop ends with its next
 * turn, and then this may be freed. */
void uplink_ports_close(struct uplink_ports *ports);
/* Calls @each, which returns 0 or -errno, for every port. */
int uplink_ports_each(struct uplink_ports *ports,
	int (*each)(void *opaque, const struct uplink_port *port, const int *fds), void *opaque);
/* Where its sockets come from; @changed is called, too, when there are new ones or none will be. */
struct uplink_sockets *uplink_ports_sockets(struct uplink_ports *ports);
void uplink_ports_set_listener(struct uplink_ports *ports, void (*changed)(void *opaque),
	void *opaque);
/* Those that wait for a server try again: a child came. */
void uplink_ports_retry(struct uplink_ports *ports);
/* Accepts what it had no fds for when it came. */
void uplink_ports_resume(struct uplink_ports *ports);
