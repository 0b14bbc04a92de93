/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What podd says to a service manager, and takes from it. The manager is a socket of the test's. */

#include "manager.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "fd.h"
#include "fixture.h"

#define KEPT "podd-port~~8080,80~0"

struct fake {
	struct scratch scratch;
	int socket;
	struct pod pod;
};

static void fake_init(struct fake *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(fake, 0, sizeof(*fake));
	scratch_init(&fake->scratch);
	fake->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", fake->scratch.path);
	assert_int_equal(bind(fake->socket, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	text_copy(fake->pod.path, sizeof(fake->pod.path), "net0");
	fake->pod.podfd = fake->scratch.fd;
}

static void fake_done(struct fake *fake)
{
	close(fake->socket);
	scratch_done(&fake->scratch);
}

/* The next message is this, with so many fds. */
static void assert_said(struct fake *fake, const char *expected, size_t n_fds)
{
	int fds[4];
	char text[512] = "";
	size_t n = 0;

	assert_true(fd_receive(fake->socket, text, sizeof(text) - 1, fds, 4, &n) > 0);
	assert_string_equal(text, expected);
	assert_int_equal(n, n_fds);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void assert_silent(struct fake *fake)
{
	char byte;

	assert_int_equal(recv(fake->socket, &byte, 1, 0), -1);
}

static void listen_tcp(int number)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	if (fd != number) {
		assert_int_equal(dup2(fd, number), number);
		close(fd);
	}
}

static void pass(unsigned n, const char *names)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	setenv("LISTEN_FDS", text, 1);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
}

static bool is_tcp(int fd, const void *opaque)
{
	return sd_is_socket(fd, AF_INET, SOCK_STREAM, 1) > 0;
}

static bool is_that(const char *name, const void *opaque)
{
	return text_equal(name, opaque);
}

/* ---- */

static void in_state(void *argument)
{
	struct fake fake;

	fake_init(&fake);
	assert_int_equal(manager_new(&fake.pod, &fake.pod.manager, NULL), 0);
	manager_ready(&fake.pod);
	assert_said(&fake, "READY=1\nSTATUS=Pod net0 runs", 0);
	manager_stopping(&fake.pod);
	assert_said(&fake, "STOPPING=1\nSTATUS=Pod net0 is being stopped", 0);
	manager_keep(fake.pod.manager, KEPT, STDIN_FILENO);
	assert_said(&fake, "FDSTORE=1\nFDNAME=" KEPT, 1);
	manager_drop(fake.pod.manager, KEPT);
	assert_said(&fake, "FDSTOREREMOVE=1\nFDNAME=" KEPT, 0);
	/* When podd ends without the pod, what is kept is for the next one. */
	manager_drop(NULL, KEPT);
	assert_silent(&fake);
	manager_free(fake.pod.manager);
	fake_done(&fake);
}

/* Kept ones of another kind than their names say, and ones of other names, are not taken. */
static void in_kept(void *argument)
{
	struct manager *manager;
	struct fake fake;
	int fds[2] = {-1, -1};

	close_range(3, ~0U, 0);
	listen_tcp(3);
	listen_tcp(4);
	assert_int_equal(open("/dev/null", O_RDONLY), 5);
	listen_tcp(6);
	fake_init(&fake);
	pass(4, KEPT ":podd-port~web~80~0:" KEPT ":" KEPT);
	assert_int_equal(manager_new(&fake.pod, &fake.pod.manager, NULL), 0);
	manager = fake.pod.manager;
	assert_int_equal(manager_take(manager, "podd-port~~1,1~0", is_tcp, NULL, fds, 2), 0);
	assert_int_equal(manager_take(manager, KEPT, is_tcp, NULL, fds, 1), 1);
	close(fds[0]);
	assert_int_equal(manager_take(manager, KEPT, is_tcp, NULL, fds, 2), 2);
	assert_true(is_tcp(fds[0], NULL) && is_tcp(fds[1], NULL));
	/* What nobody wants is given up; none of them stays open. */
	manager_settle(manager, is_that, KEPT);
	assert_said(&fake, "FDSTOREREMOVE=1\nFDNAME=podd-port~web~80~0", 0);
	assert_silent(&fake);
	for (int fd = 3; fd < 7; fd++) {
		assert_false(is_tcp(fd, NULL));
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	}
	manager_free(manager);
	fake_done(&fake);
}

/* Those of somebody's socket unit may be ports: they stay, but are no control socket. */
static void in_foreign(void *argument)
{
	struct fake fake;
	int fd;

	close_range(3, ~0U, 0);
	listen_tcp(3);
	fake_init(&fake);
	pass(1, NULL);
	assert_int_equal(manager_new(&fake.pod, &fake.pod.manager, NULL), 0);
	manager_settle(fake.pod.manager, is_that, "");
	assert_silent(&fake);
	assert_true(is_tcp(3, NULL));
	assert_int_equal(manager_take(fake.pod.manager, "unknown", is_tcp, NULL, &fd, 1), 1);
	assert_false(manager_owns_control(fake.pod.manager));
	assert_int_equal(manager_take_control(fake.pod.manager), -1);
	manager_free(fake.pod.manager);
	fake_done(&fake);
}

static void listen_at(const struct fake *fake, const char *name, int number)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fake->scratch.path, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(dup2(fd, number), number);
	close(fd);
}

static void in_control(void *argument)
{
	struct fake fake;
	int fd;

	close_range(3, ~0U, 0);
	for (int i = 3; i < 6; i++)
		assert_int_equal(open("/dev/null", O_RDONLY), i);
	fake_init(&fake);
	listen_at(&fake, "another.sock", 3);
	/* Only the name says so. */
	listen_tcp(4);
	listen_at(&fake, "control.sock", 5);
	pass(3, "control:control:control");
	assert_int_equal(manager_new(&fake.pod, &fake.pod.manager, NULL), 0);
	assert_true(manager_owns_control(fake.pod.manager));
	fd = manager_take_control(fake.pod.manager);
	assert_true(fd_same_file(fd, 5));
	manager_free(fake.pod.manager);
	close(fd);
	/* One that is not in the pod's directory any more is nobody's. */
	assert_int_equal(unlinkat(fake.scratch.fd, "control.sock", 0), 0);
	pass(3, "control:control:control");
	assert_int_equal(manager_new(&fake.pod, &fake.pod.manager, NULL), 0);
	assert_int_equal(manager_take_control(fake.pod.manager), -1);
	manager_free(fake.pod.manager);
	fake_done(&fake);
}

static void test_messages(void **state)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		assert_int_equal(strlen(messages[i].id), 32);
		assert_int_equal(strspn(messages[i].id, "0123456789abcdef"), 32);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(messages[i].id, messages[j].id);
			assert_string_not_equal(messages[i].event, messages[j].event);
		}
	}
}

#define IN_CHILD(name)                        \
	static void test_##name(void **state) \
	{                                     \
		run_child(in_##name, NULL);   \
	}
IN_CHILD(state)
IN_CHILD(kept)
IN_CHILD(foreign)
IN_CHILD(control)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
