/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Metrics: see metrics.h. All samples of a family stand together, so each has a text of its own
 * until the end. */

#include "metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "container.h"
#include "hierarchy.h"
#include "quantity.h"
#include "text.h"

enum family {
	M_BUILD_INFO,
	M_POD_INFO,
	M_POD_PHASE,
	M_POD_CREATED,
	M_SUPERVISOR_START,
	M_CHILDREN,
	M_UPLINK_INFO,
	M_UPLINK_RESTARTS,
	M_UPLINK_DROPPED,
	M_UPLINK_FLOWS,
	M_UPLINK_FLOWS_TOTAL,
	M_UPLINK_BYTES,
	M_UPLINK_FRAMES,
	M_UPLINK_FRAME_BYTES,
	M_UPLINK_DENIED,
	M_UPLINK_OVER_QUOTA,
	M_UPLINK_FAILED,
	M_UPLINK_FALLBACKS,
	M_CONTAINER_INFO,
	M_CONTAINER_UP,
	M_CONTAINER_START,
	M_CONTAINER_RESTARTS,
	M_CONTAINER_HEALTH,
	M_CONTAINER_EXIT,
	M_CONTAINER_CPU,
	M_CONTAINER_MEMORY,
	M_CONTAINER_MEMORY_LIMIT,
	M_CONTAINER_PIDS,
	M_CONTAINER_OOM,
	FAMILIES_N,
};

static const struct {
	const char *name;
	const char *type;
	const char *help;
} families[FAMILIES_N] = {
	[M_BUILD_INFO] = {"podd_build_info", "gauge", "The version of podd; always 1."},
	[M_POD_INFO] = {"podd_pod_info", "gauge", "How the pod was created; always 1."},
	[M_POD_PHASE] = {"podd_pod_phase", "gauge", "1 for the phase that the pod is in."},
	[M_POD_CREATED] = {"podd_pod_created_seconds", "gauge", "When the pod was created."},
	[M_SUPERVISOR_START] = {"podd_supervisor_start_time_seconds", "gauge",
		"When the pod's podd was started."},
	[M_CHILDREN] = {"podd_pod_children", "gauge", "Containers of the pod, by phase."},
	[M_UPLINK_INFO] = {"podd_uplink_info", "gauge", "How TCP leaves the pod; always 1."},
	[M_UPLINK_RESTARTS] = {"podd_uplink_restarts_total", "counter",
		"How often podd-uplink had ended and was started again."},
	[M_UPLINK_DROPPED] = {"podd_uplink_dropped_frames_total", "counter",
		"Frames that the pod's tap did not take."},
	[M_UPLINK_FLOWS] = {"podd_uplink_flows", "gauge", "TCP connections past libslirp, now."},
	[M_UPLINK_FLOWS_TOTAL] = {"podd_uplink_flows_total", "counter",
		"TCP connections past libslirp."},
	[M_UPLINK_BYTES] = {"podd_uplink_bytes_total", "counter",
		"Payload of connections past libslirp."},
	[M_UPLINK_FRAMES] = {"podd_uplink_frames_total", "counter", "Packets by the pod's tap."},
	[M_UPLINK_FRAME_BYTES] = {"podd_uplink_frame_bytes_total", "counter",
		"Bytes of packets by the pod's tap."},
	[M_UPLINK_DENIED] = {"podd_uplink_denied_total", "counter",
		"Connections and packets that egress rules did not let out."},
	[M_UPLINK_OVER_QUOTA] = {"podd_uplink_over_quota_total", "counter",
		"Connections that there was no room for."},
	[M_UPLINK_FAILED] = {"podd_uplink_failed_total", "counter",
		"Connections that the other side refused or did not answer."},
	[M_UPLINK_FALLBACKS] = {"podd_uplink_fallbacks_total", "counter",
		"TCP connections that libslirp has carried."},
	[M_CONTAINER_INFO] = {"podd_container_info", "gauge", "What the container is; always 1."},
	[M_CONTAINER_UP] = {"podd_container_running", "gauge", "1 when its first process runs."},
	[M_CONTAINER_START] = {"podd_container_start_time_seconds", "gauge",
		"When its last run began."},
	[M_CONTAINER_RESTARTS] = {"podd_container_restarts_total", "counter",
		"Restarts by its policy since podctl started it."},
	[M_CONTAINER_HEALTH] = {"podd_container_health", "gauge",
		"1 for what its health check says."},
	[M_CONTAINER_EXIT] = {"podd_container_exit_status", "gauge",
		"How its last run that has ended did so; 255 when nobody saw it."},
	[M_CONTAINER_CPU] = {"podd_container_cpu_seconds_total", "counter",
		"CPU time of its cgroup."},
	[M_CONTAINER_MEMORY] = {"podd_container_memory_bytes", "gauge", "Memory of its cgroup."},
	[M_CONTAINER_MEMORY_LIMIT] = {"podd_container_memory_limit_bytes", "gauge",
		"Limit of its memory; absent: none."},
	[M_CONTAINER_PIDS] = {"podd_container_pids", "gauge",
		"Processes and threads of its cgroup."},
	[M_CONTAINER_OOM] = {"podd_container_oom_kills_total", "counter",
		"Kills for want of memory in its cgroup."},
};

