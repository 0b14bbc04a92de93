/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * UDP from the pod to the outside. Each socket in the pod that sends has one on the host, so that
 * all of its peers see the same port of the host (RFC 4787, "endpoint-independent mapping"), until
 * it has been silent for a while. What libslirp knows and this does not (DHCP, TFTP, fragments,
 * groups) it has.
 *
 * Datagrams of one size in a row, from one socket to one place, as bulk senders have them, go out by
 * one system call (UDP_SEGMENT, udp(7)): they are gathered while frames are taken from the tap. A
 * kernel or an interface that does not take it gets them one by one.
 *
 * Errors come from the socket's error queue (IP_RECVERR, ip(7)) and go to the pod as the ICMP
 * messages that they were.
 *
 * System calls: socket[0 == AF_INET], socket[0 == AF_INET6], setsockopt, sendmsg, close.
 */

#include "uplink-udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uplink-age.h"
#include "uplink-batch.h"
#include "uplink-frame.h"
#include "uplink-reject.h"

#define HASH_SIZE 1024
/* As the kernel's conntrack has it (nf_conntrack_udp_timeout). */
#define ONE_WAY_MS 30000
#define BOTH_WAYS_MS 120000
#define TICK_US 5000000
/* One system call takes so many bytes and datagrams (UDP_MAX_SEGMENTS in Linux). */
#define GATHER_BYTES 65000
#define GATHER_MAX 64
/* Bytes of a datagram that an error quotes. */
#define QUOTE_MAX 256

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct socket {
	struct uplink_watch watch;
	struct uplink_work work;
	struct uplink_udp *udp;
	struct socket *next; /* in its bucket */
	struct age age;
	struct uplink_scope *scope;
	struct uplink_address source; /* in the pod */
	int fd;
	int family; /* of fd */
	bool asked_dns;
	bool answered;
	bool closed;
	int64_t used_ms;
};

struct uplink_udp {
	struct uplink_loop *loop;
	struct uplink_scopes *scopes;
	const struct uplink_target *target;
	sd_event_source *timer;
	void (*write)(void *opaque, const uint8_t *frame, size_t length);
	void *opaque;
	uint8_t mac[ETH_ALEN];
	uint16_t ip_id;
	struct socket *buckets[HASH_SIZE];
	struct age_list ages; /* of sockets */
	unsigned n;
	bool no_segments; /* the kernel does not take them */
	/* What was gathered, for one system call. */
	struct socket *to_send;
	struct uplink_address place;
	struct uplink_address called; /* as the pod calls it */
	size_t size;   /* of each datagram but the last */
	size_t length; /* of all */
	unsigned count;
	uint8_t gathered[GATHER_BYTES];
	struct uplink_batch batch; /* for what comes */
};

/* ---- the sockets ---- */

static struct socket **bucket(struct uplink_udp *udp, const struct uplink_address *source,
	int family)
{
	return &udp->buckets[uplink_address_hash(source, (uint64_t)family) % HASH_SIZE];
}

static struct socket *of_age(struct age *age)
{
	return age ? container_of(age, struct socket, age) : NULL;
}

static void use(struct socket *socket)
{
	socket->used_ms = uplink_loop_now_ms();
	age_use(&socket->udp->ages, &socket->age);
}

/* It is freed with the loop's next turn. */
static void close_socket(struct socket *socket)
{
	struct uplink_udp *udp = socket->udp;
	struct socket **link = bucket(udp, &socket->source, socket->family);

	if (udp->to_send == socket) {
		udp->to_send = NULL;
		udp->count = 0;
		udp->length = 0;
	}
	while (*link != socket)
		link = &(*link)->next;
	*link = socket->next;
	age_remove(&udp->ages, &socket->age);
	udp->n--;
	socket->scope->n_udp--;
	uplink_scope_unref(udp->scopes, socket->scope);
	socket->watch.ready = NULL;
	close(take_fd(&socket->fd));
	socket->closed = true;
	uplink_loop_defer(udp->loop, &socket->work);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *opaque)
{
	struct uplink_udp *udp = opaque;
	int64_t now = uplink_loop_now_ms();

	for (struct socket *socket = of_age(udp->ages.oldest), *newer; socket; socket = newer) {
		newer = of_age(socket->age.newer);
		if (now - socket->used_ms > (socket->answered ? BOTH_WAYS_MS : ONE_WAY_MS))
			close_socket(socket);
	}
	if (udp->ages.oldest)
		return uplink_loop_start_timer(udp->loop, source, TICK_US);
	uplink_batch_trim(&udp->batch);
	return 0;
}

