/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The poll set of libslirp's sockets, with one fd of the caller's before them. */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* Most fds that libslirp may have polled at once, hence most connections of a pod by it. */
#define UPLINK_SOCKETS_MAX 65536

struct uplink_polls {
	struct pollfd *fds;
	size_t n;	     /* of these, the caller's included */
	size_t size;
	size_t n_registered; /* sockets that libslirp has */
};

/* @fd is the caller's, of which readiness to be read is of interest. Return: 0, -ENOMEM. */
int uplink_polls_init(struct uplink_polls *polls, int fd);
void uplink_polls_done(struct uplink_polls *polls);

/* libslirp's register_poll_fd: makes room when a socket is born, so that filling the set never
 * allocates. */
void uplink_polls_born(struct uplink_polls *polls);
void uplink_polls_died(struct uplink_polls *polls);

/* Takes all of libslirp's out of the set. */
void uplink_polls_clear(struct uplink_polls *polls);
/* For slirp_pollfds_fill(): @events are SLIRP_POLL_*. Return: its index; -1 when there was no memory
 * for so many, and it is not polled this time. */
int uplink_polls_add(struct uplink_polls *polls, int fd, int events);
/* For slirp_pollfds_poll(): what poll(2) said of that index, as SLIRP_POLL_*. */
int uplink_polls_events(const struct uplink_polls *polls, int index);

/* Has libslirp any to wait for? */
bool uplink_polls_are_empty(const struct uplink_polls *polls);
/* Waits. Return: as poll(2). */
int uplink_polls_wait(struct uplink_polls *polls, int timeout_ms);
/* Did it find the caller's own ready? */
bool uplink_polls_own_is_ready(const struct uplink_polls *polls);
