/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Pods in units of a service manager: podd@POD.service, whose cgroup is delegated to podd:
 *
 *   .../podd@net0.service/       the unit's, with controllers for what is below; no process
 *       podd/                    podd, podd-outer, podd-uplink, shims
 *       podd-net0.web-.../       a container's
 *
 * Who is in which unit is read from /proc/PID/cgroup; nothing here asks the manager.
 */

#include <sys/types.h>

#include "err.h"
#include "name.h"

/* "podd@", a path in which each byte may be escaped by four, ".service". */
#define UNIT_NAME_SIZE (4 * NAME_PATH_SIZE + 16)
#define UNIT_PREFIX "podd@"
#define UNIT_SERVICE ".service"
#define UNIT_SOCKET ".socket"

/* The unit of a pod: its path escaped as systemd.unit(5) says it, so that %I is the path. */
void unit_name(const char *pod, const char *suffix, char ret[UNIT_NAME_SIZE]);

/* The cgroup of the pod's unit that a process is in, in it or below it: allocated. Return: 0,
 * -ENOENT when it is in none of that pod, -errno. */
int unit_cgroup_of(pid_t pid, const char *pod, char **ret);

/* Moves a process to the unit's subgroup for podd and its helpers, and makes that. Return: 0,
 * -errno. */
int unit_move_process(const char *cgroup, pid_t pid, struct err *err);
