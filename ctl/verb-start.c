/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl start: starts the supervisor of each pod and waits until the pod is ready. */

#include <stdint.h>

#include "lifecycle.h"
#include "options.h"
#include "verbs.h"

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	const struct option options[] = {OPTION_FORMAT(&format), {}};
	struct ctl_report report;
	bool json;
	size_t n;
	int status = options_parse(&verb_start, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_start, "--format must be json or table");
	ctl_report_begin(&report, json);
	for (size_t i = 0; i < n; i++) {
		struct err err = {};
		int r = lifecycle_start(ctl, argv[i], &err);

		ctl_report_add(&report, argv[i], r, &err, CTL_FAILED);
	}
	return ctl_report_end(&report);
}

const struct ctl_verb verb_start = {
	.name = "start",
	.operands = "POD...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Start pods and print their paths when packets can leave them",
	.details = "A pod that runs is left alone. One whose supervisor died gets a new one; its\n"
		   "namespaces, containers and connections are not disturbed.",
	.example = "podctl start net0",
	.run = run,
};