/* ---- to the pod ---- */

static void deliver(void *opaque, struct msghdr *message, uint8_t *payload, size_t length)
{
	struct socket *socket = opaque;
	struct uplink_udp *udp = socket->udp;
	struct uplink_address from;
	struct uplink_packet back = {.protocol = IPPROTO_UDP};
	struct in_addr four;
	uint8_t *frame;
	int family = uplink_unmap4(&socket->source.ip, &four) ? AF_INET : AF_INET6;

	if ((message->msg_flags & MSG_TRUNC) || length > 65535 - 28 ||
		!uplink_from_sockaddr(message->msg_name, &from))
		return;
	from = uplink_target_name(udp->target, family, &from, socket->asked_dns);
	/* What the rules forbid by now does not answer either. */
	back.source = socket->source;
	back.destination = from;
	if (uplink_scopes_have_rules(udp->scopes) &&
		!uplink_scopes_allow(udp->scopes, socket->scope, &back, true))
		return;
	/* Of a family that the pod's socket does not have: a name server's, under another name. */
	if (uplink_unmap4(&from.ip, &four) != (family == AF_INET))
		return;
	socket->answered = true;
	use(socket);
	frame = uplink_frame_put_udp(payload, length, &from, &socket->source, udp->mac, udp->ip_id++);
	udp->write(udp->opaque, frame, (size_t)(payload - frame) + length);
}

/* The error's message, with the head of the datagram that it is about. */
static void tell_error(struct socket *socket, const struct uplink_address *destination,
	const uint8_t *payload, size_t length, uint8_t type, uint8_t code)
{
	uint8_t quoted[UPLINK_FRAME_UDP_HEADERS + QUOTE_MAX], answer[UPLINK_REJECT_MAX];
	struct uplink_udp *udp = socket->udp;
	struct uplink_packet packet;
	uint8_t *frame;
	size_t size;

	if (length > QUOTE_MAX)
		length = QUOTE_MAX;
	memcpy(quoted + UPLINK_FRAME_UDP_HEADERS, payload, length);
	frame = uplink_frame_put_udp(quoted + UPLINK_FRAME_UDP_HEADERS, length, &socket->source,
		destination, udp->mac, 0);
	size = (size_t)(quoted + UPLINK_FRAME_UDP_HEADERS - frame) + length;
	if (uplink_frame_parse(frame, size, &packet) < 0)
		return;
	size = uplink_reject_error(frame, size, &packet, type, code, answer);
	/* It goes to whom the datagram came from. */
	memcpy(answer, frame, 2 * ETH_ALEN);
	if (size > 0)
		udp->write(udp->opaque, answer, size);
}

static void on_error(void *opaque, int error, const struct uplink_address *destination,
	const uint8_t *payload, size_t length)
{
	struct socket *socket = opaque;
	struct uplink_address called;
	struct in_addr four;
	int family = uplink_unmap4(&socket->source.ip, &four) ? AF_INET : AF_INET6;
	uint8_t type, code;

	called = uplink_target_name(socket->udp->target, family, destination, socket->asked_dns);
	if (uplink_unmap4(&called.ip, &four) == (family == AF_INET) &&
		uplink_batch_icmp(family == AF_INET6, error, &type, &code))
		tell_error(socket, &called, payload, length, type, code);
}

static void receive(struct socket *socket)
{
	int r = uplink_batch_receive(&socket->udp->batch, socket->fd, deliver, socket);

	if (r < 0)
		uplink_batch_errors(socket->fd, on_error, socket);
	if (r != 0)
		uplink_loop_defer(socket->udp->loop, &socket->work);
}

static void on_ready(struct uplink_watch *watch, uint32_t events)
{
	struct socket *socket = container_of(watch, struct socket, watch);

	if (events & EPOLLERR)
		uplink_batch_errors(socket->fd, on_error, socket);
	receive(socket);
}

static void on_turn(struct uplink_work *work)
{
	struct socket *socket = container_of(work, struct socket, work);

	if (socket->closed)
		free(socket);
	else
		receive(socket);
}

/* ---- to the outside ---- */

static int open_fd(int family)
{
	autoclose int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd < 0)
		return -errno;
	if (family == AF_INET)
		(void)setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof(one));
	else
		(void)setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof(one));
	return take_fd(&fd);
}

