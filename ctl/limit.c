/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits and restart policies as people say them, see limit.h. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cgroup.h"
#include "quantity.h"
#include "text.h"

#include "limit.h"

/* The kernel takes no smaller quota (a hundredth of the period). */
#define CPU_MILLI_MIN 10

static bool is_unlimited(const char *text)
{
	return strcmp(text, "-1") == 0;
}

static int read_memory(const char *text, struct container_limits *limits, struct err *err)
{
	uint64_t memory = 0;

	if (!is_unlimited(text) && quantity_parse_bytes(text, &memory) < 0)
		return err_set(err, -EINVAL,
			"--memory must be a size such as 64m or 1g, or -1, not \"%s\"", text);
	limits->memory = memory;
	/* Until something else is said of it. */
	limits->swap = memory ? (int64_t)memory : CONTAINER_SWAP_UNLIMITED;
	return 0;
}

/* The option's value is that of memory and swap together. */
static int read_swap(const char *text, struct container_limits *limits, struct err *err)
{
	uint64_t both;

	if (is_unlimited(text)) {
		limits->swap = CONTAINER_SWAP_UNLIMITED;
		return 0;
	}
	if (quantity_parse_bytes(text, &both) < 0 || both == 0)
		return err_set(err, -EINVAL,
			"--memory-swap must be a size such as 64m or 1g, or -1, not \"%s\"", text);
	if (limits->memory == 0)
		return err_set(err, -EINVAL, "--memory-swap needs --memory");
	if (both < limits->memory)
		return err_set(err, -EINVAL,
			"--memory-swap is memory and swap together: it cannot be less than "
			"--memory");
	limits->swap = (int64_t)(both - limits->memory);
	return 0;
}

/* Where there is no swap nothing need be limited, and a kernel that does not count it has no file
 * for that: the runtime would fail. */
static void drop_swap(const char *cgroup, struct container_limits *limits)
{
	struct sysinfo info;

	if (sysinfo(&info) == 0 && info.totalswap == 0 && (!cgroup || !cgroup_counts_swap(cgroup)))
		limits->swap = CONTAINER_SWAP_UNLIMITED;
}

static int read_cpus(const char *text, struct container_limits *limits, struct err *err)
{
	uint32_t milli;

	if (quantity_parse_milli(text, &milli) < 0 || (milli > 0 && milli < CPU_MILLI_MIN))
		return err_set(err, -EINVAL,
			"--cpus must be a number such as 0.5 or 2, at least 0.01 (or 0: no limit), "
			"not "
			"\"%s\"",
			text);
	limits->cpu_milli = milli;
	return 0;
}

static int read_pids(const char *text, struct container_limits *limits, struct err *err)
{
	uint32_t pids = 0;

	if (!is_unlimited(text) && text_to_uint32(text, 0, INT32_MAX, &pids) < 0)
		return err_set(err, -EINVAL,
			"--pids-limit must be a number up to %d, or -1, not \"%s\"", INT32_MAX,
			text);
	limits->pids = pids;
	return 0;
}

int limit_read(const struct limit_request *request, const char *cgroup,
	struct container_limits *limits, struct err *err)
{
	struct container_limits wanted = *limits;
	int r = 0;

	if (request->memory)
		r = read_memory(request->memory, &wanted, err);
	if (r == 0 && request->swap)
		r = read_swap(request->swap, &wanted, err);
	if (r == 0 && (request->memory || request->swap))
		drop_swap(cgroup, &wanted);
	if (r == 0 && request->cpus)
		r = read_cpus(request->cpus, &wanted, err);
	if (r == 0 && request->pids)
		r = read_pids(request->pids, &wanted, err);
	if (r == 0)
		*limits = wanted;
	return r;
}

int limit_read_restart(const char *text, struct container_spec *spec, struct err *err)
{
	const char *colon = strchr(text, ':');
	autofree char *name = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	enum container_restart restart;
	uint32_t max = 0;

	if (!name)
		return err_oom(err);
	if (container_restart_from_name(strcmp(name, "never") == 0 ? "no" : name, &restart) < 0 ||
		(colon && (restart != RESTART_ON_FAILURE ||
				  text_to_uint32(colon + 1, 0, UINT32_MAX, &max) < 0)))
		return err_set(err, -EINVAL,
			"--restart must be no, on-failure[:N], always or unless-stopped, not "
			"\"%s\"",
			text);
	if (spec->auto_remove && restart != RESTART_NO)
		return err_set(err, -EINVAL,
			"--rm and --restart exclude each other: what is removed at its end cannot "
			"be "
			"restarted");
	spec->restart = restart;
	spec->restart_max = max;
	return 0;
}
