/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl kill: sends a signal to the first process of containers. */

#include <stdint.h>
#include <stdio.h>

#include "quantity.h"
#include "shim.h"

#include "each.h"
#include "options.h"
#include "request.h"
#include "verbs.h"

static int kill_one(const struct ctl *ctl, const struct target *target, void *userdata,
	struct err *err)
{
	return request_shim(target, SHIM_SIGNAL, *(uint32_t *)userdata, 0, err);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const char *name = "KILL";
	uint32_t number = 0;
	struct each each = {.verb = &verb_kill, .paths = argv, .running_only = true,
		.action = kill_one, .userdata = &number};
	const struct option options[] = {
		{.name = "signal", .letter = 's', .argument = "SIGNAL", .text = &name,
			.help = "name or number (default: KILL)"},
		{.name = "all", .letter = 'a', .flag = &each.all,
			.help = "every running container"},
		{}};
	size_t n;
	int status = options_parse(&verb_kill, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (quantity_parse_signal(name, &number) < 0) {
		ctl_error("\"%s\" is not a signal", name);
		return CTL_FAILED;
	}
	return each_run(ctl, &each);
}

const struct ctl_verb verb_kill = {
	.name = "kill",
	.operands = "PATH...",
	.operands_max = SIZE_MAX,
	.summary = "Send a signal to containers",
	.details = "The signal goes to the first process of each container; PATH may be a pod, for all\n"
		   "that run in it.",
	.example = "podctl kill -s HUP net0/web",
	.run = run,
};
