/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Starting podd-outer and podd-uplink, and talking to them. Both get fixed fds (outer.h, uplink.h)
 * and outlive podd.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "idmap.h"
#include "outer.h"
#include "pod.h"
#include "text.h"

#define ANSWER_TIMEOUT_S 20
/* While podd serves, nobody may keep it waiting. */
#define HURRY_S 1
/* Fixed fds are below this; originals are moved above it first. */
#define FIXED_FDS_MAX 10

static void set_timeouts(int control, int seconds)
{
	struct timeval timeout = {.tv_sec = seconds};

	setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(control, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

/* What a process of the pod is reached by: a connected pair now, and a listening socket for the
 * podd that comes after this one. */
struct reach {
	int mine;
	int its;
	int listener;
};

static void reach_done(struct reach *reach)
{
	cleanup_close(&reach->mine);
	cleanup_close(&reach->its);
	cleanup_close(&reach->listener);
}

static int make_reach(struct pod *pod, const char *name, struct reach *reach, struct err *err)
{
	int pair[2], r;

	*reach = (struct reach){-1, -1, -1};
	r = fd_listen_unix(pod->podfd, name, SOCK_SEQPACKET, &reach->listener, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, "making a control socket");
	reach->mine = pair[0];
	reach->its = pair[1];
	set_timeouts(reach->mine, ANSWER_TIMEOUT_S);
	return 0;
}

int pod_connect(struct pod *pod, const char *name, int *ret_fd)
{
	int r = fd_connect_unix(pod->podfd, name, SOCK_SEQPACKET, ret_fd);

	if (r == 0)
		set_timeouts(*ret_fd, ANSWER_TIMEOUT_S);
	return r;
}

/* In the child: puts fds[i] at 3 + i, stdin at /dev/null, and executes the program. */
static void __attribute__((noreturn)) execute(const char *program, const int *fds, size_t n)
{
	static char *const environment[] = {NULL};
	const char *name = strrchr(program, '/') + 1;
	char *const argv[] = {(char *)name, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int moved[FIXED_FDS_MAX];
	sigset_t none;

	assert(n <= FIXED_FDS_MAX - 3);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < n; i++)
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIXED_FDS_MAX);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	for (size_t i = 0; i < n; i++)
		if (moved[i] < 0 || dup2(moved[i], 3 + (int)i) < 0)
			_exit(125);
	execve(program, argv, environment);
	fprintf(stderr, "podd: cannot execute %s: %s\n", program, strerror(errno));
	_exit(125);
}

static int own_namespaces(const struct pod *pod)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

	return pod->spec.net == POD_NET_HOST ? flags : flags | CLONE_NEWNET;
}

static void __attribute__((noreturn)) fail_outer(int control, const char *what)
{
	struct outer_reply reply = {.operation = OUTER_NONE, .result = -errno};

	snprintf(reply.text, sizeof(reply.text), "%s: %s", what, strerror(errno));
	fd_send(control, &reply, sizeof(reply), NULL, 0);
	_exit(125);
}

/* In the child, alone in its new user namespace: makes the other namespaces while the parent has
 * the ids mapped, then becomes root. The working directory moves along into the new mount
 * namespace, where it can be bound from. */
static void __attribute__((noreturn)) become_outer(struct pod *pod, int control, int listen_fd,
	int mapped)
{
	const int fds[] = {control, listen_fd, pod->podfd};
	char byte;

	/* In a pod around it is there already, by its path. */
	if (!pod_spec_is_nested(&pod->spec) && fchdir(pod->podfd) < 0)
		fail_outer(control, "entering the pod's directory");
	if (unshare(own_namespaces(pod)) < 0)
		fail_outer(control, "making the pod's namespaces");
	if (read(mapped, &byte, 1) != 1)
		_exit(125);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		fail_outer(control, "becoming root in the pod's user namespace");
	setsid();
	execute(PODD_LIBEXECDIR "/podd-outer", fds, 3);
}

static int clone_child(uint64_t flags, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};

	return (int)syscall(SYS_clone3, &args, sizeof(args));
}

