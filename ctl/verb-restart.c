/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl restart: stops and starts again, pods with their containers, or containers. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lifecycle.h"
#include "options.h"
#include "start.h"
#include "stop.h"
#include "text.h"
#include "verbs.h"

/* The end of one that was run with --rm would be its last. */
static int refuse_auto_remove(const struct target *target, struct err *err)
{
	struct container_spec spec;
	bool auto_remove;
	int r;

	r = container_spec_load(target->childfd, &spec, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	auto_remove = spec.auto_remove;
	container_spec_done(&spec);
	if (auto_remove)
		return err_set(err, -EINVAL,
			"container %s was made with --rm: it is removed when it ends",
			target->path);
	return 0;
}

static int restart_container(const struct ctl *ctl, const struct target *target, uint32_t seconds,
	uint64_t order, struct err *err)
{
	int r;

	r = refuse_auto_remove(target, err);
	if (r == 0)
		r = stop_container(ctl, target, seconds, err);
	return r < 0 ? r : start_container(ctl, target, order, err);
}

static int restart_pod(const struct ctl *ctl, const char *path, uint32_t seconds, uint64_t order,
	struct err *err)
{
	int r;

	r = lifecycle_stop(ctl, path,
		seconds == STOP_DEFAULT ? LIFECYCLE_STOP_SECONDS : seconds, err);
	if (r == 0)
		r = lifecycle_start(ctl, path, NULL, err);
	return r < 0 ? r : start_pod_containers(ctl, path, order, err);
}

static int restart_all(const struct ctl *ctl, char *const *names, uint32_t seconds, bool json)
{
	uint64_t order = start_order();
	struct ctl_report report;

	ctl_report_begin(&report, json);
	for (size_t i = 0; names[i]; i++) {
		struct target target = {.podfd = -1, .childfd = -1};
		struct err err = {};
		int r = target_open(ctl, names[i], TARGET_ANY, &target, &err);

		if (r == 0 && target.is_pod)
			r = restart_pod(ctl, target.path, seconds, order, &err);
		else if (r == 0)
			r = restart_container(ctl, &target, seconds, order, &err);
		ctl_report_add(&report, r < 0 ? names[i] : target.path, r, &err, CTL_FAILED);
		target_done(&target);
	}
	return ctl_report_end(&report);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	uint32_t seconds = STOP_DEFAULT;
	const char *format = NULL;
	const struct option options[] = {
		{.name = "time", .letter = 't', .argument = "SECONDS", .number = &seconds,
			.max = LIFECYCLE_STOP_SECONDS_MAX, .help = "as in podctl stop"},
		OPTION_FORMAT(&format), {}};
	bool json;
	size_t n;
	int status = options_parse(&verb_restart, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_restart, "--format must be json or table");
	return restart_all(ctl, argv, seconds, json);
}

const struct ctl_verb verb_restart = {
	.name = "restart",
	.operands = "POD|CONTAINER...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Stop and start again",
	.details = "What does not run is only started. Pods in a pod are stopped with it, and not\n"
		   "started with it: name them as well.",
	.example = "podctl restart -t 3 net0/web",
	.run = run,
};
