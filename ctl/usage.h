/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a container uses: from its cgroup, or where it has none, from its processes. */

#include "container.h"
#include "processes.h"

#define USAGE_UNKNOWN UINT64_MAX

struct usage {
	uint64_t cpu_us;
	uint64_t memory;       /* bytes */
	uint64_t memory_limit; /* bytes: its own, or all that the machine has */
	uint64_t pids;         /* processes */
	uint64_t received; /* bytes, by all interfaces but loopback; USAGE_UNKNOWN: not its own */
	uint64_t sent;
};

/* One that does not run uses nothing. @processes may be NULL: they are read where they are needed.
 * Return: 0 or -errno. */
int usage_read(const struct container_spec *spec, const struct container_state *state,
	const struct processes *processes, struct usage *ret, struct err *err);
