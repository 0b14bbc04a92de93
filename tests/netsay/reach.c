/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenarios in which the client opens what it needs: connections that fail in each way, and
 * datagrams. The addresses are those that tests/isolate makes.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenario.h"

enum { ANY_PORT = 80, DATAGRAMS = 100, DATAGRAM_BYTES = 1400, DATAGRAM_MAX = 60000 };

static bool is_six(const struct talk *talk)
{
	return strchr(talk->address, ':') != NULL;
}

static void say_connect(struct talk *talk, const char *address, uint16_t port)
{
	int fd = talk_connect(address, port, SOCK_STREAM);

	talk_say(talk, "%s", fd < 0 ? talk_error(-fd) : "connected");
	if (fd >= 0)
		close(fd);
}

static void refused(struct talk *talk)
{
	say_connect(talk, talk->address, (uint16_t)(talk->port + PORT_CLOSED));
}

/* Many in a row: each is answered by its own error. */
static void refused_often(struct talk *talk)
{
	int refused = 0;

	for (int i = 0; i < 100; i++) {
		int fd = talk_connect(
			talk->address, (uint16_t)(talk->port + PORT_CLOSED), SOCK_STREAM);

		refused += fd == -ECONNREFUSED;
		if (fd >= 0)
			close(fd);
	}
	talk_say(talk, "%d of 100 refused", refused);
}

static void refused_without_waiting(struct talk *talk)
{
	struct talk_peer peer;
	int fd, r, error = 0;
	socklen_t length = sizeof(error);

	if (talk_resolve(talk->address, (uint16_t)(talk->port + PORT_CLOSED), &peer) < 0)
		return;
	fd = talk_socket(&peer, SOCK_STREAM | SOCK_NONBLOCK);
	r = connect(fd, (struct sockaddr *)&peer.address, peer.length);
	/* On the host's own loopback the refusal is there at once. */
	if (r < 0 && errno == EINPROGRESS) {
		struct pollfd waiting = {.fd = fd, .events = POLLOUT};

		poll(&waiting, 1, TALK_PATIENCE * 1000);
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	} else if (r < 0) {
		error = errno;
	}
	talk_say(talk, "%s", error ? talk_error(error) : "no error");
	close(fd);
}

static void unreachable(struct talk *talk)
{
	say_connect(talk, is_six(talk) ? "2001:db8:ffff::1" : "198.51.100.1", ANY_PORT);
}

static void prohibited(struct talk *talk)
{
	say_connect(talk, is_six(talk) ? "2001:db8:ffff::2" : "198.51.100.2", ANY_PORT);
}

static void blackhole(struct talk *talk)
{
	say_connect(talk, is_six(talk) ? "2001:db8:ffff::3" : "198.51.100.3", ANY_PORT);
}

static void no_route(struct talk *talk)
{
	say_connect(talk, is_six(talk) ? "2001:db8:ffff::4" : "198.51.100.4", ANY_PORT);
}

/* One retransmission, so that it does not take two minutes. */
static void silent(struct talk *talk)
{
	struct talk_peer peer;
	int fd, once = 1, r;

	if (talk_resolve(is_six(talk) ? "2001:db8::200" : "192.0.2.200", ANY_PORT, &peer) < 0)
		return;
	fd = talk_socket(&peer, SOCK_STREAM);
	setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once));
	r = connect(fd, (struct sockaddr *)&peer.address, peer.length);
	talk_say(talk, "%s", r < 0 ? strerrorname_np(errno) : "connected");
	close(fd);
}

/* The server closes without having read anything. A blocking connect() would report a reset that
 * comes before the caller is awake again, on any network: the error is left for what follows. */
static void at_once(struct talk *talk, uint16_t port)
{
	struct pollfd waiting = {.events = POLLOUT};
	struct talk_peer peer;

	if (talk_resolve(talk->address, (uint16_t)(talk->port + port), &peer) < 0)
		return;
	waiting.fd = talk->fd = talk_socket(&peer, SOCK_STREAM);
	fcntl(talk->fd, F_SETFL, O_NONBLOCK);
	if (connect(talk->fd, (struct sockaddr *)&peer.address, peer.length) < 0 &&
		errno != EINPROGRESS)
		talk_say(talk, "connect: %s", talk_error(errno));
	if (poll(&waiting, 1, TALK_PATIENCE * 1000) != 1)
		talk_say(talk, "is not connected");
	fcntl(talk->fd, F_SETFL, 0);
	if (port != PORT_TELLS)
		talk_await_end(talk);
	talk_receive(talk, AT_ONCE + 1);
}

static void resets_at_once(struct talk *talk)
{
	at_once(talk, PORT_RESETS);
}

static void tells_at_once(struct talk *talk)
{
	at_once(talk, PORT_TELLS);
}

