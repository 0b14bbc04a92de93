/* SPDX-License-Identifier: GPL-2.0-or-later */

/* File descriptors: see fd.h. */

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

#define READ_STEP 4096
#define CONNECT_TIMEOUT_S 2
/* Each of them meets somebody else's rename or mount. */
#define LOOKUPS_MAX 256

int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_length)
{
	autofree char *data = NULL;
	size_t length = 0, size = 0;

	for (;;) {
		ssize_t n;

		if (size - length < 2) {
			char *grown;

			size = size ? size * 2 : READ_STEP;
			if (size > max + 2)
				size = max + 2;
			grown = realloc(data, size);
			if (!grown)
				return -ENOMEM;
			data = grown;
		}
		n = read(fd, data + length, size - length - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length > max)
			return -EFBIG;
	}
	data[length] = '\0';
	*ret_data = take_ptr(data);
	*ret_length = length;
	return 0;
}

int fd_write_all(int fd, const void *data, size_t length)
{
	const char *next = data;

	while (length > 0) {
		ssize_t n = write(fd, next, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		next += n;
		length -= (size_t)n;
	}
	return 0;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_set_inherit(int fd)
{
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

int fd_move_to(int fd, int target)
{
	if (fd == target)
		return fd_set_inherit(fd);
	return dup2(fd, target) < 0 ? -errno : 0;
}

int fd_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
	const struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};
	long fd = -1;

	for (int i = 0; i < LOOKUPS_MAX; i++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int fd_send(int socket, const void *data, size_t length, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control = {};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = length};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds > FD_PASS_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *header = &control.align;

		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < length) {
		/* A stream took a part: the fds went with it, the rest follows without. */
		const char *rest = (const char *)data + n;

		for (length -= (size_t)n; length > 0; length -= (size_t)n, rest += n) {
			n = send(socket, rest, length, MSG_NOSIGNAL);
			if (n < 0 && errno == EINTR)
				n = 0;
			if (n < 0)
				return -errno;
		}
	}
	return 0;
}

/* Takes the fds out of a received message. Return: how many came. */
static size_t take_fds(struct msghdr *message, int *fds, size_t max)
{
	size_t n_fds = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++, n_fds++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n_fds < max)
				fds[n_fds] = fd;
			else
				close(fd);
		}
	}
	return n_fds;
}

ssize_t fd_receive(int socket, void *data, size_t size, int *fds, size_t max_fds, size_t *ret_n_fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	size_t n_fds;
	ssize_t n;

	for (size_t i = 0; i < max_fds; i++)
		fds[i] = -1;
	do {
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	n_fds = take_fds(&message, fds, max_fds);
	if (n_fds > max_fds || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		for (size_t i = 0; i < n_fds && i < max_fds; i++) {
			close(fds[i]);
			fds[i] = -1;
		}
		return -EBADMSG;
	}
	if (ret_n_fds)
		*ret_n_fds = n_fds;
	return n;
}

/* sun_path is short; /proc/self/fd leads into a directory of any length. */
static int socket_address(int dirfd, const char *name, struct sockaddr_un *ret)
{
	int n;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	return n < 0 || (size_t)n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

/* It gets its name once it listens: who sees it appear can connect. */
int fd_listen_unix(int dirfd, const char *name, int type, int *ret_fd, struct err *err)
{
	char unfinished[sizeof(((struct sockaddr_un *)0)->sun_path)];
	autoclose int fd = -1;
	struct sockaddr_un address;
	mode_t mask;
	int r;

	r = snprintf(unfinished, sizeof(unfinished), ".%s.new", name) < (int)sizeof(unfinished)
		    ? socket_address(dirfd, unfinished, &address)
		    : -ENAMETOOLONG;
	if (r < 0)
		return err_set(err, r, "socket name '%s' is too long", name);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, "making a unix socket");
	if (unlinkat(dirfd, unfinished, 0) < 0 && errno != ENOENT)
		return err_errno(err, "removing an unfinished socket %s", name);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (r < 0)
		return err_errno(err, "binding the socket %s", name);
	if (listen(fd, SOMAXCONN) < 0 || renameat(dirfd, unfinished, dirfd, name) < 0) {
		r = err_errno(err, "listening on the socket %s", name);
		unlinkat(dirfd, unfinished, 0);
		return r;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

static int connect_unix(int dirfd, const char *name, int type, int *ret_fd)
{
	const struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S};
	autoclose int fd = -1;
	struct sockaddr_un address;
	int r;

	r = socket_address(dirfd, name, &address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* A listener that is stuck, its backlog full, must not hold us up. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

int fd_connect_unix(int dirfd, const char *name, int type, int *ret_fd)
{
	int r = connect_unix(dirfd, name, type, ret_fd);

	return r == -EAGAIN ? -ETIMEDOUT : r;
}

int fd_connect_unix_now(int dirfd, const char *name, int type, int *ret_fd)
{
	return connect_unix(dirfd, name, type | SOCK_NONBLOCK, ret_fd);
}

int fd_peer(int socket, pid_t *ret_pid, uid_t *ret_uid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (ret_pid)
		*ret_pid = peer.pid;
	if (ret_uid)
		*ret_uid = peer.uid;
	return 0;
}

static void on_alarm(int number)
{
}

int fd_lock(int fd, unsigned timeout_ms)
{
	/* Repeats, so that a signal that comes before flock() sleeps is not the last one. */
	struct itimerval timer = {
		.it_value = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000},
		.it_interval = {.tv_usec = 10000},
	};
	struct sigaction action = {.sa_handler = on_alarm}, old;
	int r = 0;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	if (timeout_ms == 0)
		return -EWOULDBLOCK;
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &timer, NULL);
	if (flock(fd, LOCK_EX) < 0)
		r = errno == EINTR ? -EWOULDBLOCK : -errno;
	timer = (struct itimerval){};
	setitimer(ITIMER_REAL, &timer, NULL);
	sigaction(SIGALRM, &old, NULL);
	return r;
}

int fd_same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}
