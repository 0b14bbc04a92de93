/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What podd and podd-uplink say to each other, over a SOCK_SEQPACKET socket: one request, one
 * reply (but for UPLINK_ADOPT), in this order. podd-uplink keeps serving when podd goes; a new podd
 * connects to uplink.sock in the pod's directory, whose listening socket podd-uplink inherited. Only
 * the uid that podd-uplink runs for may connect.
 *
 * The supervisors of pods in the pod publish their ports here, too: podd hands each a connection of
 * its own (UPLINK_TENANT). A tenant's numbers are its own; it has no tap and no rules, and its
 * UPLINK_CONFIGURE comes without fds. When the connection ends the uplink keeps what it has for the
 * next one; it ends with the tenant's podd-outer.
 */

#include <netinet/in.h>
#include <stdint.h>

#include "egress.h"
#include "name.h"

/* fds that podd-uplink starts with; 0 is /dev/null, 1 and 2 are the log. */
#define UPLINK_FD_CONTROL 3 /* seqpacket, connected to podd */
#define UPLINK_FD_LISTEN 4  /* uplink.sock, listening */

enum uplink_operation {
	UPLINK_CONFIGURE,   /* struct uplink_config; the tap and the pod's user namespace */
	UPLINK_START,       /* from now on packets flow: children and rules are known */
	UPLINK_RESOLV,      /* text: the new contents of /etc/resolv.conf for libslirp */
	UPLINK_NET,         /* fds: see enum uplink_net_fd; the reply means: TCP goes past libslirp,
			     * or ports can be published */
	UPLINK_CHILD,       /* struct uplink_child: a child came, changed or went */
	UPLINK_EGRESS,      /* struct uplink_egress: the rules of a child or, id 0, of the pod */
	UPLINK_PORT,        /* struct uplink_port; one or two listening sockets */
	UPLINK_PORT_REMOVE, /* struct uplink_port: the id */
	UPLINK_ADOPT,       /* for a new podd: one reply for each child and each port (with its
			     * sockets), result UPLINK_MORE, and then the last, with takes_tcp */
	UPLINK_REPORT,      /* writes to the fd: struct uplink_report and what follows it */
	UPLINK_CAPTURE,     /* snaplen; from now on frames go to the fd, a pipe, as pcapng */
	UPLINK_TENANT,      /* text: the path of a pod in the pod; the connection to its podd */
	UPLINK_LEAVE,       /* of a tenant: everything of it is to go */
};

/* The fds of UPLINK_NET, in this order; those after the first are there if new TCP connections are
 * held back for the uplink, the last one with IPv6. */
enum uplink_net_fd {
	UPLINK_NET_SOCKETS, /* to podd-outer: see struct outer_sockets */
	UPLINK_NET_QUEUE,   /* NETLINK_NETFILTER, of the pod's netns */
	UPLINK_NET_LISTEN4, /* listening in the pod's netns */
	UPLINK_NET_LISTEN6,
	UPLINK_NET_FDS,
};

struct uplink_config {
	uint32_t ipv6;
	uint32_t host_loopback; /* the gateway's address reaches the host's loopback */
	uint32_t libslirp_only; /* for UDP too */
	uint32_t mtu;
	uint32_t prefix4;
	uint32_t prefix6;
	struct in_addr network4;
	struct in_addr gateway4;
	struct in_addr dns4;
	struct in_addr self4;
	struct in6_addr network6;
	struct in6_addr gateway6;
	struct in6_addr dns6;
	struct in6_addr self6;
	uint32_t transparent; /* for UPLINK_NET: published ports keep their clients' addresses */
};

#define UPLINK_ADDRESSES_MAX 32

/* IPv4 addresses are mapped (::ffff:a.b.c.d). A child that shares the pod's network has the
 * pod's addresses. */
struct uplink_child {
	char name[NAME_COMPONENT_MAX + 1]; /* for podd only */
	uint32_t id; /* chosen by podd, not 0 */
	uint32_t gone;
	uint32_t up; /* its program runs, or may */
	uint32_t shared;
	uint32_t n_addresses;
	struct in6_addr addresses[UPLINK_ADDRESSES_MAX];
};

struct uplink_egress {
	uint32_t id;
	uint32_t n;
	struct egress_rule rules[EGRESS_RULES_MAX];
};

#define UPLINK_TAG_SIZE 192

struct uplink_port {
	char tag[UPLINK_TAG_SIZE]; /* for podd only */
	uint32_t id;       /* chosen by podd */
	uint32_t child;    /* 0: the pod */
	uint32_t wait_ms;  /* how long a connection waits for a child that is not there */
	uint16_t port;     /* of the server, in the host's byte order */
	uint8_t protocol;  /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t n_fds;
};

struct uplink_counters {
	uint32_t id; /* of the child; 0: the pod and all that shares its network */
	uint32_t flows; /* TCP connections past libslirp, now */
	uint64_t flows_total;
	uint64_t over_quota; /* connections that there was no room for */
	uint64_t failed;     /* that the other side refused, or did not answer */
	uint64_t denied;     /* by egress rules: connections, and packets */
	uint64_t bytes_out;  /* of connections past libslirp that have ended */
	uint64_t bytes_in;
	uint64_t frames_out; /* by libslirp and published UDP ports, from the pod */
	uint64_t frames_in;
	uint64_t frame_bytes_out;
	uint64_t frame_bytes_in;
	uint64_t fallbacks; /* TCP connections that libslirp has carried */
};

/* What UPLINK_REPORT writes: this, then so many of the other two. */
struct uplink_report {
	uint32_t takes_tcp;
	uint32_t n_counters;
	uint32_t n_flows;
	uint32_t flows_max;
	uint64_t dropped_in; /* frames that the tap did not take */
	uint64_t capture_dropped;
	uint64_t capture_running;
};

enum uplink_flow_path { UPLINK_PATH_SPLICE, UPLINK_PATH_LIBSLIRP, UPLINK_PATH_UDP };
enum uplink_flow_state {
	UPLINK_FLOW_CONNECTING,
	UPLINK_FLOW_WAITING,
	UPLINK_FLOW_OPEN,
	UPLINK_FLOW_HALF_CLOSED,
};

struct uplink_flow_info {
	struct in6_addr source, destination; /* IPv4: mapped */
	uint16_t source_port, destination_port; /* in the host's byte order */
	uint8_t protocol;
	uint8_t inbound;
	uint8_t path;
	uint8_t state;
	uint32_t child;
	uint32_t reserved;
	uint64_t bytes_out;
	uint64_t bytes_in;
	uint64_t age_ms;
};

#define UPLINK_TEXT_MAX 8192
#define UPLINK_REQUEST_FDS_MAX 4

struct uplink_request {
	uint32_t operation;
	uint32_t length; /* bytes of the rest that are sent */
	union {
		struct uplink_config config;
		struct uplink_child child;
		struct uplink_egress egress; /* rules: n of them are sent */
		struct uplink_port port;
		uint32_t snaplen; /* 0: whole frames */
		char text[UPLINK_TEXT_MAX]; /* length bytes, without a NUL */
	};
};

#define UPLINK_MORE 1

struct uplink_reply {
	uint32_t operation; /* of the request */
	int32_t result; /* 0 or -errno, then text says why; UPLINK_MORE */
	uint32_t n_fds;
	uint32_t is_port; /* of UPLINK_ADOPT: what it has */
	uint32_t takes_tcp; /* of UPLINK_ADOPT */
	union {
		char text[512];
		struct uplink_child child;
		struct uplink_port port;
	};
};
