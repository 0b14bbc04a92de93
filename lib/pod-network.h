/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * network.json: the published ports and the egress rules of a pod and its children, beyond what the
 * children's own records ask for. Writer: podd, which makes it of pod.json and changes it as it is
 * told. A scope is the pod ("") or one child, by name; each has its own rules, in their order.
 */

#include <stddef.h>
#include <stdint.h>

#include "egress.h"
#include "name.h"
#include "record.h"

#define RECORD_NETWORK "network.json"

#define POD_NETWORK_PORTS_MAX RECORD_PUBLISH_MAX
/* Of all scopes together: their texts fit into one message of VARLINK_MESSAGE_MAX. */
#define POD_NETWORK_RULES_MAX 1024
#define POD_NETWORK_WAIT_MS_MAX (24 * 60 * 60 * 1000)

struct pod_network_port {
	char child[NAME_COMPONENT_MAX + 1]; /* "": the pod */
	char *spec;                         /* see publish.h */
	uint32_t wait_ms;                   /* how long a connection waits for its server; 0: not */
};

struct pod_network_rule {
	char child[NAME_COMPONENT_MAX + 1]; /* "": the pod */
	struct egress_rule rule;
};

struct pod_network {
	size_t n_ports;
	size_t n_rules;
	struct pod_network_port *ports; /* each pair of child and spec once */
	struct pod_network_rule *rules; /* the scopes may lie between each other */
};

void pod_network_init(struct pod_network *network);
void pod_network_done(struct pod_network *network);

/* What pod.json asks for. */
int pod_network_from_spec(const struct pod_spec *spec, struct pod_network *ret, struct err *err);

struct json *pod_network_to_json(const struct pod_network *network);
/* Return: 0, -ENOENT when there is none yet (see pod_network_from_spec()), -EINVAL, -errno. */
int pod_network_load(int podfd, struct pod_network *ret, struct err *err);
int pod_network_save(int podfd, const struct pod_network *network, struct err *err);

/* Return: 0; -EEXIST when the scope has it; -E2BIG; -EINVAL. */
int pod_network_add_port(struct pod_network *network, const char *child, const char *spec,
	uint32_t wait_ms, struct err *err);
/* Return: 0 or -ENOENT. */
int pod_network_remove_port(struct pod_network *network, const char *child, const char *spec);

/* Puts the rules before the one that has @position in its scope, counted from 1; 0, or a position
 * that there is not: at the end. All or none. Return: 0, -E2BIG, -ENOMEM. */
int pod_network_add_rules(struct pod_network *network, const char *child, size_t position,
	const struct egress_rule *rules, size_t n, struct err *err);
/* Return: 0, or -ENOENT when the scope has no such position. */
int pod_network_remove_rule(struct pod_network *network, const char *child, size_t position);
/* The scope's rules in their order. Return: how many. */
size_t pod_network_rules(const struct pod_network *network, const char *child,
	struct egress_rule ret[EGRESS_RULES_MAX]);

/* Everything of a scope. Return: true when there was something. */
bool pod_network_forget_ports(struct pod_network *network, const char *child);
bool pod_network_forget_rules(struct pod_network *network, const char *child);
