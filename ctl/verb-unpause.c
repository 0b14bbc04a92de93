/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl unpause: lets the processes of paused containers go on. */

#include <stdint.h>

#include "freeze.h"
#include "verbs.h"

static int run(const struct ctl *ctl, int argc, char **argv)
{
	return freeze_run(ctl, &verb_unpause, false, argc, argv);
}

const struct ctl_verb verb_unpause = {
	.name = "unpause",
	.operands = "PATH...",
	.operands_max = SIZE_MAX,
	.summary = "Let paused containers go on",
	.details = "PATH may be a pod, for all that run in it.",
	.example = "podctl unpause net0/web",
	.run = run,
};
