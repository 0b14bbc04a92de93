/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl update: other limits for a container, and another restart policy. What runs gets them at
 * once, by its cgroup; the records and the bundle keep them for later runs. Nothing is recorded
 * that the kernel refused.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "file.h"
#include "oci-container.h"
#include "text.h"

#include "bundle-edit.h"
#include "limit.h"
#include "options.h"
#include "target.h"
#include "verbs.h"

struct update_options {
	struct limit_request limits;
	const char *restart;
};

/* ---- what is there ---- */

static unsigned needed_controllers(const struct container_limits *limits,
	const struct container_limits *old)
{
	unsigned needed = 0;

	if (limits->memory != old->memory || limits->swap != old->swap)
		needed |= CGROUP_MEMORY;
	if (limits->cpu_milli != old->cpu_milli)
		needed |= CGROUP_CPU;
	if (limits->pids != old->pids)
		needed |= CGROUP_PIDS;
	return needed;
}

static int check_controllers(const struct container_spec *spec, unsigned needed, struct err *err)
{
	unsigned found = 0;

	if (needed == 0)
		return 0;
	if (!spec->cgroup)
		return err_set(err, -EOPNOTSUPP,
			"it has no cgroup to limit it by: none was delegated when it was created");
	if (cgroup_controllers(spec->cgroup, &found) < 0)
		return err_set(err, -ENOENT, "there is no cgroup %s, nor one to make it in",
			spec->cgroup);
	for (unsigned bit = 1; bit <= CGROUP_PIDS; bit <<= 1)
		if (needed & ~found & bit)
			return err_set(err, -EOPNOTSUPP, "its cgroup lacks the controller %s",
				cgroup_controller_name((enum cgroup_controller)bit));
	return 0;
}

/* Return: the cgroup of what runs; NULL when it does not run. */
static char *running_cgroup(int childfd)
{
	struct container_state state;
	char *path = NULL;

	if (container_state_load(childfd, &state, NULL) < 0)
		return NULL;
	if (proc_alive(&state.init) && state.cgroup)
		path = strdup(state.cgroup);
	container_state_done(&state);
	return path;
}

/* ---- the bundle ---- */

static void set_limits(struct json *section, const void *opaque)
{
	oci_set_limits(section, opaque);
}

/* ---- the verb ---- */

static int apply(int childfd, struct container_spec *spec, const struct container_limits *old,
	struct err *err)
{
	autofree char *cgroup = running_cgroup(childfd);
	unsigned needed = needed_controllers(&spec->limits, old);
	int r;

	r = check_controllers(spec, needed, err);
	if (r == 0 && needed && cgroup)
		r = cgroup_set_limits(cgroup, &spec->limits, old, err);
	if (r == 0 && needed)
		r = bundle_edit_linux(childfd, set_limits, &spec->limits, err);
	return r < 0 ? r : container_spec_save(childfd, spec, err);
}

static int update(const struct target *target, const struct update_options *options,
	struct err *err)
{
	struct container_limits old;
	struct container_spec spec;
	int r;

	r = container_spec_load(target->childfd, &spec, err);
	if (r < 0)
		return r;
	old = spec.limits;
	r = limit_read(&options->limits, spec.cgroup, &spec.limits, err);
	if (r == 0 && options->restart)
		r = limit_read_restart(options->restart, &spec, err);
	if (r == 0)
		r = apply(target->childfd, &spec, &old, err);
	container_spec_done(&spec);
	return r;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct update_options values = {};
	const struct option options[] = {
		{.name = "memory", .letter = 'm', .argument = "SIZE", .text = &values.limits.memory,
			.help = "most memory, such as 512m; -1: no limit"},
		{.name = "memory-swap", .argument = "SIZE", .text = &values.limits.swap,
			.help = "most memory and swap together; -1: no limit (default: twice the memory)"},
		{.name = "cpus", .argument = "NUMBER", .text = &values.limits.cpus,
			.help = "CPUs, such as 1.5; 0: no limit"},
		{.name = "pids-limit", .argument = "NUMBER", .text = &values.limits.pids,
			.help = "most processes and threads; -1 or 0: no limit"},
		{.name = "restart", .argument = "POLICY", .text = &values.restart,
			.help = "no, on-failure[:N], always or unless-stopped"},
		{}};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_update, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (!values.limits.memory && !values.limits.swap && !values.limits.cpus &&
		!values.limits.pids && !values.restart)
		return ctl_usage_error(&verb_update, "there is nothing to update");
	r = target_open(ctl, argv[0], TARGET_CONTAINER, &target, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	r = update(&target, &values, &err);
	if (r < 0)
		return ctl_fail(err_wrap(&err, r, "container %s", target.path), &err);
	printf("%s\n", target.path);
	return CTL_OK;
}

const struct ctl_verb verb_update = {
	.name = "update",
	.operands = "PATH",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Change the limits and the restart policy of a container",
	.details = "What runs gets the limits at once. A container without a cgroup, or whose cgroup lacks\n"
		   "the controller, cannot be limited.",
	.example = "podctl update --memory 1g --cpus 1.5 net0/web",
	.run = run,
};
