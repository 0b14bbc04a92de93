/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Packet marks in the pod's netns: how the rules (outer-rules.c), the uplink's verdicts and its
 * sockets speak of a packet. High enough not to meet those of CNI's plugins (0x2000, 0x4000) and
 * Kubernetes's (0x8000).
 */

#define MARK_BASE 0x70640000

enum {
	MARK_NEW = MARK_BASE + 1,   /* a SYN that leaves by the tap: to be queued */
	MARK_TAKE,                  /* ... to the uplink's listening socket */
	MARK_RESET,                 /* ... answered in these ways */
	MARK_NO_ROUTE,
	MARK_NO_HOST,
	MARK_PROHIBITED,
	MARK_PUBLISHED,             /* of a socket that speaks for a client of a published port */
	MARK_REPLY,                 /* an answer to such a client: to that socket */
};

/* Number of the queue, and of the routing table that leads MARK_REPLY to local sockets. */
#define MARK_QUEUE 28772
#define MARK_TABLE 28772
