/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Published UDP ports. A datagram that comes to one of the host's sockets goes to the pod as a
 * frame by the tap, from the client's own address; the pod's kernel routes it to the server, and
 * the server's answers back to the tap, where they are recognised before libslirp sees them.
 *
 *   client ──▶ host's socket ──▶ frame: client's address ──▶ server
 *   client ◀── host's socket ◀── frame to that address ◀──── server
 *
 * A client is known by its address and the socket that it came to, from its first datagram until
 * it and the server have been silent for a while: shorter, as long as nothing was answered. An
 * answer leaves from the address that the client has spoken to (ip(7), IP_PKTINFO).
 *
 * It owns the sockets and the clients.
 *
 * System calls: sendmsg, getsockopt, close.
 */

#include "uplink-datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uplink-age.h"
#include "uplink-batch.h"
#include "uplink-frame.h"

#define HASH_SIZE 4096
/* As the kernel's conntrack has it (nf_conntrack_udp_timeout). */
#define ONE_WAY_MS 30000
#define BOTH_WAYS_MS 120000
#define TICK_US 5000000
/* Ports to try for one of several loopback clients that have the same. */
#define PORT_TRIES 64

struct client {
	struct client *next_by_client;
	struct client *next_by_answer;
	struct age age;
	struct socket *socket;
	struct uplink_scope *scope;
	struct uplink_address client; /* on the host */
	struct uplink_address source; /* what it is in the pod */
	struct uplink_address server;
	union {
		struct in_pktinfo four;
		struct in6_pktinfo six;
	} local; /* where it has sent to */
	bool answered;
	int64_t since_ms;
	int64_t used_ms;
	uint64_t bytes_in;
	uint64_t bytes_out;
};

struct socket {
	struct uplink_watch watch;
	struct uplink_work work;
	struct uplink_datagrams *datagrams;
	struct socket *next;
	struct uplink_port port;
	int fd;
	bool six;
	bool removed;
};

struct uplink_datagrams {
	struct uplink_loop *loop;
	struct uplink_scopes *scopes;
	sd_event_source *timer;
	void (*write)(void *opaque, const uint8_t *frame, size_t length);
	void *opaque;
	uint8_t mac[ETH_ALEN];
	uint16_t ip_id;
	struct socket *sockets;
	struct client *by_client[HASH_SIZE];
	struct client *by_answer[HASH_SIZE];
	struct age_list ages; /* of clients */
	unsigned n_clients;
	struct uplink_batch batch;
};

static struct client **client_bucket(struct uplink_datagrams *datagrams,
	const struct socket *socket, const struct uplink_address *client)
{
	return &datagrams->by_client[uplink_address_hash(client, (uintptr_t)socket) % HASH_SIZE];
}

static struct client **answer_bucket(struct uplink_datagrams *datagrams,
	const struct uplink_address *source, const struct uplink_address *server)
{
	return &datagrams->by_answer[uplink_address_hash(source, server->port) % HASH_SIZE];
}

static struct client *find_answer(struct uplink_datagrams *datagrams,
	const struct uplink_address *source, const struct uplink_address *server)
{
	struct client *client = *answer_bucket(datagrams, source, server);

	while (client && !(uplink_address_equal(&client->source, source) &&
				 uplink_address_equal(&client->server, server)))
		client = client->next_by_answer;
	return client;
}

/* ---- clients ---- */

static struct client *of_age(struct age *age)
{
	return age ? container_of(age, struct client, age) : NULL;
}

static void use(struct client *client)
{
	client->used_ms = uplink_loop_now_ms();
	age_use(&client->socket->datagrams->ages, &client->age);
}

static void forget(struct client *client)
{
	struct uplink_datagrams *datagrams = client->socket->datagrams;
	struct client **link = client_bucket(datagrams, client->socket, &client->client);

	while (*link != client)
		link = &(*link)->next_by_client;
	*link = client->next_by_client;
	link = answer_bucket(datagrams, &client->source, &client->server);
	while (*link != client)
		link = &(*link)->next_by_answer;
	*link = client->next_by_answer;
	age_remove(&datagrams->ages, &client->age);
	datagrams->n_clients--;
	client->scope->counters.bytes_out += client->bytes_out;
	client->scope->counters.bytes_in += client->bytes_in;
	uplink_scope_unref(datagrams->scopes, client->scope);
	free(client);
}

