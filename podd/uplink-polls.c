/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * libslirp's poll set: see uplink-polls.h.
 *
 * System calls: poll, ppoll.
 */

#include "uplink-polls.h"

#include <assert.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>

enum { PLACE_OWN, PLACE_SOCKETS };
#define GROW 64

static_assert(SLIRP_POLL_IN == POLLIN && SLIRP_POLL_ERR == POLLERR && SLIRP_POLL_HUP == POLLHUP,
	"libslirp's and poll's flags are equal but for OUT and PRI");

int uplink_polls_init(struct uplink_polls *polls, int fd)
{
	*polls = (struct uplink_polls){.n = PLACE_SOCKETS, .size = GROW};
	polls->fds = calloc(polls->size, sizeof(*polls->fds));
	if (!polls->fds)
		return -ENOMEM;
	polls->fds[PLACE_OWN] = (struct pollfd){.fd = fd, .events = POLLIN};
	return 0;
}

void uplink_polls_done(struct uplink_polls *polls)
{
	free(polls->fds);
}

void uplink_polls_born(struct uplink_polls *polls)
{
	struct pollfd *fds;
	size_t size = polls->size + GROW;

	polls->n_registered++;
	if (polls->n_registered + PLACE_SOCKETS <= polls->size ||
		size > UPLINK_SOCKETS_MAX + PLACE_SOCKETS + GROW)
		return;
	fds = realloc(polls->fds, size * sizeof(*fds));
	if (!fds)
		return;
	polls->fds = fds;
	polls->size = size;
}

void uplink_polls_died(struct uplink_polls *polls)
{
	if (polls->n_registered > 0)
		polls->n_registered--;
}

void uplink_polls_clear(struct uplink_polls *polls)
{
	polls->n = PLACE_SOCKETS;
}

int uplink_polls_add(struct uplink_polls *polls, int fd, int events)
{
	short flags = (short)(events & SLIRP_POLL_IN);

	if (polls->n >= polls->size)
		return -1;
	if (events & SLIRP_POLL_OUT)
		flags |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		flags |= POLLPRI;
	polls->fds[polls->n] = (struct pollfd){.fd = fd, .events = flags};
	return (int)polls->n++;
}

int uplink_polls_events(const struct uplink_polls *polls, int index)
{
	int revents = polls->fds[index].revents;
	int events = revents & (POLLIN | POLLERR | POLLHUP);

	if (revents & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (revents & POLLPRI)
		events |= SLIRP_POLL_PRI;
	return events;
}

bool uplink_polls_are_empty(const struct uplink_polls *polls)
{
	return polls->n == PLACE_SOCKETS;
}

int uplink_polls_wait(struct uplink_polls *polls, int timeout_ms)
{
	return poll(polls->fds, polls->n, timeout_ms);
}

bool uplink_polls_own_is_ready(const struct uplink_polls *polls)
{
	return polls->fds[PLACE_OWN].revents != 0;
}