static void tells_and_resets(struct talk *talk)
{
	at_once(talk, PORT_TELLS_AND_RESETS);
}

/* A client's port may be the same towards two servers at one time. */
static void one_port_two_servers(struct talk *talk)
{
	static const uint16_t ports[] = {PORT_TELLS, 0};
	static const char line[] = "short x\n";
	struct talk_peer own, peer;
	int fds[2], on = 1;

	talk_resolve(is_six(talk) ? "::" : "0.0.0.0", 0, &own);
	for (int i = 0; i < 2; i++) {
		talk_resolve(talk->address, (uint16_t)(talk->port + ports[i]), &peer);
		fds[i] = talk_socket(&own, SOCK_STREAM);
		setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fds[i], (struct sockaddr *)&own.address, own.length) < 0 ||
			getsockname(fds[i], (struct sockaddr *)&own.address, &own.length) < 0)
			talk_say(talk, "bind: %s", talk_error(errno));
		if (connect(fds[i], (struct sockaddr *)&peer.address, peer.length) < 0)
			talk_say(talk, "connect: %s", talk_error(errno));
	}
	send(fds[1], line, strlen(line), MSG_NOSIGNAL);
	for (int i = 0; i < 2; i++) {
		talk->fd = fds[i];
		talk_receive(talk, AT_ONCE);
		close(fds[i]);
	}
	talk->fd = -1;
}

/* ---- datagrams ---- */

static int open_datagrams(struct talk *talk, uint16_t port)
{
	int fd = talk_connect(talk->address, port, SOCK_DGRAM);

	if (fd < 0)
		talk_say(talk, "connect: %s", talk_error(-fd));
	return fd;
}

/* Sent and answered one at a time, of every kind of size. */
static void datagram_sizes(struct talk *talk)
{
	static const size_t sizes[] = {1, 2, 100, 1400, 1500, 9000, DATAGRAM_MAX};
	static char sent[DATAGRAM_MAX], received[DATAGRAM_MAX];
	int fd = open_datagrams(talk, talk->port);

	for (size_t i = 0; fd >= 0 && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ssize_t n;

		memset(sent, (int)('a' + i), sizes[i]);
		n = send(fd, sent, sizes[i], 0);
		if (n >= 0)
			n = recv(fd, received, sizeof(received), 0);
		talk_say(talk, "%zu bytes: %s", sizes[i],
			n < 0 ? talk_error(errno)
			: (size_t)n == sizes[i] && memcmp(sent, received, sizes[i]) == 0
				? "came back"
				: "came back otherwise");
	}
	close(fd);
}

/* Some are under way at a time, and each comes back once. */
static void datagram_burst(struct talk *talk)
{
	char buffer[DATAGRAM_BYTES] = "", seen[DATAGRAMS] = "";
	int fd = open_datagrams(talk, talk->port), good = 0, sent = 0;

	while (fd >= 0 && sent < DATAGRAMS) {
		for (int i = 0; i < 10; i++, sent++) {
			buffer[0] = (char)sent;
			send(fd, buffer, sizeof(buffer), 0);
		}
		for (int i = 0; i < 10; i++)
			if (recv(fd, buffer, sizeof(buffer), 0) == DATAGRAM_BYTES)
				seen[buffer[0] % DATAGRAMS]++;
	}
	for (int i = 0; i < DATAGRAMS; i++)
		good += seen[i] == 1;
	talk_say(talk, "%d of %d came back once", good, DATAGRAMS);
	close(fd);
}

static void datagram_refused(struct talk *talk)
{
	int fd = open_datagrams(talk, (uint16_t)(talk->port + PORT_CLOSED));
	char byte = 'x';

	if (fd >= 0 && send(fd, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) < 0)
		talk_say(talk, "%s", talk_error(errno));
	close(fd);
}

const struct scenario reach_scenarios[] = {
	{"refused", "reach", refused, NULL},
	{"refused-often", "reach", refused_often, NULL},
	{"refused-without-waiting", "reach", refused_without_waiting, NULL},
	{"unreachable", "reach", unreachable, NULL},
	{"prohibited", "reach", prohibited, NULL},
	{"blackhole", "reach", blackhole, NULL},
	{"no-route", "reach", no_route, NULL},
	{"silent", "reach", silent, NULL},
	{"resets-at-once", "tcp", resets_at_once, NULL},
	{"tells-at-once", "tcp", tells_at_once, NULL},
	{"tells-and-resets", "tcp", tells_and_resets, NULL},
	{"one-port-two-servers", "tcp", one_port_two_servers, NULL},
	{"datagram-sizes", "udp", datagram_sizes, NULL},
	{"datagram-burst", "udp", datagram_burst, NULL},
	{"datagram-refused", "udp", datagram_refused, NULL},
	{NULL, NULL, NULL, NULL},
};
