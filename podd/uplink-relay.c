/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Where there is no tap to write frames to, each client of a published UDP port has a socket in the
 * pod's netns that has the client's address (IP_TRANSPARENT) and is connected to the server. The
 * pod's rules lead the server's answers to it, as they do for TCP (outer-rules.c).
 *
 *   frame of uplink-datagram.c ──▶ socket from the client's address ──▶ server
 *   uplink_datagrams_answer() ◀─── the same socket ◀─────────────────── server
 *
 * A datagram for which there is no socket at hand waits until podd-outer has made some. What is not
 * used for a while is closed; it owns the sockets and what waits.
 *
 * System calls: bind, connect, sendto, recvfrom, close.
 */

#include "uplink-relay.h"

#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uplink-age.h"
#include "uplink-packet.h"

#define HASH_SIZE 512
/* A little longer than uplink-datagram.c keeps a client. */
#define SILENT_MS 150000
#define TICK_US 10000000
#define WAITING_MAX 64
#define RECEIVE_BATCH 32
#define DATAGRAM_MAX 65535

struct channel {
	struct channel *hash_next;
	struct age age;
	struct uplink_watch watch;
	struct uplink_work work; /* more to receive, or its burial */
	struct uplink_relay *relay;
	struct uplink_address client;
	struct uplink_address server;
	int fd;
	int64_t used_ms;
};

struct waiting {
	struct waiting *next;
	size_t length;
	uint8_t frame[];
};

struct uplink_relay {
	struct uplink_loop *loop;
	struct uplink_sockets *sockets;
	struct uplink_datagrams *datagrams;
	sd_event_source *timer;
	struct channel *table[HASH_SIZE];
	struct age_list ages;
	unsigned n;
	struct waiting *first, **last;
	unsigned n_waiting;
	uint8_t buffer[UDP_HEADER_SIZE + DATAGRAM_MAX];
};

static struct channel **bucket(struct uplink_relay *relay, const struct uplink_address *client,
	const struct uplink_address *server)
{
	return &relay->table[uplink_address_hash(client, server->port) % HASH_SIZE];
}

static void bury(struct uplink_work *work)
{
	free(container_of(work, struct channel, work));
}

static void channel_close(struct channel *channel)
{
	struct uplink_relay *relay = channel->relay;
	struct channel **link = bucket(relay, &channel->client, &channel->server);

	while (*link != channel)
		link = &(*link)->hash_next;
	*link = channel->hash_next;
	age_remove(&relay->ages, &channel->age);
	relay->n--;
	uplink_loop_remove(relay->loop, channel->fd, &channel->watch);
	close(take_fd(&channel->fd));
	/* After what was deferred for it. */
	channel->work.run = bury;
	uplink_loop_defer(relay->loop, &channel->work);
}

static struct channel *of_age(struct age *age)
{
	return age ? container_of(age, struct channel, age) : NULL;
}

static void use(struct channel *channel)
{
	channel->used_ms = uplink_loop_now_ms();
	age_use(&channel->relay->ages, &channel->age);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *opaque)
{
	struct uplink_relay *relay = opaque;
	int64_t now = uplink_loop_now_ms();

	while (relay->ages.oldest && now - of_age(relay->ages.oldest)->used_ms > SILENT_MS)
		channel_close(of_age(relay->ages.oldest));
	return relay->n > 0 ? uplink_loop_start_timer(relay->loop, source, TICK_US) : 0;
}

/* ---- from the server ---- */

/* As if it had come by a tap. */
static void answer(struct channel *channel, size_t length)
{
	struct uplink_relay *relay = channel->relay;
	const struct uplink_packet packet = {
		.source = channel->server,
		.destination = channel->client,
		.transport = relay->buffer,
		.transport_length = UDP_HEADER_SIZE + length,
		.protocol = IPPROTO_UDP,
	};

	relay->buffer[4] = (uint8_t)((UDP_HEADER_SIZE + length) >> 8);
	relay->buffer[5] = (uint8_t)(UDP_HEADER_SIZE + length);
	use(channel);
	(void)uplink_datagrams_answer(relay->datagrams, &packet);
}

