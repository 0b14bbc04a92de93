/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File descriptors: whole reads and writes, passing, unix sockets in deep directories, locks. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "fixture.h"

static int flags_of(int fd)
{
	return fcntl(fd, F_GETFD);
}

static void test_read_all(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int fd = -1;
	char *text = NULL;
	size_t length = 4711;

	scratch_init(&scratch);
	put_file(scratch.fd, "f", "12345");
	fd = openat(scratch.fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fd_read_all(fd, 4, &text, &length), -EFBIG);
	assert_null(text);
	assert_int_equal(length, 4711);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, 5, &text, &length), 0);
	assert_string_equal(text, "12345");
	assert_int_equal(length, 5);
	free(text);
	assert_int_equal(fd_read_all(fd, 0, &text, &length), 0);
	assert_string_equal(text, "");
	assert_int_equal(length, 0);
	free(text);
	text = NULL;
	assert_int_equal(fd_read_all(-1, 5, &text, &length), -EBADF);
	assert_null(text);
}

struct transfer {
	int fds[2];
	char *data;
	size_t length;
};

static void write_side(void *argument)
{
	struct transfer *transfer = argument;

	close(transfer->fds[0]);
	assert_int_equal(fd_write_all(transfer->fds[1], transfer->data, transfer->length), 0);
}

/* More than a pipe takes at once, so that both ends see parts. */
static void test_through_a_pipe(void **state)
{
	struct transfer transfer = {.length = 1000003};
	autofree char *received = NULL;
	size_t length;
	pid_t pid;

	transfer.data = malloc(transfer.length);
	assert_non_null(transfer.data);
	for (size_t i = 0; i < transfer.length; i++)
		transfer.data[i] = (char)(i % 251);
	assert_int_equal(pipe2(transfer.fds, O_CLOEXEC), 0);
	pid = child_fork();
	if (pid == 0) {
		write_side(&transfer);
		_exit(0);
	}
	close(transfer.fds[1]);
	assert_int_equal(fd_read_all(transfer.fds[0], transfer.length, &received, &length), 0);
	assert_int_equal(length, transfer.length);
	assert_memory_equal(received, transfer.data, length);
	assert_int_equal(received[length], '\0');
	close(transfer.fds[0]);
	child_wait(pid);
	free(transfer.data);
}

static void test_write_fails(void **state)
{
	autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	assert_int_equal(fd_write_all(full, "x", 1), -ENOSPC);
	assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(fd_write_all(-1, "x", 0), 0);
}

static void test_flags(void **state)
{
	autoclose int fd = open("/dev/null", O_RDWR | O_APPEND | O_CLOEXEC);

	assert_int_equal(fd_set_nonblock(fd), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFL) & O_APPEND);
	assert_int_equal(flags_of(fd), FD_CLOEXEC);
	assert_int_equal(fd_set_inherit(fd), 0);
	assert_int_equal(flags_of(fd), 0);
	assert_int_equal(fd_set_nonblock(-1), -EBADF);
	assert_int_equal(fd_set_inherit(-1), -EBADF);
}

static void test_move_to(void **state)
{
	autoclose int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	autoclose int target = open("/dev/zero", O_RDWR | O_CLOEXEC);

	assert_int_equal(fd_move_to(fd, target), 0);
	assert_true(fd_same_file(fd, target));
	assert_int_equal(flags_of(target), 0);
	assert_int_equal(flags_of(fd), FD_CLOEXEC);
	assert_int_equal(fd_move_to(fd, fd), 0);
	assert_int_equal(flags_of(fd), 0);
	assert_int_equal(fd_move_to(-1, target), -EBADF);
}

static void test_same_file(void **state)
{
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autoclose int again = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autoclose int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	assert_true(fd_same_file(null, again));
	assert_false(fd_same_file(null, zero));
	assert_false(fd_same_file(null, -1));
}

/* Two ends of a socket, and a pipe whose write end is what is passed: its read end tells, without
 * waiting, whether anybody still holds one. */
struct passing {
	int sockets[2];
	int pipe[2];
	int fds[32];
};

