/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pod's published ports and egress rules, and what podd-uplink is told of the pod's children:
 * who they are, where their servers are.
 */

#include <stdbool.h>

#include "err.h"
#include "json.h"
#include "record.h"

struct network;
struct pod;

/* Loads network.json; a pod that has none yet has what its specification asks for. */
int network_new(struct pod *pod, struct network **ret, struct err *err);
void network_free(struct network *network);

/* Takes the host's ports that are the pod's own. To be called before a pod starts. */
int network_open(struct network *network, struct err *err);
/* Takes over what an uplink of another podd's has. */
int network_adopt(struct network *network, struct err *err);
/* Forgets the children that were removed while podd was away. */
void network_clean(struct network *network);
/* Once everything is loaded: the manager keeps the ports that there are, and no other. */
void network_settle(struct network *network);
/* Tells a new uplink whose packets come and what rules hold, before it carries any; and, once it can
 * have them, the ports. While the pod starts these return what the uplink says. */
int network_tell_rules_all(struct network *network, struct err *err);
int network_tell_ports(struct network *network, struct err *err);
/* Can it have ports? */
bool network_has_uplink(const struct network *network);
/* Gives the host's ports back: the pod is gone. */
void network_close(struct network *network);

/* A child is being attached, or was: its ports are published. Return: 0, or -errno with what hinders
 * a port. */
int network_attach(struct network *network, const struct attachment *attachment, struct err *err);
/* A container that shares the pod's network, and is about to be started: its ports are published.
 * Return: as network_attach(). */
int network_publish(struct network *network, const char *child, char *const *publish,
	struct err *err);
/* The program of one that shares the pod's network runs, or has ended: then connections to its ports
 * wait. One with a network of its own is up from its attachment until network_end(). */
void network_up(struct network *network, const char *child);
void network_down(struct network *network, const char *child);
/* The program that had this attachment ended; a later one's is another. */
void network_end(struct network *network, const char *child, const char *generation);
/* It is attached no more. Its ports stay, if it is a container that may be started again. */
void network_detach(struct network *network, const char *child);
/* The container was removed, with its ports and rules. */
void network_remove(struct network *network, const char *child);

/* The methods of the control socket: see schemas/io.podd.Pod.varlink. @child is "" for the pod. On
 * failure nothing was changed. *ret is an array of Port or EgressRule. */
int network_add_ports(struct network *network, const char *child, char *const *specs,
	uint32_t wait_ms, struct json **ret, const char **ret_failed, struct err *err);
/* Return: -ENOENT with *ret_failed. */
int network_remove_ports(struct network *network, const char *child, char *const *specs, bool all,
	struct json **ret, const char **ret_failed, struct err *err);
struct json *network_ports(const struct network *network);
int network_add_rules(struct network *network, const char *child, char *const *rules,
	unsigned position, struct json **ret, struct err *err);
/* Return: -ENOENT with *ret_failed. */
int network_remove_rules(struct network *network, const char *child, const int64_t *positions,
	size_t n, bool all, struct json **ret, int64_t *ret_failed, struct err *err);
struct json *network_rules(const struct network *network);

/* The child that the uplink knows by this number; NULL: the pod, or one that is gone. */
const char *network_child(const struct network *network, uint32_t id);
