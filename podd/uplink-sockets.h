/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* TCP sockets in the pod's netns, which podd-outer makes: a few are always at hand. */

#include "cleanup.h"
#include "err.h"
#include "uplink-loop.h"

struct uplink_sockets;

/* @channel: see struct outer_sockets; taken over on success. @ready is called when there are new
 * ones, or none will ever be. */
int uplink_sockets_new(struct uplink_loop *loop, int channel, void (*ready)(void *opaque),
	void *opaque, struct uplink_sockets **ret, struct err *err);
void uplink_sockets_free(struct uplink_sockets *sockets);
CLEANUP_DEFINE(uplink_sockets, uplink_sockets_free)

/* A non-blocking socket of the family. Return: 0; -EAGAIN: one was asked for, try again when @ready
 * is called, and in a while, if podd-outer has none at present; -EPIPE: podd-outer
 * gives none. */
int uplink_sockets_take(struct uplink_sockets *sockets, int family, int *ret_fd);
