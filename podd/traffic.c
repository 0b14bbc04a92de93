/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Reports: see traffic.h. The file is a memfd that podd has made; who writes it may write anything
 * at any time, so it is read once, and every number in it is checked. */

#include "traffic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "endpoint.h"
#include "fd.h"
#include "network.h"
#include "pod.h"
#include "uplink.h"

/* More than all scopes and connections that an uplink can have; each becomes an object, and is looked
 * for among the others. */
#define COUNTERS_MAX 8192
#define FLOWS_MAX 32768
#define REPORT_MAX                                                                                 \
	(sizeof(struct uplink_report) + COUNTERS_MAX * sizeof(struct uplink_counters) +            \
		FLOWS_MAX * sizeof(struct uplink_flow_info))

int traffic_make_file(int *ret_fd)
{
	*ret_fd = memfd_create("podd-report", MFD_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static void set_counter(struct json *object, const char *name, uint64_t value)
{
	json_set_int(object, name, (int64_t)(value & INT64_MAX));
}

static struct json *counters_to_json(const struct pod *pod, const struct uplink_counters *counters)
{
	const char *child = network_child(pod->network, counters->id);
	struct json *object = json_new_object();

	if (child)
		json_set_string(object, "child", child);
	set_counter(object, "flows", counters->flows);
	set_counter(object, "flowsTotal", counters->flows_total);
	set_counter(object, "overQuota", counters->over_quota);
	set_counter(object, "failed", counters->failed);
	set_counter(object, "denied", counters->denied);
	set_counter(object, "fallbacks", counters->fallbacks);
	set_counter(object, "bytesOut", counters->bytes_out);
	set_counter(object, "bytesIn", counters->bytes_in);
	set_counter(object, "framesOut", counters->frames_out);
	set_counter(object, "framesIn", counters->frames_in);
	set_counter(object, "frameBytesOut", counters->frame_bytes_out);
	set_counter(object, "frameBytesIn", counters->frame_bytes_in);
	return object;
}

static struct json *flow_to_json(const struct pod *pod, const struct uplink_flow_info *flow)
{
	static const char *const paths[] = {
		[UPLINK_PATH_SPLICE] = "splice",
		[UPLINK_PATH_LIBSLIRP] = "libslirp",
		[UPLINK_PATH_UDP] = "udp",
	};
	static const char *const states[] = {
		[UPLINK_FLOW_CONNECTING] = "connecting",
		[UPLINK_FLOW_WAITING] = "waiting",
		[UPLINK_FLOW_OPEN] = "open",
		[UPLINK_FLOW_HALF_CLOSED] = "half-closed",
	};
	const char *child = network_child(pod->network, flow->child);
	struct json *object = json_new_object();
	char endpoint[ENDPOINT_TEXT_SIZE];

	if (child)
		json_set_string(object, "child", child);
	json_set_string(object, "protocol", endpoint_protocol_name(flow->protocol));
	json_set_string(object, "direction", flow->inbound ? "in" : "out");
	json_set_string(object, "path", flow->path <= UPLINK_PATH_UDP ? paths[flow->path] : "?");
	endpoint_format(&flow->source, flow->source_port, endpoint);
	json_set_string(object, "source", endpoint);
	endpoint_format(&flow->destination, flow->destination_port, endpoint);
	json_set_string(object, "destination", endpoint);
	json_set_string(object, "state",
		flow->state <= UPLINK_FLOW_HALF_CLOSED ? states[flow->state] : "?");
	set_counter(object, "bytes_out", flow->bytes_out);
	set_counter(object, "bytes_in", flow->bytes_in);
	set_counter(object, "age_ms", flow->age_ms);
	return object;
}

/* What goes on now is counted along. */
static void add_flow(struct uplink_counters *counters, size_t n,
	const struct uplink_flow_info *flow)
{
	for (size_t i = 0; i < n && flow->path != UPLINK_PATH_LIBSLIRP; i++) {
		if (counters[i].id != flow->child)
			continue;
		counters[i].bytes_out += flow->bytes_out;
		counters[i].bytes_in += flow->bytes_in;
		return;
	}
}

static struct json *stats_to_json(const struct pod *pod, const struct uplink_report *report,
	const struct uplink_counters *counters)
{
	struct json *stats = json_new_object(), *array;

	json_set_int(stats, "flowsMax", report->flows_max);
	set_counter(stats, "droppedIn", report->dropped_in);
	json_set_bool(stats, "capturing", report->capture_running != 0);
	set_counter(stats, "captureDropped", report->capture_dropped);
	array = json_set_array(stats, "scopes");
	for (size_t i = 0; i < report->n_counters; i++)
		json_append(array, counters_to_json(pod, &counters[i]));
	return stats;
}

int traffic_read(const struct pod *pod, int file, struct json **ret_stats,
	struct json **ret_flows, struct err *err)
{
	autofree char *data = NULL;
	const struct uplink_report *report;
	struct uplink_counters *counters;
	const struct uplink_flow_info *flows;
	struct json *array;
	size_t length;
	int r;

	if (lseek(file, 0, SEEK_SET) < 0)
		return err_errno(err, "reading podd-uplink's report");
	r = fd_read_all(file, REPORT_MAX, &data, &length);
	if (r < 0)
		return err_set(err, r, "reading podd-uplink's report: %s", strerror(-r));
	report = (const struct uplink_report *)data;
	if (length < sizeof(*report) || report->n_counters > COUNTERS_MAX ||
		report->n_flows > FLOWS_MAX ||
		length != sizeof(*report) + report->n_counters * sizeof(*counters) +
				  report->n_flows * sizeof(*flows))
		return err_set(err, -EBADMSG, "podd-uplink's report makes no sense");
	counters = (struct uplink_counters *)(data + sizeof(*report));
	flows = (const struct uplink_flow_info *)(counters + report->n_counters);
	array = json_new_array();
	for (size_t i = 0; i < report->n_flows; i++) {
		add_flow(counters, report->n_counters, &flows[i]);
		json_append(array, flow_to_json(pod, &flows[i]));
	}
	*ret_flows = array;
	*ret_stats = stats_to_json(pod, report, counters);
	return 0;
}
