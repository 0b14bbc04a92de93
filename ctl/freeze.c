/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The freezer of cgroup v2, see freeze.h. */

#include <stdio.h>

#include "cgroup.h"

#include "each.h"
#include "freeze.h"
#include "options.h"

static int freeze_cgroup(const char *path, const struct container_state *state, bool frozen,
	struct err *err)
{
	enum container_phase phase = container_phase_now(state);

	if (phase != CONTAINER_RUNNING || !proc_alive(&state->init))
		return err_set(err, -ESRCH, "container %s is not running", path);
	if (!state->cgroup)
		return err_set(err, -EOPNOTSUPP,
			"container %s has no cgroup of its own, and nothing else can pause it: no cgroup "
			"was delegated when it was created",
			path);
	if (cgroup_is_frozen(state->cgroup) == frozen)
		return err_set(err, -EALREADY, "container %s is %s", path,
			frozen ? "paused already" : "not paused");
	return cgroup_freeze(state->cgroup, frozen, err);
}

static int freeze_one(const struct ctl *ctl, const struct target *target, void *userdata,
	struct err *err)
{
	struct container_state state;
	int r;

	r = container_state_load(target->childfd, &state, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	r = freeze_cgroup(target->path, &state, *(bool *)userdata, err);
	container_state_done(&state);
	return r;
}

int freeze_run(const struct ctl *ctl, const struct ctl_verb *verb, bool frozen, int argc,
	char **argv)
{
	struct each each = {.verb = verb, .paths = argv, .running_only = true, .action = freeze_one,
		.userdata = &frozen};
	const struct option options[] = {
		{.name = "all", .letter = 'a', .flag = &each.all,
			.help = "every container that runs"},
		{}};
	size_t n;
	int status = options_parse(verb, options, argc, argv, &n);

	return status >= 0 ? status : each_run(ctl, &each);
}
