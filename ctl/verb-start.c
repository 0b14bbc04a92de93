/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl start: starts pods, with the containers in them, and containers. A pod is ready when its
 * supervisor says so, a container when the runtime has started its command.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#include "attach.h"
#include "filters.h"
#include "lifecycle.h"
#include "options.h"
#include "pod.h"
#include "start.h"
#include "supervisor.h"
#include "verbs.h"

static const char *const filter_keys[] = {"restart", "name", "label"};

#define FILTER_KEYS_N (sizeof(filter_keys) / sizeof(filter_keys[0]))

struct start_options {
	bool all;
	char **filters;
	bool attach;
	bool interactive;
	bool new;
	struct attach joined;
	const char *format;
};

static int start_target(const struct ctl *ctl, const struct target *target, uint64_t order,
	struct err *err)
{
	bool took_over;
	int r;

	if (!target->is_pod)
		return start_container(ctl, target, order, err);
	r = lifecycle_start(ctl, target->path, &took_over, err);
	/* The pod was running all the time: what has ended in it, has ended. */
	return r < 0 || took_over ? r : start_pod_containers(ctl, target->path, order, err);
}

/* For ExecStartPost= of podd@.service: the supervisor runs, and knows whether it adopted the pod. */
static int start_new(const struct ctl *ctl, const char *name)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) reply = NULL;
	bool adopted = false;
	struct err err = {};
	int r;

	r = supervisor_open(ctl, name, &supervisor, &err);
	if (r == 0)
		r = supervisor_call(&supervisor, "Inspect", NULL, &reply, &err);
	if (r == 0)
		r = json_read_bool(reply, "adopted", true, &adopted, &err);
	if (r == 0 && !adopted)
		r = start_pod_containers(ctl, supervisor.pod, start_order(), &err);
	return r < 0 ? ctl_fail(r, &err) : CTL_OK;
}

static int start_all(const struct ctl *ctl, char *const *names, bool json)
{
	uint64_t order = start_order();
	struct ctl_report report;

	ctl_report_begin(&report, json);
	for (size_t i = 0; names[i]; i++) {
		struct target target = {.podfd = -1, .childfd = -1};
		struct err err = {};
		int r = target_open(ctl, names[i], TARGET_ANY, &target, &err);

		if (r == 0)
			r = start_target(ctl, &target, order, &err);
		ctl_report_add(&report, r < 0 ? names[i] : target.path, r, &err, CTL_FAILED);
		target_done(&target);
	}
	return ctl_report_end(&report);
}

/* ---- --all ---- */

static bool label_matches(const struct json *labels, const char *value)
{
	const char *separator = strchr(value, '=');
	autofree char *key = strndup(value, strcspn(value, "="));
	const char *found = key ? json_string(json_get(labels, key)) : NULL;

	return found && (!separator || strcmp(found, separator + 1) == 0);
}

static bool value_matches(const void *thing, const char *key, const char *value)
{
	const struct pod_spec *spec = thing;

	if (strcmp(key, "restart") == 0)
		return strcmp(pod_restart_name(spec->restart), value) == 0;
	if (strcmp(key, "name") == 0)
		return strstr(spec->path, value) != NULL;
	return label_matches(spec->labels, value);
}

/* Is it one of those, and does not run? What cannot be read is told when it is started. */
static bool is_chosen(const struct ctl *ctl, const char *path, char *const *filters)
{
	cleanup(pod_running_done) struct pod_running pod = POD_RUNNING_NONE;
	struct pod_spec spec;
	bool chosen;

	if (pod_open(ctl, path, &pod, NULL) < 0 || pod_spec_load(pod.podfd, &spec, NULL) < 0)
		return !filters;
	chosen = filters_accept(filters, filter_keys, FILTER_KEYS_N, value_matches, &spec) &&
		 !pod_is_running(&pod);
	pod_spec_done(&spec);
	return chosen;
}

static int start_chosen(const struct ctl *ctl, char *const *filters, bool json)
{
	autostrv paths = NULL;
	struct err err = {};
	size_t kept = 0;
	int r;

	r = lifecycle_all(ctl, false, &paths, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	for (size_t i = 0; paths[i]; i++) {
		if (is_chosen(ctl, paths[i], filters))
			paths[kept++] = paths[i];
		else
			free(paths[i]);
	}
	paths[kept] = NULL;
	return start_all(ctl, paths, json);
}

static int start_attached(const struct ctl *ctl, const char *name,
	const struct start_options *options)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct err err = {};
	int r;

	r = target_open(ctl, name, TARGET_CONTAINER, &target, &err);
	return r < 0 ? ctl_fail(r, &err) : attach_and_start(ctl, &target, &options->joined);
}

static void start_options_done(struct start_options *options)
{
	strv_free(options->filters);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(start_options_done) struct start_options values = {.joined.sig_proxy = true};
	const struct option options[] = {
		{.name = "all", .flag = &values.all, .help = "every pod that does not run"},
		{.name = "filter", .letter = 'f', .argument = "KEY=VALUE", .list = &values.filters,
			.help = "with --all: restart=no|on-failure|always, name=PART, label="},
		{.name = "attach", .letter = 'a', .flag = &values.attach,
			.help = "stay with the container: its output, and its exit status"},
		{.name = "interactive", .letter = 'i', .flag = &values.interactive,
			.help = "pass the standard input on, too"},
		{.name = "detach-keys", .argument = "KEYS", .text = &values.joined.detach_keys,
			.help = "keys that let go of it (default: ctrl-p,ctrl-q)"},
		{.name = "sig-proxy", .flag = &values.joined.sig_proxy,
			.help = "pass signals on (default: true, but not in a terminal)"},
		{.name = "new", .flag = &values.new,
			.help = "only containers, of a pod that its unit has started anew"},
		OPTION_FORMAT(&values.format), {}};
	bool json;
	size_t n;
	int status = options_parse(&verb_start, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(values.format, &json) < 0)
		return ctl_usage_error(&verb_start, "--format must be json or table");
	if (values.new)
		return start_new(ctl, argv[0]);
	if (values.all == (n > 0))
		return ctl_usage_error(&verb_start,
			values.all ? "--all goes without POD" : "POD or CONTAINER is missing");
	if (values.filters && !values.all)
		return ctl_usage_error(&verb_start, "--filter goes with --all");
	status = filters_check(&verb_start, values.filters, filter_keys, FILTER_KEYS_N,
		"restart=, name= or label=...");
	if (status >= 0)
		return status;
	if (values.all)
		return start_chosen(ctl, values.filters, json);
	if (!values.attach && !values.interactive)
		return start_all(ctl, argv, json);
	if (n > 1)
		return ctl_usage_error(&verb_start, "only one container can be attached");
	values.joined.input = values.interactive;
	return start_attached(ctl, argv[0], &values);
}

const struct ctl_verb verb_start = {
	.name = "start",
	.operands = "POD|CONTAINER...",
	.operands_max = SIZE_MAX,
	.passes_status = true,
	.summary = "Start pods with their containers, or containers",
	.details = "Paths are printed when packets can leave the pod, or the command runs. What runs\n"
		   "is left alone. A pod whose supervisor died gets a new one, and nothing else of it\n"
		   "is disturbed or started. A container's pod is started first. Pods in a\n"
		   "pod are not started with it. --all --filter restart=always starts the pods that\n"
		   "are to run from the machine's start on.",
	.example = "podctl start net0",
	.run = run,
};
