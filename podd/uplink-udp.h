/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* UDP from the pod to the outside: see the top of uplink-udp.c. */

#include <stdbool.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-loop.h"
#include "uplink-packet.h"
#include "uplink-scope.h"
#include "uplink-target.h"

struct uplink_udp;

/* @write sends a frame to the pod, from @mac's owner's point of view: it is the tap's address. */
int uplink_udp_new(struct uplink_loop *loop, struct uplink_scopes *scopes,
	const struct uplink_target *target, const uint8_t mac[6],
	void (*write)(void *opaque, const uint8_t *frame, size_t length), void *opaque,
	struct uplink_udp **ret, struct err *err);
void uplink_udp_free(struct uplink_udp *udp);
CLEANUP_DEFINE(uplink_udp, uplink_udp_free)

/* A datagram from the pod, that the rules allow. There are UPLINK_UDP_MAX sockets, and a child has
 * UPLINK_CHILD_UDP_MAX: then the one that was silent longest is closed. It may wait for
 * uplink_udp_flush(). Return: false when it is for libslirp. */
bool uplink_udp_send(struct uplink_udp *udp, struct uplink_scope *scope,
	const struct uplink_packet *packet);
/* No more datagrams come for now. */
void uplink_udp_flush(struct uplink_udp *udp);
