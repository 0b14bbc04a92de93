/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Sockets in the pod's netns, which podd-outer makes: a few are always at hand. */

#include <stdbool.h>

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

/* A non-blocking socket of the family and type (SOCK_STREAM, SOCK_DGRAM). Return: 0; -EAGAIN: one was
 * asked for, try again when @ready is called, and in a while, if podd-outer has none at present;
 * -EPIPE: podd-outer gives none. */
int uplink_sockets_take(struct uplink_sockets *sockets, int family, int type, int *ret_fd);
/* No more of them: podd-outer is not listened to any more, and can see that. */
void uplink_sockets_close(struct uplink_sockets *sockets);
/* Has some made that will be needed. */
void uplink_sockets_stock(struct uplink_sockets *sockets, int family, int type);
/* True when podd-outer has ended, or takes another channel's requests. */
bool uplink_sockets_are_over(const struct uplink_sockets *sockets);
