/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Scopes: whom a packet or a connection belongs to. Number 0 is the pod itself, with all that
 * shares its network; every bridged child has one of its own, found by its addresses. A scope
 * has counters, a quota of connections, and may have egress rules.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"
#include "egress.h"
#include "err.h"
#include "uplink-loop.h"
#include "uplink-packet.h"
#include "uplink.h"

/* Connections at once: of a pod, and of one of its children. Less where RLIMIT_NOFILE says so. */
#define UPLINK_FLOWS_MAX 16384
#define UPLINK_CHILD_FLOWS_MAX 8192
/* UDP sockets, one for each socket in the pod that sends. */
#define UPLINK_UDP_MAX 1024
#define UPLINK_CHILD_UDP_MAX 512

struct uplink_scope {
	char name[NAME_COMPONENT_MAX + 1]; /* podd's */
	uint32_t id;
	unsigned n_addresses;
	struct in6_addr addresses[UPLINK_ADDRESSES_MAX];
	bool up;       /* its servers may be reached */
	int64_t up_since_ms; /* see uplink_loop_now_ms(); 0: long enough */
	bool leaving;  /* removed; kept for the connections that name it */
	unsigned references;
	unsigned n_udp; /* UDP sockets */
	unsigned n_rules;
	struct egress_rule *rules;
	struct uplink_counters counters;
	struct uplink_scope *next;
};

struct uplink_scopes;

int uplink_scopes_new(const struct uplink_config *config, struct uplink_scopes **ret,
	struct err *err);
void uplink_scopes_free(struct uplink_scopes *scopes);
CLEANUP_DEFINE(uplink_scopes, uplink_scopes_free)

/* Adds or changes a scope. Return: 0, -E2BIG, -ENOMEM. */
int uplink_scopes_set(struct uplink_scopes *scopes, const struct uplink_child *child,
	struct err *err);
/* Replaces the rules of a scope, which need not be known yet. */
int uplink_scopes_set_rules(struct uplink_scopes *scopes, uint32_t id,
	const struct egress_rule *rules, size_t n, struct err *err);

/* The scope of that address; the pod's, if it is nobody's. Never NULL. */
struct uplink_scope *uplink_scopes_of(const struct uplink_scopes *scopes,
	const struct in6_addr *address);
/* NULL if there is none. */
struct uplink_scope *uplink_scopes_find(const struct uplink_scopes *scopes, uint32_t id);
struct uplink_scope *uplink_scopes_first(const struct uplink_scopes *scopes);

/* A connection holds its scope. */
struct uplink_scope *uplink_scope_ref(struct uplink_scope *scope);
void uplink_scope_unref(struct uplink_scopes *scopes, struct uplink_scope *scope);

/* A server's address, of the client's family if there is one. Return: false while there is none. */
bool uplink_scope_server(const struct uplink_scope *scope, const struct in6_addr *client,
	struct in6_addr *ret);
/* The address that a client of the host has to servers in the pod: its own, or, if that means
 * something else there (a loopback, the pod's networks, another family), the gateway's. */
struct uplink_address uplink_scopes_client(const struct uplink_scopes *scopes, bool six,
	const struct uplink_address *client);

/* True, if there is any rule at all. */
bool uplink_scopes_have_rules(const struct uplink_scopes *scopes);
/* What the child's rules and the pod's say of a packet that leaves; counts and logs what they
 * deny, unless @quiet. */
bool uplink_scopes_allow(struct uplink_scopes *scopes, struct uplink_scope *scope,
	const struct uplink_packet *packet, bool quiet);
