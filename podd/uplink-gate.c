/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The gate: see uplink-gate.h. Frames from the pod are hostile: the pod's root may make any.
 *
 * To the host's loopback nothing passes unless it was asked for: libslirp only translates the
 * gateway's address and connects to any other as it is, so that a hand-made frame could reach
 * 127.0.0.1.
 */

#include "uplink-gate.h"

#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uplink-frame.h"
#include "uplink-packet.h"

struct uplink_gate {
	struct uplink_scopes *scopes;
	bool host_loopback;
	gate_taker taker;
	void *taker_opaque;
	gate_writer writer;
	void *writer_opaque;
	uint64_t dropped_in;
};

int uplink_gate_new(struct uplink_scopes *scopes, const struct uplink_config *config,
	struct uplink_gate **ret, struct err *err)
{
	struct uplink_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return err_oom(err);
	gate->scopes = scopes;
	gate->host_loopback = config->host_loopback;
	*ret = gate;
	return 0;
}

void uplink_gate_free(struct uplink_gate *gate)
{
	free(gate);
}

void uplink_gate_set_taker(struct uplink_gate *gate, gate_taker taker, void *opaque)
{
	gate->taker = taker;
	gate->taker_opaque = opaque;
}

void uplink_gate_set_writer(struct uplink_gate *gate, gate_writer writer, void *opaque)
{
	gate->writer = writer;
	gate->writer_opaque = opaque;
}

bool uplink_gate_pass(struct uplink_gate *gate, const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	struct uplink_scope *scope;

	/* ARP, and what libslirp drops itself. */
	if (uplink_frame_parse(frame, length, &packet) < 0)
		return true;
	scope = uplink_scopes_of(gate->scopes, &packet.source.ip);
	scope->counters.frames_out++;
	scope->counters.frame_bytes_out += length;
	if (packet.protocol == IPPROTO_UDP && gate->taker &&
		gate->taker(gate->taker_opaque, &packet))
		return false;
	if (!gate->host_loopback && uplink_is_loopback(packet.family, &packet.destination.ip))
		return false;
	return true;
}

void uplink_gate_sent(struct uplink_gate *gate, const uint8_t *frame, size_t length, bool taken)
{
	struct uplink_packet packet;
	struct uplink_scope *scope;

	if (!taken) {
		gate->dropped_in++;
		return;
	}
	if (uplink_frame_parse(frame, length, &packet) < 0)
		return;
	scope = uplink_scopes_of(gate->scopes, &packet.destination.ip);
	scope->counters.frames_in++;
	scope->counters.frame_bytes_in += length;
}

int uplink_gate_capture(struct uplink_gate *gate, int pipe, size_t snaplen, struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "not yet");
}

void uplink_gate_report(const struct uplink_gate *gate, struct uplink_report *report)
{
	report->dropped_in = gate->dropped_in;
}
