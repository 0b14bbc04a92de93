/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Starting shims, and waiting for what podd has started: see launch.h. */

#include "launch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "containers.h"
#include "pod.h"
#include "shim.h"

static int on_exit_of_child(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	waitid(P_PIDFD, (id_t)fd, &(siginfo_t){}, WEXITED | WNOHANG);
	/* The loop lets go of it, which closes the pidfd. */
	sd_event_source_set_floating(source, false);
	return 0;
}

int launch_reap(struct pod *pod, pid_t pid)
{
	sd_event_source *source = NULL;
	autoclose int pidfd = -1;
	int r;

	r = proc_open_child(pid, &pidfd);
	if (r == 0)
		r = sd_event_add_io(pod->event, &source, pidfd, EPOLLIN, on_exit_of_child, NULL);
	if (r < 0)
		return r;
	sd_event_source_set_io_fd_own(source, true);
	take_fd(&pidfd);
	/* From now on the loop's. */
	sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	return 0;
}

int launch_shim(struct pod *pod, const char *name, uint64_t order, int client, struct err *err)
{
	const struct shim_launch launch = {
		.root = pod->root,
		.pod = pod->path,
		.name = name,
		.state = &pod->state,
		.podfd = pod->podfd,
		.order = order,
		.client = client,
	};
	pid_t pid;
	int r;

	if (containers_count(pod->containers) >= CONTAINERS_MAX)
		return err_set(err, -E2BIG, "more than %d containers in pod %s", CONTAINERS_MAX,
			pod->path);
	r = shim_launch(&launch, &pid, err);
	if (r < 0)
		return r;
	r = launch_reap(pod, pid);
	if (r < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(err, r, "watching the shim: %s", strerror(-r));
	}
	return 0;
}
