/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The kernel's queue of first packets (nfnetlink_queue): the first SYN of each connection that
 * leaves the pod waits here until it is told how to go on.
 */

#include "cleanup.h"
#include "err.h"
#include "uplink-loop.h"
#include "uplink-packet.h"

/* How a packet goes on: what the marks mean is said by the rules, see outer-rules.c. */
enum queue_verdict {
	QUEUE_DROP,
	QUEUE_PASS,          /* as if there were no queue: to libslirp */
	QUEUE_TAKE,          /* to the uplink's listening socket */
	QUEUE_RESET,         /* answered by a TCP reset */
	QUEUE_NO_ROUTE,      /* answered by "network unreachable" */
	QUEUE_NO_HOST,       /* ... "host unreachable" */
	QUEUE_PROHIBITED,    /* ... "administratively prohibited" */
};

struct uplink_queue;

/* Called for each packet; it has to be given a verdict by its @id, once. */
typedef void (*queue_handler)(void *opaque, uint32_t id, const struct uplink_packet *packet);

/* @socket: NETLINK_NETFILTER, made in the pod's netns; taken over on success.
 * Needs: CAP_NET_ADMIN in the user namespace that owns that netns, here and for every verdict
 * (the kernel's nfnetlink_rcv() checks the sender of every message).
 * Return: 0, -EOPNOTSUPP when the kernel has no nfnetlink_queue, -errno. */
int uplink_queue_new(struct uplink_loop *loop, int socket, queue_handler handler, void *opaque,
	struct uplink_queue **ret, struct err *err);
void uplink_queue_free(struct uplink_queue *queue);
CLEANUP_DEFINE(uplink_queue, uplink_queue_free)

/* Return: 0 or -errno: the packet waits on. */
int uplink_queue_decide(struct uplink_queue *queue, uint32_t id, enum queue_verdict verdict);

/* For the tests: goes through the messages of one datagram of the queue's socket. */
int uplink_queue_parse(const void *data, size_t length, queue_handler handler, void *opaque);
