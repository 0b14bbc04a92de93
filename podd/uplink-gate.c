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

#include "uplink-capture.h"
#include "uplink-defrag.h"
#include "uplink-frame.h"
#include "uplink-reject.h"

struct uplink_gate {
	struct uplink_scopes *scopes;
	struct uplink_tracker *tracker;
	struct uplink_capture *capture; /* NULL: nobody wants one */
	struct uplink_defrag defrag;
	bool host_loopback;
	gate_taker answers;
	gate_taker outside;
	void (*pause)(void *opaque);
	void *taker_opaque;
	gate_writer writer;
	void *writer_opaque;
	uint64_t dropped_in;
};

int uplink_gate_new(struct uplink_scopes *scopes, const struct uplink_config *config,
	struct uplink_gate **ret, struct err *err)
{
	autoptr(uplink_gate) gate = calloc(1, sizeof(*gate));
	int r;

	if (!gate)
		return err_oom(err);
	gate->scopes = scopes;
	gate->host_loopback = config->host_loopback;
	r = uplink_tracker_new(&gate->tracker, err);
	if (r == 0)
		*ret = take_ptr(gate);
	return r;
}

void uplink_gate_free(struct uplink_gate *gate)
{
	if (!gate)
		return;
	uplink_tracker_free(gate->tracker);
	uplink_capture_free(gate->capture);
	uplink_defrag_done(&gate->defrag);
	free(gate);
}

void uplink_gate_set_takers(struct uplink_gate *gate, gate_taker answers, gate_taker outside,
	void (*pause)(void *opaque), void *opaque)
{
	gate->pause = pause;
	gate->answers = answers;
	gate->outside = outside;
	gate->taker_opaque = opaque;
}

void uplink_gate_set_writer(struct uplink_gate *gate, gate_writer writer, void *opaque)
{
	gate->writer = writer;
	gate->writer_opaque = opaque;
}

static void capture(struct uplink_gate *gate, const uint8_t *frame, size_t length, bool from_pod)
{
	if (!gate->capture || uplink_capture_write(gate->capture, frame, length, from_pod))
		return;
	uplink_capture_free(gate->capture);
	gate->capture = NULL;
}

/* The pod hears of it, and a connection that was open until now ends on both sides. */
static void reject(struct uplink_gate *gate, const uint8_t *frame, size_t length,
	const struct uplink_packet *packet)
{
	uint8_t answer[UPLINK_REJECT_MAX];
	size_t size;

	size = uplink_reject_end(frame, length, packet, answer);
	if (size > 0)
		gate->writer(gate->writer_opaque, answer, size, true);
	size = uplink_reject_answer(frame, length, packet, answer);
	if (size > 0)
		gate->writer(gate->writer_opaque, answer, size, false);
}

/* Neighbour discovery is the link's own business. */
static bool is_of_link(const struct uplink_packet *packet)
{
	return packet->protocol == IPPROTO_ICMPV6 && packet->icmp_type >= 133 &&
	       packet->icmp_type <= 137;
}

/* Return: true, if it is for libslirp. */
static bool judge(struct uplink_gate *gate, const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	struct uplink_scope *scope;
	bool taken;
	int r;

	r = uplink_frame_parse(frame, length, &packet);
	/* ARP, and what libslirp drops itself. */
	if (r == -ENOMSG || (r == 0 && is_of_link(&packet)))
		return true;
	/* A first fragment that is too short for its ports cannot be judged, but libslirp would put
	 * it together with the others, which have none. */
	if (r < 0)
		return false;
	scope = uplink_scopes_of(gate->scopes, &packet.source.ip);
	scope->counters.frames_out++;
	scope->counters.frame_bytes_out += length;
	if (packet.protocol == IPPROTO_UDP && gate->answers &&
		gate->answers(gate->taker_opaque, scope, &packet))
		return false;
	if (!gate->host_loopback && uplink_is_loopback(packet.family, &packet.destination.ip))
		return false;
	if (uplink_scopes_have_rules(gate->scopes) &&
		!uplink_scopes_allow(gate->scopes, scope, &packet, false)) {
		reject(gate, frame, length, &packet);
		return false;
	}
	taken = packet.protocol == IPPROTO_UDP && gate->outside &&
		gate->outside(gate->taker_opaque, scope, &packet);
	/* libslirp has no way for what is to many. */
	if (!uplink_is_group(&packet.destination.ip) &&
		uplink_tracker_note(gate->tracker, scope, &packet, length, false,
			taken ? UPLINK_PATH_UDP : UPLINK_PATH_LIBSLIRP))
		scope->counters.fallbacks++;
	return !taken;
}

/* Return: true for a frame that is no fragment: those are put together, and end here. */
static bool is_whole(struct uplink_gate *gate, const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	const uint8_t *whole;

	if (uplink_frame_parse(frame, length, &packet) < 0 ||
		!(packet.fragment || packet.more_fragments))
		return true;
	whole = uplink_defrag_add(&gate->defrag, frame, &packet, &length);
	if (whole && judge(gate, whole, length))
		gate->writer(gate->writer_opaque, whole, length, true);
	return false;
}

bool uplink_gate_pass(struct uplink_gate *gate, const uint8_t *frame, size_t length)
{
	capture(gate, frame, length, true);
	return is_whole(gate, frame, length) && judge(gate, frame, length);
}

void uplink_gate_pause(struct uplink_gate *gate)
{
	if (gate->pause)
		gate->pause(gate->taker_opaque);
}

void uplink_gate_sent(struct uplink_gate *gate, const uint8_t *frame, size_t length, bool taken)
{
	struct uplink_packet packet;
	struct uplink_scope *scope;

	if (!taken) {
		gate->dropped_in++;
		return;
	}
	capture(gate, frame, length, false);
	if (uplink_frame_parse(frame, length, &packet) < 0)
		return;
	scope = uplink_scopes_of(gate->scopes, &packet.destination.ip);
	scope->counters.frames_in++;
	scope->counters.frame_bytes_in += length;
	(void)uplink_tracker_note(gate->tracker, scope, &packet, length, true,
		UPLINK_PATH_LIBSLIRP);
}

int uplink_gate_capture(struct uplink_gate *gate, int pipe, size_t snaplen, struct err *err)
{
	struct uplink_capture *capture = NULL;
	int r = uplink_capture_new(pipe, snaplen, &capture, err);

	if (r < 0)
		return r;
	/* The last who asks has it. */
	uplink_capture_free(gate->capture);
	gate->capture = capture;
	return 0;
}

void uplink_gate_report(const struct uplink_gate *gate, struct uplink_report *report)
{
	report->dropped_in = gate->dropped_in;
	report->capture_running = gate->capture && !uplink_capture_is_over(gate->capture);
	report->capture_dropped = gate->capture ? uplink_capture_dropped(gate->capture) : 0;
}

struct uplink_tracker *uplink_gate_tracker(const struct uplink_gate *gate)
{
	return gate->tracker;
}
