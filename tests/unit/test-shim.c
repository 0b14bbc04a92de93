/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages between podctl, podd and podd-shim, and a shim that cannot be started. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "container.h"
#include "fixture.h"
#include "hierarchy.h"
#include "shim.h"
#include "text.h"

struct pair {
	int a, b;
};

static void pair_init(struct pair *pair)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*pair = (struct pair){fds[0], fds[1]};
}

static void pair_done(struct pair *pair)
{
	close(pair->a);
	close(pair->b);
}

static struct shim_message message; /* large */

static void test_messages(void **state)
{
	cleanup(pair_done) struct pair pair;
	static char data[SHIM_DATA_MAX];
	int fd = 4711;

	pair_init(&pair);
	assert_int_equal(shim_receive(pair.b, &message, NULL), -EAGAIN);
	assert_int_equal(shim_send(pair.a, SHIM_STOP, 15, SHIM_DEFAULT, NULL, 0, -1), 0);
	assert_int_equal(shim_send(pair.a, SHIM_STDIN, 0, 0, "hello", 5, -1), 0);
	memset(data, 'x', sizeof(data));
	assert_int_equal(shim_send(pair.a, SHIM_STDOUT, 0, 0, data, sizeof(data), -1), 0);

	assert_int_equal(shim_receive(pair.b, &message, &fd), 1);
	assert_int_equal(message.header.type, SHIM_STOP);
	assert_int_equal(message.header.a, 15);
	assert_true(message.header.b == SHIM_DEFAULT);
	assert_int_equal(message.length, 0);
	assert_int_equal(fd, -1);
	assert_int_equal(shim_receive(pair.b, &message, NULL), 1);
	assert_int_equal(message.header.type, SHIM_STDIN);
	assert_int_equal(message.length, 5);
	assert_string_equal((char *)message.data, "hello");
	assert_int_equal(shim_receive(pair.b, &message, NULL), 1);
	assert_int_equal(message.length, SHIM_DATA_MAX);
	assert_memory_equal(message.data, data, sizeof(data));
	assert_int_equal(message.data[SHIM_DATA_MAX], 0);
}

static void test_end(void **state)
{
	struct pair pair;

	pair_init(&pair);
	close(pair.a);
	assert_int_equal(shim_receive(pair.b, &message, NULL), 0);
	assert_int_equal(shim_send(pair.b, SHIM_PING, 0, 0, NULL, 0, -1), -EPIPE);
	close(pair.b);
	pair_init(&pair);
	/* A peer that ends with what we said unread. */
	assert_int_equal(shim_send(pair.b, SHIM_PING, 0, 0, NULL, 0, -1), 0);
	close(pair.a);
	assert_int_equal(shim_receive(pair.b, &message, NULL), 0);
	close(pair.b);
}