/* Clients on different loopback addresses of the host may have the same port. */
static bool choose_port(struct uplink_datagrams *datagrams, struct client *client)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		if (!find_answer(datagrams, &client->source, &client->server))
			return true;
		client->source.port = htons((uint16_t)(1024 + random() % (65536 - 1024)));
	}
	return false;
}

static struct client *client_new(struct socket *socket, const struct uplink_address *address)
{
	struct uplink_datagrams *datagrams = socket->datagrams;
	struct uplink_scope *scope = uplink_scopes_find(datagrams->scopes, socket->port.child);
	struct client **bucket, *client;
	struct in_addr four;

	if (!scope)
		return NULL;
	if (datagrams->n_clients >= UPLINK_CLIENTS_MAX)
		forget(of_age(datagrams->ages.oldest));
	client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	client->socket = socket;
	client->client = *address;
	client->server.port = htons(socket->port.port);
	if (uplink_scope_server(scope, &address->ip, &client->server.ip)) {
		client->source = uplink_scopes_client(datagrams->scopes,
			!uplink_unmap4(&client->server.ip, &four), address);
	}
	if (client->source.port == 0 || !choose_port(datagrams, client)) {
		free(client);
		return NULL;
	}
	client->scope = uplink_scope_ref(scope);
	client->since_ms = uplink_loop_now_ms();
	bucket = client_bucket(datagrams, socket, address);
	client->next_by_client = *bucket;
	*bucket = client;
	bucket = answer_bucket(datagrams, &client->source, &client->server);
	client->next_by_answer = *bucket;
	*bucket = client;
	age_add(&datagrams->ages, &client->age);
	datagrams->n_clients++;
	(void)uplink_loop_start_timer(datagrams->loop, datagrams->timer, TICK_US);
	return client;
}

/* The server's address may have changed since: its child was started again. */
static struct client *client_of(struct socket *socket, const struct uplink_address *address)
{
	struct client *client = *client_bucket(socket->datagrams, socket, address);
	struct in6_addr server;

	while (client && !(client->socket == socket && uplink_address_equal(&client->client, address)))
		client = client->next_by_client;
	if (client && (!uplink_scope_server(client->scope, &address->ip, &server) ||
			      memcmp(&server, &client->server.ip, sizeof(server)) != 0)) {
		forget(client);
		client = NULL;
	}
	return client ? client : client_new(socket, address);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *opaque)
{
	struct uplink_datagrams *datagrams = opaque;
	int64_t now = uplink_loop_now_ms();

	for (struct client *client = of_age(datagrams->ages.oldest), *newer; client; client = newer) {
		newer = of_age(client->age.newer);
		if (now - client->used_ms > (client->answered ? BOTH_WAYS_MS : ONE_WAY_MS))
			forget(client);
	}
	/* A burst's memory is given back, and without clients the pod sleeps. */
	if (datagrams->ages.oldest)
		return uplink_loop_start_timer(datagrams->loop, source, TICK_US);
	uplink_batch_trim(&datagrams->batch);
	return 0;
}

/* ---- to the pod ---- */

static void note_local(struct client *client, struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);

	for (; part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO)
			memcpy(&client->local.four, CMSG_DATA(part), sizeof(client->local.four));
		else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO)
			memcpy(&client->local.six, CMSG_DATA(part), sizeof(client->local.six));
	}
	/* The way back is the routing table's business, but for addresses that say nothing to it. */
	if (!client->socket->six)
		client->local.four.ipi_ifindex = 0;
	else if (!IN6_IS_ADDR_LINKLOCAL(&client->local.six.ipi6_addr))
		client->local.six.ipi6_ifindex = 0;
}

