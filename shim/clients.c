/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Connections: see clients.h. Sending to one goes through these states:
 *
 *   direct ──its socket is full──▶ spooling ──everything was sent──▶ direct
 *                                     │ its spool is full
 *                                     ▼
 *                    it takes something: output for all is held until it caught up
 *                    it took nothing for PATIENCE_US: lost, no more output for it
 *
 * What is not output (SHIM_EXIT and the like) is kept for a lost one too: it is little.
 *
 * Any call may find that a connection is gone, and calls come from anywhere. So closing only marks
 * it and gives its descriptor back; its owner is told, and it is freed, from the loop.
 */

#include "clients.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "spool.h"

#define PATIENCE_US (UINT64_C(10) * 1000000)
#define LOOK_US 1000000
/* What a client says is received this many messages at a time, so that others have their turn. */
#define MESSAGES_MAX 16
/* Beyond SHIM_CLIENTS_MAX, so that a stop always gets through. */
#define EXTRA_MAX 16
/* Messages that are no output, for who does not take them. */
#define KEPT_MAX 16

struct client {
	struct clients *owner;
	struct client *next;
	void *data;
	int fd;
	sd_event_source *io;
	struct spool *spool;
	uint64_t progress;     /* when it last took something */
	bool hears;            /* its messages are received */
	bool full;             /* its spool is: it makes the others wait */
	bool lost;
	bool ending;
	bool hurried;          /* must take something, even if nobody waits for it */
	bool extra;
	bool closed;
	size_t n_kept;
	struct shim_header kept[KEPT_MAX];
};

struct clients {
	sd_event *event;
	const struct place *place;
	const struct clients_handler *handler;
	void *userdata;
	sd_event_source *accept;
	sd_event_source *look;
	sd_event_source *bury; /* frees the closed ones */
	int listener;
	uid_t owner;
	struct client *first;
	unsigned n;            /* that are not closed */
	bool held;
};

/* A message that is being received, and the reason for one that is lost. */
static struct shim_message received;
static const char lost_text[] =
	"the output was not read for too long, and more than could be kept was waiting";

static uint64_t now_us(const struct clients *clients)
{
	uint64_t now = 0;

	sd_event_now(clients->event, CLOCK_MONOTONIC, &now);
	return now;
}

/* ---- the end of one ---- */

static void client_free(struct client *client)
{
	sd_event_source_disable_unref(client->io);
	cleanup_close(&client->fd);
	spool_free(client->spool);
	free(client);
}

static void update_hold(struct clients *clients);

static void bury(struct clients *clients, struct client **link)
{
	struct client *client = *link;

	*link = client->next;
	clients->handler->closed(client);
	client_free(client);
}

static int on_bury(sd_event_source *source, void *userdata)
{
	struct clients *clients = userdata;
	struct client **link = &clients->first;

	while (*link) {
		if ((*link)->closed)
			bury(clients, link);
		else
			link = &(*link)->next;
	}
	return 0;
}

static void client_close(struct client *client)
{
	struct clients *clients = client->owner;

	if (client->closed)
		return;
	client->closed = true;
	clients->n--;
	client->io = sd_event_source_disable_unref(client->io);
	cleanup_close(&client->fd);
	client->fd = -1;
	sd_event_source_set_enabled(clients->bury, SD_EVENT_ONESHOT);
	update_hold(clients);
}

/* ---- sending ---- */

bool client_is_behind(const struct client *client)
{
	return !client->closed && (!spool_is_empty(client->spool) || client->n_kept > 0);
}

static void update_events(struct client *client)
{
	uint32_t events = (client->hears ? EPOLLIN : 0) | (client_is_behind(client) ? EPOLLOUT : 0);

	if (client->io)
		sd_event_source_set_io_events(client->io, events);
}

void client_listen(struct client *client, bool listen)
{
	client->hears = listen;
	update_events(client);
}

static int on_look(sd_event_source *source, uint64_t now, void *userdata);

static void look_soon(struct clients *clients)
{
	uint64_t when = now_us(clients) + LOOK_US;

	if (!clients->look)
		sd_event_add_time(clients->event, &clients->look, CLOCK_MONOTONIC, when, 0, on_look,
			clients);
	else if (sd_event_source_set_time(clients->look, when) >= 0)
		sd_event_source_set_enabled(clients->look, SD_EVENT_ONESHOT);
}

static void update_hold(struct clients *clients)
{
	bool held = false;

	for (const struct client *client = clients->first; client; client = client->next)
		held |= !client->closed && client->full && !client->lost;
	if (held == clients->held)
		return;
	clients->held = held;
	clients->handler->hold(clients->userdata, held);
}

