/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Starting shims: for podctl, which cannot put them into the cgroup of the pod's unit itself, and
 * for a pod that is started again. */

#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct pod;

/* Waits for a child of podd, so that no zombie of it stays, until the pod's loop is freed. Return:
 * 0 or -errno. */
int launch_reap(struct pod *pod, pid_t pid);

/* Starts podd-shim for a container that podctl has made; @client (stays open here) is the socket on
 * which it answers who wants the start, or -1. Its end is only reaped here: containers.c watches
 * it by its record. Return: 0, -E2BIG, -errno. */
int launch_shim(struct pod *pod, const char *name, uint64_t order, int client, struct err *err);