static void passing_init(struct passing *passing, int type)
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, passing->sockets), 0);
	assert_int_equal(pipe2(passing->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < sizeof(passing->fds) / sizeof(int); i++)
		passing->fds[i] = passing->pipe[1];
}

static void passing_done(struct passing *passing)
{
	char byte;

	close(passing->pipe[1]);
	assert_int_equal(read(passing->pipe[0], &byte, 1), 0);
	close(passing->pipe[0]);
	close(passing->sockets[0]);
	close(passing->sockets[1]);
}

static void test_pass(void **state)
{
	struct passing passing;
	int fds[FD_PASS_MAX + 1];
	char buffer[16];
	size_t n = 4711;

	passing_init(&passing, SOCK_SEQPACKET);
	assert_int_equal(fd_send(passing.sockets[0], "hello", 5, passing.fds, FD_PASS_MAX), 0);
	assert_int_equal(
		fd_receive(passing.sockets[1], buffer, sizeof(buffer), fds, FD_PASS_MAX + 1, &n),
		5);
	assert_memory_equal(buffer, "hello", 5);
	assert_int_equal(n, FD_PASS_MAX);
	for (int i = 0; i < FD_PASS_MAX; i++) {
		assert_int_equal(flags_of(fds[i]), FD_CLOEXEC);
		assert_true(fd_same_file(fds[i], passing.pipe[1]));
		close(fds[i]);
	}
	assert_int_equal(fds[FD_PASS_MAX], -1);
	passing_done(&passing);
}

static void test_pass_nothing(void **state)
{
	struct passing passing;
	int fds[2] = {7, 7};
	char buffer[16];
	size_t n = 4711;

	passing_init(&passing, SOCK_SEQPACKET);
	assert_int_equal(fd_send(passing.sockets[0], "x", 1, NULL, 0), 0);
	assert_int_equal(fd_receive(passing.sockets[1], buffer, 16, fds, 2, &n), 1);
	assert_int_equal(n, 0);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[1], -1);
	assert_int_equal(
		fd_send(passing.sockets[0], "x", 1, passing.fds, FD_PASS_MAX + 1), -EINVAL);
	passing_done(&passing);
}

static void test_pass_to_nobody(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};

	/* Without MSG_NOSIGNAL it would end us. */
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < sizeof(types) / sizeof(int); i++) {
		struct passing passing;
		char byte;

		passing_init(&passing, types[i]);
		shutdown(passing.sockets[0], SHUT_WR);
		assert_int_equal(fd_receive(passing.sockets[1], &byte, 1, NULL, 0, NULL), 0);
		assert_int_equal(fd_send(passing.sockets[0], "x", 1, passing.fds, 1), -EPIPE);
		passing_done(&passing);
	}
}

static void test_too_many_fds(void **state)
{
	struct passing passing;
	int fds[2] = {7, 7};
	char buffer[16];
	size_t n = 4711;

	passing_init(&passing, SOCK_SEQPACKET);
	assert_int_equal(fd_send(passing.sockets[0], "x", 1, passing.fds, 3), 0);
	assert_int_equal(fd_receive(passing.sockets[1], buffer, 16, fds, 2, &n), -EBADMSG);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[1], -1);
	assert_int_equal(n, 4711);
	assert_int_equal(fd_send(passing.sockets[0], "x", 1, passing.fds, 1), 0);
	assert_int_equal(fd_receive(passing.sockets[1], buffer, 16, NULL, 0, NULL), -EBADMSG);
	/* The socket is still of use. */
	assert_int_equal(fd_send(passing.sockets[0], "y", 1, NULL, 0), 0);
	assert_int_equal(fd_receive(passing.sockets[1], buffer, 16, NULL, 0, NULL), 1);
	passing_done(&passing);
}

/* A peer need not keep to FD_PASS_MAX. */
static void test_more_fds_than_there_is_room_for(void **state)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 32)];
	} control = {0};
	struct iovec iov = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct passing passing;
	int fds[32];
	char buffer[16];

	passing_init(&passing, SOCK_SEQPACKET);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(passing.fds));
	memcpy(CMSG_DATA(&control.header), passing.fds, sizeof(passing.fds));
	assert_int_equal(sendmsg(passing.sockets[0], &message, 0), 1);
	assert_int_equal(fd_receive(passing.sockets[1], buffer, 16, fds, 32, NULL), -EBADMSG);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fds[31], -1);
	passing_done(&passing);
}

