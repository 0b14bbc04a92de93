/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Published UDP ports: see the top of uplink-datagram.c. */

#include <stdbool.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-loop.h"
#include "uplink-packet.h"
#include "uplink-scope.h"
#include "uplink.h"

/* Clients of all published UDP ports at once; then the one that was silent longest is forgotten. */
#define UPLINK_CLIENTS_MAX 8192

struct uplink_datagrams;

/* @write sends a frame to the pod. */
int uplink_datagrams_new(struct uplink_loop *loop, struct uplink_scopes *scopes,
	void (*write)(void *opaque, const uint8_t *frame, size_t length), void *opaque,
	struct uplink_datagrams **ret, struct err *err);
void uplink_datagrams_free(struct uplink_datagrams *datagrams);
CLEANUP_DEFINE(uplink_datagrams, uplink_datagrams_free)

/* The tap's hardware address. */
void uplink_datagrams_set_mac(struct uplink_datagrams *datagrams, const uint8_t mac[6]);

/* @fds: port->n_fds bound sockets with IP_PKTINFO or IPV6_RECVPKTINFO; taken over on success. */
int uplink_datagrams_add(struct uplink_datagrams *datagrams, const struct uplink_port *port,
	const int *fds, struct err *err);
/* The sockets of a port, in the order in which they came. */
void uplink_datagrams_fds(const struct uplink_datagrams *datagrams, uint32_t id, int ret[2]);
void uplink_datagrams_remove(struct uplink_datagrams *datagrams, uint32_t id);

/* A datagram from the pod. Return: true, if it was an answer to a client, which has it now. */
bool uplink_datagrams_answer(struct uplink_datagrams *datagrams,
	const struct uplink_packet *packet);

/* Calls @each for every client. */
void uplink_datagrams_report(const struct uplink_datagrams *datagrams,
	void (*each)(void *opaque, const struct uplink_flow_info *info), void *opaque);