/* A child that has had its share gives up one of its own. */
static void make_room(struct uplink_udp *udp, const struct uplink_scope *scope)
{
	struct socket *socket = of_age(udp->ages.oldest);

	if (scope->id != 0 && scope->n_udp >= UPLINK_CHILD_UDP_MAX) {
		while (socket && socket->scope != scope)
			socket = of_age(socket->age.newer);
	} else if (udp->n < UPLINK_UDP_MAX) {
		return;
	}
	if (socket)
		close_socket(socket);
}

static struct socket *socket_new(struct uplink_udp *udp, struct uplink_scope *scope,
	const struct uplink_address *source, int family)
{
	struct socket *socket, **place;
	int fd;

	make_room(udp, scope);
	fd = open_fd(family);
	socket = fd < 0 ? NULL : calloc(1, sizeof(*socket));
	if (!socket) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	socket->udp = udp;
	socket->fd = fd;
	socket->family = family;
	socket->source = *source;
	socket->watch.ready = on_ready;
	socket->work.run = on_turn;
	if (uplink_loop_add(udp->loop, fd, EPOLLIN | EPOLLET, &socket->watch) < 0) {
		close(fd);
		free(socket);
		return NULL;
	}
	socket->scope = uplink_scope_ref(scope);
	scope->n_udp++;
	place = bucket(udp, source, family);
	socket->next = *place;
	*place = socket;
	age_add(&udp->ages, &socket->age);
	udp->n++;
	(void)uplink_loop_start_timer(udp->loop, udp->timer, TICK_US);
	return socket;
}

static struct socket *socket_of(struct uplink_udp *udp, struct uplink_scope *scope,
	const struct uplink_address *source, int family)
{
	struct socket *socket = *bucket(udp, source, family);

	while (socket && !(socket->family == family && uplink_address_equal(&socket->source, source)))
		socket = socket->next;
	/* The address is another child's by now. */
	if (socket && socket->scope != scope) {
		close_socket(socket);
		socket = NULL;
	}
	return socket ? socket : socket_new(udp, scope, source, family);
}

