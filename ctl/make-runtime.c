/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the machine a container needs: a runtime, an init program, a cgroup. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cgroup.h"
#include "quantity.h"
#include "text.h"

#include "make-internal.h"

/* So much of the id is in the name of its cgroup: a directory name has 255 bytes. */
#define CGROUP_ID_MAX 200
/* The kernel takes no smaller quota (a hundredth of the period). */
#define CPU_MILLI_MIN 10

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

static int read_bytes(const char *text, const char *option, uint64_t *ret, struct err *err)
{
	if (!text)
		return 0;
	if (quantity_parse_bytes(text, ret) < 0 || *ret == 0)
		return err_set(err, -EINVAL, "%s must be a size such as 64m or 1g, not \"%s\"",
			option, text);
	return 0;
}

/* podman's: memory and swap together, and as much swap as memory when nothing is said. Where there
 * is no swap, nothing need be limited, and the kernel may have no file for it. */
static int read_swap(struct making *making, struct container_limits *limits)
{
	const char *text = making->options->memory_swap;
	struct sysinfo info;
	uint64_t both = 0;
	int r;

	if (text && !limits->memory)
		return err_set(making->err, -EINVAL, "--memory-swap needs --memory");
	if (text && strcmp(text, "-1") == 0)
		return 0;
	r = read_bytes(text, "--memory-swap", &both, making->err);
	if (r < 0)
		return r;
	if (text && both < limits->memory)
		return err_set(making->err, -EINVAL,
			"--memory-swap is memory and swap together: it cannot be less than --memory");
	if (sysinfo(&info) == 0 && info.totalswap > 0)
		limits->swap = text ? both - limits->memory : limits->memory;
	return 0;
}

static int read_limits(struct making *making, struct container_limits *limits)
{
	const struct container_options *options = making->options;
	int r;

	r = read_bytes(options->memory, "--memory", &limits->memory, making->err);
	if (r == 0)
		r = read_swap(making, limits);
	if (r < 0)
		return r;
	if (options->cpus && (quantity_parse_milli(options->cpus, &limits->cpu_milli) < 0 ||
				     limits->cpu_milli < CPU_MILLI_MIN))
		return err_set(making->err, -EINVAL,
			"--cpus must be a number such as 0.5 or 2, and at least 0.01, not \"%s\"",
			options->cpus);
	if (options->pids_limit && strcmp(options->pids_limit, "-1") != 0 &&
		text_to_uint32(options->pids_limit, 0, INT32_MAX, &limits->pids) < 0)
		return err_set(making->err, -EINVAL, "--pids-limit must be a number, not \"%s\"",
			options->pids_limit);
	return 0;
}

/* A limit that cannot be in force is said and not recorded. */
static void drop_without(struct container_limits *limits, unsigned controllers, const char *why)
{
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
		if (wanted[i].asked && !(controllers & wanted[i].controller))
			ctl_warning("%s has no effect: the controller %s is not there%s%s",
				wanted[i].option, cgroup_controller_name(wanted[i].controller),
				why ? ": " : " in the cgroup that is delegated to you",
				why ? why : "");
	if (!(controllers & CGROUP_MEMORY))
		limits->memory = limits->swap = 0;
	if (!(controllers & CGROUP_CPU))
		limits->cpu_milli = 0;
	if (!(controllers & CGROUP_PIDS))
		limits->pids = 0;
}

/* A name that no other container has, of another hierarchy either. */
static char *choose_cgroup(const char *parent, const char *id)
{
	uint32_t unique = 0;

	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return NULL;
	return text_format("%s/podd-%.*s-%08x", strcmp(parent, "/") == 0 ? "" : parent,
		CGROUP_ID_MAX, id, unique);
}

int make_read_limits(struct making *making)
{
	struct container_spec *spec = &making->spec;
	autofree char *parent = NULL;
	unsigned controllers = 0;
	struct err why = {};
	int r;

	r = read_limits(making, &spec->limits);
	if (r < 0)
		return r;
	making->cgroup2 = cgroup_is_unified();
	r = cgroup_find_delegated(&parent, &controllers, &why);
	if (r < 0) {
		drop_without(&spec->limits, 0, why.msg[0] ? why.msg : strerror(-r));
		return 0;
	}
	drop_without(&spec->limits, controllers, NULL);
	spec->cgroup = choose_cgroup(parent, spec->id);
	return spec->cgroup ? 0 : err_oom(making->err);
}
