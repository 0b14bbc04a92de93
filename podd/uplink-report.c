/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The report: see uplink-report.h.
 *
 * System calls: write.
 */

#include "uplink-report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"

struct report {
	struct uplink_report head;
	size_t size;
	size_t length;
	uint8_t *data; /* what follows the head */
	bool failed;
};

static void append(struct report *report, const void *item, size_t length)
{
	if (report->length + length > report->size) {
		size_t size = report->size * 2 + 65536;
		uint8_t *data = realloc(report->data, size);

		report->failed |= !data;
		if (!data)
			return;
		report->data = data;
		report->size = size;
	}
	memcpy(report->data + report->length, item, length);
	report->length += length;
}

static void append_flow(void *opaque, const struct uplink_flow_info *info)
{
	struct report *report = opaque;

	report->head.n_flows++;
	append(report, info, sizeof(*info));
}

/* Those that have ended are in the counters; what goes on is added here. */
static void append_counters(struct report *report, const struct uplink *uplink)
{
	struct uplink_scope *scope = uplink_scopes_first(uplink->scopes);

	for (; scope; scope = scope->next) {
		struct uplink_counters counters = scope->counters;

		counters.id = scope->id;
		report->head.n_counters++;
		append(report, &counters, sizeof(counters));
	}
}

static uint8_t state_of(const struct uplink_flow *flow)
{
	switch (flow->state) {
	case FLOW_OPEN:
		return flow->pair.ends[0].finished != flow->pair.ends[1].finished ?
			       UPLINK_FLOW_HALF_CLOSED :
			       UPLINK_FLOW_OPEN;
	case FLOW_WAITING:
		return UPLINK_FLOW_WAITING;
	default:
		return UPLINK_FLOW_CONNECTING;
	}
}

static void append_flows(struct report *report, const struct uplink *uplink)
{
	const struct uplink_flow *flow = uplink_flows_first(uplink->flows);
	int64_t now = uplink_loop_now_ms();

	for (; flow; flow = flow->next) {
		const struct uplink_flow_info info = {
			.source = flow->source.ip,
			.destination = flow->destination.ip,
			.source_port = ntohs(flow->source.port),
			.destination_port = ntohs(flow->destination.port),
			.protocol = IPPROTO_TCP,
			.inbound = flow->inbound,
			.path = UPLINK_PATH_SPLICE,
			.state = state_of(flow),
			.child = flow->scope->id,
			.bytes_out = flow->pair.ends[SPLICE_POD].bytes,
			.bytes_in = flow->pair.ends[SPLICE_HOST].bytes,
			.age_ms = (uint64_t)(now - flow->since_ms),
		};

		if (!flow->gone && !flow->pair.closed)
			append_flow(report, &info);
	}
}

int uplink_report_write(struct uplink *uplink, int fd, struct err *err)
{
	struct report report = {};
	int r;

	if (fd < 0)
		return err_set(err, -EBADF, "the report's file did not come with the request");
	report.head.takes_tcp = uplink->out != NULL;
	report.head.flows_max = uplink_flows_max(uplink->flows);
	if (uplink->gate)
		uplink_gate_report(uplink->gate, &report.head);
	append_counters(&report, uplink);
	append_flows(&report, uplink);
	uplink_datagrams_report(uplink->datagrams, append_flow, &report);
	if (uplink->gate)
		uplink_tracker_report(uplink_gate_tracker(uplink->gate), append_flow, &report);
	r = report.failed ? -ENOMEM : fd_write_all(fd, &report.head, sizeof(report.head));
	if (r == 0)
		r = fd_write_all(fd, report.data, report.length);
	free(report.data);
	return r < 0 ? err_set(err, r, "writing the report: %s", strerror(-r)) : 0;
}
