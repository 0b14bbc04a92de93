/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl: what a person types. Finds the verb in the table, the root of the hierarchy, and lets
 * the verb do the rest. podctl keeps nothing running and writes pod.json and config.json only.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hierarchy.h"
#include "text.h"

#include "verbs.h"

static const struct ctl_verb *const verbs[] = {
	&verb_run, &verb_create, &verb_start, &verb_stop, &verb_restart, &verb_kill, &verb_pause,
	&verb_unpause, &verb_wait, &verb_rm, &verb_prune, &verb_rename, &verb_exec, &verb_attach,
	&verb_logs, &verb_top, &verb_stats, &verb_events, &verb_update, &verb_ps, &verb_inspect,
	&verb_enter, &verb_port, &verb_egress, &verb_flows, &verb_capture, &verb_bundle,
	&verb_network, &verb_enable, &verb_disable, &verb_apply, &verb_doctor, &verb_upgrade,
	&verb_metrics, &verb_hooks,
	&verb_version,
};

#define VERBS_N (sizeof(verbs) / sizeof(verbs[0]))

static int print_help(void)
{
	printf("Usage: podctl [--root DIR] VERB [OPTIONS] ...\n\n"
	       "Rootless pods for plain OCI runtimes.\n\nVerbs:\n");
	for (size_t i = 0; i < VERBS_N; i++)
		printf("  %-10s%s\n", verbs[i]->name, verbs[i]->summary);
	printf("\nOptions:\n"
	       "      --root DIR  directory of the pods' records; default: $PODD_ROOT, /run/podd\n"
	       "                  for root, $XDG_RUNTIME_DIR/podd, /run/user/UID/podd\n"
	       "  -h, --help      print this and exit; 'podctl VERB --help' tells about a verb\n"
	       "  -v, --version   print the version and exit\n");
	return CTL_OK;
}

static int usage_error(const char *message, const char *argument)
{
	ctl_error("%s%s%s%s", message, *argument ? " \"" : "", argument, *argument ? "\"" : "");
	fprintf(stderr, "see 'podctl --help'\n");
	return CTL_USAGE;
}

static const struct ctl_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS_N; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int run_verb(const struct ctl_verb *verb, const char *root, int argc, char **argv)
{
	const char *variable = getenv("PODD_ROOT");
	struct ctl ctl = {.root_chosen = root || (variable && *variable)};
	autofree char *owned = NULL;
	struct err err = {};
	int r;

	r = hierarchy_root(root, &owned, &err);
	/* --help works wherever the pods are. */
	if (r < 0 && !verb->no_root && !(argc == 1 && strcmp(argv[0], "--help") == 0))
		return ctl_fail(r, &err);
	ctl.root = owned;
	return verb->run(&ctl, argc, argv);
}

static int run(int argc, char **argv)
{
	const struct ctl_verb *verb;
	const char *root = NULL;
	int next = 1;

	for (; next < argc && argv[next][0] == '-'; next++) {
		const char *argument = argv[next];

		if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
			return print_help();
		if (strcmp(argument, "--version") == 0 || strcmp(argument, "-v") == 0)
			return run_verb(&verb_version, NULL, 0, argv + argc);
		if (text_starts_with(argument, "--root="))
			root = argument + strlen("--root=");
		else if (strcmp(argument, "--root") == 0 && next + 1 < argc)
			root = argv[++next];
		else if (strcmp(argument, "--root") == 0)
			return usage_error("--root needs a value: DIR", "");
		else
			return usage_error("unknown option", argument);
	}
	if (next == argc)
		return usage_error("a verb is missing", "");
	if (strcmp(argv[next], "help") == 0 && next + 1 == argc)
		return print_help();
	if (strcmp(argv[next], "help") == 0) {
		static char help[] = "--help";

		argv[next] = argv[next + 1];
		argv[next + 1] = help;
		argc = next + 2;
	}
	verb = find_verb(argv[next]);
	if (!verb)
		return usage_error("unknown verb", argv[next]);
	return run_verb(verb, root, argc - next - 1, argv + next + 1);
}

/* A caller may have closed some of the standard descriptors; files that are opened later must not
 * get their numbers. Writing to one of these fails, as it would have. */
static int fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	int status;

	/* Children's ends are waited for, whatever the caller ignores. */
	signal(SIGCHLD, SIG_DFL);
	/* A file that gets too large is an error like a full disk, not an end in the middle. */
	signal(SIGXFSZ, SIG_IGN);
	if (fill_standard_fds() < 0)
		return CTL_FAILED;
	status = run(argc, argv);
	if (fflush(stdout) < 0 || ferror(stdout)) {
		ctl_error("cannot write to the standard output: %s", strerror(errno));
		return status ? status : CTL_FAILED;
	}
	return status;
}
