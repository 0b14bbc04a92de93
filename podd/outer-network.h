/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The pod's own network: loopback, the tap with its addresses and routes, forwarding, the sockets
 * and rules that the uplink works with. Needs CAP_NET_ADMIN and CAP_NET_RAW in the user namespace
 * of the netns. */

#include "err.h"
#include "outer.h"

struct outer_net {
	int tap;     /* each -1 where there is none */
	int listen4; /* where first packets are led to, for the uplink */
	int listen6;
	int rules;   /* for outer_rules_wait() */
};

/* Sets it up; starts setting the rules. Return: 0 or -errno. */
int outer_network_setup(const struct outer_setup *setup, struct outer_net *net, struct err *err);
/* Starts setting the rules anew; net->rules is for outer_rules_wait(). */
int outer_network_restore(const struct outer_setup *setup, struct outer_net *net, struct err *err);

/* Sends an echo request to the gateway and waits for its answer. Return: 0, -ETIMEDOUT, -errno. */
int outer_network_probe(const struct outer_setup *setup, struct err *err);

/* Makes a TCP socket for struct outer_sockets. Return: 0 or -errno. */
int outer_network_socket(int domain, int type, bool transparent, int *ret_fd);
