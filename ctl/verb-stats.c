/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl stats: what containers use, once or again and again. The share of a CPU is that since the
 * container's start, and from the second look on that since the last one.
 */

#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "quantity.h"
#include "text.h"

#include "each.h"
#include "format.h"
#include "options.h"
#include "stats-network.h"
#include "table.h"
#include "usage.h"
#include "verbs.h"

#define INTERVAL_SECONDS 5
#define INTERVAL_SECONDS_MAX 86400
#define CLEAR_SCREEN "\033[2J\033[H"

struct stats_options {
	bool all;
	bool no_stream;
	bool no_reset;
	bool no_trunc;
	bool json;
	bool network;
	uint32_t interval;
};

/* What is known of one container from look to look. */
struct sample {
	char path[NAME_PATH_SIZE];
	char id[NAME_PATH_SIZE];
	bool is_running;
	struct usage usage;
	int64_t at_us;         /* CLOCK_REALTIME */
	int64_t started_us;
	uint64_t cpu_permille; /* thousandths of a percent */
};

struct samples {
	struct sample *list;
	size_t n;
};

static void samples_done(struct samples *samples)
{
	free(samples->list);
	*samples = (struct samples){};
}

static int64_t microseconds(const struct timespec *time)
{
	return time->tv_sec * INT64_C(1000000) + time->tv_nsec / 1000;
}

static const struct sample *find(const struct samples *samples, const char *path)
{
	for (size_t i = 0; i < samples->n; i++)
		if (strcmp(samples->list[i].path, path) == 0)
			return &samples->list[i];
	return NULL;
}

/* ---- looking ---- */

/* Since the last look, or since the start where that is another run or none. */
static uint64_t cpu_share(const struct sample *sample, const struct sample *last)
{
	bool same = last && last->started_us == sample->started_us &&
		    last->usage.cpu_us <= sample->usage.cpu_us;
	int64_t passed = sample->at_us - (same ? last->at_us : sample->started_us);
	uint64_t used = sample->usage.cpu_us - (same ? last->usage.cpu_us : 0);

	return passed > 0 ? used * 100000 / (uint64_t)passed : 0;
}

static int fill_sample(const struct target *target, const struct processes *processes,
	struct sample *sample, struct err *err)
{
	static const struct timespec never;
	struct container_spec spec;
	struct container_state state;
	struct timespec time = {};
	int r;

	r = container_spec_load(target->childfd, &spec, err);
	if (r < 0)
		return r;
	r = container_state_load(target->childfd, &state, err);
	if (r == 0) {
		r = usage_read(&spec, &state, processes, &sample->usage, err);
		sample->is_running = proc_alive(&state.init);
		memcpy(sample->path, target->path, sizeof(sample->path));
		memcpy(sample->id, spec.id, sizeof(sample->id));
		if (quantity_parse_time(state.started, &never, &time) == 0)
			sample->started_us = microseconds(&time);
		clock_gettime(CLOCK_REALTIME, &time);
		sample->at_us = microseconds(&time);
		container_state_done(&state);
	}
	container_spec_done(&spec);
	return r;
}

/* One that is removed while we look is left out. @only_running: so is what does not run. */
static int take_samples(const struct ctl *ctl, char *const *paths, bool only_running,
	const struct samples *last, struct samples *ret, struct err *err)
{
	cleanup(samples_done) struct samples samples = {};
	cleanup(processes_done) struct processes processes = {};
	int r;

	samples.list = calloc(strv_length(paths) + 1, sizeof(*samples.list));
	if (!samples.list)
		return err_oom(err);
	r = processes_read(&processes, err);
	for (size_t i = 0; r == 0 && paths[i]; i++) {
		cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
		struct sample *sample = &samples.list[samples.n];

		*sample = (struct sample){};
		if (target_open(ctl, paths[i], TARGET_CONTAINER, &target, NULL) < 0)
			continue;
		r = fill_sample(&target, &processes, sample, err);
		if (r == -ENOENT)
			r = 0;
		else if (r == 0 && (sample->is_running || !only_running)) {
			sample->cpu_permille = cpu_share(sample, find(last, sample->path));
			samples.n++;
		}
	}
	if (r < 0)
		return r;
	*ret = samples;
	samples = (struct samples){};
	return 0;
}

/* ---- printing ---- */

static const char *format_percent(uint64_t permille, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64 ".%02" PRIu64 "%%", permille / 1000, permille % 1000 / 10);
	return text;
}

static const char *format_pair(uint64_t a, uint64_t b, char *text, size_t size)
{
	char first[32], second[32];

	if (a == USAGE_UNKNOWN)
		text_copy(text, size, "--");
	else
		snprintf(text, size, "%s / %s", format_bytes(a, first, sizeof(first)),
			format_bytes(b, second, sizeof(second)));
	return text;
}

static uint64_t memory_share(const struct usage *usage)
{
	return usage->memory_limit
		       ? (uint64_t)((unsigned __int128)usage->memory * 100000 / usage->memory_limit)
		       : 0;
}

