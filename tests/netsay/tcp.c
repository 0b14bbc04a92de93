/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scenarios of one connection, with both sides next to each other. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenario.h"

enum {
	SOME = 5000,
	MUCH = 100000,
	LARGE = 24 << 20,
	/* More than the buffers of two connections one behind the other take. */
	SLOW = 96 << 20,
	ALL = 1 << 30,
	/* Longer than any path needs to take in what it has room for. */
	BLOCKED_MS = 300,
	SHORT_CONNECTIONS = 2000,
	BUSY_PROCESSES = 16,
	BUSY_CONNECTIONS = 200,
};

static void say_and_answer_client(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_receive(talk, SOME);
	talk_close(talk);
}

static void say_and_answer_server(struct talk *talk)
{
	talk_receive(talk, SOME);
	talk_send(talk, SOME);
	talk_receive(talk, ALL);
}

static void server_closes_first_client(struct talk *talk)
{
	talk_receive(talk, ALL);
	talk_send(talk, 1);
	talk_await_end(talk);
	talk_send(talk, 1);
	talk_receive(talk, ALL);
}

static void server_closes_first_server(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_close(talk);
}

static void client_closes_first_client(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_close(talk);
}

static void client_closes_first_server(struct talk *talk)
{
	talk_receive(talk, ALL);
	talk_send(talk, 1);
	talk_await_end(talk);
	talk_send(talk, 1);
	talk_receive(talk, ALL);
}

static void client_ends_its_direction_client(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_shutdown(talk);
	talk_receive(talk, ALL);
}

static void client_ends_its_direction_server(struct talk *talk)
{
	talk_receive(talk, ALL);
	talk_send(talk, MUCH);
	talk_close(talk);
}

static void server_ends_its_direction_client(struct talk *talk)
{
	talk_receive(talk, ALL);
	talk_send(talk, MUCH);
	talk_close(talk);
}

static void server_ends_its_direction_server(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_shutdown(talk);
	talk_receive(talk, ALL);
}

static void server_resets_client(struct talk *talk)
{
	talk_receive(talk, SOME);
	talk_meet(talk);
	talk_await_end(talk);
	talk_receive(talk, ALL);
	talk_send(talk, 1);
}

static void server_resets_server(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_meet(talk);
	talk_reset(talk);
}

static void client_resets_client(struct talk *talk)
{
	server_resets_server(talk);
}

static void client_resets_server(struct talk *talk)
{
	server_resets_client(talk);
}

/* Data that nobody reads turns a close into a reset. */
static void client_leaves_data_client(struct talk *talk)
{
	talk_await_bytes(talk, SOME);
	talk_close(talk);
}

static void client_leaves_data_server(struct talk *talk)
{
	talk_send(talk, SOME);
	talk_await_end(talk);
	talk_receive(talk, ALL);
}

static void server_leaves_data_client(struct talk *talk)
{
	client_leaves_data_server(talk);
}

static void server_leaves_data_server(struct talk *talk)
{
	client_leaves_data_client(talk);
}

static void both_close(struct talk *talk)
{
	if (!talk_meet(talk))
		return;
	talk_send(talk, SOME);
	talk_shutdown(talk);
	talk_receive(talk, ALL);
	talk_await_end(talk);
}

/* The mark is where the stream was when the urgent byte was sent. */
static void urgent_client(struct talk *talk)
{
	if (send(talk->fd, "abc", 3, 0) != 3 || send(talk->fd, "!", 1, MSG_OOB) != 1 ||
		send(talk->fd, "def", 3, 0) != 3)
		talk_say(talk, "send: %s", talk_error(errno));
	talk_shutdown(talk);
	talk_receive(talk, ALL);
}

static void urgent_server(struct talk *talk)
{
	struct pollfd waiting = {.fd = talk->fd, .events = POLLRDHUP};
	char text[16] = "", urgent = '-';
	size_t length = 0;
	ssize_t n;
	int mark = 0;

	poll(&waiting, 1, TALK_PATIENCE * 1000);
	if (recv(talk->fd, &urgent, 1, MSG_OOB) != 1)
		talk_say(talk, "no urgent byte: %s", strerrorname_np(errno));
	while (length < sizeof(text) - 1 &&
		(n = recv(talk->fd, text + length, sizeof(text) - 1 - length, 0)) > 0) {
		length += (size_t)n;
		if (ioctl(talk->fd, SIOCATMARK, &mark) == 0 && mark)
			talk_say(talk, "mark after %zu", length);
	}
	talk_say(talk, "urgent '%c', the rest '%s'", urgent, text);
}

static void large_out_client(struct talk *talk)
{
	talk_send(talk, LARGE);
	talk_shutdown(talk);
	talk_receive(talk, ALL);
}

static void large_out_server(struct talk *talk)
{
	talk_receive(talk, ALL);
}

static void large_in_client(struct talk *talk)
{
	talk_receive(talk, ALL);
}

static void large_in_server(struct talk *talk)
{
	talk_send(talk, LARGE);
	talk_close(talk);
}

/* Sends from a process of its own while this one reads. */
static void large_both(struct talk *talk)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		talk->out = NULL;
		_exit(!talk_send(talk, LARGE) || shutdown(talk->fd, SHUT_WR) < 0);
	}
	talk_receive(talk, ALL);
	waitpid(pid, &status, 0);
	talk_say(talk, status == 0 ? "sent all" : "did not send all");
}

