/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The scenarios: what a client does, and what the server does with the connection that it gets.
 */

#include "talk.h"

/* Ports beside the server's own where it does not wait for a scenario's name. */
enum {
	PORT_RESETS = 1, /* every connection, as soon as it is there */
	PORT_TELLS = 2,	 /* sends AT_ONCE bytes and closes */
	PORT_TELLS_AND_RESETS = 3,
	PORT_CLOSED = 4,
	AT_ONCE = 5000,
};

struct scenario {
	const char *name;
	const char *group; /* "tcp", "urgent", "bulk", "reach", "udp" */
	void (*client)(struct talk *talk);
	/* NULL: the client opens what it needs. */
	void (*server)(struct talk *talk);
};

/* Ends with one that has no name. */
extern const struct scenario tcp_scenarios[];
extern const struct scenario reach_scenarios[];

/* Return: the connection on which the server acts the scenario's part, or -errno. */
int scenario_connect(const struct talk *talk, const char *name);
