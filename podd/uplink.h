/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What podd and podd-uplink say to each other, over a SOCK_SEQPACKET socket: one request, one
 * reply. podd-uplink keeps serving when podd goes; a new podd connects to uplink.sock in the
 * pod's directory, whose listening socket podd-uplink inherited. Only the uid that podd-uplink
 * runs for may connect.
 */

#include <netinet/in.h>
#include <stdint.h>

/* fds that podd-uplink starts with; 0 is /dev/null, 1 and 2 are the log. */
#define UPLINK_FD_CONTROL 3 /* seqpacket, connected to podd */
#define UPLINK_FD_LISTEN 4  /* uplink.sock, listening */

enum uplink_operation {
	UPLINK_CONFIGURE, /* struct uplink_config and the tap's fd; the reply means: packets flow */
	UPLINK_RESOLV,    /* text: the new contents of /etc/resolv.conf for libslirp */
	UPLINK_STATS,     /* the reply carries struct uplink_stats */
};

struct uplink_config {
	uint32_t ipv6;
	uint32_t host_loopback; /* the gateway's address reaches the host's loopback */
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
};

struct uplink_stats {
	uint64_t frames_in;  /* from the pod */
	uint64_t frames_out; /* to the pod */
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t dropped_out; /* the tap did not take them */
};

#define UPLINK_TEXT_MAX 8192

struct uplink_request {
	uint32_t operation;
	uint32_t text_length;
	struct uplink_config config;
	char text[UPLINK_TEXT_MAX]; /* sent only as far as text_length */
};

struct uplink_reply {
	uint32_t operation; /* of the request */
	int32_t result; /* 0 or -errno, then text says why */
	char text[512];
	struct uplink_stats stats;
};