struct text {
	char *data;
	size_t length;
	FILE *stream;
};

struct metrics {
	struct text families[FAMILIES_N];
};

int metrics_new(struct metrics **ret, struct err *err)
{
	autoptr(metrics) metrics = calloc(1, sizeof(*metrics));

	for (int i = 0; metrics && i < FAMILIES_N; i++) {
		struct text *text = &metrics->families[i];

		text->stream = open_memstream(&text->data, &text->length);
		if (!text->stream)
			return err_oom(err);
	}
	if (!metrics)
		return err_oom(err);
	fprintf(metrics->families[M_BUILD_INFO].stream, "podd_build_info{version=\"%s\"} 1\n",
		PACKAGE_VERSION);
	*ret = take_ptr(metrics);
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (int i = 0; i < FAMILIES_N; i++) {
		if (metrics->families[i].stream)
			fclose(metrics->families[i].stream);
		free(metrics->families[i].data);
	}
	free(metrics);
}

/* ---- samples ---- */

#define LABELS_MAX 4

struct label {
	const char *name;
	const char *value; /* NULL: this and those after it are not there */
};

static void put_label(FILE *stream, const struct label *label, bool first)
{
	fprintf(stream, "%s%s=\"", first ? "" : ",", label->name);
	for (const char *c = label->value; *c; c++) {
		if (*c == '\n')
			fputs("\\n", stream);
		else if (*c == '\\' || *c == '"')
			fprintf(stream, "\\%c", *c);
		else
			fputc(*c, stream);
	}
	fputc('"', stream);
}

/* The name and the labels of a sample; its value follows. */
static FILE *begin(
	struct metrics *metrics, enum family family, const struct label labels[LABELS_MAX])
{
	FILE *stream = metrics->families[family].stream;

	fprintf(stream, "%s{", families[family].name);
	for (size_t i = 0; i < LABELS_MAX && labels[i].value; i++)
		put_label(stream, &labels[i], i == 0);
	fputs("} ", stream);
	return stream;
}

#define SAMPLE(metrics, family, value, ...)                                            \
	fprintf(begin(metrics, family, (const struct label[LABELS_MAX]){__VA_ARGS__}), \
		"%" PRId64 "\n", (int64_t)(value))

/* One that is measured in microseconds, in seconds. */
#define SAMPLE_US(metrics, family, us, ...)                                            \
	fprintf(begin(metrics, family, (const struct label[LABELS_MAX]){__VA_ARGS__}), \
		"%" PRIu64 ".%06" PRIu64 "\n", (us) / 1000000, (us) % 1000000)

/* A record's time. Return: false when there is none. */
static bool to_us(const char *time, uint64_t *ret)
{
	static const struct timespec never;
	struct timespec at;

	if (!time || !*time || quantity_parse_time(time, &never, &at) < 0 || at.tv_sec < 0)
		return false;
	*ret = (uint64_t)at.tv_sec * 1000000 + (uint64_t)at.tv_nsec / 1000;
	return true;
}

static int64_t number(const struct json *object, const char *key)
{
	int64_t value = 0;

	return json_int(json_get(object, key), &value) == 0 && value > 0 ? value : 0;
}

/* ---- the uplink ---- */

