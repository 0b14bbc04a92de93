/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The limits and the restart policy of a container as they are said on a command line, for the
 * verbs that make one and for podctl update. */

#include "container.h"

/* Of the options --memory, --memory-swap, --cpus and --pids-limit; NULL: not given. */
struct limit_request {
	const char *memory;
	const char *swap; /* memory and swap together, as podman has it */
	const char *cpus;
	const char *pids;
};

/* Changes what was asked for. As podman: who limits the memory and says nothing of swap, gets as
 * much swap as memory. @cgroup: the container's, or where it will be made; NULL: none. Return: 0,
 * or -EINVAL with the option named. */
int limit_read(const struct limit_request *request, const char *cgroup,
	struct container_limits *limits, struct err *err);

/* "on-failure:3" of --restart; "never" is podman's other name of "no". Return: 0, -EINVAL, -ENOMEM.
 */
int limit_read_restart(const char *text, struct container_spec *spec, struct err *err);