static void test_message_too_long(void **state)
{
	struct passing passing;
	int fds[1];
	char buffer[4];

	passing_init(&passing, SOCK_SEQPACKET);
	assert_int_equal(fd_send(passing.sockets[0], "12345", 5, passing.fds, 1), 0);
	assert_int_equal(fd_receive(passing.sockets[1], buffer, 4, fds, 1, NULL), -EBADMSG);
	assert_int_equal(fds[0], -1);
	passing_done(&passing);
}

static void interrupt(int number)
{
}

static void send_long(void *argument)
{
	static const struct sigaction action = {.sa_handler = interrupt};
	const struct transfer *transfer = argument;

	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(
		fd_send(transfer->fds[0], transfer->data, transfer->length, &transfer->fds[1], 1),
		0);
}

/* A stream that is interrupted while it is full has taken a part. */
static void test_send_long(void **state)
{
	struct transfer transfer = {.length = 4 * 1024 * 1024};
	size_t received = 0;
	struct passing passing;
	char buffer[65536];
	ssize_t n;
	int fds[2];
	pid_t pid;

	transfer.data = calloc(1, transfer.length);
	assert_non_null(transfer.data);
	passing_init(&passing, SOCK_STREAM);
	transfer.fds[0] = passing.sockets[0];
	transfer.fds[1] = passing.pipe[1];
	pid = child_fork();
	if (pid == 0) {
		send_long(&transfer);
		_exit(0);
	}
	close(passing.sockets[0]);
	n = fd_receive(passing.sockets[1], buffer, sizeof(buffer), fds, 2, NULL);
	assert_true(n > 0);
	assert_true(fd_same_file(fds[0], passing.pipe[1]));
	assert_int_equal(fds[1], -1);
	close(fds[0]);
	/* It handles the signal since before it sent anything. */
	assert_int_equal(kill(pid, SIGUSR1), 0);
	while (n > 0) {
		received += (size_t)n;
		n = fd_receive(passing.sockets[1], buffer, sizeof(buffer), NULL, 0, NULL);
	}
	assert_int_equal(n, 0);
	assert_int_equal(received, transfer.length);
	child_wait(pid);
	free(transfer.data);
	passing.sockets[0] = -1;
	passing_done(&passing);
}

