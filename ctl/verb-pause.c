/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl pause: freezes all processes of containers. */

#include <stdint.h>

#include "freeze.h"
#include "verbs.h"

static int run(const struct ctl *ctl, int argc, char **argv)
{
	return freeze_run(ctl, &verb_pause, true, argc, argv);
}

const struct ctl_verb verb_pause = {
	.name = "pause",
	.operands = "PATH...",
	.operands_max = SIZE_MAX,
	.summary = "Freeze the processes of containers",
	.details = "PATH may be a pod, for all that run in it. A container must have a cgroup of its own,\n"
		   "which needs cgroup v2 and a delegated cgroup when it is created.",
	.example = "podctl pause net0/web",
	.run = run,
};
