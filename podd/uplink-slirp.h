/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pod's way out: frames from the tap go into libslirp, frames from libslirp go to the tap.
 * One call is one turn of the uplink's loop.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "err.h"
#include "uplink.h"

/* Most fds that libslirp may have polled at once, hence most connections of a pod. */
#define UPLINK_SOCKETS_MAX 65536

struct uplink_slirp;

/* Starts libslirp on a tap (a frame is a plain Ethernet frame: IFF_TAP | IFF_NO_PI), which it
 * makes non-blocking and takes over on success. Its timers live on @event.
 * Return: 0, -EINVAL (the configuration makes no sense), -EBADFD (@tap is none), -errno. */
int uplink_slirp_new(sd_event *event, int tap, const struct uplink_config *config,
	struct uplink_slirp **ret, struct err *err);
void uplink_slirp_free(struct uplink_slirp *uplink);
CLEANUP_DEFINE(uplink_slirp, uplink_slirp_free)

/* Waits until something can be done, then does it: packets of both directions, and what is due
 * on the event loop. Return: 0, UPLINK_SLIRP_GONE when the tap went with its netns, -errno. */
#define UPLINK_SLIRP_GONE 1
int uplink_slirp_turn(struct uplink_slirp *uplink);

void uplink_slirp_stats(const struct uplink_slirp *uplink, struct uplink_stats *ret);