static void add_scope(struct metrics *metrics, const char *pod, const struct json *scope)
{
	static const struct {
		enum family family;
		const char *key;
	} plain[] = {{M_UPLINK_FLOWS, "flows"}, {M_UPLINK_FLOWS_TOTAL, "flowsTotal"},
		{M_UPLINK_DENIED, "denied"}, {M_UPLINK_OVER_QUOTA, "overQuota"},
		{M_UPLINK_FAILED, "failed"}, {M_UPLINK_FALLBACKS, "fallbacks"}};
	static const struct {
		enum family family;
		const char *out, *in;
	} both[] = {{M_UPLINK_BYTES, "bytesOut", "bytesIn"},
		{M_UPLINK_FRAMES, "framesOut", "framesIn"},
		{M_UPLINK_FRAME_BYTES, "frameBytesOut", "frameBytesIn"}};
	const char *child = json_string(json_get(scope, "child"));

	child = child ? child : "";
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		SAMPLE(metrics, plain[i].family, number(scope, plain[i].key), {"pod", pod},
			{"container", child});
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		SAMPLE(metrics, both[i].family, number(scope, both[i].out), {"pod", pod},
			{"container", child}, {"direction", "out"});
		SAMPLE(metrics, both[i].family, number(scope, both[i].in), {"pod", pod},
			{"container", child}, {"direction", "in"});
	}
}

static void add_uplink(struct metrics *metrics, const char *pod, const struct json *uplink)
{
	const struct json *stats = json_get(uplink, "stats");
	const struct json *scopes = json_get(stats, "scopes");
	const char *path = json_string(json_get(uplink, "path"));
	const char *queue = json_string(json_get(uplink, "queue"));

	if (!uplink)
		return;
	SAMPLE(metrics, M_UPLINK_INFO, 1, {"pod", pod}, {"path", path ? path : ""},
		{"queue", queue ? queue : ""});
	SAMPLE(metrics, M_UPLINK_RESTARTS, number(uplink, "restarts"), {"pod", pod});
	if (!stats)
		return;
	SAMPLE(metrics, M_UPLINK_DROPPED, number(stats, "droppedIn"), {"pod", pod});
	for (size_t i = 0; i < json_length(scopes); i++)
		add_scope(metrics, pod, json_at(scopes, i));
}

/* ---- containers ---- */

/* What children are in, as podctl ps calls it. */
static const char *const phases[] = {"created", "starting", "running", "paused", "restarting",
	"stopping", "exited", "adding", "attached", "detaching"};

#define PHASES_N (sizeof(phases) / sizeof(phases[0]))

static void add_usage(struct metrics *metrics, const char *pod, const char *name,
	const struct container_state *state)
{
	struct cgroup_stats stats;

	if (!state->cgroup || cgroup_stats(state->cgroup, &stats) < 0)
		return;
	SAMPLE_US(metrics, M_CONTAINER_CPU, stats.cpu_us, {"pod", pod}, {"container", name});
	SAMPLE(metrics, M_CONTAINER_MEMORY, stats.memory, {"pod", pod}, {"container", name});
	SAMPLE(metrics, M_CONTAINER_PIDS, stats.pids, {"pod", pod}, {"container", name});
	SAMPLE(metrics, M_CONTAINER_OOM, stats.oom_kills, {"pod", pod}, {"container", name});
	if (stats.memory_limit > 0)
		SAMPLE(metrics, M_CONTAINER_MEMORY_LIMIT, stats.memory_limit, {"pod", pod},
			{"container", name});
}

static void add_health(struct metrics *metrics, const char *pod, const char *name,
	const struct container_state *state)
{
	for (int health = HEALTH_STARTING; health <= HEALTH_UNHEALTHY; health++)
		SAMPLE(metrics, M_CONTAINER_HEALTH, (int)state->health == health, {"pod", pod},
			{"container", name},
			{"health", container_healthiness_name((enum container_healthiness)health)});
}

static void add_exit(struct metrics *metrics, int childfd, const char *pod, const char *name)
{
	cleanup(container_exit_done) struct container_exit exit = {};

	if (container_exit_load(childfd, &exit, NULL) == 0)
		SAMPLE(metrics, M_CONTAINER_EXIT, container_exit_status(&exit), {"pod", pod},
			{"container", name});
}

static const char *add_made(struct metrics *metrics, int childfd, const char *pod, const char *name,
	const struct container_spec *spec)
{
	cleanup(container_state_done) struct container_state state = {};
	enum container_phase phase;
	uint64_t started;
	bool runs;

	if (container_state_load(childfd, &state, NULL) < 0)
		return NULL;
	phase = container_phase_now(&state);
	runs = phase != CONTAINER_CREATED && phase != CONTAINER_EXITED && proc_alive(&state.init);
	SAMPLE(metrics, M_CONTAINER_INFO, 1, {"pod", pod}, {"container", name}, {"id", spec->id},
		{"net", container_net_name(spec->net)});
	SAMPLE(metrics, M_CONTAINER_UP, runs, {"pod", pod}, {"container", name});
	SAMPLE(metrics, M_CONTAINER_RESTARTS, state.restarts, {"pod", pod}, {"container", name});
	if (to_us(state.started, &started))
		SAMPLE_US(metrics, M_CONTAINER_START, started, {"pod", pod}, {"container", name});
	if (spec->health.command)
		add_health(metrics, pod, name, &state);
	add_exit(metrics, childfd, pod, name);
	if (runs)
		add_usage(metrics, pod, name, &state);
	if (phase == CONTAINER_RUNNING && state.cgroup && cgroup_is_frozen(state.cgroup))
		return "paused";
	return container_phase_name(phase);
}

