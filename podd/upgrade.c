/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Replacing podd: see upgrade.h. */

#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "events.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "launch.h"
#include "pod-network.h"
#include "pod.h"
#include "server.h"
#include "text.h"

#define CHILDREN_TEXT_MAX 65536

void method_upgrade(struct pod *pod, struct connection *connection, const struct varlink_call *call)
{
	int pipe_fds[2];

	/* One that came in the same moment: its caller hears of the end. */
	if (pod->upgrade_fd >= 0) {
		connection_fail(connection, "podd is being upgraded already");
		return;
	}
	if (pod->state.phase != POD_RUNNING) {
		connection_fail(connection, "the pod is being stopped");
		return;
	}
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		connection_fail(connection, strerror(errno));
		return;
	}
	connection_reply(connection, json_new_object(), &pipe_fds[0], 1, false);
	close(pipe_fds[0]);
	pod->upgrade_fd = pipe_fds[1];
	pod->next = POD_NEXT_UPGRADE;
	events_send(pod, "upgrading", NULL);
	server_flush(pod->server);
	sd_event_exit(pod->event, 0);
}

void method_replace_uplink(
	struct pod *pod, struct connection *connection, const struct varlink_call *call)
{
	/* That of a pod in a pod is another's. */
	if (pod->state.phase != POD_RUNNING || pod->uplink < 0 || pod->state.uplink.pid == 0) {
		connection_fail(connection, "there is no podd-uplink at present");
		return;
	}
	pod_kill_uplink(pod);
	connection_reply(connection, json_new_object(), NULL, 0, false);
}

/* It is the same process, so that the sockets that it was started with are for it, too. Return: 0
 * or -errno, of @ready_fd. */
static int set_inherited(int ready_fd, bool inherited)
{
	int flags = inherited ? 0 : FD_CLOEXEC;

	for (int i = 0, n = sd_listen_fds(0); i < n; i++)
		(void)fcntl(SD_LISTEN_FDS_START + i, F_SETFD, flags);
	return ready_fd >= 0 && fcntl(ready_fd, F_SETFD, flags) < 0 ? -errno : 0;
}

static int execute(const char *root, const char *path, int ready_fd)
{
	const char *argv[8] = {"podd"};
	char number[16];
	size_t n = 1;
	int r;

	if (root) {
		argv[n++] = "--root";
		argv[n++] = root;
	}
	if (ready_fd >= 0) {
		snprintf(number, sizeof(number), "%d", ready_fd);
		argv[n++] = "--ready-fd";
		argv[n++] = number;
	}
	argv[n++] = "--upgraded";
	argv[n++] = path;
	r = set_inherited(ready_fd, true);
	if (r == 0) {
		execv(PODD_LIBEXECDIR "/podd", (char *const *)argv);
		r = -errno;
	}
	set_inherited(ready_fd, false);
	return r;
}

void upgrade_execute(const char *root, const char *path, int ready_fd)
{
	int r = execute(root, path, ready_fd);

	fprintf(stderr, "podd: pod %s: cannot execute %s: %s; going on\n", path,
		PODD_LIBEXECDIR "/podd", strerror(-r));
	if (ready_fd >= 0)
		dprintf(ready_fd, "E cannot execute %s: %s\n", PODD_LIBEXECDIR "/podd",
			strerror(-r));
}

/* ---- could it? ---- */

static int check_child(int podfd, const char *name, struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	cleanup(container_state_done) struct container_state state = {};
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_any_child(podfd, name, &childfd, err);
	if (r == 0) {
		r = attachment_load(childfd, &attachment, err);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0 && container_is_made(childfd)) {
		r = container_spec_load(childfd, &spec, err);
		if (r == 0)
			r = container_state_load(childfd, &state, err);
	}
	/* One that is removed meanwhile. */
	return r == -ENOENT ? 0 : r < 0 ? err_wrap(err, r, "%s", name) : 0;
}

static int check_records(int podfd, struct err *err)
{
	cleanup(pod_network_done) struct pod_network network = {};
	cleanup(attachment_done) struct attachment attachment = {};
	cleanup(pod_state_done) struct pod_state state = {};
	cleanup(pod_spec_done) struct pod_spec spec = {};
	autostrv names = NULL;
	int r;

	r = pod_spec_load(podfd, &spec, err);
	if (r == 0)
		r = pod_state_load(podfd, &state, err);
	if (r == 0)
		r = pod_network_load(podfd, &network, err);
	if (r == 0 || r == -ENOENT)
		r = attachment_load(podfd, &attachment, err);
	if (r == 0 || r == -ENOENT)
		r = hierarchy_children(podfd, HIERARCHY_ANY, &names, err);
	for (size_t i = 0; r == 0 && names[i]; i++)
		r = check_child(podfd, names[i], err);
	return r;
}

int upgrade_check(const char *root, const char *path, struct err *err)
{
	autofree char *chosen = NULL;
	autoclose int rootfd = -1;
	autoclose int podfd = -1;
	int r;

	r = hierarchy_root(root, &chosen, err);
	if (r == 0)
		r = hierarchy_open_root(chosen, false, &rootfd, err);
	if (r == 0)
		r = hierarchy_open_pod(rootfd, path, &podfd, err);
	return r == 0 ? check_records(podfd, err) : r;
}

/* ---- afterwards ---- */

void upgrade_adopt_helpers(struct pod *pod)
{
	autofree char *text = NULL;
	autofree char *name = text_format("/proc/self/task/%d/children", (int)getpid());
	autoclose int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	autostrv words = NULL;
	size_t length;

	if (fd < 0 || fd_read_all(fd, CHILDREN_TEXT_MAX, &text, &length) < 0 ||
		strv_split(text, ' ', &words) < 0)
		return;
	for (size_t i = 0; words && words[i]; i++) {
		uint32_t pid;

		if (text_to_uint32(words[i], 1, INT32_MAX, &pid) == 0 &&
			(pid_t)pid != pod->state.outer.pid && (pid_t)pid != pod->state.uplink.pid)
			(void)launch_reap(pod, (pid_t)pid);
	}
}
