/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl disable: the caller's service manager starts pods no more. */

#include <stdint.h>

#include "lifecycle.h"
#include "manager.h"
#include "options.h"
#include "target.h"
#include "verbs.h"

static int disable(const struct ctl *ctl, const char *name, bool now, struct err *err)
{
	int r;

	r = name_check_path(name, err);
	if (r == 0)
		r = manager_disable(ctl, name, err);
	if (r == 0 && now)
		r = lifecycle_stop(ctl, name, LIFECYCLE_STOP_SECONDS, err);
	return r;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	bool now = false;
	const struct option options[] = {
		{.name = "now", .flag = &now, .help = "stop them as well"},
		OPTION_FORMAT(&format), {}};
	struct ctl_report report;
	bool json;
	size_t n;
	int status = options_parse(&verb_disable, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_disable, "--format must be json or table");
	ctl_report_begin(&report, json);
	for (size_t i = 0; i < n; i++) {
		struct err err = {};
		int r = disable(ctl, argv[i], now, &err);

		ctl_report_add(&report, argv[i], r, &err, CTL_FAILED);
	}
	return ctl_report_end(&report);
}

const struct ctl_verb verb_disable = {
	.name = "disable",
	.operands = "POD...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Have systemd start pods no more",
	.details = "Takes back what podctl enable has done. What runs goes on. A pod need not be there.",
	.example = "podctl disable --now net0",
	.run = run,
};