static const char *phase_of_attached(int childfd)
{
	cleanup(attachment_done) struct attachment attachment = {};

	if (attachment_load(childfd, &attachment, NULL) < 0)
		return NULL;
	if (attachment.phase == ATTACHMENT_ATTACHED)
		return proc_alive(&attachment.init) ? "attached" : "exited";
	return attachment.phase == ATTACHMENT_ADDING ? "adding" : "detaching";
}

/* Return: the phase; NULL when it has none. */
static const char *add_child(struct metrics *metrics, int podfd, const char *pod, const char *name)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;

	if (hierarchy_open_child(podfd, name, false, &childfd, NULL) < 0)
		return NULL;
	if (container_spec_load(childfd, &spec, NULL) == 0)
		return add_made(metrics, childfd, pod, name, &spec);
	return phase_of_attached(childfd);
}

static void add_children(struct metrics *metrics, int podfd, const char *pod)
{
	int64_t counts[PHASES_N] = {};
	autostrv names = NULL;

	if (hierarchy_children(podfd, HIERARCHY_CONTAINERS, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		const char *phase = add_child(metrics, podfd, pod, names[i]);

		for (size_t j = 0; phase && j < PHASES_N; j++)
			counts[j] += strcmp(phases[j], phase) == 0;
	}
	for (size_t j = 0; j < PHASES_N; j++)
		SAMPLE(metrics, M_CHILDREN, counts[j], {"pod", pod}, {"phase", phases[j]});
}

/* ---- pods ---- */

static size_t length_of(const struct metrics *metrics)
{
	size_t length = 0;

	for (int i = 0; i < FAMILIES_N; i++) {
		fflush(metrics->families[i].stream);
		length += metrics->families[i].length;
	}
	return length;
}

int metrics_add_pod(struct metrics *metrics, int podfd, const char *path,
	const struct json *inspection, struct err *err)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	cleanup(pod_state_done) struct pod_state state = {};
	const char *started = json_string(json_get(json_get(inspection, "supervisor"), "started"));
	enum pod_phase now;
	uint64_t us;

	if (pod_spec_load(podfd, &spec, NULL) < 0 || pod_state_load(podfd, &state, NULL) < 0)
		return 0;
	now = pod_state_phase_now(&state);
	SAMPLE(metrics, M_POD_INFO, 1, {"pod", path}, {"net", pod_net_name(spec.net)});
	for (int phase = POD_CREATED; phase <= POD_RESTARTING; phase++)
		SAMPLE(metrics, M_POD_PHASE, (int)now == phase, {"pod", path},
			{"phase", pod_phase_name((enum pod_phase)phase)});
	if (to_us(spec.created, &us))
		SAMPLE_US(metrics, M_POD_CREATED, us, {"pod", path});
	if (to_us(started, &us))
		SAMPLE_US(metrics, M_SUPERVISOR_START, us, {"pod", path});
	add_uplink(metrics, path, json_get(inspection, "uplink"));
	add_children(metrics, podfd, path);
	if (length_of(metrics) > METRICS_BYTES_MAX)
		return err_set(
			err, -E2BIG, "the metrics are more than %d bytes", METRICS_BYTES_MAX);
	return 0;
}

int metrics_write(struct metrics *metrics, char **ret, size_t *ret_length)
{
	char *text = NULL;
	size_t length = 0;
	FILE *stream;
	bool failed = length_of(metrics) > METRICS_BYTES_MAX;

	if (failed)
		return -E2BIG;
	stream = open_memstream(&text, &length);
	if (!stream)
		return -ENOMEM;
	for (int i = 0; i < FAMILIES_N; i++) {
		const struct text *family = &metrics->families[i];

		failed |= ferror(family->stream) != 0;
		if (family->length == 0)
			continue;
		fprintf(stream, "# HELP %s %s\n# TYPE %s %s\n", families[i].name, families[i].help,
			families[i].name, families[i].type);
		fwrite(family->data, 1, family->length, stream);
	}
	if (fclose(stream) != 0 || failed) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	*ret_length = length;
	return 0;
}