/* Returns twice: in the new process with *ret_pid 0. It is the first one of the pod's pid namespace,
 * which containers may share. */
static int clone_outer(const struct pod *pod, const int fds[OUTER_START_FDS], pid_t *ret_pid,
	int *ret_pidfd, struct err *err)
{
	int r;

	if (!pod_spec_is_nested(&pod->spec)) {
		*ret_pid = clone_child(CLONE_NEWUSER | CLONE_NEWPID, ret_pidfd);
		if (*ret_pid >= 0)
			return 0;
		return err_errno(err,
			"making a user namespace (are they allowed here? see user.max_user_namespaces "
			"and kernel.unprivileged_userns_clone)");
	}
	r = pod_clone_in_parent(pod, fds, ret_pid, err);
	if (r < 0 || *ret_pid == 0)
		return r;
	r = proc_open_child(*ret_pid, ret_pidfd);
	return r < 0 ? err_set(err, r, "podd-outer ended while it started") : 0;
}

/* In a pod around they are mapped already. */
static int map_outer(struct pod *pod, pid_t pid, int mapped, struct err *err)
{
	int r = 0;

	if (!pod_spec_is_nested(&pod->spec))
		r = idmap_write(pid, &pod->state.uids, &pod->state.gids, err);

	if (r < 0)
		return r;
	if (write(mapped, "", 1) != 1)
		return err_errno(err, "podd-outer ended while it started");
	return 0;
}

int pod_spawn_outer(struct pod *pod, struct err *err)
{
	cleanup(reach_done) struct reach reach;
	autoclose int pidfd = -1, wait = -1, go = -1;
	int pipe_fds[2];
	pid_t pid;
	int r;

	r = make_reach(pod, "outer.sock", &reach, err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	wait = pipe_fds[0];
	go = pipe_fds[1];
	r = clone_outer(pod, (const int[]){reach.its, reach.listener, wait}, &pid, &pidfd, err);
	if (r < 0)
		return r;
	if (pid == 0) {
		/* In a pod in a pod it is closed already. */
		close(go);
		become_outer(pod, reach.its, reach.listener, wait);
	}
	pod->outer_pidfd = take_fd(&pidfd);
	r = proc_identify(pid, &pod->state.outer);
	if (r < 0)
		return err_set(err, r, "podd-outer ended while it started");
	/* Whatever becomes of podd now, the next one knows what to end. Before that a closed pipe
	 * ends the child by itself. */
	r = pod_state_save(pod->podfd, &pod->state, err);
	if (r == 0)
		r = map_outer(pod, pid, go, err);
	if (r < 0)
		return r;
	pod->outer = take_fd(&reach.mine);
	return 0;
}

int pod_spawn_uplink(struct pod *pod, struct err *err)
{
	cleanup(reach_done) struct reach reach;
	autoclose int pidfd = -1;
	pid_t pid;
	int r;

	r = make_reach(pod, "uplink.sock", &reach, err);
	if (r < 0)
		return r;
	pid = clone_child(0, &pidfd);
	if (pid == 0) {
		const int fds[] = {reach.its, reach.listener};

		setsid();
		execute(PODD_LIBEXECDIR "/podd-uplink", fds, 2);
	}
	if (pid < 0)
		return err_errno(err, "starting podd-uplink");
	cleanup_close(&pod->uplink_pidfd);
	pod->uplink_pidfd = take_fd(&pidfd);
	r = proc_identify(pid, &pod->state.uplink);
	if (r < 0)
		return err_set(err, r, "podd-uplink ended while it started");
	cleanup_close(&pod->uplink);
	pod->uplink = take_fd(&reach.mine);
	return 0;
}

void pod_hurry_outer(struct pod *pod)
{
	set_timeouts(pod->outer, HURRY_S);
}

/* First it is taken out of the loop: a child of podd between fork(2) and execve(2) may hold the socket
 * as well, and then close(2) does not (epoll(7)). */
static void close_uplink(struct pod *pod)
{
	pod->uplink_reply = sd_event_source_disable_unref(pod->uplink_reply);
	cleanup_close(&pod->uplink);
	pod->uplink = -1;
}

void pod_kill_uplink(struct pod *pod)
{
	autoclose int pidfd = take_fd(&pod->uplink_pidfd);

	/* That of another pod: what is ended is the connection, and its end is told by the loop. */
	if (pod_is_tenant(pod)) {
		if (pod->uplink >= 0)
			shutdown(pod->uplink, SHUT_RDWR);
		return;
	}

	/* A /proc with hidepid does not show it, so the pidfd from its start comes first. */
	if (pidfd >= 0 || proc_open(&pod->state.uplink, &pidfd) == 0)
		proc_signal(pidfd, SIGKILL);
	close_uplink(pod);
}

void pod_end_uplink(struct pod *pod)
{
	autoclose int pidfd = take_fd(&pod->uplink_pidfd);

	if (pidfd >= 0) {
		proc_signal(pidfd, SIGKILL);
		waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){}, WEXITED);
	} else {
		pod_kill_uplink(pod);
	}
	close_uplink(pod);
}