static void deliver(void *opaque, struct msghdr *message, uint8_t *payload, size_t length)
{
	struct socket *socket = opaque;
	struct uplink_address address;
	struct client *client;
	uint8_t *frame;

	/* Larger than an IP packet with these headers can be: nobody can have sent it. */
	if ((message->msg_flags & MSG_TRUNC) || length > 65535 - 28 ||
		!uplink_from_sockaddr(message->msg_name, &address))
		return;
	client = client_of(socket, &address);
	if (!client)
		return;
	note_local(client, message);
	use(client);
	client->bytes_in += length;
	frame = uplink_frame_put_udp(payload, length, &client->source, &client->server,
		socket->datagrams->mac, socket->datagrams->ip_id++);
	socket->datagrams->write(
		socket->datagrams->opaque, frame, (size_t)(payload - frame) + length);
}

/* An error is that of an answer that could not be delivered: there may be more. */
static void receive(struct socket *socket)
{
	if (uplink_batch_receive(&socket->datagrams->batch, socket->fd, deliver, socket) != 0)
		uplink_loop_defer(socket->datagrams->loop, &socket->work);
}

static void on_ready(struct uplink_watch *watch, uint32_t events)
{
	receive(container_of(watch, struct socket, watch));
}

static void on_turn(struct uplink_work *work)
{
	struct socket *socket = container_of(work, struct socket, work);

	if (socket->removed)
		free(socket);
	else
		receive(socket);
}

/* ---- from the pod ---- */

