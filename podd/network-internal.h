/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What network*.c share: who does what stands at the top of network.c. */

#include "network.h"
#include "pod-network.h"
#include "pod.h"
#include "port.h"
#include "uplink.h"

/* How long connections wait for a child that is not there, unless something else is said. */
#define NETWORK_WAIT_MS 10000

/* Below UPLINK_PORTS_MAX. */
#define NETWORK_PORTS_MAX 4096

enum port_origin { PORT_OF_POD, PORT_OF_CONTAINER, PORT_ADDED };

struct network_port {
	struct network_port *next;
	uint32_t id;
	char child[NAME_COMPONENT_MAX + 1];
	char *spec;
	unsigned offset; /* in the range of the specification */
	enum port_origin origin;
	struct publish publish;
	uint16_t host_port; /* 0: not taken yet */
	uint32_t wait_ms;
	unsigned n_fds;
	int fds[PORT_FDS_MAX];
	bool told; /* the uplink has it */
};

struct network_scope {
	struct network_scope *next;
	uint32_t id;
	char child[NAME_COMPONENT_MAX + 1];
	char generation[ATTACHMENT_GENERATION_SIZE]; /* of its present attachment */
	char **publish; /* of the container */
	bool attached;
	bool up;
	bool shared;
	unsigned n_addresses;
	struct in6_addr addresses[UPLINK_ADDRESSES_MAX];
};

struct network {
	struct pod *pod;
	struct pod_network record;
	bool uplink; /* the pod has one at all */
	uint32_t next_id;
	struct network_scope *scopes;
	struct network_port *ports;
};

/* network.c */
struct network_scope *network_scope(const struct network *network, const char *child);
/* Makes it where there is none. NULL: no memory. */
struct network_scope *network_scope_make(struct network *network, const char *child);
/* May a number that an uplink speaks of be somebody's? */
bool network_id_is_free(const struct network *network, uint32_t id);
int network_save(struct network *network, struct err *err);
int network_tell_rules(struct network *network, const char *child, struct err *err);
int network_tell_child(struct network *network, const struct network_scope *scope, bool gone,
	struct err *err);

/* network-ports.c */
int network_tell_port(struct network *network, struct network_port *port, struct err *err);
/* Takes the ports of a specification, all or none; those that it has already stay. */
int network_take_ports(struct network *network, const char *child, const char *spec,
	enum port_origin origin, uint32_t wait_ms, struct err *err);
/* Gives up those for which @gives_up is true. */
void network_give_up_ports(struct network *network, const char *child,
	bool (*gives_up)(const struct network_port *port, const void *opaque), const void *opaque);
struct json *network_port_to_json(const struct network *network, const struct network_port *port);
/* A port that an uplink has; the fds are taken over. */
void network_adopt_port(struct network *network, const struct uplink_port *has, int fds[2]);
