/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inotify(7) and pidfds, see watch.h. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cleanup.h"

#include "watch.h"

#define EVENTS                                                                                     \
	(IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |        \
		IN_MOVE_SELF)

int watch_init(struct watch *watch, struct err *err)
{
	*watch = (struct watch)WATCH_NONE;
	watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return watch->inotify < 0 ? err_errno(err, "watching the container's files") : 0;
}

void watch_done(struct watch *watch)
{
	for (int i = 0; i < WATCH_PIDS_MAX; i++) {
		cleanup_close(&watch->pidfds[i]);
		watch->pidfds[i] = -1;
	}
	cleanup_close(&watch->inotify);
	watch->inotify = -1;
}

int watch_add_dir(struct watch *watch, int dirfd, struct err *err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	if (inotify_add_watch(watch->inotify, path, EVENTS | IN_ONLYDIR) < 0)
		return err_errno(err, "watching the container's files");
	return 0;
}

void watch_set_processes(struct watch *watch, const struct container_state *state)
{
	const struct proc_id *processes[WATCH_PIDS_MAX] = {&state->shim, &state->init};

	for (int i = 0; i < WATCH_PIDS_MAX; i++) {
		cleanup_close(&watch->pidfds[i]);
		watch->pidfds[i] = -1;
		proc_open(processes[i], &watch->pidfds[i]);
	}
}

static void drain(int fd)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

int watch_wait(struct watch *watch, int input, int output, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = watch->inotify, .events = POLLIN},
		{.fd = watch->pidfds[0], .events = POLLIN},
		{.fd = watch->pidfds[1], .events = POLLIN},
		{.fd = output, .events = 0},
		{.fd = input, .events = POLLIN},
	};
	int r;

	do {
		r = poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (fds[3].revents & (POLLERR | POLLHUP))
		return -EPIPE;
	if (fds[0].revents)
		drain(watch->inotify);
	return r > 0;
}
