/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods whose records are lost: see lost.h. */

#include "lost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "proc.h"
#include "record.h"
#include "varlink.h"

#define CONTROL_SOCKET "control.sock"
#define PODD_LOCK "lock"
/* What podd gets for ending the pod beyond the time that its children have. */
#define GRACE_SECONDS 30
#define EXIT_TIMEOUT_MS 5000
#define OUTER_COMM "podd-outer\n"

bool lost_state(int podfd)
{
	struct pod_state state;

	if (faccessat(podfd, RECORD_STATE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
		pod_state_load(podfd, &state, NULL) < 0)
		return true;
	pod_state_done(&state);
	return false;
}

static bool state_says_so(int podfd)
{
	struct pod_state state;
	bool runs;

	if (pod_state_load(podfd, &state, NULL) < 0)
		return false;
	runs = proc_alive(&state.podd) || proc_alive(&state.outer);
	pod_state_done(&state);
	return runs;
}

static bool is_locked(int podfd)
{
	autoclose int fd = openat(podfd, PODD_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 && fd_lock(fd, 0) == -EWOULDBLOCK;
}

static bool podd_listens(int podfd)
{
	autoclose int fd = -1;

	return fd_connect_unix_now(podfd, CONTROL_SOCKET, SOCK_STREAM, &fd) == 0;
}

/* podd leaves ns/net behind, which names the process; by now that pid may be another one's. */
int lost_outer(int podfd)
{
	char target[64], comm[sizeof("/proc/2147483648/comm")];
	autofree char *name = NULL;
	ssize_t n = readlinkat(podfd, "ns/net", target, sizeof(target) - 1);
	size_t length;
	int pid;

	target[n > 0 ? n : 0] = '\0';
	if (sscanf(target, "/proc/%9d/", &pid) != 1)
		return 0;
	snprintf(comm, sizeof(comm), "/proc/%d/comm", pid);
	return file_read(AT_FDCWD, comm, 64, &name, &length, NULL) == 0 &&
			       strcmp(name, OUTER_COMM) == 0
		       ? pid
		       : 0;
}

bool lost_runs(int podfd)
{
	return state_says_so(podfd) || lost_outer(podfd) > 0 || is_locked(podfd) ||
	       podd_listens(podfd);
}

static int call_stop(int podfd, uint32_t seconds, struct err *err)
{
	autoptr(varlink_client) client = NULL;
	struct json *parameters;
	int r;

	r = varlink_connect(podfd, CONTROL_SOCKET, (seconds + GRACE_SECONDS) * 1000, &client, err);
	if (r < 0)
		return r;
	parameters = json_new_object();
	json_set_int(parameters, "timeout", seconds);
	return varlink_client_call(client, VARLINK_INTERFACE ".Stop", parameters, NULL, NULL, err);
}

/* podd itself listens there; where systemd does for it, nobody's end is waited for. */
static int open_podd(int podfd, int *ret_pidfd)
{
	autoclose int fd = -1;
	struct proc_id id;
	pid_t pid = 0;
	int r;

	r = fd_connect_unix_now(podfd, CONTROL_SOCKET, SOCK_STREAM, &fd);
	if (r == 0)
		r = fd_peer(fd, &pid, NULL);
	/* 0: it is in a pid namespace that is not seen from here. */
	if (r == 0)
		r = pid > 1 ? proc_identify(pid, &id) : -ESRCH;
	return r < 0 ? r : proc_open(&id, ret_pidfd);
}

int lost_stop(int podfd, uint32_t seconds, struct err *err)
{
	autoclose int pidfd = -1;
	int r;

	open_podd(podfd, &pidfd);
	r = call_stop(podfd, seconds, err);
	if (r == 0 && pidfd >= 0)
		proc_wait(pidfd, EXIT_TIMEOUT_MS);
	return r;
}

int lost_give_up(int podfd, uint32_t seconds, struct err *err)
{
	if (lost_runs(podfd)) {
		lost_stop(podfd, seconds, NULL);
		if (lost_state(podfd) && lost_runs(podfd))
			return err_set(err, -EBUSY,
				"it runs, has lost its state.json, and its supervisor does not "
				"answer: end its processes (podd-outer is %d), then remove it",
				lost_outer(podfd));
	}
	/* podd has written it anew, unless something is in its way. */
	return lost_state(podfd) ? file_remove_tree(podfd, RECORD_STATE, err) : 0;
}

int lost_remove_unfinished(const struct ctl *ctl, const char *path, struct err *err)
{
	autoclose int rootfd = -1;
	autoclose int fd = -1;
	int r;

	if (name_check_path(path, NULL) < 0 || name_depth(path) != 1)
		return -ENOENT;
	r = hierarchy_open_root(ctl->root, false, &rootfd, NULL);
	if (r == 0)
		r = file_open_dir(rootfd, path, &fd, NULL);
	if (r < 0 || faccessat(fd, RECORD_POD, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -ENOENT;
	if (lost_runs(fd))
		return err_set(err, -EBUSY,
			"pod %s runs, though its pod.json is gone; podctl rm -f ends and removes "
			"it",
			path);
	return hierarchy_remove_pod(rootfd, path, err);
}