/* Sends @count datagrams of @size bytes, the last one perhaps shorter. Return: 0 or -errno. */
static int send_gathered(const struct uplink_udp *udp, const uint8_t *data, size_t length,
	bool segments)
{
	char control[CMSG_SPACE(sizeof(uint16_t))] __attribute__((aligned(8))) = {};
	struct sockaddr_storage name;
	struct iovec iov = {(uint8_t *)data, length};
	struct msghdr message = {
		.msg_name = &name,
		.msg_namelen = uplink_sockaddr(&udp->place, &name),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	const uint16_t size = (uint16_t)udp->size;
	struct cmsghdr *part;

	if (segments) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		part = CMSG_FIRSTHDR(&message);
		part->cmsg_level = SOL_UDP;
		part->cmsg_type = UDP_SEGMENT;
		part->cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(part), &size, sizeof(size));
	}
	return sendmsg(udp->to_send->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* An error that an earlier datagram has brought is told by the next call; that is for the error
 * queue, and this one is tried again. */
static int send_one(struct uplink_udp *udp, const uint8_t *data, size_t length)
{
	int r = send_gathered(udp, data, length, false);

	if (r < 0 && r != -EAGAIN) {
		uplink_batch_errors(udp->to_send->fd, on_error, udp->to_send);
		r = send_gathered(udp, data, length, false);
	}
	return r;
}

static void send_each(struct uplink_udp *udp)
{
	struct in_addr four;
	bool six = !uplink_unmap4(&udp->to_send->source.ip, &four);
	uint8_t type, code;

	for (size_t at = 0, size; at < udp->length || at == 0; at += size) {
		int r;

		size = udp->length - at < udp->size ? udp->length - at : udp->size;
		r = send_one(udp, udp->gathered + at, size);
		if (r < 0 && uplink_batch_icmp(six, -r, &type, &code))
			tell_error(udp->to_send, &udp->called, udp->gathered + at, size, type,
				code);
		if (size == 0)
			break;
	}
}

void uplink_udp_flush(struct uplink_udp *udp)
{
	int r = -EOPNOTSUPP;

	if (!udp->to_send || udp->count == 0)
		return;
	if (udp->count > 1 && !udp->no_segments) {
		r = send_gathered(udp, udp->gathered, udp->length, true);
		/* Otherwise it is this interface, or an error of an earlier datagram. */
		udp->no_segments = r == -ENOPROTOOPT || r == -EOPNOTSUPP;
	}
	if (r < 0 && r != -EAGAIN)
		send_each(udp);
	udp->to_send = NULL;
	udp->count = 0;
	udp->length = 0;
}

/* Those of one size in a row; a shorter one is the last. */
static bool fits(const struct uplink_udp *udp, const struct socket *socket,
	const struct uplink_address *place, size_t length)
{
	return udp->to_send == socket && udp->count > 0 && udp->count < GATHER_MAX &&
	       length > 0 && length <= udp->size && udp->length == udp->count * udp->size &&
	       udp->length + length <= sizeof(udp->gathered) && uplink_address_equal(&udp->place, place);
}

static void gather(struct uplink_udp *udp, struct socket *socket,
	const struct uplink_address *place, const struct uplink_address *called,
	const uint8_t *data, size_t length)
{
	if (!fits(udp, socket, place, length)) {
		uplink_udp_flush(udp);
		udp->to_send = socket;
		udp->place = *place;
		udp->called = *called;
		udp->size = length;
	}
	memcpy(udp->gathered + udp->length, data, length);
	udp->length += length;
	udp->count++;
}

/* libslirp's own services, and what needs to be put together first. */
static bool is_for_libslirp(const struct uplink_udp *udp, const struct uplink_packet *packet,
	size_t length)
{
	const struct uplink_config *config = &udp->target->config;
	struct in6_addr gateway4 = uplink_map4(config->gateway4);
	in_port_t port = packet->destination.port;
	bool to_gateway = !memcmp(&packet->destination.ip, &gateway4, sizeof(gateway4)) ||
			  !memcmp(&packet->destination.ip, &config->gateway6, sizeof(gateway4));

	return packet->fragment || packet->more_fragments || length < UDP_HEADER_SIZE ||
	       length > packet->transport_length || length - UDP_HEADER_SIZE > GATHER_BYTES ||
	       uplink_is_group(&packet->destination.ip) || packet->source.port == 0 || port == 0 ||
	       uplink_is_link_local(&packet->destination.ip) ||
	       (to_gateway && (port == htons(67) || port == htons(69) || port == htons(547)));
}

bool uplink_udp_send(struct uplink_udp *udp, struct uplink_scope *scope,
	const struct uplink_packet *packet)
{
	size_t length = packet->transport_length < UDP_HEADER_SIZE ?
				0 :
				(size_t)packet->transport[4] << 8 | packet->transport[5];
	struct uplink_address place;
	struct socket *socket;
	struct in_addr four;

	if (is_for_libslirp(udp, packet, length) ||
		!uplink_target_of(udp->target, packet, &place))
		return false;
	socket = socket_of(udp, scope, &packet->source,
		uplink_unmap4(&place.ip, &four) ? AF_INET : AF_INET6);
	if (!socket)
		return false;
	socket->asked_dns |= uplink_target_is_dns(udp->target, &packet->destination);
	use(socket);
	gather(udp, socket, &place, &packet->destination, packet->transport + UDP_HEADER_SIZE,
		length - UDP_HEADER_SIZE);
	return true;
}

int uplink_udp_new(struct uplink_loop *loop, struct uplink_scopes *scopes,
	const struct uplink_target *target, const uint8_t mac[6],
	void (*write)(void *opaque, const uint8_t *frame, size_t length), void *opaque,
	struct uplink_udp **ret, struct err *err)
{
	autoptr(uplink_udp) udp = calloc(1, sizeof(*udp));
	int r;

	if (!udp)
		return err_oom(err);
	udp->loop = loop;
	udp->scopes = scopes;
	udp->target = target;
	udp->write = write;
	udp->opaque = opaque;
	memcpy(udp->mac, mac, sizeof(udp->mac));
	r = uplink_loop_add_timer(loop, TICK_US / 10, on_timer, udp, &udp->timer, err);
	if (r < 0)
		return r;
	*ret = take_ptr(udp);
	return 0;
}

void uplink_udp_free(struct uplink_udp *udp)
{
	if (!udp)
		return;
	while (udp->ages.newest) {
		struct socket *socket = of_age(udp->ages.newest);

		age_remove(&udp->ages, &socket->age);
		uplink_scope_unref(udp->scopes, socket->scope);
		close(socket->fd);
		free(socket);
	}
	sd_event_source_disable_unref(udp->timer);
	uplink_batch_trim(&udp->batch);
	free(udp);
}
