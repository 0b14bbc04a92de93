/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* TCP from the pod to the outside: see the top of uplink-out.c. */

#include "cleanup.h"
#include "err.h"
#include "uplink-flow.h"
#include "uplink-target.h"
#include "uplink.h"

struct uplink_out;

/* @queue: the netlink socket for uplink_queue_new(); @listen4 and @listen6 (or -1): the listening
 * sockets in the pod's netns that the rules lead to. All are taken over on success.
 * Return: 0 or what uplink_queue_new() returns. */
int uplink_out_new(struct uplink_loop *loop, struct uplink_flows *flows,
	struct uplink_scopes *scopes, const struct uplink_target *target, int queue, int listen4,
	int listen6, struct uplink_out **ret, struct err *err);
void uplink_out_free(struct uplink_out *out);
CLEANUP_DEFINE(uplink_out, uplink_out_free)

/* Accepts what it had no fds for when it came. To be called now and then. */
void uplink_out_resume(struct uplink_out *out);
