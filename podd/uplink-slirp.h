/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pod's way out: frames from the tap go into libslirp, frames from libslirp go to the tap.
 * One call is one turn of the uplink's loop.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-gate.h"
#include "uplink-loop.h"
#include "uplink.h"

struct uplink_slirp;

/* Starts libslirp on a tap (a frame is a plain Ethernet frame: IFF_TAP | IFF_NO_PI), which it
 * makes non-blocking and takes over on success. Its timers live on @event; @gate sees every frame.
 * Return: 0, -EINVAL (the configuration makes no sense), -EBADFD (@tap is none), -errno. */
int uplink_slirp_new(sd_event *event, struct uplink_loop *loop, struct uplink_gate *gate, int tap,
	const struct uplink_config *config, struct uplink_slirp **ret, struct err *err);
void uplink_slirp_free(struct uplink_slirp *uplink);
CLEANUP_DEFINE(uplink_slirp, uplink_slirp_free)

/* Waits until something can be done, then does it: packets of both directions, and one turn of
 * the loop. Return: 0, UPLINK_SLIRP_GONE when the tap went with its netns, -errno. */
#define UPLINK_SLIRP_GONE 1
int uplink_slirp_turn(struct uplink_slirp *uplink);

/* Sends a frame to the pod. */
void uplink_slirp_write(struct uplink_slirp *uplink, const void *data, size_t length);
/* Hands libslirp a frame as if it came from the pod. */
void uplink_slirp_input(struct uplink_slirp *uplink, const void *data, size_t length);
/* The tap's hardware address. */
const uint8_t *uplink_slirp_mac(const struct uplink_slirp *uplink);