/* A directory whose path is longer than sun_path. */
static int make_deep(const struct scratch *scratch)
{
	char name[201];
	int fd;

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(mkdirat(scratch->fd, name, 0700), 0);
	fd = openat(scratch->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void test_unix_socket(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
	cleanup(scratch_done) struct scratch scratch;
	autoclose int dir = -1;

	scratch_init(&scratch);
	dir = make_deep(&scratch);
	for (size_t i = 0; i < sizeof(types) / sizeof(int); i++) {
		autoclose int listener = -1, client = -1, server = -1;
		struct err err = {0};
		struct stat st;
		uid_t uid = 4711;
		pid_t pid = 0;
		mode_t mask = umask(0);
		int r = fd_listen_unix(dir, "sock", types[i], &listener, &err);

		assert_int_equal(umask(mask), 0);
		if (r < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(fstatat(dir, "sock", &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(flags_of(listener), FD_CLOEXEC);
		assert_int_equal(accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1);
		assert_int_equal(errno, EAGAIN);

		assert_int_equal(fd_connect_unix(dir, "sock", types[i], &client), 0);
		assert_int_equal(flags_of(client), FD_CLOEXEC);
		assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
		server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(server >= 0);
		assert_int_equal(fd_peer(server, &pid, &uid), 0);
		assert_int_equal(pid, getpid());
		assert_int_equal(uid, geteuid());
		assert_int_equal(fd_peer(server, NULL, NULL), 0);
		/* The other type finds the first one's socket in its place and replaces it. */
	}
	assert_int_equal(fd_peer(dir, NULL, NULL), -ENOTSOCK);
}

static void test_unix_socket_fails(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int listener = -1;
	struct err err = {0};
	char name[200];
	int fd = 4711;

	scratch_init(&scratch);
	assert_int_equal(fd_connect_unix(scratch.fd, "none", SOCK_STREAM, &fd), -ENOENT);
	assert_int_equal(fd_listen_unix(scratch.fd, "dead", SOCK_STREAM, &listener, NULL), 0);
	close(take_fd(&listener));
	assert_int_equal(fd_connect_unix(scratch.fd, "dead", SOCK_STREAM, &fd), -ECONNREFUSED);

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(fd_connect_unix(scratch.fd, name, SOCK_STREAM, &fd), -ENAMETOOLONG);
	assert_int_equal(fd_listen_unix(scratch.fd, name, SOCK_STREAM, &fd, &err), -ENAMETOOLONG);
	assert_contains(err.msg, name);
	/* What is no socket and cannot be replaced stays. */
	assert_int_equal(mkdirat(scratch.fd, "dir", 0700), 0);
	assert_true(fd_listen_unix(scratch.fd, "dir", SOCK_STREAM, &fd, &err) < 0);
	assert_contains(err.msg, "dir");
	assert_int_equal(fd, 4711);
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static int lock_holder = -1;

static void release(int number)
{
	flock(lock_holder, LOCK_UN);
}

static void test_lock_times_out(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int holder = -1, fd = -1;
	struct itimerval timer;
	struct timespec begin;

	scratch_init(&scratch);
	put_file(scratch.fd, "lock", "");
	holder = openat(scratch.fd, "lock", O_RDWR | O_CLOEXEC);
	fd = openat(scratch.fd, "lock", O_RDWR | O_CLOEXEC);
	assert_int_equal(fd_lock(holder, 0), 0);
	assert_int_equal(fd_lock(fd, 0), -EWOULDBLOCK);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(fd_lock(fd, 30), -EWOULDBLOCK);
	assert_true(elapsed_ms(&begin) >= 30);
	/* No timer is left that would end the process later. */
	assert_int_equal(getitimer(ITIMER_REAL, &timer), 0);
	assert_int_equal(timer.it_value.tv_sec, 0);
	assert_int_equal(timer.it_value.tv_usec, 0);
	/* The lock ends with its last descriptor. */
	close(take_fd(&holder));
	assert_int_equal(fd_lock(fd, 0), 0);
	assert_int_equal(fd_lock(-1, 0), -EBADF);
}

static void test_lock_waits(void **state)
{
	struct sigaction action = {.sa_handler = release, .sa_flags = SA_RESTART}, old;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec delay = {.it_value = {.tv_nsec = 30000000}};
	cleanup(scratch_done) struct scratch scratch;
	struct timespec begin;
	autoclose int fd = -1;
	timer_t timer;

	scratch_init(&scratch);
	put_file(scratch.fd, "lock", "");
	lock_holder = openat(scratch.fd, "lock", O_RDWR | O_CLOEXEC);
	fd = openat(scratch.fd, "lock", O_RDWR | O_CLOEXEC);
	assert_int_equal(fd_lock(lock_holder, 0), 0);
	sigaction(SIGUSR1, &action, &old);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(timer_settime(timer, 0, &delay, NULL), 0);
	/* The holder lets go while we wait; the time-out is far away. */
	assert_int_equal(fd_lock(fd, 60000), 0);
	assert_in_range(elapsed_ms(&begin), 30, 59999);
	assert_int_equal(flock(lock_holder, LOCK_EX | LOCK_NB), -1);
	timer_delete(timer);
	sigaction(SIGUSR1, &old, NULL);
	close(lock_holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_all),
		cmocka_unit_test(test_through_a_pipe),
		cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_move_to),
		cmocka_unit_test(test_same_file),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_pass_nothing),
		cmocka_unit_test(test_pass_to_nobody),
		cmocka_unit_test(test_too_many_fds),
		cmocka_unit_test(test_more_fds_than_there_is_room_for),
		cmocka_unit_test(test_message_too_long),
		cmocka_unit_test(test_send_long),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_unix_socket_fails),
		cmocka_unit_test(test_lock_times_out),
		cmocka_unit_test(test_lock_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