static void note_net(struct pod *pod, const struct outer_reply *reply)
{
	pod->uplink_net.queue = reply->queue;
	pod->uplink_net.transparent = reply->transparent;
	(void)text_sanitize(
		pod->uplink_net.reason, sizeof(pod->uplink_net.reason), reply->text);
}

/* What podd did not wait for any longer comes all the same, before what it waits for now. */
static bool is_answer(const struct outer_reply *reply, const struct outer_request *request)
{
	return reply->operation == request->operation || reply->operation == OUTER_NONE;
}

static void close_fds(int fds[OUTER_REPLY_FDS_MAX])
{
	for (int i = 0; fds && i < OUTER_REPLY_FDS_MAX; i++) {
		cleanup_close(&fds[i]);
		fds[i] = -1;
	}
}

/* @fds may be NULL. Return: 0 with an answer, -errno. */
static int receive_answer(struct pod *pod, const struct outer_request *request,
	struct outer_reply *reply, int fds[OUTER_REPLY_FDS_MAX], struct err *err)
{
	ssize_t n;

	do {
		close_fds(fds);
		n = fd_receive(pod->outer, reply, sizeof(*reply), fds,
			fds ? OUTER_REPLY_FDS_MAX : 0, NULL);
	} while (n == (ssize_t)sizeof(*reply) && !is_answer(reply, request));
	if (n == -EAGAIN)
		return err_set(err, -ETIMEDOUT, "podd-outer does not answer");
	if (n != (ssize_t)sizeof(*reply))
		return err_set(err, -ECONNRESET, "podd-outer ended; its last words are in podd.log");
	reply->text[sizeof(reply->text) - 1] = '\0';
	return 0;
}

static int ask(struct pod *pod, const struct outer_request *request, int fds[OUTER_REPLY_FDS_MAX],
	struct err *err)
{
	struct outer_reply reply = {};
	int r = fd_send(pod->outer, request, sizeof(*request), NULL, 0);

	/* Its last words may be there to be read. */
	if (r == 0 || r == -EPIPE)
		r = receive_answer(pod, request, &reply, fds, err);
	else
		err_set(err, r, "asking podd-outer: %s", strerror(-r));
	if (r < 0)
		return r;
	if (reply.result < 0)
		return err_set(err, reply.result, "%s", reply.text);
	if (request->operation == OUTER_TAP || request->operation == OUTER_NET)
		note_net(pod, &reply);
	return 0;
}

int pod_ask_outer(struct pod *pod, enum outer_operation operation,
	const struct outer_setup *setup, int fds[OUTER_REPLY_FDS_MAX], struct err *err)
{
	struct outer_request request = {.operation = operation};

	if (setup)
		request.setup = *setup;
	return ask(pod, &request, fds, err);
}

int pod_ask_outer_tree(struct pod *pod, const struct outer_tree *tree, struct err *err)
{
	struct outer_request request = {.operation = OUTER_TREE, .tree = *tree};

	return ask(pod, &request, NULL, err);
}
