/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl stop: has the supervisor of each pod end the pod's children and then the pod. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lifecycle.h"
#include "options.h"
#include "text.h"
#include "verbs.h"

static int stop_pods(const struct ctl *ctl, char *const *paths, uint32_t seconds, bool json)
{
	struct ctl_report report;

	ctl_report_begin(&report, json);
	for (size_t i = 0; paths[i]; i++) {
		struct err err = {};
		int r = lifecycle_stop(ctl, paths[i], seconds, &err);

		ctl_report_add(&report, paths[i], r, &err, CTL_FAILED);
	}
	return ctl_report_end(&report);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	uint32_t seconds = LIFECYCLE_STOP_SECONDS;
	const char *format = NULL;
	bool all = false;
	const struct option options[] = {
		{.name = "time", .letter = 't', .argument = "SECONDS", .number = &seconds,
			.max = LIFECYCLE_STOP_SECONDS_MAX,
			.help = "what children get until they are killed (default: 10)"},
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
		return ctl_usage_error(&verb_stop, all ? "--all goes without POD" : "POD is missing");
	if (!all)
		return stop_pods(ctl, argv, seconds, json);
	r = lifecycle_all(ctl, true, &paths, &err);
	return r < 0 ? ctl_fail(r, &err) : stop_pods(ctl, paths, seconds, json);
}

const struct ctl_verb verb_stop = {
	.name = "stop",
	.operands = "POD...",
	.operands_max = SIZE_MAX,
	.summary = "Stop pods, what is in them first",
	.details = "Containers get SIGTERM, and SIGKILL when the time is over. A pod that does not\n"
		   "run is left alone.",
	.example = "podctl stop -t 3 net0",
	.run = run,
};
