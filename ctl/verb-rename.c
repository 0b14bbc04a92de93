/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl rename: there is none, and why. */

#include <stdio.h>

#include "options.h"
#include "verbs.h"

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const struct option options[] = {{}};
	size_t n;
	int status = options_parse(&verb_rename, options, argc, argv, &n);

	if (status >= 0)
		return status;
	ctl_error("%s cannot be renamed: its name is part of its OCI id, of its address leases and of "
		  "what other programs have recorded about it; remove it and create %s instead",
		argv[0], argv[1]);
	return CTL_FAILED;
}

const struct ctl_verb verb_rename = {
	.name = "rename",
	.operands = "PATH NAME",
	.operands_min = 2,
	.operands_max = 2,
	.summary = "Refused: names are part of ids and records",
	.details = "A pod's or container's name is part of its OCI id, of its address leases and of what\n"
		   "other programs have recorded about it. Remove it and create another one.",
	.example = "podctl rm net0/web && podctl create --rootfs DIR net0/www -- httpd -f",
	.run = run,
};
