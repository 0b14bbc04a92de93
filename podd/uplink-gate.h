/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Every frame between the tap and libslirp passes here: what may go on, to whom it is counted,
 * and what is of no concern to libslirp.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"
#include "uplink-scope.h"
#include "uplink-track.h"
#include "uplink.h"

struct uplink_gate;

/* Offers a datagram from the pod: true when it was taken. */
typedef bool (*gate_taker)(void *opaque, struct uplink_scope *scope,
	const struct uplink_packet *packet);
/* Sends a frame to the pod, or, with @to_slirp, to libslirp as if it came from the pod. */
typedef void (*gate_writer)(void *opaque, const uint8_t *frame, size_t length, bool to_slirp);

int uplink_gate_new(struct uplink_scopes *scopes, const struct uplink_config *config,
	struct uplink_gate **ret, struct err *err);
void uplink_gate_free(struct uplink_gate *gate);
CLEANUP_DEFINE(uplink_gate, uplink_gate_free)

/* UDP datagrams from the pod are offered to @answers first: those go to clients of published ports,
 * and no rule is asked; then, if the rules allow them, to @outside. */
void uplink_gate_set_takers(struct uplink_gate *gate, gate_taker answers, gate_taker outside,
	void (*pause)(void *opaque), void *opaque);
void uplink_gate_set_writer(struct uplink_gate *gate, gate_writer writer, void *opaque);

/* A frame from the pod. Return: true, if it is for libslirp. */
bool uplink_gate_pass(struct uplink_gate *gate, const uint8_t *frame, size_t length);
/* No more frames come for now: what a taker has gathered may go. */
void uplink_gate_pause(struct uplink_gate *gate);
/* A frame to the pod: was it @taken by the tap? */
void uplink_gate_sent(struct uplink_gate *gate, const uint8_t *frame, size_t length, bool taken);

/* From now on every frame is written to @pipe, which is taken over, until nobody reads it. */
int uplink_gate_capture(struct uplink_gate *gate, int pipe, size_t snaplen, struct err *err);
void uplink_gate_report(const struct uplink_gate *gate, struct uplink_report *report);
/* Who has gone by libslirp. */
struct uplink_tracker *uplink_gate_tracker(const struct uplink_gate *gate);
