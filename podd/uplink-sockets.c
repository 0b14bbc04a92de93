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
	int family;
	int type;
	bool wanted;
	unsigned n;
	int fds[STORE_MAX];
};

#define STORES 4

struct uplink_sockets {
	struct uplink_watch watch;
	struct uplink_loop *loop;
	int channel; /* -1: podd-outer gives none any more */
	struct store *asked; /* for which a request is under way */
	struct store stores[STORES];
	void (*ready)(void *opaque);
	void *opaque;
};

static struct store *find(struct uplink_sockets *sockets, int family, int type)
{
	struct store *store = sockets->stores;

	while (store->family != family || store->type != type)
		store++;
	return store;
}

void uplink_sockets_close(struct uplink_sockets *sockets)
{
	if (sockets->channel < 0)
		return;
	uplink_loop_remove(sockets->loop, sockets->channel, &sockets->watch);
	close(take_fd(&sockets->channel));
}

static void ask(struct uplink_sockets *sockets, struct store *store)
{
	const struct outer_sockets request = {
		.domain = store->family,
		.type = store->type,
		.n = OUTER_SOCKETS_MAX,
	};

	store->wanted = true;
	if (sockets->channel < 0 || sockets->asked)
		return;
	if (fd_send(sockets->channel, &request, sizeof(request), NULL, 0) < 0) {
		uplink_sockets_close(sockets);
		return;
	}
	store->wanted = false;
	sockets->asked = store;
}

static void keep(struct store *store, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (store && store->n < STORE_MAX)
			store->fds[store->n++] = fds[i];
		else
			close(fds[i]);
	}
}

/* Return: true, if somebody may have what he waits for, or never will. One that has none left is
 * not to be asked again at once. */
static bool receive(struct uplink_sockets *sockets)
{
	int fds[OUTER_SOCKETS_MAX];
	size_t n_fds = 0;
	char byte;
	ssize_t n;

	n = fd_receive(sockets->channel, &byte, 1, fds, OUTER_SOCKETS_MAX, &n_fds);
	if (n == -EAGAIN)
		return false;
	if (n <= 0 || !sockets->asked) {
		uplink_sockets_close(sockets);
		n_fds = n <= 0 ? 0 : n_fds;
	}
	keep(sockets->asked, fds, n_fds);
	sockets->asked = NULL;
	for (int i = 0; i < STORES; i++)
		if (sockets->stores[i].wanted)
			ask(sockets, &sockets->stores[i]);
	return n_fds > 0 || sockets->channel < 0;
}

static void on_ready(struct uplink_watch *watch, uint32_t events)
{
	struct uplink_sockets *sockets = container_of(watch, struct uplink_sockets, watch);

	if (receive(sockets))
		sockets->ready(sockets->opaque);
}

int uplink_sockets_take(struct uplink_sockets *sockets, int family, int type, int *ret_fd)
{
	struct store *store = find(sockets, family, type);

	if (store->n < LOW)
		ask(sockets, store);
	if (store->n == 0)
		return sockets->channel < 0 ? -EPIPE : -EAGAIN;
	*ret_fd = store->fds[--store->n];
	return 0;
}

void uplink_sockets_stock(struct uplink_sockets *sockets, int family, int type)
{
	struct store *store = find(sockets, family, type);

	if (store->n < LOW)
		ask(sockets, store);
}

bool uplink_sockets_are_over(const struct uplink_sockets *sockets)
{
	return sockets->channel < 0;
}

int uplink_sockets_new(struct uplink_loop *loop, int channel, void (*ready)(void *opaque),
	void *opaque, struct uplink_sockets **ret, struct err *err)
{
	struct uplink_sockets *sockets = calloc(1, sizeof(*sockets));
	int r;

	if (!sockets)
		return err_oom(err);
	for (int i = 0; i < STORES; i++) {
		sockets->stores[i].family = i % 2 ? AF_INET6 : AF_INET;
		sockets->stores[i].type = i / 2 ? SOCK_DGRAM : SOCK_STREAM;
	}
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
	uplink_sockets_close(sockets);
	for (int i = 0; i < STORES; i++)
		while (sockets->stores[i].n > 0)
			close(sockets->stores[i].fds[--sockets->stores[i].n]);
	free(sockets);
}
