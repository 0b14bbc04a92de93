/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking a shim: what it said before it closed the connection is the reason. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "fixture.h"

#include "request.c"

/* The client's end of a connection that the shim has closed already, after a word or none. */
static int refused(uint32_t type, const char *reason)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	if (type)
		assert_int_equal(
			shim_send(sockets[1], type, 125, 0, reason, strlen(reason), -1), 0);
	close(sockets[1]);
	return sockets[0];
}

static void test_refused(void **state)
{
	autoclose int socket = refused(SHIM_ERROR, "there are 64 connections");
	struct err err = {0};

	assert_int_equal(request_send(socket, "net0/a", SHIM_STOP, 0, 0, -1, &err), -EREMOTEIO);
	assert_string_equal(err.msg, "container net0/a: there are 64 connections");
}

static void test_gone(void **state)
{
	autoclose int socket = refused(0, NULL);
	struct err err = {0};

	assert_int_equal(request_send(socket, "net0/a", SHIM_STOP, 0, 0, -1, &err), -ESRCH);
	assert_string_equal(err.msg, "container net0/a has just ended");
}

static void test_nonsense(void **state)
{
	autoclose int socket = refused(SHIM_DONE, "");
	struct err err = {0};

	assert_int_equal(request_send(socket, "net0/a", SHIM_STOP, 0, 0, -1, &err), -EPROTO);
}

static void test_sent(void **state)
{
	struct shim_message *message = malloc(sizeof(*message));
	struct err err = {0};
	int sockets[2];

	assert_non_null(message);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(request_send(sockets[0], "net0/a", SHIM_STOP, 1, 2, -1, &err), 0);
	assert_int_equal(shim_receive(sockets[1], message, NULL), 1);
	assert_int_equal(message->header.type, SHIM_STOP);
	assert_int_equal(message->header.b, 2);
	close(sockets[0]);
	close(sockets[1]);
	free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
