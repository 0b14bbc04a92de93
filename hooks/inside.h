/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The part of the hook that runs in the pod's namespaces: one short-lived child process joins
 * them, names the container's netns there and runs the plugins. Its parent stays where it was.
 */

#include <stdbool.h>

#include "err.h"
#include "record.h"

struct inside {
	bool is_host;                    /* nothing is joined, and @state is empty */
	int podfd;                       /* the pod's directory, or hierarchy_open_host() */
	const struct pod_spec *spec;
	const struct pod_state *state;
	struct attachment *attachment;
	int netns;                       /* the container's; -1 when detaching */
	int64_t deadline;                /* of the hook */
};

/* Binds the netns to /run/netns/<id> in the pod and runs ADD for each network; fills the
 * networks' addresses. On failure everything is undone before it returns; where that fails too,
 * *ret_left (0 else) is how many of the networks, from the first on, something may be left of: for
 * inside_del(), and the netns stays bound for it. */
int inside_add(const struct inside *inside, size_t *ret_left, struct err *err);

/* Runs DEL for each network, in reverse, and removes /run/netns/<id>. What is gone already is fine. */
int inside_del(const struct inside *inside, struct err *err);

/* Enters the pod's user, mount and network namespace, for good. */
int inside_enter(const struct pod_state *state, const char *pod, struct err *err);
/* Removes /run/netns/<id>; for who is in there. */
void inside_unbind(const char *id);
/* Binds the netns of a container that runs to /run/netns/<id>, unless it is. */
int inside_bind(const struct attachment *attachment, struct err *err);
