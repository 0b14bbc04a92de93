/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl upgrade: replaces the supervisors of pods that run by the installed version. */

#include <stdint.h>
#include <stdlib.h>

#include "text.h"

#include "lifecycle.h"
#include "options.h"
#include "upgrade.h"
#include "verbs.h"

static int upgrade_all(const struct ctl *ctl, char *const *paths, bool uplink, bool json)
{
	struct ctl_report report;

	ctl_report_begin(&report, json);
	for (size_t i = 0; paths[i]; i++) {
		struct err err = {};
		int r = upgrade_pod(ctl, paths[i], uplink, &err);

		ctl_report_add(&report, paths[i], r, &err, CTL_FAILED);
	}
	return ctl_report_end(&report);
}

/* With --all those that do not run are passed over. */
static int list_running(const struct ctl *ctl, char ***ret, struct err *err)
{
	char **paths = NULL;
	size_t kept = 0;
	int r;

	r = lifecycle_all(ctl, false, &paths, err);
	if (r < 0)
		return r;
	for (size_t i = 0; paths[i]; i++) {
		if (upgrade_is_possible(ctl, paths[i]))
			paths[kept++] = paths[i];
		else
			free(paths[i]);
	}
	paths[kept] = NULL;
	*ret = paths;
	return 0;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	bool all = false, uplink = false;
	const char *format = NULL;
	const struct option options[] = {
		{.name = "all", .letter = 'a', .flag = &all, .help = "every pod that runs"},
		{.name = "uplink",
			.flag = &uplink,
			.help = "podd-uplink, too: the pod's connections end"},
		OPTION_FORMAT(&format), {}};
	autostrv paths = NULL;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_upgrade, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_upgrade, "--format must be json or table");
	if (all == (n > 0))
		return ctl_usage_error(
			&verb_upgrade, all ? "--all goes without POD" : "POD is missing");
	if (!all)
		return upgrade_all(ctl, argv, uplink, json);
	r = list_running(ctl, &paths, &err);
	return r < 0 ? ctl_fail(r, &err) : upgrade_all(ctl, paths, uplink, json);
}

const struct ctl_verb verb_upgrade = {
	.name = "upgrade",
	.operands = "POD...",
	.operands_max = SIZE_MAX,
	.summary = "Replace the supervisors of pods by the installed version, while they run",
	.details =
		"Containers, their connections and sessions go on; who follows events is told, "
		"and\n"
		"goes on as well. With --uplink the pod's way out is replaced, too: connections "
		"that\n"
		"leave the pod or came by published ports end. A version that does not start "
		"leaves\n"
		"the one before it in place. 'podctl ps' shows a pod's version where it is "
		"another\n"
		"than the installed one.",
	.example = "podctl upgrade --all",
	.run = run,
};