/* Direct, or into its spool. Return: 0, -E2BIG and other reasons why it could not be kept. */
static int deliver(struct client *client, const struct shim_header *header, const void *data,
	size_t length)
{
	int r = -EAGAIN;

	if (!client_is_behind(client))
		r = shim_send(client->fd, header->type, header->a, header->b, data, length, -1);
	if (r == 0)
		client->progress = now_us(client->owner);
	if (r != -EAGAIN)
		return r;
	r = client->n_kept > 0 ? -E2BIG : spool_add(client->spool, header, data, length);
	update_events(client);
	return r;
}

static void lose(struct client *client)
{
	client->lost = true;
	place_log(client->owner->place, "a connection does not read: %s", lost_text);
	if (client->n_kept < KEPT_MAX)
		client->kept[client->n_kept++] = (struct shim_header){.type = SHIM_LOST};
	update_events(client);
}

void client_send_output(struct client *client, uint32_t type, const void *data, size_t length)
{
	const struct shim_header header = {.type = type};
	struct clients *clients = client->owner;
	int r;

	if (client->closed || client->lost)
		return;
	r = deliver(client, &header, data, length);
	if (r == 0) {
		/* One more chunk must always fit: output is held before the spool is full. */
		if (spool_length(client->spool) > SPOOL_MAX / 2 &&
			now_us(clients) - client->progress >= PATIENCE_US) {
			lose(client);
		} else if (spool_length(client->spool) > SPOOL_MAX - (256 * 1024)) {
			client->full = true;
			look_soon(clients);
		}
	} else if (r == -EPIPE) {
		client_close(client);
	} else {
		lose(client);
	}
	update_hold(clients);
}

void client_send(struct client *client, uint32_t type, uint32_t a, uint32_t b, const void *data,
	size_t length)
{
	const struct shim_header header = {.type = type, .a = a, .b = b};
	bool is_output = type == SHIM_STDOUT || type == SHIM_STDERR;
	int r;

	if (client->closed || (client->lost && is_output))
		return;
	r = deliver(client, &header, data, length);
	if (r == 0)
		return;
	if (r == -EPIPE)
		client_close(client);
	else if (is_output)
		lose(client);
	else if (client->n_kept < KEPT_MAX)
		client->kept[client->n_kept++] = header;
	if (!client->closed)
		update_events(client);
}

/* Return: 1 when nothing waits any more, 0, -errno. */
static int send_kept(struct client *client)
{
	while (client->n_kept > 0) {
		const struct shim_header *header = &client->kept[0];
		bool lost = header->type == SHIM_LOST;
		int r = shim_send(client->fd, header->type, header->a, header->b,
			lost ? lost_text : NULL, lost ? sizeof(lost_text) - 1 : 0, -1);

		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		client->n_kept--;
		memmove(client->kept, client->kept + 1, client->n_kept * sizeof(client->kept[0]));
	}
	return 1;
}

static void send_waiting(struct client *client)
{
	size_t before = spool_length(client->spool);
	int r = spool_send(client->spool, client->fd);

	if (r == 0 && spool_length(client->spool) == before)
		return;
	client->progress = now_us(client->owner);
	if (r > 0)
		r = send_kept(client);
	if (r < 0) {
		client_close(client);
		return;
	}
	if (client->full && spool_length(client->spool) < SPOOL_MAX / 2) {
		client->full = false;
		update_hold(client->owner);
	}
	update_events(client);
	if (r == 0)
		return;
	if (client->ending)
		client_close(client);
	else
		client->owner->handler->drained(client);
}

/* Those that take nothing. */
static int on_look(sd_event_source *source, uint64_t now, void *userdata)
{
	struct clients *clients = userdata;
	bool again = false;

	for (struct client *client = clients->first; client; client = client->next) {
		bool stuck = now - client->progress >= PATIENCE_US;

		if (client->closed || !(client->full || client->ending || client->hurried))
			continue;
		if (stuck && (client->ending || (client->hurried && client_is_behind(client))))
			client_close(client);
		else if (stuck && !client->lost)
			lose(client);
		else
			again = true;
	}
	update_hold(clients);
	if (again)
		look_soon(clients);
	return 0;
}

void client_hurry(struct client *client)
{
	if (client->closed)
		return;
	client->hurried = true;
	look_soon(client->owner);
}

bool client_is_extra(const struct client *client)
{
	return client->extra;
}

void client_end(struct client *client)
{
	if (client->closed)
		return;
	if (!client_is_behind(client)) {
		client_close(client);
		return;
	}
	client->ending = true;
	client->lost = true;
	client_listen(client, true);
	look_soon(client->owner);
}

/* ---- receiving ---- */

