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

#include "ns.h"

/* Name of the pod's tap. */
#define OUTER_TAP_NAME "tap0"
/* ... and of its interface in a CNI network that is its way out. */
#define OUTER_CNI_NAME "eth0"

/* fds that podd-outer starts with. */
#define OUTER_FD_CONTROL 3 /* seqpacket, connected to podd */
#define OUTER_FD_LISTEN 4  /* outer.sock, listening */
#define OUTER_FD_POD 5     /* the pod's directory */
/* And one for later: in a pod with a root directory of its own the mount namespace with the host's. */
#define OUTER_FD_HOST NS_FD_HOST_MOUNT

#define OUTER_TEXT_MAX 2048
#define OUTER_PATH_MAX 4096

enum outer_operation {
	OUTER_NONE,   /* in a reply: podd-outer could not even start */
	OUTER_TREE,   /* struct outer_tree, before OUTER_SETUP */
	OUTER_SETUP,  /* struct outer_setup; the reply carries the tap's fd, if there is one */
	OUTER_PROBE,  /* sends an echo request to the gateway by the tap and waits for the answer */
	OUTER_TAP,    /* the reply carries the tap's fd */
	OUTER_NET,    /* fds in the order of enum uplink_net_fd (uplink.h), for a new uplink; text
		       * says why some are missing */
	OUTER_RULES,  /* sets the packet filter's rules anew */
};

/* By what the pod's netns holds first packets back. */
enum outer_queue { OUTER_QUEUE_NONE, OUTER_QUEUE_NFT, OUTER_QUEUE_XT };

/* What podd-uplink asks for, by a socket of its own: so many sockets in the pod's netns. The
 * reply is one byte, and the sockets: non-blocking, and allowed to have any address (IP_TRANSPARENT,
 * ip(7)), with the mark of published connections. */
struct outer_sockets {
	int32_t domain;
	int32_t type; /* SOCK_STREAM, SOCK_DGRAM */
	uint32_t n;
};
#define OUTER_SOCKETS_MAX 16

enum outer_tree_kind {
	OUTER_TREE_STAGE,    /* in order; the others once at most */
	OUTER_TREE_ROOT,
	OUTER_TREE_HOST_AT,
	OUTER_TREE_SKELETON,
	OUTER_TREE_RECORDS,
};

struct outer_request {
	uint32_t operation;
	struct outer_tree {
		uint32_t kind;
		char path[OUTER_PATH_MAX];
	} tree;
	struct outer_setup {
		uint32_t has_tap;     /* make it, with these addresses; otherwise lo only */
		uint32_t take_tcp;    /* new TCP connections are held back for the uplink */
		uint32_t masquerade;  /* what leaves by OUTER_CNI_NAME: nobody there has routes back */
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


struct outer_reply {
	uint32_t operation; /* of the request */
	int32_t result; /* 0 or -errno, then text says why */
	uint32_t queue; /* OUTER_NET: enum outer_queue */
	uint32_t transparent; /* OUTER_NET: published ports can keep their clients' addresses */
	char text[OUTER_TEXT_MAX];
};
