/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The rules in the pod's netns that the uplink works with: those that hold first packets back and
 * lead them on, and those that bring answers to published ports' clients back to the uplink.
 */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "outer.h"

struct outer_rules {
	bool ipv6;
	bool take_tcp; /* false: only what published ports need */
	bool masquerade; /* what leaves by OUTER_CNI_NAME */
	bool anew;     /* what there may be of them is removed first */
	struct in_addr self4;
	struct in6_addr self6;
	uint16_t port4; /* the uplink's listening sockets, in the host's byte order */
	uint16_t port6;
};

/* Starts setting them, in a process of its own: that takes longer than everything else, which
 * goes on meanwhile. *ret_fd is for outer_rules_wait().
 * Needs: CAP_NET_ADMIN in the pod's netns. */
int outer_rules_start(const struct outer_rules *rules, int *ret_fd, struct err *err);

/* Waits for the end and closes @fd. ret->text says why ret->queue is OUTER_QUEUE_NONE, or why
 * published ports cannot keep their clients' addresses. */
struct outer_rules_result {
	uint32_t queue;       /* enum outer_queue */
	uint32_t transparent; /* clients' addresses can be kept */
	char text[1024];
};
void outer_rules_wait(int fd, struct outer_rules_result *ret);