static void receive_message(struct client *client)
{
	autoclose int fd = -1;
	int r = shim_receive(client->fd, &received, &fd);

	if (r == -EAGAIN)
		return;
	if (r <= 0)
		client_close(client);
	else if (!client->ending)
		client->owner->handler->message(client, &received, &fd);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct client *client = userdata;

	if (events & EPOLLOUT)
		send_waiting(client);
	if (!client->closed && client->hears && (events & (EPOLLIN | EPOLLHUP)))
		receive_message(client);
	else if (!client->closed && (events & (EPOLLHUP | EPOLLERR)))
		client_close(client);
	return 0;
}

/* ---- connections ---- */

/* The socket can be reached only by who may enter the pod's directories. Of those, processes of
 * other users of the pod (it may be passed to them) are refused. A user that is not mapped here is
 * shown as the overflow uid: root of an outer user namespace. */
static bool is_allowed(const struct clients *clients, int fd)
{
	static const uid_t overflow = 65534;
	uid_t uid;
	pid_t pid;

	if (fd_peer(fd, &pid, &uid) < 0)
		return false;
	return uid == 0 || uid == clients->owner || uid == overflow;
}

int clients_add(struct clients *clients, int fd, struct client **ret, struct err *err)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client) {
		close(fd);
		return err_oom(err);
	}
	client->owner = clients;
	client->fd = fd;
	client->hears = true;
	client->progress = now_us(clients);
	client->spool = spool_new(clients->place->podfd);
	r = client->spool ? fd_set_nonblock(fd) : -ENOMEM;
	if (r == 0)
		r = sd_event_add_io(clients->event, &client->io, fd, EPOLLIN, on_client, client);
	if (r < 0) {
		client_free(client);
		return err_set(err, r, "serving a connection: %s", strerror(-r));
	}
	client->next = clients->first;
	clients->first = client;
	clients->n++;
	if (ret)
		*ret = client;
	return 0;
}

static int on_connect(sd_event_source *source, int listener, uint32_t events, void *userdata)
{
	static const char refused[] = "too many connections to this container";
	struct clients *clients = userdata;
	struct client *client;
	autoclose int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || !is_allowed(clients, fd))
		return 0;
	if (clients->n >= SHIM_CLIENTS_MAX + EXTRA_MAX) {
		shim_send(fd, SHIM_ERROR, 125, 0, refused, sizeof(refused) - 1, -1);
		return 0;
	}
	if (clients_add(clients, take_fd(&fd), &client, NULL) == 0)
		client->extra = clients->n > SHIM_CLIENTS_MAX;
	return 0;
}

int clients_new(sd_event *event, const struct place *place, const struct clients_handler *handler,
	void *userdata, struct clients **ret, struct err *err)
{
	struct clients *clients = calloc(1, sizeof(*clients));
	struct stat st;
	int r;

	if (!clients)
		return err_oom(err);
	clients->event = event;
	clients->place = place;
	clients->handler = handler;
	clients->userdata = userdata;
	clients->listener = -1;
	clients->owner = fstat(place->podfd, &st) == 0 ? st.st_uid : 0;
	r = sd_event_add_defer(event, &clients->bury, on_bury, clients);
	if (r >= 0)
		r = sd_event_source_set_enabled(clients->bury, SD_EVENT_OFF);
	if (r < 0) {
		clients_free(clients);
		return err_set(err, r, "preparing to serve connections: %s", strerror(-r));
	}
	*ret = clients;
	return 0;
}

int clients_listen(struct clients *clients, struct err *err)
{
	int r = fd_listen_unix(clients->place->childfd, CONTAINER_SOCKET, SOCK_SEQPACKET,
		&clients->listener, err);

	if (r < 0)
		return r;
	r = sd_event_add_io(clients->event, &clients->accept, clients->listener, EPOLLIN, on_connect,
		clients);
	return r < 0 ? err_set(err, r, "watching %s: %s", CONTAINER_SOCKET, strerror(-r)) : 0;
}

void clients_unlisten(struct clients *clients)
{
	clients->accept = sd_event_source_disable_unref(clients->accept);
	if (clients->listener >= 0)
		file_remove(clients->place->childfd, CONTAINER_SOCKET, NULL);
	cleanup_close(&clients->listener);
	clients->listener = -1;
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	clients_unlisten(clients);
	sd_event_source_disable_unref(clients->look);
	sd_event_source_disable_unref(clients->bury);
	while (clients->first)
		bury(clients, &clients->first);
	free(clients);
}

void clients_each(struct clients *clients, void (*function)(struct client *client, void *argument),
	void *argument)
{
	for (struct client *client = clients->first; client; client = client->next)
		if (!client->closed)
			function(client, argument);
}

bool clients_is_empty(const struct clients *clients)
{
	return clients->n == 0;
}

void *client_data(const struct client *client)
{
	return client->data;
}

void client_set_data(struct client *client, void *data)
{
	client->data = data;
}

void *client_owner(const struct client *client)
{
	return client->owner->userdata;
}
