/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * cgroup v2, as far as containers need it: a place below which the caller may make cgroups with
 * controllers, limits, the freezer, and what the kernel counts. Paths are as /proc/PID/cgroup has
 * them after "0::", below the mount point /sys/fs/cgroup. See cgroups(7) and the kernel's
 * admin-guide/cgroup-v2.rst.
 */

#include <stdbool.h>
#include <stdint.h>

#include "container.h"
#include "err.h"

/* True when /sys/fs/cgroup is cgroup2. */
bool cgroup_is_unified(void);

enum cgroup_controller { CGROUP_MEMORY = 1, CGROUP_CPU = 2, CGROUP_PIDS = 4 };

/* The nearest cgroup on the way up from the caller's own in which the caller may make others
 * (cgroup.procs and cgroup.subtree_control are writable): allocated. *ret_controllers: those of
 * enum cgroup_controller that the ones made there have (they are enabled where that may be done; it
 * may not where processes are in it). Without any, a cgroup is still good for the freezer and for
 * finding processes; one further up that has some is preferred. Return: 0; -ENOENT when none is
 * delegated, the message says why. */
int cgroup_find_delegated(char **ret, unsigned *ret_controllers, struct err *err);
/* "memory", "cpu", "pids". */
const char *cgroup_controller_name(enum cgroup_controller controller);

/* Those that a cgroup has, or, while it is not there, would have if it were made. Return: 0,
 * -ENOENT (there is no place for it either), -errno. */
int cgroup_controllers(const char *path, unsigned *ret);

/* The cgroup of a process ("0::"). Return: 0, -ENOENT, -errno. */
int cgroup_of(pid_t pid, char **ret);

/* Moves a process to the cgroup @name below @path, which is made where it is missing. Return: 0,
 * -errno. */
int cgroup_move_process(const char *path, const char *name, pid_t pid, struct err *err);

/* Turns on every controller that there is for what is below a cgroup. Best effort: one that may not
 * be had is missing. */
void cgroup_enable(const char *path);

/* Turns off the controllers for what is below a cgroup, so that it may have processes itself.
 * Return: 0, -EBUSY when they are in use below that, -errno. */
int cgroup_release(const char *path);

/* True when a cgroup, or while it is not there the one above it, has a limit of swap: the kernel
 * counts it where the controller memory is, unless it was built or booted without. */
bool cgroup_counts_swap(const char *path);

struct cgroup_stats {
	uint64_t cpu_us;
	uint64_t memory;        /* bytes */
	uint64_t memory_limit;  /* 0: none */
	uint64_t pids;
	uint64_t oom_kills;
};
/* Reads what is there; what a controller is missing for is 0. Return: 0, -ENOENT, -errno. */
int cgroup_stats(const char *path, struct cgroup_stats *ret);

/* Writes the limits (none: "max") that differ from @old (may be NULL). Return: 0, -ENOENT (no such
 * controller or cgroup), -EINVAL, -errno; the message names the file and the value. */
int cgroup_set_limits(const char *path, const struct container_limits *limits,
	const struct container_limits *old, struct err *err);

/* Freezes or thaws and waits until it is so. Return: 0, -ETIMEDOUT, -errno. */
int cgroup_freeze(const char *path, bool frozen, struct err *err);
bool cgroup_is_frozen(const char *path);

/* Kills what is in the container's cgroup and those below it, and removes them. Only for one that
 * podd named (its name begins with CGROUP_PREFIX). Waits at most so long for their ends. Return: 0,
 * also when there is none; -EBUSY while what was killed is still ending; -EINVAL; -errno. */
#define CGROUP_PREFIX "podd-"
int cgroup_remove(const char *path, unsigned timeout_ms);
