/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Starting shims for podctl, which cannot put them into the cgroup of the pod's unit itself. */

#include <stdint.h>

#include "err.h"

struct pod;

/* Starts podd-shim for a container that podctl has made; @client (stays open here) is the socket on
 * which it answers who wants the start. Its end is only reaped here: containers.c watches it by its
 * record. Return: 0, -E2BIG, -errno. */
int launch_shim(struct pod *pod, const char *name, uint64_t order, int client, struct err *err);
