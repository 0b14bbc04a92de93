/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Processes, named by pid and start time so that a reused pid is never mistaken, and held by
 * pidfd. pids are those of the pid namespace that the mounted /proc belongs to.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct proc_id {
	pid_t pid;           /* 0: none */
	uint64_t start_time; /* clock ticks after boot, field 22 of proc_pid_stat(5) */
};

/* Return: 0, -ESRCH when there is no such process or it is a zombie, -errno. */
int proc_identify(pid_t pid, struct proc_id *ret);

/* True when that very process still runs (a zombie does not). */
bool proc_alive(const struct proc_id *id);

/* Opens a pidfd for exactly that process. Return: 0, -ESRCH, -errno. */
int proc_open(const struct proc_id *id, int *ret_pidfd);

/* Opens a pidfd for a child of the caller that was not waited for, a zombie included. */
int proc_open_child(pid_t pid, int *ret_pidfd);

/* Opens /proc/PID of exactly that process as a directory: what is opened below it later cannot
 * belong to a reuse of its pid. Return: 0, -ESRCH, -errno. */
int proc_open_dir(const struct proc_id *id, int *ret_dirfd);

/* The caller, and its parent, as /proc shows them, also when the caller is in another pid
 * namespace than /proc. */
int proc_self(struct proc_id *ret);

/* The first process of the caller's pid namespace on the way up from the caller, or the
 * caller's parent when /proc belongs to the caller's own pid namespace; as /proc shows it. In a
 * createContainer hook that is the container's init, also where the pod's pid namespace is shared. */
int proc_container_init(struct proc_id *ret, struct err *err);

/* True when /proc belongs to the caller's pid namespace. */
bool proc_is_own(void);

/* Sends a signal through a pidfd. Return: 0 or -errno. */
int proc_signal(int pidfd, int signal);

/* Waits for the end of a process by its pidfd. Return: 0, -ETIMEDOUT, -errno. */
int proc_wait(int pidfd, int timeout_ms);

/* The kernel's boot id, as 32 hexadecimal digits. */
#define PROC_BOOT_ID_SIZE 33
int proc_boot_id(char ret[PROC_BOOT_ID_SIZE]);