static void receive(struct channel *channel)
{
	for (int i = 0; i < RECEIVE_BATCH; i++) {
		ssize_t n = recv(channel->fd, channel->relay->buffer + UDP_HEADER_SIZE,
			DATAGRAM_MAX - UDP_HEADER_SIZE, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		/* The server's port was closed when a datagram came: the client may try again. */
		if (n >= 0)
			answer(channel, (size_t)n);
	}
	uplink_loop_defer(channel->relay->loop, &channel->work);
}

static void on_ready(struct uplink_watch *watch, uint32_t events)
{
	receive(container_of(watch, struct channel, watch));
}

static void on_turn(struct uplink_work *work)
{
	receive(container_of(work, struct channel, work));
}

/* ---- from the client ---- */

static struct channel *find(struct uplink_relay *relay, const struct uplink_packet *packet)
{
	struct channel *channel = *bucket(relay, &packet->source, &packet->destination);

	while (channel && !(uplink_address_equal(&channel->client, &packet->source) &&
				  uplink_address_equal(&channel->server, &packet->destination)))
		channel = channel->hash_next;
	return channel;
}

static int open_socket(int fd, const struct uplink_packet *packet)
{
	struct sockaddr_storage address;
	socklen_t length = uplink_sockaddr(&packet->source, &address);

	if (bind(fd, (struct sockaddr *)&address, length) < 0)
		return -errno;
	length = uplink_sockaddr(&packet->destination, &address);
	return connect(fd, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
}

/* Return: 0, -EAGAIN when there is no socket at hand, -errno. */
static int channel_new(struct uplink_relay *relay, const struct uplink_packet *packet,
	struct channel **ret)
{
	autofree struct channel *channel = calloc(1, sizeof(*channel));
	autoclose int fd = -1;
	int r;

	if (!channel)
		return -ENOMEM;
	r = uplink_sockets_take(relay->sockets, packet->family, SOCK_DGRAM, &fd);
	if (r == 0)
		r = open_socket(fd, packet);
	channel->watch.ready = on_ready;
	channel->work.run = on_turn;
	if (r == 0)
		r = uplink_loop_add(relay->loop, fd, EPOLLIN | EPOLLET, &channel->watch);
	if (r < 0)
		return r;
	if (relay->n == UPLINK_RELAYS_MAX)
		channel_close(of_age(relay->ages.oldest));
	channel->relay = relay;
	channel->client = packet->source;
	channel->server = packet->destination;
	channel->fd = take_fd(&fd);
	channel->hash_next = *bucket(relay, &channel->client, &channel->server);
	*bucket(relay, &channel->client, &channel->server) = channel;
	age_add(&relay->ages, &channel->age);
	relay->n++;
	*ret = take_ptr(channel);
	return uplink_loop_start_timer(relay->loop, relay->timer, TICK_US);
}

/* Return: 0, -EAGAIN, -errno. */
static int send_frame(struct uplink_relay *relay, const uint8_t *frame, size_t length)
{
	struct uplink_packet packet;
	struct channel *channel;
	int r = 0;

	if (length < ETH_HLEN ||
		uplink_packet_parse(frame + ETH_HLEN, length - ETH_HLEN, &packet) < 0 ||
		packet.protocol != IPPROTO_UDP || packet.transport_length < UDP_HEADER_SIZE)
		return -EBADMSG;
	channel = find(relay, &packet);
	if (!channel)
		r = channel_new(relay, &packet, &channel);
	if (r < 0)
		return r;
	use(channel);
	(void)send(channel->fd, packet.transport + UDP_HEADER_SIZE,
		packet.transport_length - UDP_HEADER_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL);
	return 0;
}

/* As with a full tap, what there is no room for is lost. */
static void keep(struct uplink_relay *relay, const uint8_t *frame, size_t length)
{
	struct waiting *waiting =
		relay->n_waiting < WAITING_MAX ? malloc(sizeof(*waiting) + length) : NULL;

	if (!waiting)
		return;
	waiting->next = NULL;
	waiting->length = length;
	memcpy(waiting->frame, frame, length);
	*relay->last = waiting;
	relay->last = &waiting->next;
	relay->n_waiting++;
}

void uplink_relay_write(void *opaque, const uint8_t *frame, size_t length)
{
	struct uplink_relay *relay = opaque;

	if (relay->sockets && send_frame(relay, frame, length) == -EAGAIN)
		keep(relay, frame, length);
}

static void drop_first(struct uplink_relay *relay)
{
	struct waiting *waiting = relay->first;

	relay->first = waiting->next;
	if (!relay->first)
		relay->last = &relay->first;
	relay->n_waiting--;
	free(waiting);
}

void uplink_relay_retry(struct uplink_relay *relay)
{
	while (relay->first &&
		send_frame(relay, relay->first->frame, relay->first->length) != -EAGAIN)
		drop_first(relay);
}

void uplink_relay_connect(struct uplink_relay *relay, struct uplink_sockets *sockets,
	struct uplink_datagrams *datagrams)
{
	relay->sockets = sockets;
	relay->datagrams = datagrams;
}

void uplink_relay_close(struct uplink_relay *relay)
{
	while (relay->ages.newest)
		channel_close(of_age(relay->ages.newest));
	relay->sockets = NULL;
}

int uplink_relay_new(struct uplink_loop *loop, struct uplink_relay **ret, struct err *err)
{
	autoptr(uplink_relay) relay = calloc(1, sizeof(*relay));
	int r;

	if (!relay)
		return err_oom(err);
	relay->loop = loop;
	relay->last = &relay->first;
	r = uplink_loop_add_timer(loop, TICK_US / 10, on_timer, relay, &relay->timer, err);
	if (r < 0)
		return r;
	*ret = take_ptr(relay);
	return 0;
}

void uplink_relay_free(struct uplink_relay *relay)
{
	if (!relay)
		return;
	uplink_relay_close(relay);
	while (relay->first)
		drop_first(relay);
	sd_event_source_disable_unref(relay->timer);
	free(relay);
}
