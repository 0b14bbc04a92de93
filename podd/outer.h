/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What podd and podd-outer say to each other, over a SOCK_SEQPACKET socket: one request, one
 * reply. podd-outer keeps serving when podd goes; a new podd connects to outer.sock in the pod's
 * directory, whose listening socket podd-outer inherited.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Name of the pod's tap. */
#define OUTER_TAP_NAME "tap0"

/* fds that podd-outer starts with. */
#define OUTER_FD_CONTROL 3 /* seqpacket, connected to podd */
#define OUTER_FD_LISTEN 4  /* outer.sock, listening */
#define OUTER_FD_POD 5     /* the pod's directory */

enum outer_operation {
	OUTER_SETUP,  /* struct outer_setup; the reply carries the tap's fd, if there is one */
	OUTER_PROBE,  /* sends an echo request to the gateway by the tap and waits for the answer */
	OUTER_TAP,    /* the reply carries the tap's fd */
	OUTER_SOCKET, /* makes a socket in the pod's netns: domain, type, protocol */
};

struct outer_request {
	uint32_t operation;
	int32_t domain;
	int32_t type;
	int32_t protocol;
	struct outer_setup {
		uint32_t has_tap;     /* make it, with these addresses; otherwise lo only */
		uint32_t own_resolv;  /* etc/resolv.conf covers the host's */
		uint32_t own_net;     /* false: the host's network, nothing to set up */
		uint32_t ipv6;
		uint32_t mtu;
		uint64_t shm_size;    /* bytes of the children's /dev/shm */
		uint32_t prefix4;
		uint32_t prefix6;
		struct in_addr self4;
		struct in_addr gateway4;
		struct in6_addr self6;
		struct in6_addr gateway6;
	} setup;
};

#define OUTER_TEXT_MAX 2048

struct outer_reply {
	int32_t result; /* 0 or -errno; a positive one: worked, but text warns */
	char text[OUTER_TEXT_MAX];
};
