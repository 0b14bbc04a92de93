/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What both sides of a scenario are written with: each call does one thing to a connection and
 * says what came of it, in words that are the same whatever carries the connection. Nobody waits
 * for longer than TALK_PATIENCE seconds; that is said as well.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

enum { TALK_PATIENCE = 5, TALK_NAME_MAX = 40 };

struct talk {
	int fd;
	const char *scenario;
	const char *who; /* "client" or "server" */
	FILE *out;	 /* NULL: nothing is said */
	/* Where a client's further connections go. */
	const char *address;
	uint16_t port;
	const char *tag;
};

/* One line "SCENARIO: WHO: ...". */
void talk_say(const struct talk *talk, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Return: the name of an error, "time-out" for one of TALK_PATIENCE. */
const char *talk_error(int error);

/* Sends @size bytes of a known pattern. Return: false, and said so, when it cannot. */
bool talk_send(struct talk *talk, size_t size);

/* Reads until there are @size bytes, the end or an error, and says which and the bytes' sum. */
void talk_receive(struct talk *talk, size_t size);

/* Waits until so many bytes are there to be read, and leaves them there. */
void talk_await_bytes(struct talk *talk, size_t size);

/* Waits until the connection has ended in both directions, and says whether with an error. */
void talk_await_end(struct talk *talk);

/* A byte there and one back, so that both sides are at the same point. */
bool talk_meet(struct talk *talk);

void talk_shutdown(struct talk *talk);
void talk_close(struct talk *talk);
void talk_reset(struct talk *talk);

/* An address of either family and a port, as connect(2) and bind(2) take them. */
struct talk_peer {
	struct sockaddr_storage address;
	socklen_t length;
};

/* Return: 0, or -EINVAL for what is not a numeric address. */
int talk_resolve(const char *address, uint16_t port, struct talk_peer *ret);

/* Return: a socket of the address's family, with TALK_PATIENCE, or -errno. */
int talk_socket(const struct talk_peer *peer, int type);

/* A socket that is connected to the address, with patience. Return: it, or -errno. */
int talk_connect(const char *address, uint16_t port, int type);

/* The port and address of the other side as text, IPv4 in its own form. */
void talk_address(const struct sockaddr_storage *address, char *text, size_t size);
