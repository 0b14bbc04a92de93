/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl top: ps(1) of a container's processes. ps runs in the pod's user namespace, so that the
 * users are those that the container sees; process ids are the host's.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#include "options.h"
#include "processes.h"
#include "target.h"
#include "verbs.h"

/* podman's. */
#define DEFAULT_COLUMNS "user,pid,ppid,pcpu,etime,tty,time,args"
#define COLUMNS_SIZE 1024
/* Most processes that fit into one argument (128 kB, execve(2)). */
#define LIST_SIZE (128 * 1024 - 1)

struct pid_list {
	size_t used;
	char text[LIST_SIZE];
};

static void add_pid(pid_t pid, void *userdata)
{
	struct pid_list *list = userdata;
	int n = snprintf(list->text + list->used, LIST_SIZE - list->used, "%s%d",
		list->used ? "," : "", (int)pid);

	if (n > 0 && (size_t)n < LIST_SIZE - list->used)
		list->used += (size_t)n;
	else
		list->text[list->used] = '\0';
}

/* podman's names for what ps calls otherwise: the host's view is the only one. */
static const char *ps_name(const char *name)
{
	static const struct {
		const char *podman, *ps;
	} names[] = {{"hpid", "pid"}, {"huser", "user"}, {"hgroup", "group"}, {"hgroups", "supgrp"},
		{"groups", "supgrp"}, {"capeff", "caps"}, {"state", "s"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].podman, name) == 0)
			return names[i].ps;
	return name;
}

/* Each operand is a column, several with ',', or "-o" before them. */
static int read_columns(char *const *operands, char *target, size_t size)
{
	size_t used = 0;

	target[0] = '\0';
	for (size_t i = 0; operands[i]; i++) {
		const char *operand = operands[i];
		autostrv names = NULL;

		if (strcmp(operand, "-o") == 0)
			continue;
		if (text_starts_with(operand, "-o"))
			operand += 2;
		if (operand[0] == '-')
			return -EINVAL;
		if (strv_split(operand, ',', &names) < 0)
			return -ENOMEM;
		for (size_t j = 0; names[j] && used < size; j++)
			used += (size_t)snprintf(target + used, size - used, "%s%s",
				used ? "," : "", ps_name(names[j]));
	}
	if (used >= size)
		return -E2BIG;
	return used > 0 ? 0 : text_copy(target, size, DEFAULT_COLUMNS);
}

/* Enters the user namespace of the process; without that, ps shows the host's users. */
static void join_user_namespace(const struct proc_id *init)
{
	cleanup(ns_set_done) struct ns_set set;
	struct ns_id all[NS_KINDS], wanted[NS_KINDS] = {};
	autoclose int procdir = -1;

	ns_set_init(&set);
	if (proc_open_dir(init, &procdir) < 0 || ns_identify(procdir, all, NULL) < 0)
		return;
	wanted[NS_USER] = all[NS_USER];
	if (ns_open(procdir, wanted, &set, NULL) == 0)
		ns_join(&set, NULL);
}

static int find_processes(const struct target *target, struct proc_id *ret_init,
	struct pid_list *list, struct err *err)
{
	cleanup(processes_done) struct processes processes = {};
	struct container_state state;
	struct container_spec spec;
	bool share_pid;
	int r;

	r = container_spec_load(target->childfd, &spec, err);
	if (r < 0)
		return r;
	share_pid = spec.share_pid;
	container_spec_done(&spec);
	r = container_state_load(target->childfd, &state, err);
	if (r < 0)
		return r;
	*ret_init = state.init;
	container_state_done(&state);
	if (!proc_alive(ret_init))
		return err_set(err, -ESRCH, "container %s is not running", target->path);
	r = processes_read(&processes, err);
	if (r == 0)
		processes_each(&processes, ret_init->pid, share_pid, add_pid, list);
	if (r == 0 && list->used == 0)
		return err_set(err, -ESRCH, "container %s is not running", target->path);
	return r;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	autofree struct pid_list *list = calloc(1, sizeof(*list));
	const struct option options[] = {{}};
	char columns[COLUMNS_SIZE];
	struct proc_id init;
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_top, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	r = list ? read_columns(argv + 1, columns, sizeof(columns)) : -ENOMEM;
	if (r == -EINVAL)
		return ctl_usage_error(
			&verb_top, "columns are those of ps -o, such as pid or args");
	if (r == 0)
		r = target_open(ctl, argv[0], TARGET_CONTAINER, &target, &err);
	if (r == 0)
		r = find_processes(&target, &init, list, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	join_user_namespace(&init);
	execl(PODD_PS, "ps", "-o", columns, "-p", list->text, NULL);
	ctl_error("cannot execute %s: %s", PODD_PS, strerror(errno));
	return CTL_FAILED;
}

const struct ctl_verb verb_top = {
	.name = "top",
	.operands = "PATH [COLUMN...]",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.command_first = true,
	.summary = "List the processes of a container",
	.details = "COLUMN is what ps -o takes: user, pid, ppid, pcpu, etime, tty, time, args by default.\n"
		   "Process ids are the host's, users the container's.",
	.example = "podctl top net0/web pid,args",
	.run = run,
};
