/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sums up what the kernel counts for a container, see usage.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "fd.h"
#include "text.h"

#include "usage.h"

#define PROC_FILE_MAX (64 * 1024)
/* proc_pid_stat(5): utime, stime, cutime, cstime. */
#define STAT_FIRST 14
#define STAT_LAST 17

static int read_proc(pid_t pid, const char *name, char **ret)
{
	autofree char *path = text_format("/proc/%d/%s", (int)pid, name);
	autoclose int fd = -1;
	size_t length;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd_read_all(fd, PROC_FILE_MAX, ret, &length);
}

/* Clock ticks of the process and of those that it has waited for. */
static uint64_t cpu_ticks(char *stat)
{
	char *rest = strrchr(stat, ')');
	uint64_t sum = 0;
	char *field;

	for (int i = 2; rest && (field = strsep(&rest, " \n")); i++) {
		uint64_t ticks;

		if (i >= STAT_FIRST && i <= STAT_LAST &&
			text_to_uint64(field, 0, INT64_MAX, &ticks) == 0)
			sum += ticks;
	}
	return sum;
}

/* The number on the line that begins with "key:", in kB there. */
static uint64_t find_kilobytes(const char *text, const char *key)
{
	const char *line = strstr(text, key);
	char digits[24];
	uint64_t number;
	size_t n;

	if (!line)
		return 0;
	line += strlen(key);
	line += strspn(line, " \t");
	n = strspn(line, "0123456789");
	if (n >= sizeof(digits))
		return 0;
	memcpy(digits, line, n);
	digits[n] = '\0';
	return text_to_uint64(digits, 0, INT64_MAX / 1024, &number) < 0 ? 0 : number * 1024;
}

static void add_process(pid_t pid, void *userdata)
{
	struct usage *usage = userdata;
	autofree char *stat = NULL;
	autofree char *smaps = NULL;

	if (read_proc(pid, "stat", &stat) < 0)
		return;
	usage->pids++;
	usage->cpu_us += cpu_ticks(stat) * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	/* What it shares with others counts in part. */
	if (read_proc(pid, "smaps_rollup", &smaps) == 0)
		usage->memory += find_kilobytes(smaps, "\nPss:");
}

static int add_processes(const struct container_spec *spec, const struct container_state *state,
	const struct processes *processes, struct usage *usage, struct err *err)
{
	cleanup(processes_done) struct processes own = {};
	int r;

	if (!processes) {
		r = processes_read(&own, err);
		if (r < 0)
			return r;
		processes = &own;
	}
	usage->cpu_us = usage->memory = usage->pids = 0;
	processes_each(processes, state->init.pid, spec->share_pid, add_process, usage);
	return 0;
}

/* "  eth0: RECEIVED packets errs drop fifo frame compressed multicast SENT ..." (proc_pid_net(5)) */
static void add_interface(char *line, struct usage *usage)
{
	char *name = strsep(&line, ":");
	uint64_t number;
	char *field;
	int i = 0;

	if (!line || strcmp(name + strspn(name, " "), "lo") == 0)
		return;
	while ((field = strsep(&line, " "))) {
		if (!*field)
			continue;
		if (text_to_uint64(field, 0, INT64_MAX, &number) == 0) {
			usage->received += i == 0 ? number : 0;
			usage->sent += i == 8 ? number : 0;
		}
		i++;
	}
}

/* A network namespace that is the pod's or the host's counts for others, too. */
static void read_network(const struct container_spec *spec, pid_t init, struct usage *usage)
{
	autofree char *text = NULL;
	char *rest, *line;

	usage->received = usage->sent = USAGE_UNKNOWN;
	if (spec->net == CONTAINER_NET_POD || spec->net == CONTAINER_NET_HOST ||
		read_proc(init, "net/dev", &text) < 0)
		return;
	usage->received = usage->sent = 0;
	rest = text;
	while ((line = strsep(&rest, "\n")))
		add_interface(line, usage);
}

/* Without a controller the cgroup counts only part of it. */
static bool read_cgroup(const char *path, struct usage *usage)
{
	struct cgroup_stats stats;

	if (!path || cgroup_stats(path, &stats) < 0)
		return false;
	usage->cpu_us = stats.cpu_us;
	usage->memory = stats.memory;
	usage->pids = stats.pids;
	if (stats.memory_limit)
		usage->memory_limit = stats.memory_limit;
	return stats.memory > 0 && stats.pids > 0;
}

int usage_read(const struct container_spec *spec, const struct container_state *state,
	const struct processes *processes, struct usage *ret, struct err *err)
{
	struct usage usage = {.received = USAGE_UNKNOWN, .sent = USAGE_UNKNOWN};
	struct sysinfo info;
	int r = 0;

	if (sysinfo(&info) == 0)
		usage.memory_limit = (uint64_t)info.totalram * info.mem_unit;
	if (proc_alive(&state->init)) {
		uint64_t cpu_us;
		bool whole = read_cgroup(state->cgroup, &usage);

		cpu_us = usage.cpu_us;
		if (!whole)
			r = add_processes(spec, state, processes, &usage, err);
		/* cpu.stat is there without a controller, and knows those that have ended. */
		if (cpu_us > usage.cpu_us)
			usage.cpu_us = cpu_us;
		read_network(spec, state->init.pid, &usage);
	}
	if (r == 0)
		*ret = usage;
	return r;
}
