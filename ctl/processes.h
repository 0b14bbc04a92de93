/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes of containers, found by their namespaces in /proc. */

#include "container.h"
#include "err.h"

/* Most processes of the machine that are looked at. */
#define PROCESSES_MAX 131072

struct process {
	pid_t pid;
	struct ns_id pid_ns;
	struct ns_id mount_ns;
};

/* Every process that the caller may look into, at one time. */
struct processes {
	struct process *list;
	size_t n;
};

int processes_read(struct processes *ret, struct err *err);
void processes_done(struct processes *processes);

/* Calls @action for each that belongs to the container with this first process: those in its pid
 * namespace, or in its mount namespace where it shares the pod's pid namespace. */
void processes_each(const struct processes *processes, pid_t init, bool share_pid,
	void (*action)(pid_t pid, void *userdata), void *userdata);
