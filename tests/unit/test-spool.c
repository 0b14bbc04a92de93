/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Messages wait in order while a socket is full, nothing is lost, and the space has a bound. */

#include "spool.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "fixture.h"

#define MESSAGES 3000

struct setup {
	struct scratch scratch;
	int sockets[2];
	struct spool *spool;
};

static int setup(void **state)
{
	static struct setup setup;

	scratch_init(&setup.scratch);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				 setup.sockets), 0);
	setup.spool = spool_new(setup.scratch.fd);
	assert_non_null(setup.spool);
	*state = &setup;
	return 0;
}

static int teardown(void **state)
{
	struct setup *setup = *state;

	spool_free(setup->spool);
	close(setup->sockets[0]);
	close(setup->sockets[1]);
	scratch_done(&setup->scratch);
	return 0;
}

static void add(struct setup *setup, uint32_t number, size_t length)
{
	static uint8_t data[SHIM_DATA_MAX];
	const struct shim_header header = {.type = SHIM_STDOUT, .a = number};

	memset(data, (int)(number & 0xff), length);
	assert_int_equal(spool_add(setup->spool, &header, data, length), 0);
}

static void expect(struct setup *setup, uint32_t number, size_t length)
{
	static struct shim_message message;

	assert_int_equal(shim_receive(setup->sockets[1], &message, NULL), 1);
	assert_int_equal(message.header.type, SHIM_STDOUT);
	assert_int_equal(message.header.a, number);
	assert_int_equal(message.length, length);
	if (length > 0)
		assert_int_equal(message.data[length - 1], number & 0xff);
}

static void nothing_waits_at_first(void **state)
{
	struct setup *setup = *state;

	assert_true(spool_is_empty(setup->spool));
	assert_int_equal(spool_send(setup->spool, setup->sockets[0]), 1);
}

static void order_is_kept_while_the_socket_is_full(void **state)
{
	struct setup *setup = *state;
	uint32_t read = 0;
	int r;

	for (uint32_t i = 0; i < MESSAGES; i++)
		add(setup, i, i % 5000);
	do {
		r = spool_send(setup->spool, setup->sockets[0]);
		assert_in_range(r, 0, 1);
		while (read < MESSAGES) {
			static struct shim_message message;

			if (shim_receive(setup->sockets[1], &message, NULL) != 1)
				break;
			assert_int_equal(message.header.a, read);
			assert_int_equal(message.length, read % 5000);
			read++;
		}
	} while (r == 0);
	assert_int_equal(read, MESSAGES);
	assert_true(spool_is_empty(setup->spool));
}

static void an_emptied_one_is_used_again(void **state)
{
	struct setup *setup = *state;

	for (uint32_t round = 0; round < 3; round++) {
		add(setup, round, 100);
		add(setup, round + 10, 0);
		assert_int_equal(spool_send(setup->spool, setup->sockets[0]), 1);
		expect(setup, round, 100);
		expect(setup, round + 10, 0);
	}
}

static void there_is_a_limit(void **state)
{
	struct setup *setup = *state;
	const struct shim_header header = {.type = SHIM_STDOUT};
	static uint8_t data[SHIM_DATA_MAX + 1];
	size_t n = 0;
	int r;

	assert_int_equal(spool_add(setup->spool, &header, data, sizeof(data)), -E2BIG);
	while ((r = spool_add(setup->spool, &header, data, SHIM_DATA_MAX)) == 0)
		n++;
	assert_int_equal(r, -E2BIG);
	assert_int_equal(n, SPOOL_MAX / (SHIM_DATA_MAX + sizeof(struct record)));
	assert_true(spool_length(setup->spool) <= SPOOL_MAX);
}

static void a_closed_socket_is_an_error(void **state)
{
	struct setup *setup = *state;

	signal(SIGPIPE, SIG_IGN);
	add(setup, 1, 10);
	close(setup->sockets[1]);
	setup->sockets[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(spool_send(setup->spool, setup->sockets[0]), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_waits_at_first, setup, teardown),
		cmocka_unit_test_setup_teardown(
			order_is_kept_while_the_socket_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(an_emptied_one_is_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_a_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_socket_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