static void add_row(struct table *table, const struct sample *sample)
{
	char cpu[32], memory[80], share[32], net[80], pids[32], time[32];
	const char *cells[] = {sample->path,
		format_percent(sample->cpu_permille, cpu, sizeof(cpu)),
		format_pair(sample->usage.memory, sample->usage.memory_limit, memory,
			sizeof(memory)),
		format_percent(memory_share(&sample->usage), share, sizeof(share)),
		format_pair(sample->usage.received, sample->usage.sent, net, sizeof(net)), pids,
		time, NULL};

	snprintf(pids, sizeof(pids), "%" PRIu64, sample->usage.pids);
	snprintf(time, sizeof(time), "%" PRIu64 ".%03" PRIu64 "s", sample->usage.cpu_us / 1000000,
		sample->usage.cpu_us / 1000 % 1000);
	table_add(table, "", cells);
}

static int print_table(const struct samples *samples)
{
	static const char *const header[] = {
		"PATH", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET IO", "PIDS", "CPU TIME", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);

	for (size_t i = 0; i < samples->n; i++)
		add_row(table, &samples->list[i]);
	return table_print(table);
}

static struct json *known(uint64_t number)
{
	return number == USAGE_UNKNOWN ? json_new_null() : json_new_int((int64_t)number);
}

static int print_json(const struct samples *samples)
{
	struct json *array = json_new_array();
	char text[32];

	for (size_t i = 0; i < samples->n; i++) {
		const struct sample *sample = &samples->list[i];
		struct json *object = json_new_object();

		json_set_string(object, "path", sample->path);
		json_set_string(object, "id", sample->id);
		json_set_string(object, "cpuPercent",
			format_percent(sample->cpu_permille, text, sizeof(text)));
		json_set_int(object, "cpuTime", (int64_t)sample->usage.cpu_us);
		json_set_int(object, "memory", (int64_t)sample->usage.memory);
		json_set_int(object, "memoryLimit", (int64_t)sample->usage.memory_limit);
		json_set_string(object, "memoryPercent",
			format_percent(memory_share(&sample->usage), text, sizeof(text)));
		json_set(object, "netReceived", known(sample->usage.received));
		json_set(object, "netSent", known(sample->usage.sent));
		json_set_int(object, "pids", (int64_t)sample->usage.pids);
		json_append(array, object);
	}
	return ctl_print_json(array);
}

/* ---- the verb ---- */

/* Without operands, what runs is looked up each time. */
static int look_once(const struct ctl *ctl, char *const *operands,
	const struct stats_options *options, struct samples *samples, struct err *err)
{
	struct samples next = {};
	autostrv paths = NULL;
	int r;

	r = each_expand(ctl, operands, !operands[0], &paths, err);
	if (r == 0)
		r = take_samples(ctl, paths, !operands[0] && !options->all, samples, &next, err);
	if (r < 0)
		return r;
	samples_done(samples);
	*samples = next;
	return 0;
}

static int print_once(const struct samples *samples, const struct stats_options *options)
{
	int status;

	if (!options->no_stream && !options->no_reset && !options->json && isatty(STDOUT_FILENO))
		printf("%s", CLEAR_SCREEN);
	status = options->json ? print_json(samples) : print_table(samples);
	fflush(stdout);
	return ferror(stdout) ? CTL_FAILED : status;
}

/* Return: false when nobody reads any more. */
static bool await_next(uint32_t seconds)
{
	struct pollfd pollfd = {.fd = STDOUT_FILENO, .events = 0};

	return poll(&pollfd, 1, (int)seconds * 1000) == 0;
}

static int stats(const struct ctl *ctl, char *const *operands, const struct stats_options *options)
{
	cleanup(samples_done) struct samples samples = {};
	int status;

	do {
		struct err err = {};
		int r = look_once(ctl, operands, options, &samples, &err);

		if (r < 0)
			return ctl_fail(r, &err);
		status = print_once(&samples, options);
	} while (status == CTL_OK && !options->no_stream && await_next(options->interval));
	return status;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct stats_options values = {.interval = INTERVAL_SECONDS};
	const char *format = NULL;
	const struct option options[] = {{.name = "all",
						 .letter = 'a',
						 .flag = &values.all,
						 .help = "also what does not run"},
		{.name = "network",
			.flag = &values.network,
			.help = "what goes through the uplinks of pods: once, for PATHs that are "
				"pods"},
		{.name = "no-stream", .flag = &values.no_stream, .help = "once only"},
		{.name = "no-reset", .flag = &values.no_reset,
			.help = "do not clear the screen in between"},
		{.name = "no-trunc", .flag = &values.no_trunc,
			.help = "without meaning: paths are never cut"},
		{.name = "interval", .letter = 'i', .argument = "SECONDS", .number = &values.interval,
			.min = 1, .max = INTERVAL_SECONDS_MAX, .help = "between looks (default: 5)"},
		OPTION_FORMAT(&format), {}};
	size_t n;
	int status = options_parse(&verb_stats, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &values.json) < 0)
		return ctl_usage_error(&verb_stats, "--format must be json or table");
	if (values.all && n > 0)
		return ctl_usage_error(&verb_stats, "--all goes without PATH");
	if (values.network)
		return stats_network(ctl, argv, values.json);
	return stats(ctl, argv, &values);
}

const struct ctl_verb verb_stats = {
	.name = "stats",
	.operands = "[PATH...]",
	.operands_max = SIZE_MAX,
	.summary = "Show what containers use: CPU, memory, network, processes",
	.details = "Without PATH: every container that runs. PATH may be a pod, for all containers in it.\n"
		   "The numbers are those of the container's cgroup, or without one the sum of its\n"
		   "processes. Network traffic is shown for those with an own network namespace.",
	.example = "podctl stats --no-stream net0",
	.run = run,
};
