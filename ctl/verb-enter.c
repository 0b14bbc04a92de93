/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl enter: runs a command as the pod's root inside the pod's namespaces. podctl itself
 * becomes the command, so that terminal, signals and exit status need no help.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ns.h"
#include "record.h"
#include "text.h"

#include "options.h"
#include "verbs.h"

#define DEFAULT_PATH "/usr/sbin:/usr/bin:/sbin:/bin"

/* Opens the namespaces of a pod that runs. */
static int open_namespaces(const struct ctl *ctl, const char *path, struct ns_set *ret,
	struct err *err)
{
	autoclose int podfd = -1;
	autoclose int procdir = -1;
	struct pod_state state;
	enum pod_phase phase;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, err);
	if (r == 0)
		r = pod_state_load(podfd, &state, err);
	if (r < 0)
		return r;
	phase = pod_state_phase_now(&state);
	if (phase != POD_RUNNING)
		r = err_set(err, -ENOENT, "pod %s is %s; run 'podctl start %s' first", path,
			pod_phase_name(phase), path);
	if (r == 0 && (r = proc_open_dir(&state.outer, &procdir)) < 0)
		err_set(err, r, "pod %s: its outer container has just ended", path);
	if (r == 0) {
		r = ns_open(procdir, state.namespaces, ret, err);
		if (r < 0)
			err_wrap(err, r, "entering pod %s", path);
	}
	pod_state_done(&state);
	return r;
}

/* Changes into the pod; the directory stays the same where the pod has it. */
static int enter(const struct ctl *ctl, const char *path, struct err *err)
{
	autofree char *directory = getcwd(NULL, 0);
	struct ns_set namespaces;
	int r;

	ns_set_init(&namespaces);
	r = open_namespaces(ctl, path, &namespaces, err);
	if (r < 0)
		return r;
	r = ns_join(&namespaces, err);
	ns_set_done(&namespaces);
	if (r < 0)
		return err_wrap(err, r, "entering pod %s", path);
	if ((!directory || chdir(directory) < 0) && chdir("/") < 0)
		return err_errno(err, "entering pod %s: changing to /", path);
	return 0;
}

/* As execvp(3), but a directory in $PATH that the pod's root may not search does not turn "not
 * found" into "permission denied". Returns only on failure. Return: errno. */
static int execute(char **argv)
{
	const char *path = getenv("PATH");
	autostrv directories = NULL;
	int number = ENOENT;

	if (strchr(argv[0], '/')) {
		execv(argv[0], argv);
		return errno;
	}
	if (strv_split(path ? path : DEFAULT_PATH, ':', &directories) < 0)
		return ENOMEM;
	for (size_t i = 0; directories && directories[i]; i++) {
		autofree char *file = text_format("%s/%s", directories[i], argv[0]);

		if (!file)
			return ENOMEM;
		if (access(file, F_OK) < 0)
			continue;
		execv(file, argv);
		number = errno;
	}
	return number;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const struct option options[] = {{}};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_enter, options, argc, argv, &n);
	int number, r;

	if (status >= 0)
		return status;
	r = enter(ctl, argv[0], &err);
	if (r < 0)
		return ctl_fail(r, &err);
	setenv("PODD_POD", argv[0], true);
	number = execute(argv + 1);
	ctl_error("%s: %s", argv[1], strerror(number));
	return number == ENOENT ? CTL_NOT_FOUND : CTL_NOT_RUNNABLE;
}

const struct ctl_verb verb_enter = {
	.name = "enter",
	.operands = "POD -- COMMAND [ARGUMENT...]",
	.operands_min = 2,
	.operands_max = SIZE_MAX,
	.command_follows = true,
	.summary = "Run a command inside a pod's namespaces",
	.details = "The command is run as the pod's root, in the same directory where the pod has\n"
		   "it, with $PODD_POD set to the pod's path. The exit status is the command's; 125\n"
		   "when podctl failed, 126 when the command cannot be run, 127 when it is not found.",
	.example = "podctl enter net0 -- ip address",
	.run = run,
};
