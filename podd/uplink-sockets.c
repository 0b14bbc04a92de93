/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The store of sockets: see uplink-sockets.h. One request is under way at a time.
 *
 * System calls: sendmsg, recvmsg, close.
 */

#include "uplink-sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "outer.h"

/* Asked for again when there are fewer. */
#define LOW (OUTER_SOCKETS_MAX / 2)
#define STORE_MAX (OUTER_SOCKETS_MAX + LOW)

struct store {
	unsigned n;
	int fds[STORE_MAX];
};

struct uplink_sockets {
	struct uplink_watch watch;
	struct uplink_loop *loop;
	int channel; /* -1: podd-outer gives none any more */
	int asked;   /* AF_INET, AF_INET6: under way; 0: nothing */
	bool wanted[2];
	struct store stores[2];
	void (*ready)(void *opaque);
	void *opaque;
};

static void give_up(struct uplink_sockets *sockets)
{
	uplink_loop_remove(sockets->loop, sockets->channel, &sockets->watch);
	close(take_fd(&sockets->channel));
}

static void ask(struct uplink_sockets *sockets, int six)
{
	const struct outer_sockets request = {
		.domain = six ? AF_INET6 : AF_INET,
		.n = OUTER_SOCKETS_MAX,
	};

	sockets->wanted[six] = true;
	if (sockets->channel < 0 || sockets->asked != 0)
		return;
	if (fd_send(sockets->channel, &request, sizeof(request), NULL, 0) < 0) {
		give_up(sockets);
		return;
	}
	sockets->wanted[six] = false;
	sockets->asked = request.domain;
}

/* Return: true, if somebody may have what he waits for, or never will. One that has none left is
 * not to be asked again at once. */
static bool receive(struct uplink_sockets *sockets)
{
	struct store *store = &sockets->stores[sockets->asked == AF_INET6];
	int fds[OUTER_SOCKETS_MAX];
	size_t n_fds = 0;
	char byte;
	ssize_t n;

	n = fd_receive(sockets->channel, &byte, 1, fds, OUTER_SOCKETS_MAX, &n_fds);
	if (n == -EAGAIN)
		return false;
	if (n <= 0 || sockets->asked == 0) {
		give_up(sockets);
		n_fds = n <= 0 ? 0 : n_fds;
	}
	for (size_t i = 0; i < n_fds; i++) {
		if (store->n < STORE_MAX)
			store->fds[store->n++] = fds[i];
		else
			close(fds[i]);
	}
	sockets->asked = 0;
	for (int six = 0; six < 2; six++)
		if (sockets->wanted[six])
			ask(sockets, six);
	return n_fds > 0 || sockets->channel < 0;
}

static void on_ready(struct uplink_watch *watch, uint32_t events)
{
	struct uplink_sockets *sockets = container_of(watch, struct uplink_sockets, watch);

	if (receive(sockets))
		sockets->ready(sockets->opaque);
}

int uplink_sockets_take(struct uplink_sockets *sockets, int family, int *ret_fd)
{
	int six = family == AF_INET6;
	struct store *store = &sockets->stores[six];

	if (store->n < LOW)
		ask(sockets, six);
	if (store->n == 0)
		return sockets->channel < 0 ? -EPIPE : -EAGAIN;
	*ret_fd = store->fds[--store->n];
	return 0;
}

int uplink_sockets_new(struct uplink_loop *loop, int channel, void (*ready)(void *opaque),
	void *opaque, struct uplink_sockets **ret, struct err *err)
{
	struct uplink_sockets *sockets = calloc(1, sizeof(*sockets));
	int r;

	if (!sockets)
		return err_oom(err);
	sockets->loop = loop;
	sockets->channel = channel;
	sockets->watch.ready = on_ready;
	sockets->ready = ready;
	sockets->opaque = opaque;
	/* Level-triggered: one message is taken at a time. */
	r = uplink_loop_add(loop, channel, EPOLLIN, &sockets->watch);
	if (r < 0) {
		free(sockets);
		return err_set(err, r, "watching podd-outer: %s", strerror(-r));
	}
	*ret = sockets;
	return 0;
}

void uplink_sockets_free(struct uplink_sockets *sockets)
{
	if (!sockets)
		return;
	if (sockets->channel >= 0)
		give_up(sockets);
	for (int six = 0; six < 2; six++)
		while (sockets->stores[six].n > 0)
			close(sockets->stores[six].fds[--sockets->stores[six].n]);
	free(sockets);
}