static void test_full(void **state)
{
	cleanup(pair_done) struct pair pair;
	static char data[SHIM_DATA_MAX];
	int r;

	pair_init(&pair);
	do {
		r = shim_send(pair.a, SHIM_STDOUT, 0, 0, data, sizeof(data), -1);
	} while (r == 0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(shim_receive(pair.b, &message, NULL), 1);
}

static void test_fd(void **state)
{
	cleanup(pair_done) struct pair pair;
	autoclose int sent = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autoclose int received = -1;

	pair_init(&pair);
	assert_int_equal(shim_send(pair.a, SHIM_EXEC, 1, 0, NULL, 0, sent), 0);
	assert_int_equal(shim_receive(pair.b, &message, &received), 1);
	assert_true(received >= 0);
	assert_int_equal(fd_same_file(sent, received), 1);
	assert_int_equal(fcntl(received, F_GETFD), FD_CLOEXEC);
}

static int lowest_fd(void)
{
	autoclose int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd;
}

/* Whatever does not belong is closed, and nothing of it is left open. */
static void test_unwanted_fds(void **state)
{
	cleanup(pair_done) struct pair pair;
	const struct shim_header header = {.type = SHIM_PING};
	int fds[3], before, fd = 4711;

	pair_init(&pair);
	for (int i = 0; i < 3; i++)
		assert_true((fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(fd_send(pair.a, &header, sizeof(header), fds, 1), 0);
	assert_int_equal(fd_send(pair.a, &header, sizeof(header), fds, 2), 0);
	assert_int_equal(fd_send(pair.a, &header, sizeof(header), fds, 3), 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	before = lowest_fd();
	assert_int_equal(shim_receive(pair.b, &message, NULL), 1);
	assert_int_equal(shim_receive(pair.b, &message, &fd), -EBADMSG);
	assert_int_equal(shim_receive(pair.b, &message, &fd), -EBADMSG);
	assert_int_equal(fd, 4711);
	assert_int_equal(lowest_fd(), before);
}

static void test_malformed(void **state)
{
	cleanup(pair_done) struct pair pair;
	static char large[sizeof(struct shim_header) + SHIM_DATA_MAX + 1];

	pair_init(&pair);
	assert_int_equal(send(pair.a, "short", 5, 0), 5);
	assert_int_equal(send(pair.a, large, sizeof(large), 0), sizeof(large));
	assert_int_equal(send(pair.a, large, sizeof(large) - 1, 0), sizeof(large) - 1);
	assert_int_equal(shim_receive(pair.b, &message, NULL), -EBADMSG);
	assert_int_equal(shim_receive(pair.b, &message, NULL), -EBADMSG);
	assert_int_equal(shim_receive(pair.b, &message, NULL), 1);
	assert_int_equal(message.header.type, 0);
}

static void test_connect(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int listening = -1;
	autoclose int connected = -1;
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(shim_connect(scratch.fd, &connected, &err), -ESRCH);
	assert_string_equal(err.msg, "the container does not run");
	assert_int_equal(
		fd_listen_unix(scratch.fd, CONTAINER_SOCKET, SOCK_SEQPACKET, &listening, NULL), 0);
	assert_int_equal(shim_connect(scratch.fd, &connected, &err), 0);
	assert_int_equal(shim_send(connected, SHIM_PING, 0, 0, NULL, 0, -1), 0);
	/* One that died leaves its socket. */
	close(take_fd(&connected));
	close(take_fd(&listening));
	assert_int_equal(shim_connect(scratch.fd, &connected, &err), -ESRCH);
}

/* ---- starting one ---- */

static void make_pod(const struct scratch *scratch, int *ret_podfd)
{
	autoclose int childfd = -1;

	assert_int_equal(hierarchy_make_pod(scratch->fd, "net0", ret_podfd, NULL), 0);
	assert_int_equal(hierarchy_open_child(*ret_podfd, "web", true, &childfd, NULL), 0);
}

/* A "pod" whose outer container is the caller. */
static void state_of_self(struct pod_state *pod)
{
	*pod = (struct pod_state){.phase = POD_RUNNING};
	assert_int_equal(proc_self(&pod->outer), 0);
	assert_int_equal(ns_identify(-1, pod->namespaces, NULL), 0);
}

/* The reason goes to who waits, and to the log. */
static void launch_what_fails(void *argument)
{
	const struct scratch *scratch = argument;
	cleanup(pair_done) struct pair pair;
	autoclose int podfd = -1;
	struct pod_state pod;
	struct shim_launch launch = {.root = scratch->path, .pod = "net0", .name = "web",
		.state = &pod};
	struct err err = {0};
	struct stat st;
	pid_t pid;
	int status;

	enter_user_namespace(CLONE_NEWNS, 0);
	make_pod(scratch, &podfd);
	pair_init(&pair);
	state_of_self(&pod);
	launch.podfd = podfd;
	launch.client = pair.a;
	if (shim_launch(&launch, &pid, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 125);
	assert_int_equal(shim_receive(pair.b, &message, NULL), 1);
	assert_int_equal(message.header.type, SHIM_ERROR);
	assert_int_equal(message.header.a, 125);
	assert_true(message.length > 0);
	assert_int_equal(fstatat(podfd, "children/web/" CONTAINER_SHIM_LOG, &st, 0), 0);
	assert_true(st.st_size > 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_launch_fails(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	run_child(launch_what_fails, &scratch);
}

static void test_launch_without_pod(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int podfd = -1;
	struct pod_state pod;
	struct shim_launch launch = {.root = scratch.path, .pod = "net0", .name = "web",
		.state = &pod, .client = -1};
	struct err err = {0};
	pid_t pid = 4711;

	scratch_init(&scratch);
	make_pod(&scratch, &podfd);
	state_of_self(&pod);
	launch.podfd = podfd;
	pod.outer.start_time++;
	assert_int_equal(shim_launch(&launch, &pid, &err), -ESRCH);
	assert_contains(err.msg, "pod net0 does not run");
	state_of_self(&pod);
	launch.name = "nobody";
	assert_int_equal(shim_launch(&launch, &pid, &err), -ENOENT);
	/* A link instead of the log leads nowhere. */
	launch.name = "web";
	assert_int_equal(
		symlinkat("/dev/null", podfd, "children/web/" CONTAINER_SHIM_LOG), 0);
	assert_int_equal(shim_launch(&launch, &pid, &err), -ELOOP);
	assert_contains(err.msg, "net0/web");
	assert_int_equal(pid, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_unwanted_fds),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_launch_fails),
		cmocka_unit_test(test_launch_without_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
