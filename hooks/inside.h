/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The part of the hook that runs in the pod's namespaces: one short-lived child process joins
 * them, names the container's netns there and runs the plugins. Its parent stays where it was.
 */

#include "err.h"
#include "record.h"

struct inside {
	int podfd;                       /* the pod's directory */
	const struct pod_spec *spec;
	const struct pod_state *state;
	struct attachment *attachment;
	int netns;                       /* the container's; -1 when detaching */
};

/* Binds the netns to /run/netns/<id> in the pod and runs ADD for each network; fills the
 * networks' addresses. On failure everything is undone before it returns. */
int inside_add(const struct inside *inside, struct err *err);

/* Runs DEL for each network, in reverse, and removes /run/netns/<id>. What is gone already is fine. */
int inside_del(const struct inside *inside, struct err *err);