bool uplink_datagrams_answer(struct uplink_datagrams *datagrams,
	const struct uplink_packet *packet)
{
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8))) = {};
	struct client *client;
	struct sockaddr_storage name;
	struct iovec iov;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	size_t length = (size_t)packet->transport[4] << 8 | packet->transport[5];
	struct cmsghdr *part;
	bool six;

	if (datagrams->n_clients == 0 || packet->fragment || length < 8 ||
		length > packet->transport_length)
		return false;
	client = find_answer(datagrams, &packet->destination, &packet->source);
	if (!client)
		return false;
	six = client->socket->six;
	iov.iov_base = (uint8_t *)packet->transport + 8;
	iov.iov_len = length - 8;
	message.msg_name = &name;
	message.msg_namelen = uplink_sockaddr(&client->client, &name);
	message.msg_controllen = six ? CMSG_SPACE(sizeof(struct in6_pktinfo)) :
				       CMSG_SPACE(sizeof(struct in_pktinfo));
	part = CMSG_FIRSTHDR(&message);
	part->cmsg_level = six ? IPPROTO_IPV6 : IPPROTO_IP;
	part->cmsg_type = six ? IPV6_PKTINFO : IP_PKTINFO;
	part->cmsg_len = six ? CMSG_LEN(sizeof(struct in6_pktinfo)) :
			       CMSG_LEN(sizeof(struct in_pktinfo));
	/* Both are where the union begins. */
	memcpy(CMSG_DATA(part), &client->local,
		six ? sizeof(client->local.six) : sizeof(client->local.four));
	use(client);
	client->answered = true;
	client->bytes_out += iov.iov_len;
	(void)sendmsg(client->socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

/* ---- ports ---- */

/* It is freed with the next turn; its fd is not closed. */
static void socket_let_go(struct uplink_datagrams *datagrams, struct socket *socket)
{
	uplink_loop_remove(datagrams->loop, socket->fd, &socket->watch);
	socket->removed = true;
	uplink_loop_defer(datagrams->loop, &socket->work);
}

static void socket_remove(struct uplink_datagrams *datagrams, struct socket *socket)
{
	for (struct client *client = of_age(datagrams->ages.newest), *older; client; client = older) {
		older = of_age(client->age.older);
		if (client->socket == socket)
			forget(client);
	}
	socket_let_go(datagrams, socket);
	close(take_fd(&socket->fd));
}

void uplink_datagrams_remove(struct uplink_datagrams *datagrams, uint32_t id)
{
	struct socket **link = &datagrams->sockets;

	while (*link) {
		struct socket *socket = *link;

		if (socket->port.id != id) {
			link = &socket->next;
			continue;
		}
		*link = socket->next;
		socket_remove(datagrams, socket);
	}
}

/* The newest socket is the first of the list. */
void uplink_datagrams_fds(const struct uplink_datagrams *datagrams, uint32_t id, int ret[2])
{
	for (const struct socket *socket = datagrams->sockets; socket; socket = socket->next) {
		if (socket->port.id != id)
			continue;
		ret[1] = ret[0];
		ret[0] = socket->fd;
	}
}

static int add_socket(struct uplink_datagrams *datagrams, const struct uplink_port *port, int fd)
{
	struct socket *socket = calloc(1, sizeof(*socket));
	socklen_t size = sizeof(int);
	int domain = AF_INET, r;

	if (!socket)
		return -ENOMEM;
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
	socket->datagrams = datagrams;
	socket->port = *port;
	socket->fd = fd;
	socket->six = domain == AF_INET6;
	socket->watch.ready = on_ready;
	socket->work.run = on_turn;
	r = uplink_loop_add(datagrams->loop, fd, EPOLLIN | EPOLLET, &socket->watch);
	if (r < 0) {
		free(socket);
		return r;
	}
	socket->next = datagrams->sockets;
	datagrams->sockets = socket;
	return 0;
}

int uplink_datagrams_add(struct uplink_datagrams *datagrams, const struct uplink_port *port,
	const int *fds, struct err *err)
{
	int r = 0, n = 0;

	while (r == 0 && n < port->n_fds) {
		r = add_socket(datagrams, port, fds[n]);
		n += r == 0;
	}
	if (r == 0)
		return 0;
	while (n-- > 0) {
		struct socket *newest = datagrams->sockets;

		datagrams->sockets = newest->next;
		socket_let_go(datagrams, newest);
	}
	return err_set(err, r, "watching a published port: %s", strerror(-r));
}

void uplink_datagrams_set_mac(struct uplink_datagrams *datagrams, const uint8_t mac[6])
{
	memcpy(datagrams->mac, mac, sizeof(datagrams->mac));
}

void uplink_datagrams_report(const struct uplink_datagrams *datagrams,
	void (*each)(void *opaque, const struct uplink_flow_info *info), void *opaque)
{
	int64_t now = uplink_loop_now_ms();

	for (const struct client *client = of_age(datagrams->ages.newest); client;
		client = of_age(client->age.older)) {
		const struct uplink_flow_info info = {
			.source = client->client.ip,
			.destination = client->server.ip,
			.source_port = ntohs(client->client.port),
			.destination_port = ntohs(client->server.port),
			.protocol = IPPROTO_UDP,
			.inbound = 1,
			.path = UPLINK_PATH_UDP,
			.state = UPLINK_FLOW_OPEN,
			.child = client->scope->id,
			.bytes_out = client->bytes_out,
			.bytes_in = client->bytes_in,
			.age_ms = (uint64_t)(now - client->since_ms),
		};

		each(opaque, &info);
	}
}

int uplink_datagrams_new(struct uplink_loop *loop, struct uplink_scopes *scopes,
	void (*write)(void *opaque, const uint8_t *frame, size_t length), void *opaque,
	struct uplink_datagrams **ret, struct err *err)
{
	struct uplink_datagrams *datagrams = calloc(1, sizeof(*datagrams));
	int r;

	if (!datagrams)
		return err_oom(err);
	datagrams->loop = loop;
	datagrams->scopes = scopes;
	datagrams->write = write;
	datagrams->opaque = opaque;
	r = uplink_loop_add_timer(loop, TICK_US / 10, on_timer, datagrams, &datagrams->timer, err);
	if (r < 0) {
		free(datagrams);
		return r;
	}
	*ret = datagrams;
	return 0;
}

void uplink_datagrams_free(struct uplink_datagrams *datagrams)
{
	if (!datagrams)
		return;
	while (datagrams->ages.newest)
		forget(of_age(datagrams->ages.newest));
	while (datagrams->sockets) {
		struct socket *socket = datagrams->sockets;

		datagrams->sockets = socket->next;
		uplink_loop_remove(datagrams->loop, socket->fd, &socket->watch);
		close(socket->fd);
		free(socket);
	}
	sd_event_source_disable_unref(datagrams->timer);
	uplink_batch_trim(&datagrams->batch);
	free(datagrams);
}
