/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Writing id mappings: by ourselves where the kernel lets us (user_namespaces(7), "User and group
 * ID mappings: uid_map and gid_map"), else by newuidmap(1) and newgidmap(1), which check the
 * ranges of subuid(5). Both helpers run at the same time: they take most of a pod's start. They
 * may look users up over a network, so they have a deadline.
 */

#include "idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "proc.h"
#include "text.h"

#define HELPER_OUTPUT_MAX 1024
#define HELPER_TIMEOUT_MS 15000
#define NUMBER_SIZE 12

static int write_file(pid_t pid, const char *name, const char *text)
{
	autoclose int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The kernel takes a map in one write only. */
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_direct(pid_t pid, const char *name, const struct idmap *map)
{
	char text[IDMAP_EXTENTS_MAX * 3 * NUMBER_SIZE + 1];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < map->n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%u %u %u\n",
			map->extents[i].container, map->extents[i].host, map->extents[i].size);
	return write_file(pid, name, text);
}

struct helper {
	const char *path;
	const char *ranges; /* the file that it checks */
	pid_t pid;
	int output;
};

static int start_helper(struct helper *helper, pid_t target, const struct idmap *map,
	struct err *err)
{
	char numbers[IDMAP_EXTENTS_MAX * 3 + 1][NUMBER_SIZE];
	const char *argv[IDMAP_EXTENTS_MAX * 3 + 3];
	int pipe_fds[2];
	size_t n = 0;

	argv[n++] = helper->path;
	snprintf(numbers[n - 1], NUMBER_SIZE, "%d", (int)target);
	argv[n] = numbers[n - 1];
	n++;
	for (size_t i = 0; i < map->n; i++) {
		const uint32_t extent[] = {map->extents[i].container, map->extents[i].host,
			map->extents[i].size};

		for (int j = 0; j < 3; j++, n++) {
			snprintf(numbers[n - 1], NUMBER_SIZE, "%u", extent[j]);
			argv[n] = numbers[n - 1];
		}
	}
	argv[n] = NULL;
	if (access(helper->path, X_OK) < 0)
		return err_errno(err,
			"%s maps the ids of %s and cannot be run (package uidmap on Debian)",
			helper->path, helper->ranges);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	helper->pid = vfork();
	if (helper->pid == 0) {
		static char *const environment[] = {NULL};

		if (dup2(pipe_fds[1], STDOUT_FILENO) < 0 || dup2(pipe_fds[1], STDERR_FILENO) < 0)
			_exit(127);
		execve(helper->path, (char *const *)argv, environment);
		_exit(127);
	}
	close(pipe_fds[1]);
	helper->output = pipe_fds[0];
	if (helper->pid < 0) {
		int r = err_errno(err, "starting %s", helper->path);

		close(helper->output);
		return r;
	}
	return 0;
}

/* Waits for its end, which is at the deadline at the latest. */
static int await_helper(const struct helper *helper, int64_t deadline, int *ret_status,
	struct err *err)
{
	autoclose int pidfd = -1;
	int r = proc_open_child(helper->pid, &pidfd);

	if (r == 0)
		r = proc_wait(pidfd, (int)deadline_left_ms(deadline, HELPER_TIMEOUT_MS));
	if (r == -ETIMEDOUT)
		err_set(err, r, "%s did not end in time and was killed", helper->path);
	else if (r < 0)
		err_set(err, r, "watching %s: %s", helper->path, strerror(-r));
	/* Its real uid is ours, also where it is setuid root (kill(2)). */
	if (r < 0 && kill(helper->pid, SIGKILL) < 0)
		return r;
	while (waitpid(helper->pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return r < 0 ? r : err_errno(err, "waiting for %s", helper->path);
	return r;
}

static int finish_helper(struct helper *helper, int64_t deadline, struct err *err)
{
	char text[HELPER_OUTPUT_MAX + 1];
	int status = 0;
	int r = await_helper(helper, deadline, &status, err);
	/* All that it had to say is in the pipe, which something else may still hold open. */
	ssize_t n = fd_set_nonblock(helper->output) == 0
			    ? read(helper->output, text, HELPER_OUTPUT_MAX)
			    : 0;

	close(helper->output);
	if (r < 0)
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	return err_set(err, -EPERM,
		"%s refused the mapping: %s (is the range yours in %s, and the program setuid root or "
		"with its capability?)",
		helper->path, n > 0 ? text : "it said nothing", helper->ranges);
}

static bool only_own_id(const struct idmap *map, uint32_t own)
{
	return map->n == 1 && map->extents[0].size == 1 && map->extents[0].host == own;
}

/* Writes one map directly where the kernel lets us. Return: 0, or 1 when it needs the helper. */
static int try_direct(pid_t pid, const char *name, const struct idmap *map, uint32_t own)
{
	int r = write_direct(pid, name, map);

	if (r == -EPERM && !only_own_id(map, own))
		return 1;
	if (r == -EPERM && strcmp(name, "gid_map") == 0) {
		/* Without privilege only once setgroups(2) is given up. */
		r = write_file(pid, "setgroups", "deny");
		if (r == 0)
			r = write_direct(pid, name, map);
	}
	return r;
}

int idmap_write(pid_t pid, const struct idmap *uids, const struct idmap *gids, struct err *err)
{
	struct helper helpers[] = {
		{.path = PODD_NEWUIDMAP, .ranges = "/etc/subuid"},
		{.path = PODD_NEWGIDMAP, .ranges = "/etc/subgid"},
	};
	static const char *const names[] = {"uid_map", "gid_map"};
	const struct idmap *const maps[] = {uids, gids};
	const uint32_t own[] = {geteuid(), getegid()};
	int64_t deadline = deadline_now_ms() + HELPER_TIMEOUT_MS;
	bool started[2] = {};
	int first = 0;

	for (int i = 0; i < 2 && first == 0; i++) {
		int r = try_direct(pid, names[i], maps[i], own[i]);

		if (r < 0) {
			first = err_set(err, r, "writing %s of process %d: %s", names[i], (int)pid,
				strerror(-r));
		} else if (r > 0) {
			first = start_helper(&helpers[i], pid, maps[i], err);
			started[i] = first == 0;
		}
	}
	for (int i = 0; i < 2; i++) {
		int r = 0;

		if (started[i])
			r = finish_helper(&helpers[i], deadline, first < 0 ? NULL : err);

		if (first == 0)
			first = r;
	}
	return first;
}

static void __attribute__((noreturn)) run_mapped(int wait, int (*function)(void *), void *userdata)
{
	char byte;

	if (read(wait, &byte, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		_exit(EPERM);
	_exit(-function(userdata) & 0xff);
}

int idmap_run(const struct idmap *uids, const struct idmap *gids, int (*function)(void *userdata),
	void *userdata, struct err *err)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	int pipe_fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		close(pipe_fds[1]);
		run_mapped(pipe_fds[0], function, userdata);
	}
	close(pipe_fds[0]);
	r = pid < 0 ? err_errno(err, "making a user namespace") : 0;
	if (r == 0)
		r = idmap_write(pid, uids, gids, err);
	if (r == 0 && write(pipe_fds[1], "", 1) != 1)
		r = err_errno(err, "starting a process in a user namespace");
	/* Without its byte the child ends by itself. */
	close(pipe_fds[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO,
			"the process in a user namespace failed: %s",
			WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "it was killed");
	return 0;
}
