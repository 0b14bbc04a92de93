/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What goes by the tap to the outside, told apart by addresses and ports: for whoever wants to see
 * it. */

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-packet.h"
#include "uplink-scope.h"
#include "uplink.h"

/* Those that were used last. */
#define UPLINK_TRACKS_MAX 4096

struct uplink_tracker;

int uplink_tracker_new(struct uplink_tracker **ret, struct err *err);
void uplink_tracker_free(struct uplink_tracker *tracker);
CLEANUP_DEFINE(uplink_tracker, uplink_tracker_free)

/* A packet from the pod, or with @inward to it. Return: true for the first of a TCP connection. */
bool uplink_tracker_note(struct uplink_tracker *tracker, const struct uplink_scope *scope,
	const struct uplink_packet *packet, size_t length, bool inward,
	enum uplink_flow_path path);

/* Calls @each for every one that is still of interest. */
void uplink_tracker_report(struct uplink_tracker *tracker,
	void (*each)(void *opaque, const struct uplink_flow_info *info), void *opaque);
