/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl enable: has the caller's service manager start pods. */

#include <stdint.h>

#include "lifecycle.h"
#include "manager.h"
#include "options.h"
#include "pod.h"
#include "target.h"
#include "verbs.h"

/* A pod that runs without its unit cannot be taken into it: who is in what cgroup stays. */
static int start_now(const struct ctl *ctl, const struct target *target, struct err *err)
{
	cleanup(pod_state_done) struct pod_state state = {};
	int r;

	r = pod_state_load(target->podfd, &state, err);
	if (r < 0)
		return r;
	if (proc_alive(&state.outer) && !manager_runs(target->path, &state))
		return err_set(err, -EBUSY,
			"the unit is enabled, but the pod runs without it: stop the pod and start "
			"it, and "
			"it runs in its unit");
	return lifecycle_start(ctl, target->path, NULL, err);
}

/* Its unit would be left without it. */
static int refuse_auto_remove(const struct target *target, struct err *err)
{
	int r = pod_is_auto_removed(target->podfd, err);

	if (r <= 0)
		return r;
	return err_set(err, -EINVAL,
		"pod %s was made for a container and is removed with it; make one by podctl create",
		target->path);
}

static int enable(const struct ctl *ctl, const char *name, bool now, struct err *err)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	int r;

	r = target_open(ctl, name, TARGET_ANY, &target, err);
	if (r == 0 && !target.is_pod)
		r = err_set(err, -EINVAL,
			"%s is a container; enable its pod, whose containers are started with it",
			name);
	if (r == 0)
		r = refuse_auto_remove(&target, err);
	if (r == 0)
		r = manager_enable(ctl, target.path, err);
	if (r == 0)
		manager_warn(ctl, target.path);
	return r == 0 && now ? start_now(ctl, &target, err) : r;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	bool now = false;
	const struct option options[] = {
		{.name = "now", .flag = &now, .help = "start them as well"},
		OPTION_FORMAT(&format), {}};
	struct ctl_report report;
	bool json;
	size_t n;
	int status = options_parse(&verb_enable, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_enable, "--format must be json or table");
	ctl_report_begin(&report, json);
	for (size_t i = 0; i < n; i++) {
		struct err err = {};
		int r = enable(ctl, argv[i], now, &err);

		ctl_report_add(&report, argv[i], r, &err, CTL_FAILED);
	}
	return ctl_report_end(&report);
}

const struct ctl_verb verb_enable = {
	.name = "enable",
	.operands = "POD...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Have systemd start pods, with their containers",
	.details = "Enables the unit podd@POD.service of the caller's manager: root's is the system's,\n"
		   "anybody else's the user's own, which runs all the time after 'loginctl\n"
		   "enable-linger'. podctl start and stop go by way of the unit then.",
	.example = "podctl enable --now net0",
	.run = run,
};
