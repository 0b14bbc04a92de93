/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client and a server that do with TCP and UDP what programs do, and say exactly what they saw,
 * so that the same client can be compared on the host and in a pod. Static: it runs in root file
 * systems that have no libraries.
 *
 *   netsay serve ADDRESS PORT DIRECTORY   the server; needs PORT to PORT+3, and none at PORT+4
 *   netsay run ADDRESS PORT TAG NAME...   runs scenarios, or groups of them (tcp, urgent, bulk,
 * reach, udp). TAG: a name that no other run has netsay who ADDRESS PORT [FROM]        what address
 * the server sees; FROM: bind to that one netsay whose ADDRESS PORT [FROM]      the same by UDP
 *   netsay try ADDRESS PORT SECONDS       until a connection is answered; 1 when none was
 *   netsay load ADDRESS PORT PROCESSES    connections without a pause until its input ends; says
 *                                         "loading" when each process had an answer, and "done"
 *   netsay keep ADDRESS PORT              holds one connection; sends a byte for each line of its
 *                                         input, and says "alive" or the error
 *   netsay full ADDRESS PORT              a server that takes no connection in until a line
 *                                         comes: says "full", then "accepted N, served M", M of
 * them being those whose client said something netsay patient ADDRESS PORT           a connection
 * to such a server: says "asked again" when it has sent copies of its SYN, then "answered". Needs:
 *                                         CAP_NET_ADMIN, CAP_NET_RAW
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenario.h"
#include "server.h"
#include "syn.h"

enum { LINE_BYTES = 256, LOOK_MS = 10 };

/* ---- scenarios ---- */

int scenario_connect(const struct talk *talk, const char *name)
{
	char line[2 * TALK_NAME_MAX + 4];
	int fd = talk_connect(talk->address, talk->port, SOCK_STREAM);
	int n = snprintf(line, sizeof(line), "%s %s\n", name, talk->tag);

	if (fd >= 0 && send(fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
		n = -errno;
		close(fd);
		return n;
	}
	return fd;
}

/* What the server's side saw. */
static void print_report(const struct talk *talk)
{
	char name[2 * TALK_NAME_MAX], buffer[4096];
	size_t length = 0;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "report:%s", talk->scenario);
	fd = scenario_connect(talk, name);
	if (fd < 0) {
		talk_say(talk, "report: %s", talk_error(-fd));
		return;
	}
	while (length < sizeof(buffer) &&
		(n = recv(fd, buffer + length, sizeof(buffer) - length, 0)) > 0)
		length += (size_t)n;
	close(fd);
	if (length == 0)
		talk_say(talk, "the server saw nothing");
	fwrite(buffer, 1, length, talk->out);
}

static void run_scenario(const struct scenario *scenario, struct talk *talk)
{
	talk->scenario = scenario->name;
	talk->fd = -1;
	if (scenario->server) {
		talk->fd = scenario_connect(talk, scenario->name);
		if (talk->fd < 0) {
			talk_say(talk, "connect: %s", talk_error(-talk->fd));
			return;
		}
	}
	scenario->client(talk);
	if (talk->fd >= 0)
		close(talk->fd);
	if (scenario->server)
		print_report(talk);
}

static int run(struct talk *talk, char *const *names)
{
	static const struct scenario *const tables[] = {tcp_scenarios, reach_scenarios, NULL};
	bool found = false;

	talk->out = stdout;
	talk->who = "client";
	for (const struct scenario *const *table = tables; *table; table++)
		for (const struct scenario *scenario = *table; scenario->name; scenario++)
			for (char *const *name = names; *name; name++)
				if (strcmp(*name, scenario->name) == 0 ||
					strcmp(*name, scenario->group) == 0) {
					run_scenario(scenario, talk);
					found = true;
				}
	return found ? 0 : 2;
}

/* ---- single connections ---- */

