/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Published UDP ports of a pod in a pod, which has no tap: see the top of uplink-relay.c. */

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-datagram.h"
#include "uplink-loop.h"
#include "uplink-sockets.h"

/* Sockets at once; then the one that was silent longest is closed. */
#define UPLINK_RELAYS_MAX 512

struct uplink_relay;

int uplink_relay_new(struct uplink_loop *loop, struct uplink_relay **ret, struct err *err);
void uplink_relay_free(struct uplink_relay *relay);
CLEANUP_DEFINE(uplink_relay, uplink_relay_free)

/* Where sockets come from and answers go to; neither is owned. Before that nothing is sent. */
void uplink_relay_connect(struct uplink_relay *relay, struct uplink_sockets *sockets,
	struct uplink_datagrams *datagrams);

/* For uplink_datagrams_new(): sends the datagram that is in the frame. */
void uplink_relay_write(void *relay, const uint8_t *frame, size_t length);

/* Closes its sockets; with the loop's next turn it may be freed. */
void uplink_relay_close(struct uplink_relay *relay);

/* There are new sockets: sends what has waited for them. */
void uplink_relay_retry(struct uplink_relay *relay);