/* Sends until nobody takes any more, lets the server begin to read, and goes on. */
static void slow_reader_client(struct talk *talk)
{
	struct pollfd waiting = {.fd = talk->fd, .events = POLLOUT};
	static char bytes[65536];
	size_t sent = 0;
	int flags = fcntl(talk->fd, F_GETFL);
	char byte;

	fcntl(talk->fd, F_SETFL, flags | O_NONBLOCK);
	while (sent < SLOW && poll(&waiting, 1, BLOCKED_MS) == 1) {
		ssize_t n = send(talk->fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	talk_say(talk, "blocked: %s", sent < SLOW ? "yes" : "no");
	/* It ends when the server has begun. */
	int release = scenario_connect(talk, "release");
	if (release < 0 || recv(release, &byte, 1, 0) != 0)
		talk_say(talk, "the server does not begin");
	close(release);
	fcntl(talk->fd, F_SETFL, flags);
	while (sent < SLOW) {
		size_t part = SLOW - sent < sizeof(bytes) ? SLOW - sent : sizeof(bytes);
		ssize_t n = send(talk->fd, bytes, part, MSG_NOSIGNAL);

		if (n < 0) {
			talk_say(talk, "send: %s", talk_error(errno));
			return;
		}
		sent += (size_t)n;
	}
	talk_shutdown(talk);
	talk_receive(talk, ALL);
}

/* server.c calls it when the client has said "release". */
static void slow_reader_server(struct talk *talk)
{
	talk_receive(talk, ALL);
}

/* Four bytes from one port of the server's, or what another one sends at once: each client's port
 * soon meets both. Return: 0, or an error, ECONNABORTED when bytes were missing. */
static int connect_shortly(struct talk *talk, bool at_once)
{
	char buffer[AT_ONCE];
	ssize_t size = at_once ? AT_ONCE : 4;
	int error = 0, fd;

	errno = 0;
	fd = at_once ? talk_connect(talk->address, (uint16_t)(talk->port + PORT_TELLS), SOCK_STREAM)
		     : scenario_connect(talk, "short");
	if (fd < 0)
		return -fd;
	if (recv(fd, buffer, (size_t)size, MSG_WAITALL) != size || recv(fd, buffer, 1, 0) != 0)
		error = errno ? errno : ECONNABORTED;
	close(fd);
	return error;
}

/* Return: how many of so many connections were answered as they should; ret_error: of one of the
 * others. */
static int connect_often(struct talk *talk, int count, int *ret_error)
{
	int good = 0;

	for (int i = 0; i < count; i++) {
		int error = connect_shortly(talk, i % 2);

		if (error == 0)
			good++;
		else
			*ret_error = error;
	}
	return good;
}

static void say_count(struct talk *talk, int good, int count, int error)
{
	talk_say(talk, "%d of %d%s%s", good, count, good < count ? ", " : "",
		good < count ? talk_error(error) : "");
}

/* One after the other. */
static void short_connections_client(struct talk *talk)
{
	int error = 0, good = connect_often(talk, SHORT_CONNECTIONS, &error);

	say_count(talk, good, SHORT_CONNECTIONS, error);
}

struct outcome {
	int good, error;
};

/* So many at a time that ports come round while old connections are still remembered. */
static void busy_connections_client(struct talk *talk)
{
	struct outcome sum = {0}, one = {0};
	int results[2];

	if (pipe(results) < 0)
		return;
	for (int i = 0; i < BUSY_PROCESSES; i++) {
		if (fork() != 0)
			continue;
		one.good = connect_often(talk, BUSY_CONNECTIONS, &one.error);
		_exit(write(results[1], &one, sizeof(one)) != sizeof(one));
	}
	for (int i = 0; i < BUSY_PROCESSES && read(results[0], &one, sizeof(one)) == sizeof(one);
		i++) {
		sum.good += one.good;
		sum.error = one.error ? one.error : sum.error;
	}
	while (wait(NULL) > 0)
		;
	close(results[0]);
	close(results[1]);
	say_count(talk, sum.good, BUSY_PROCESSES * BUSY_CONNECTIONS, sum.error);
}

const struct scenario tcp_scenarios[] = {
	{"say-and-answer", "tcp", say_and_answer_client, say_and_answer_server},
	{"server-closes-first", "tcp", server_closes_first_client, server_closes_first_server},
	{"client-closes-first", "tcp", client_closes_first_client, client_closes_first_server},
	{"client-ends-its-direction", "tcp", client_ends_its_direction_client,
		client_ends_its_direction_server},
	{"server-ends-its-direction", "tcp", server_ends_its_direction_client,
		server_ends_its_direction_server},
	{"server-resets", "tcp", server_resets_client, server_resets_server},
	{"client-resets", "tcp", client_resets_client, client_resets_server},
	{"client-leaves-data", "tcp", client_leaves_data_client, client_leaves_data_server},
	{"server-leaves-data", "tcp", server_leaves_data_client, server_leaves_data_server},
	{"both-close", "tcp", both_close, both_close},
	{"urgent", "urgent", urgent_client, urgent_server},
	{"large-out", "bulk", large_out_client, large_out_server},
	{"large-in", "bulk", large_in_client, large_in_server},
	{"large-both", "bulk", large_both, large_both},
	{"slow-reader", "bulk", slow_reader_client, slow_reader_server},
	{"short-connections", "bulk", short_connections_client, NULL},
	{"busy-connections", "bulk", busy_connections_client, NULL},
	{NULL, NULL, NULL, NULL},
};
