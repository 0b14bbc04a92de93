/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl stop: has the shims of containers, all at once, and the supervisors of pods, one after the
 * other, end them.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lifecycle.h"
#include "options.h"
#include "stop.h"
#include "text.h"
#include "verbs.h"

/* What is named, sorted: containers are stopped together. */
struct chosen {
	struct stop *containers;
	size_t n_containers;
	char **pods;
};

static void chosen_done(struct chosen *chosen)
{
	for (size_t i = 0; i < chosen->n_containers; i++)
		stop_done(&chosen->containers[i]);
	free(chosen->containers);
	strv_free(chosen->pods);
}

static int choose(const struct ctl *ctl, char *const *names, struct chosen *chosen,
	struct ctl_report *report)
{
	chosen->containers = calloc(strv_length(names) + 1, sizeof(*chosen->containers));
	if (!chosen->containers)
		return -ENOMEM;
	for (size_t i = 0; names[i]; i++) {
		struct stop *stop = &chosen->containers[chosen->n_containers];
		struct err err = {};
		int r;

		stop->socket = -1;
		stop->target.podfd = stop->target.childfd = -1;
		r = target_open(ctl, names[i], TARGET_ANY, &stop->target, &err);
		if (r < 0) {
			ctl_report_add(report, names[i], r, &err, CTL_FAILED);
		} else if (!stop->target.is_pod) {
			chosen->n_containers++;
		} else {
			target_done(&stop->target);
			if (strv_add(&chosen->pods, stop->target.path) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int stop_all(const struct ctl *ctl, char *const *names, uint32_t seconds, bool json)
{
	cleanup(chosen_done) struct chosen chosen = {};
	struct ctl_report report;
	struct err err = {};
	int r;

	ctl_report_begin(&report, json);
	r = choose(ctl, names, &chosen, &report);
	if (r < 0) {
		json_free(report.array);
		return ctl_fail(r, &err);
	}
	stop_containers(ctl, chosen.containers, chosen.n_containers, seconds);
	for (size_t i = 0; i < chosen.n_containers; i++)
		ctl_report_add(&report, chosen.containers[i].target.path,
			chosen.containers[i].result, &chosen.containers[i].err, CTL_FAILED);
	for (size_t i = 0; chosen.pods && chosen.pods[i]; i++) {
		err.msg[0] = '\0';
		r = lifecycle_stop(ctl, chosen.pods[i],
			seconds == STOP_DEFAULT ? LIFECYCLE_STOP_SECONDS : seconds, &err);
		ctl_report_add(&report, chosen.pods[i], r, &err, CTL_FAILED);
	}
	return ctl_report_end(&report);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	uint32_t seconds = STOP_DEFAULT;
	const char *format = NULL;
	bool all = false;
	const struct option options[] = {{.name = "time",
						 .letter = 't',
						 .argument = "SECONDS",
						 .number = &seconds,
						 .max = LIFECYCLE_STOP_SECONDS_MAX,
						 .help = "until what still runs is killed "
							 "(default: 10, or the container's own)"},
		{.name = "all", .letter = 'a', .flag = &all, .help = "stop every pod"},
		OPTION_FORMAT(&format), {}};
	autostrv paths = NULL;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_stop, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_stop, "--format must be json or table");
	if (all == (n > 0))
		return ctl_usage_error(
			&verb_stop, all ? "--all goes without POD" : "POD is missing");
	if (!all)
		return stop_all(ctl, argv, seconds, json);
	r = lifecycle_all(ctl, true, &paths, &err);
	return r < 0 ? ctl_fail(r, &err) : stop_all(ctl, paths, seconds, json);
}

const struct ctl_verb verb_stop = {
	.name = "stop",
	.operands = "POD|CONTAINER...",
	.operands_max = SIZE_MAX,
	.summary = "Stop containers, or pods with what is in them",
	.details = "Containers get their stop signal (SIGTERM), and SIGKILL when the time is over;\n"
		   "several have the same time. Those of a pod are ended in the reverse order of\n"
		   "their start. What does not run is left alone.",
	.example = "podctl stop -t 3 net0",
	.run = run,
};
