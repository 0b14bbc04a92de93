/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl attach: the standard descriptors together with those of a container that runs. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"
#include "text.h"

#include "attach.h"
#include "options.h"
#include "verbs.h"

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct attach values = {.input = true, .sig_proxy = true};
	bool no_stdin = false;
	const struct option options[] = {
		{.name = "detach-keys", .argument = "KEYS", .text = &values.detach_keys,
			.help = "keys that let go of it (default: ctrl-p,ctrl-q)"},
		{.name = "no-stdin", .flag = &no_stdin, .help = "only look on"},
		{.name = "sig-proxy", .flag = &values.sig_proxy,
			.help = "pass signals on (default: true, but not in a terminal)"},
		{}};
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_attach, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	r = target_open(ctl, argv[0], TARGET_CONTAINER, &target, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	values.input = !no_stdin;
	return attach_container(&target, &values);
}

const struct ctl_verb verb_attach = {
	.name = "attach",
	.operands = "CONTAINER",
	.operands_min = 1,
	.operands_max = 1,
	.passes_status = true,
	.summary = "Take over the input and output of a container that runs",
	.details = "CONTAINER may be a pod in which there is just one. Several may be attached at the\n"
		   "same time; the terminal has the size that came last. The exit status is the\n"
		   "container's, or 0 after the detach keys.",
	.example = "podctl attach net0/shell",
	.run = run,
};