static int who(const char *address, uint16_t port, int type, const char *from)
{
	const char *question = type == SOCK_STREAM ? "who x\n" : "who";
	struct talk_peer peer, own;
	char line[LINE_BYTES];
	ssize_t n = -1;
	int fd;

	if (talk_resolve(address, port, &peer) < 0 || (from && talk_resolve(from, 0, &own) < 0))
		return 2;
	fd = talk_socket(&peer, type);
	if ((!from || bind(fd, (struct sockaddr *)&own.address, own.length) == 0) &&
		connect(fd, (struct sockaddr *)&peer.address, peer.length) == 0 &&
		send(fd, question, strlen(question), MSG_NOSIGNAL) > 0)
		n = recv(fd, line, sizeof(line) - 1, 0);
	if (n <= 0)
		printf("%s\n",
			n == 0 ? "nothing" : talk_error(errno == EINPROGRESS ? EAGAIN : errno));
	else
		printf("%.*s\n", (int)n, line);
	close(fd);
	return n <= 0;
}

/* Return: whether a connection was made and answered. */
static bool answered(const struct talk *talk)
{
	char buffer[4];
	int fd = scenario_connect(talk, "short");
	bool good = fd >= 0 && recv(fd, buffer, sizeof(buffer), MSG_WAITALL) == sizeof(buffer);

	if (fd >= 0)
		close(fd);
	return good;
}

static int try(const struct talk *talk, const char *seconds)
{
	time_t end = time(NULL) + strtol(seconds, NULL, 10);

	while (time(NULL) <= end) {
		if (answered(talk)) {
			puts("answered");
			return 0;
		}
		/* A refusal comes at once; what brings the answer needs the CPU. */
		poll(NULL, 0, LOOK_MS);
	}
	puts("no answer");
	return 1;
}

static int keep(const struct talk *talk)
{
	char line[LINE_BYTES], byte;
	int fd = scenario_connect(talk, "echo");

	if (fd < 0) {
		printf("connect: %s\n", talk_error(-fd));
		return 1;
	}
	puts("connected");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		ssize_t n = send(fd, "k", 1, MSG_NOSIGNAL);

		if (n == 1)
			n = recv(fd, &byte, 1, 0);
		printf("%s\n", n == 1 ? "alive" : n == 0 ? "the end" : talk_error(errno));
		fflush(stdout);
	}
	close(fd);
	return 0;
}

static int load(const struct talk *talk, const char *processes)
{
	long count = strtol(processes, NULL, 10), i;
	struct pollfd waiting = {.events = POLLIN};
	int started[2], end[2];
	char byte;

	if (pipe(started) < 0 || pipe(end) < 0)
		return 1;
	waiting.fd = end[0];
	for (i = 0; i < count; i++) {
		if (fork() != 0)
			continue;
		close(end[1]);
		bool said = false;
		while (poll(&waiting, 1, 0) == 0) {
			if (answered(talk) && !said)
				said = write(started[1], "s", 1) == 1;
		}
		_exit(0);
	}
	for (i = 0; i < count && read(started[0], &byte, 1) == 1; i++)
		;
	puts("loading");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	close(end[1]);
	while (wait(NULL) > 0)
		;
	puts("done");
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct talk talk = {.fd = -1, .tag = "x"};

	signal(SIGPIPE, SIG_IGN);
	if (argc > 3) {
		talk.address = argv[2];
		talk.port = (uint16_t)strtol(argv[3], NULL, 10);
	}
	if (strcmp(verb, "serve") == 0 && argc == 5)
		return server_run(argv[2], talk.port, argv[4]) < 0;
	if (strcmp(verb, "run") == 0 && argc > 5) {
		talk.tag = argv[4];
		return run(&talk, argv + 5);
	}
	if (strcmp(verb, "who") == 0 && argc >= 4)
		return who(talk.address, talk.port, SOCK_STREAM, argv[4]);
	if (strcmp(verb, "whose") == 0 && argc >= 4)
		return who(talk.address, talk.port, SOCK_DGRAM, argv[4]);
	if (strcmp(verb, "try") == 0 && argc == 5)
		return try(&talk, argv[4]);
	if (strcmp(verb, "load") == 0 && argc == 5)
		return load(&talk, argv[4]);
	if (strcmp(verb, "keep") == 0 && argc == 4)
		return keep(&talk);
	if (strcmp(verb, "full") == 0 && argc == 4)
		return syn_full(talk.address, talk.port);
	if (strcmp(verb, "patient") == 0 && argc == 4)
		return syn_patient(talk.address, talk.port);
	fputs("usage: see the top of netsay.c\n", stderr);
	return 2;
}
