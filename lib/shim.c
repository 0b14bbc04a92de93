/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Talking to podd-shim, and starting it: see shim.h. Between fork and execve the child does what
 * needs to be done in the pod's namespaces, and nothing else.
 */

#include "shim.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "fd.h"
#include "hierarchy.h"
#include "keyring.h"
#include "ns.h"
#include "text.h"

#define SHIM_PROGRAM PODD_LIBEXECDIR "/podd-shim"
/* What earlier runs said is thrown away once it is more than this. */
#define SHIM_LOG_MAX (64 * 1024)
#define STATUS_FAILED 125

/* ---- messages ---- */

int shim_send(int socket, uint32_t type, uint32_t a, uint32_t b, const void *data, size_t length,
	int fd)
{
	struct shim_header header = {.type = type, .a = a, .b = b};
	struct iovec parts[] = {
		{.iov_base = &header, .iov_len = sizeof(header)},
		{.iov_base = (void *)data, .iov_len = length},
	};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = length ? 2 : 1};
	ssize_t n;

	assert(length <= SHIM_DATA_MAX);
	if (fd >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	/* unix(7): a peer that closed with our messages unread. */
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

/* Takes the first fd of a message, and closes what came beside it. Return: how many came. */
static size_t take_message_fds(struct msghdr *message, int *ret_fd)
{
	size_t found = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (found++ == 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	return found;
}

int shim_receive(int socket, struct shim_message *ret, int *ret_fd)
{
	struct iovec parts[] = {
		{.iov_base = &ret->header, .iov_len = sizeof(ret->header)},
		{.iov_base = ret->data, .iov_len = SHIM_DATA_MAX},
	};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	autoclose int fd = -1;
	size_t n_fds;
	ssize_t n;

	/* A peer that closed with our messages unread makes ECONNRESET, once, before what it sent
	 * comes (the kernel's __skb_try_recv_datagram()). */
	do {
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	n_fds = take_message_fds(&message, &fd);
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(ret->header) || n_fds > 1 ||
		message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	ret->length = (size_t)n - sizeof(ret->header);
	ret->data[ret->length] = '\0';
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 1;
}

int shim_connect(int childfd, int *ret_socket, struct err *err)
{
	int r = fd_connect_unix(childfd, CONTAINER_SOCKET, SOCK_SEQPACKET, ret_socket);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return err_set(err, -ESRCH, "the container does not run");
	if (r < 0)
		return err_set(err, r, "cannot connect to the container's %s: %s", CONTAINER_SOCKET,
			strerror(-r));
	return 0;
}

/* ---- starting it ---- */

/* What the child needs, opened before the fork, so that most of what can fail does so here. */
struct stage {
	const struct shim_launch *launch;
	struct ns_set namespaces;
	int null;
	int log;
	int client;                     /* the launch's; in the child wherever it is moved to */
};

static void stage_done(struct stage *stage)
{
	ns_set_done(&stage->namespaces);
	cleanup_close(&stage->null);
	cleanup_close(&stage->log);
}

static int open_namespaces(const struct shim_launch *launch, struct ns_set *ret, struct err *err)
{
	struct ns_id wanted[NS_KINDS] = {};
	autoclose int procdir = -1;
	int r;

	wanted[NS_USER] = launch->state->namespaces[NS_USER];
	wanted[NS_MNT] = launch->state->namespaces[NS_MNT];
	r = proc_open_dir(&launch->state->outer, &procdir);
	if (r < 0)
		return err_set(err, r, "pod %s does not run", launch->pod);
	/* Bundles, volumes and runtimes are the host's. */
	r = pod_state_open_host(launch->state, procdir, wanted, ret, err);
	return r < 0 ? err_wrap(err, r, "pod %s", launch->pod) : 0;
}

static int open_log(const struct shim_launch *launch, int *ret, struct err *err)
{
	autoclose int childfd = -1;
	autoclose int fd = -1;
	struct stat st;
	int r;

	r = hierarchy_open_child(launch->podfd, launch->name, false, &childfd, err);
	if (r < 0)
		return r;
	fd = openat(childfd, CONTAINER_SHIM_LOG,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "opening %s of container %s/%s", CONTAINER_SHIM_LOG,
			launch->pod, launch->name);
	if (!launch->reap && fstat(fd, &st) == 0 && st.st_size > SHIM_LOG_MAX &&
		ftruncate(fd, 0) < 0)
		return err_errno(err, "emptying %s of container %s/%s", CONTAINER_SHIM_LOG,
			launch->pod, launch->name);
	*ret = take_fd(&fd);
	return 0;
}

static void __attribute__((noreturn)) child_fail(const struct stage *stage, const char *reason)
{
	const struct shim_launch *launch = stage->launch;

	dprintf(stage->log, "podd-shim: %s/%s: %s\n", launch->pod, launch->name, reason);
	if (stage->client >= 0)
		shim_send(stage->client, SHIM_ERROR, STATUS_FAILED, 0, reason, strlen(reason), -1);
	_exit(STATUS_FAILED);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Leaves the shim's own fds and no other. The numbers must not be in the way of one another. */
static int place_fds(struct stage *stage)
{
	int above = SHIM_FD_CLIENT + 1;

	stage->null = fcntl(stage->null, F_DUPFD_CLOEXEC, above);
	stage->log = fcntl(stage->log, F_DUPFD_CLOEXEC, above);
	if (stage->null < 0 || stage->log < 0 || dup2(stage->null, 0) < 0 ||
		dup2(stage->log, 1) < 0 || dup2(stage->log, 2) < 0)
		return -errno;
	if (stage->client < 0) {
		close(SHIM_FD_CLIENT);
		return 0;
	}
	stage->client = fcntl(stage->client, F_DUPFD_CLOEXEC, above);
	return stage->client < 0 ? -errno : fd_move_to(stage->client, SHIM_FD_CLIENT);
}

static void __attribute__((noreturn)) child_exec(struct stage *stage)
{
	const struct shim_launch *launch = stage->launch;
	char order[24];
	const char *const argv[] = {"podd-shim", "--root", launch->root, "--pod", launch->pod,
		"--name", launch->name, "--order", order, launch->reap ? "--reap" : NULL, NULL};
	static char *const environment[] = {NULL};
	struct err err = {};

	snprintf(order, sizeof(order), "%" PRIu64, launch->order);
	reset_signals();
	setsid();
	umask(022);
	/* In the pod's user namespace there are other names. */
	if (keyring_quota_is_low(geteuid()))
		(void)keyring_join(SHIM_KEYRING);
	if (ns_join(&stage->namespaces, &err) < 0)
		child_fail(stage, err.msg);
	if (chdir("/") < 0 || place_fds(stage) < 0) {
		err_errno(&err, "cannot set up the shim's descriptors");
		child_fail(stage, err.msg);
	}
	/* Not close_range(2) alone: should execve(2) fail, the reason still has to go out. */
	close_range(SHIM_FD_CLIENT + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	execve(SHIM_PROGRAM, (char *const *)argv, environment);
	err_errno(&err, "cannot execute %s", SHIM_PROGRAM);
	child_fail(stage, err.msg);
}

int shim_launch(const struct shim_launch *launch, pid_t *ret_pid, struct err *err)
{
	cleanup(stage_done) struct stage stage = {
		.launch = launch, .null = -1, .log = -1, .client = launch->client};
	pid_t pid;
	int r;

	ns_set_init(&stage.namespaces);
	r = open_namespaces(launch, &stage.namespaces, err);
	if (r == 0)
		r = open_log(launch, &stage.log, err);
	if (r < 0)
		return r;
	stage.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (stage.null < 0)
		return err_errno(err, "opening /dev/null");
	pid = fork();
	if (pid < 0)
		return err_errno(err, "starting the shim of container %s/%s", launch->pod,
			launch->name);
	if (pid == 0)
		child_exec(&stage);
	*ret_pid = pid;
	return 0;
}
