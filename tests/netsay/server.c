/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server: a process for each connection. A client says first what it wants, "NAME TAG": a
 * scenario's other side; "report:NAME", what that side saw, as soon as it has ended; "release", the
 * slow reader's go; "short", four bytes; "who", the client's address as it is seen here; "echo",
 * all bytes back.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenario.h"
#include "server.h"

enum {
	LISTENERS = 4,
	BACKLOG = 1024,
	PATH_BYTES = 512,
	DATAGRAM_BYTES = 65536,
	COPY_BYTES = 65536
};

static const char *directory;

static int file_path(char *path, const char *tag, const char *name)
{
	int n = snprintf(path, PATH_BYTES, "%s/%s.%s", directory, tag, name);

	return n < PATH_BYTES ? 0 : -1;
}

/* ---- one connection ---- */

static const struct scenario *find_scenario(const char *name)
{
	for (const struct scenario *scenario = tcp_scenarios; scenario->name; scenario++)
		if (scenario->server && strcmp(scenario->name, name) == 0)
			return scenario;
	return NULL;
}

/* Both come here, whoever is first. */
static int meet_by_fifo(const char *tag, int flags)
{
	char path[PATH_BYTES];

	if (file_path(path, tag, "fifo") < 0 || (mkfifo(path, 0600) < 0 && errno != EEXIST))
		return -1;
	return open(path, flags | O_CLOEXEC);
}

static void act(const struct scenario *scenario, int fd, const char *tag)
{
	struct talk talk = {.fd = fd, .scenario = scenario->name, .who = "server", .tag = tag};
	char path[PATH_BYTES], final[PATH_BYTES], name[TALK_NAME_MAX + 8];

	snprintf(name, sizeof(name), "%s.new", scenario->name);
	if (file_path(path, tag, name) < 0 || file_path(final, tag, scenario->name) < 0)
		return;
	talk.out = fopen(path, "we");
	if (strcmp(scenario->name, "slow-reader") == 0)
		close(meet_by_fifo(tag, O_RDONLY));
	scenario->server(&talk);
	if (talk.out)
		fclose(talk.out);
	rename(path, final);
}

static void copy_file(int file, int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(file, buffer, sizeof(buffer))) > 0)
		if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) < 0)
			return;
}

/* Waits for the file that the scenario's own process writes. */
static void report(const char *name, int fd, const char *tag)
{
	struct pollfd waiting = {.fd = inotify_init1(IN_CLOEXEC), .events = POLLIN};
	char path[PATH_BYTES], event[4096];
	int file;

	if (file_path(path, tag, name) < 0 ||
		inotify_add_watch(waiting.fd, directory, IN_MOVED_TO) < 0)
		return;
	while ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		if (poll(&waiting, 1, 2 * TALK_PATIENCE * 1000) != 1 ||
			read(waiting.fd, event, sizeof(event)) <= 0)
			return;
	}
	copy_file(file, fd);
	unlink(path);
}

static void say_who(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char text[128] = "";

	if (getpeername(fd, (struct sockaddr *)&address, &length) == 0)
		talk_address(&address, text, sizeof(text));
	send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void echo(int fd)
{
	static char buffer[COPY_BYTES];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) < 0)
			return;
}

static void serve_connection(int fd)
{
	char line[2 * TALK_NAME_MAX] = "", name[TALK_NAME_MAX + 1], tag[TALK_NAME_MAX + 1];
	struct timeval patience = {.tv_sec = TALK_PATIENCE};
	const struct scenario *scenario;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	/* No byte more than the line: the rest belongs to the scenario. */
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		if (recv(fd, &line[i], 1, 0) != 1 || line[i] == '\n')
			break;
	if (sscanf(line, "%40[a-z:-] %40[a-z0-9-]", name, tag) != 2)
		return;
	scenario = find_scenario(name);
	if (scenario)
		act(scenario, fd, tag);
	else if (strncmp(name, "report:", 7) == 0)
		report(name + 7, fd, tag);
	else if (strcmp(name, "release") == 0)
		close(meet_by_fifo(tag, O_WRONLY));
	else if (strcmp(name, "short") == 0)
		send(fd, "here", 4, MSG_NOSIGNAL);
	else if (strcmp(name, "who") == 0)
		say_who(fd);
	else if (strcmp(name, "echo") == 0)
		echo(fd);
}

static void serve_at_once(int fd, int port)
{
	struct talk talk = {.fd = fd};

	if (port != PORT_RESETS)
		talk_send(&talk, AT_ONCE);
	if (port == PORT_TELLS)
		talk_close(&talk);
	else
		talk_reset(&talk);
}

/* ---- all of them ---- */

static void accept_one(int listener, int port)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid;

	if (fd < 0)
		return;
	if (port > 0) {
		serve_at_once(fd, port);
		return;
	}
	pid = fork();
	if (pid == 0) {
		signal(SIGCHLD, SIG_DFL);
		serve_connection(fd);
		_exit(0);
	}
	close(fd);
}

/* A datagram comes back as it is; to "who" there is an answer. */
static void answer_datagram(int fd)
{
	static char buffer[DATAGRAM_BYTES];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

	if (n < 0)
		return;
	if (n == 3 && memcmp(buffer, "who", 3) == 0) {
		talk_address(&from, buffer, 128);
		n = (ssize_t)strlen(buffer);
	}
	sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, length);
}

static int open_server(const char *address, uint16_t port, int type)
{
	struct talk_peer peer;
	int on = 1, off = 0, fd;

	if (talk_resolve(address, port, &peer) < 0)
		return -1;
	fd = socket(peer.address.ss_family, type | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (struct sockaddr *)&peer.address, peer.length) < 0 ||
		(type == SOCK_STREAM && listen(fd, BACKLOG) < 0)) {
		fprintf(stderr, "netsay: port %u: %s\n", port, strerror(errno));
		return -1;
	}
	return fd;
}

int server_run(const char *address, uint16_t port, const char *where)
{
	struct pollfd sockets[LISTENERS + 1];

	directory = where;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < LISTENERS + 1; i++) {
		bool datagrams = i == LISTENERS;
		uint16_t at = (uint16_t)(port + (datagrams ? 0 : i));

		sockets[i].fd = open_server(address, at, datagrams ? SOCK_DGRAM : SOCK_STREAM);
		sockets[i].events = POLLIN;
		if (sockets[i].fd < 0)
			return -1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		poll(sockets, LISTENERS + 1, -1);
		for (int i = 0; i < LISTENERS; i++)
			if (sockets[i].revents)
				accept_one(sockets[i].fd, i);
		if (sockets[LISTENERS].revents)
			answer_datagram(sockets[LISTENERS].fd);
	}
}
