/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the machine a container needs: a runtime, an init program, a cgroup. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "text.h"

#include "limit.h"
#include "make-internal.h"
#include "place-cgroup.h"

/* ---- programs ---- */

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Looks a runtime up where administrators put programs, and nowhere else. Return: its path, or
 * NULL. */
static char *look_up(const char *name)
{
	static const char *const dirs[] = {"/usr/local/bin", "/usr/local/sbin", "/usr/bin",
		"/usr/sbin", "/bin", "/sbin"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		autofree char *path = text_format("%s/%s", dirs[i], name);

		if (path && is_program(path))
			return take_ptr(path);
	}
	return NULL;
}

static int find_default(char **ret, struct err *err)
{
	*ret = look_up("crun");
	if (!*ret)
		*ret = look_up("runc");
	if (!*ret)
		return err_set(err, -ENOENT,
			"there is no OCI runtime: install the package crun or runc, or name one by "
			"--runtime");
	return 0;
}

static int check_keep_groups(const struct making *making)
{
	const char *name = strrchr(making->spec.runtime, '/') + 1;

	if (making->spec.keep_groups && !strstr(name, "crun"))
		return err_set(making->err, -EINVAL,
			"--group-add keep-groups needs the runtime crun: %s cannot keep the caller's "
			"groups",
			name);
	return 0;
}

int make_find_runtime(struct making *making)
{
	const char *name = making->options->runtime;
	char **target = &making->spec.runtime;
	int r = 0;

	if (!name)
		r = find_default(target, making->err);
	else if (name[0] == '/')
		*target = is_program(name) ? strdup(name) : NULL;
	else if (*name && !strchr(name, '/'))
		*target = look_up(name);
	if (r == 0 && !*target)
		r = err_set(making->err, -ENOENT,
			"unknown runtime \"%s\": it must be the name of a program in /usr/bin or the "
			"like, or an absolute path",
			name);
	return r < 0 ? r : check_keep_groups(making);
}

static bool is_static_program(const char *path)
{
	autoclose int fd = is_program(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	return fd >= 0 && rootfs_is_static(fd) == 1;
}

int make_find_init(struct making *making)
{
	static const char *const programs[] = {"/usr/libexec/podman/catatonit",
		"/usr/bin/catatonit", "/usr/bin/tini-static", "/usr/bin/dumb-init"};

	if (!making->options->init)
		return 0;
	if (making->spec.share_pid)
		return err_set(making->err, -EINVAL,
			"--init and --share pid exclude each other: an init program must be the first "
			"of its pid namespace");
	for (size_t i = 0; !making->init && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (is_static_program(programs[i]))
			making->init = programs[i];
	if (making->init)
		return 0;
	return err_set(making->err, -ENOENT,
		"--init: there is no static init program here; install the package catatonit");
}

/* ---- limits ---- */

/* A limit that cannot be in force is said and not recorded. */
static void drop_without(struct making *making, unsigned controllers, const char *why)
{
	struct container_limits *limits = &making->spec.limits;
	const struct {
		enum cgroup_controller controller;
		const char *option;
		bool asked;
	} wanted[] = {
		{CGROUP_MEMORY, "--memory", limits->memory > 0},
		{CGROUP_CPU, "--cpus", limits->cpu_milli > 0},
		{CGROUP_PIDS, "--pids-limit", limits->pids > 0},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!making->only_described && wanted[i].asked &&
			!(controllers & wanted[i].controller))
			ctl_warning("%s has no effect: the controller %s is not there%s%s",
				wanted[i].option, cgroup_controller_name(wanted[i].controller),
				why ? ": " : " in the cgroup that is delegated to you",
				why ? why : "");
	if (!(controllers & CGROUP_MEMORY))
		limits->memory = 0;
	if (!limits->memory)
		limits->swap = CONTAINER_SWAP_UNLIMITED;
	if (!(controllers & CGROUP_CPU))
		limits->cpu_milli = 0;
	if (!(controllers & CGROUP_PIDS))
		limits->pids = 0;
}

int make_read_limits(struct making *making)
{
	const struct limit_request request = {.memory = making->options->memory,
		.swap = making->options->memory_swap,
		.cpus = making->options->cpus,
		.pids = making->options->pids_limit};
	struct container_spec *spec = &making->spec;
	autofree char *parent = NULL;
	unsigned controllers = 0;
	struct err why = {};
	int found, r;

	making->cgroup2 = cgroup_is_unified();
	found = place_find(spec->pod, &making->state, &parent, &controllers, &why);
	r = limit_read(&request, parent, &spec->limits, making->err);
	if (r < 0)
		return r;
	if (found < 0) {
		drop_without(making, 0, why.msg[0] ? why.msg : strerror(-found));
		return 0;
	}
	drop_without(making, controllers, NULL);
	spec->cgroup = place_choose(parent, spec->id);
	return spec->cgroup ? 0 : err_oom(making->err);
}
