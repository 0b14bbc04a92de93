/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The TCP connections that the uplink carries itself, in both directions, and the quotas on them.
 *
 *            out (uplink-out.c)                       in (uplink-port.c)
 *   CONNECTING  to the outside, the SYN is held    CONNECTING  to the server in the pod
 *   RELEASED    the SYN was let go                 WAITING     for a server that is not there
 *   OPEN        both sockets are joined            OPEN        the same
 */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"
#include "uplink-loop.h"
#include "uplink-packet.h"
#include "uplink-scope.h"
#include "uplink-splice.h"

enum flow_state { FLOW_CONNECTING, FLOW_RELEASED, FLOW_WAITING, FLOW_OPEN };

struct uplink_flow {
	struct splice_pair pair; /* OPEN */
	struct uplink_flows *flows;
	struct uplink_flow *next, *previous;
	struct uplink_flow *hash_next[2]; /* of those that are to be found by their addresses */
	struct uplink_scope *scope;
	int fd;                    /* before OPEN: out: to the outside; in: from there */
	int inner;                 /* in, CONNECTING: to the server */
	void *owner;               /* whose handlers it has before OPEN */
	uint32_t packet;           /* out, CONNECTING: the SYN that is held */
	uint32_t sequence;         /* out: its number, in network byte order */
	void (*abandon)(struct uplink_flow *flow); /* ... called when it is cut meanwhile */
	uint32_t port;             /* in: the published port's id */
	struct uplink_address source;
	struct uplink_address destination;
	enum flow_state state;
	bool inbound;
	bool hashed[2];
	bool kept_alive; /* see uplink_flows_new() */
	bool was_reset; /* out: the outside has accepted, and reset since */
	bool gone; /* cut before it was open: to be freed */
	int64_t since_ms;
	int64_t deadline_ms; /* not OPEN: then it is cut; 0: the kernel has its own time-out */
	uint32_t wait_ms;    /* in: the port's */
};

struct uplink_flows;

/* While there are flows, @tick is called about once a second. A peer that is gone for ever must not
 * keep a connection that nobody uses: TCP's own keepalive ends it, but only where it is old. */
int uplink_flows_new(struct uplink_loop *loop, struct uplink_scopes *scopes,
	void (*tick)(void *opaque), void *opaque, struct uplink_flows **ret, struct err *err);
void uplink_flows_free(struct uplink_flows *flows);
CLEANUP_DEFINE(uplink_flows, uplink_flows_free)

/* A new one, in state CONNECTING, with fd and inner -1; NULL, and counted, when a quota is used
 * up or there is no memory. */
struct uplink_flow *uplink_flow_new(struct uplink_flows *flows, struct uplink_scope *scope,
	bool inbound, const struct uplink_address *source, const struct uplink_address *destination);
/* Ends it in whatever state it is: sockets are reset. It is freed with the loop's next turn. */
void uplink_flow_cut(struct uplink_flow *flow);
/* Closes an inbound flow's socket in the pod before it was joined: another one may follow. */
void uplink_flow_close_inner(struct uplink_flow *flow);
/* Makes it findable by source and destination, as long as it lives. */
void uplink_flow_hash(struct uplink_flow *flow);
/* The youngest of them. */
struct uplink_flow *uplink_flow_find(const struct uplink_flows *flows,
	const struct uplink_address *source, const struct uplink_address *destination);
/* One in that state from the same host to the same destination, whatever its port. */
struct uplink_flow *uplink_flow_find_like(const struct uplink_flows *flows, enum flow_state state,
	const struct uplink_address *source, const struct uplink_address *destination);
/* Joins flow->fd and @inner, both taken over. On failure the flow is cut. */
void uplink_flow_open(struct uplink_flow *flow, int inner);

/* Begins to connect flow->fd, or with an inbound flow flow->inner, and watches it: @ready gets its
 * events, by the watch of that end of the pair. Return: 0 or -errno. */
int uplink_flow_connect(struct uplink_flow *flow, const struct uplink_address *to,
	void (*ready)(struct uplink_watch *, uint32_t));
/* What these events say of it. Return: 0: it is connected, and flow->was_reset if that is over already;
 * -EINPROGRESS; -errno. */
int uplink_flow_connected(struct uplink_flow *flow, uint32_t events);

/* In the order of their age, the youngest first. */
struct uplink_flow *uplink_flows_first(const struct uplink_flows *flows);
unsigned uplink_flows_count(const struct uplink_flows *flows);
unsigned uplink_flows_max(const struct uplink_flows *flows);
/* Cuts those that the rules forbid by now. */
void uplink_flows_apply_rules(struct uplink_flows *flows);
