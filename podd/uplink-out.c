/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * TCP from the pod to the outside. Rules in the pod's netns (outer-rules.c) put the first SYN of
 * each connection that leaves by the tap into a queue. It waits there until the outside has
 * answered a connection of ours to the same place:
 *
 *   SYN comes ──connect(2)──▶ CONNECTING ──connected──▶ RELEASED ──accept(2)──▶ OPEN
 *       │                         │                        │
 *       │                         │ refused, no route ...  │ nobody there any more
 *       ▼                         ▼                        ▼
 *   dropped: quota            the SYN is answered      the outside is reset
 *   answered: egress rules    accordingly
 *
 * RELEASED: the SYN goes on to our listening socket in the pod, and only now the program's
 * connect(2) returns. So it sees what it would see without a pod: a refusal as a refusal, a
 * time-out when its own time is up. A SYN that is sent again while the first one waits is dropped;
 * one that is sent again after that goes the way of the first.
 *
 * The listening socket is found by whoever in the pod looks for it. A connection to it that no
 * SYN was released for is closed.
 *
 * System calls: socket[0 == AF_INET], socket[0 == AF_INET6], setsockopt, getsockopt,
 *   accept4, close.
 */

#include "uplink-out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uplink-queue.h"

/* linux/netfilter_ipv6/ip6_tables.h, which does not go with netinet/in.h. */
#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80
#endif

/* The handshake within the pod takes no time, unless a packet of it is lost (a second) or a child's
 * link is made slow. Who has given up in between is not heard of. */
#define RELEASED_MS 5000
/* Connections before others have their turn. */
#define ACCEPT_BATCH 64

struct listener {
	struct uplink_watch watch;
	struct uplink_work work;
	struct uplink_out *out;
	int fd;
	int level; /* where the address before the redirection is asked for */
	int option;
};

struct uplink_out {
	struct uplink_loop *loop;
	struct uplink_flows *flows;
	struct uplink_scopes *scopes;
	const struct uplink_target *target;
	struct uplink_queue *queue;
	struct listener listeners[2];
};

/* ---- to the outside ---- */

static enum queue_verdict verdict_of(int error)
{
	switch (error) {
	case ENETUNREACH:
	case EINVAL: /* a route of type blackhole */
		return QUEUE_NO_ROUTE;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return QUEUE_NO_HOST;
	case EACCES:
	case EPERM:
		return QUEUE_PROHIBITED;
	case ETIMEDOUT: /* the program has its own time-out */
	case EADDRNOTAVAIL:
	case EAGAIN:
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return QUEUE_DROP;
	default:
		return QUEUE_RESET;
	}
}

/* The SYN has its answer, and does not wait any more. */
static int decide(struct uplink_out *out, struct uplink_flow *flow, enum queue_verdict verdict)
{
	flow->abandon = NULL;
	return uplink_queue_decide(out->queue, flow->packet, verdict);
}

/* One that no verdict is given to would stay in the kernel's queue for ever. A rule that forbids it by
 * now is told; otherwise it is sent again, and that one is answered. */
static void on_abandoned(struct uplink_flow *flow)
{
	struct uplink_out *out = flow->owner;
	const struct uplink_packet packet = {
		.source = flow->source,
		.destination = flow->destination,
		.protocol = IPPROTO_TCP,
	};
	bool allowed = uplink_scopes_allow(out->scopes, flow->scope, &packet, true);

	(void)decide(out, flow, allowed ? QUEUE_DROP : QUEUE_PROHIBITED);
}

static void fail(struct uplink_out *out, struct uplink_flow *flow, int error)
{
	enum queue_verdict verdict = verdict_of(error);

	flow->scope->counters.failed++;
	(void)decide(out, flow, verdict);
	uplink_flow_cut(flow);
}

static void release(struct uplink_out *out, struct uplink_flow *flow)
{
	flow->state = FLOW_RELEASED;
	flow->deadline_ms = uplink_loop_now_ms() + RELEASED_MS;
	if (decide(out, flow, QUEUE_TAKE) < 0)
		uplink_flow_cut(flow);
}

static void on_connected(struct uplink_watch *watch, uint32_t events)
{
	struct splice_end *end = container_of(watch, struct splice_end, watch);
	struct uplink_flow *flow =
		container_of(end, struct uplink_flow, pair.ends[SPLICE_HOST]);
	int r = uplink_flow_connected(flow, events);

	if (r == 0)
		release(flow->owner, flow);
	else if (r != -EINPROGRESS)
		fail(flow->owner, flow, -r);
}

static int open_socket(const struct uplink_address *target, int *ret_fd)
{
	struct in_addr four;
	int family = uplink_unmap4(&target->ip, &four) ? AF_INET : AF_INET6;
	autoclose int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd < 0)
		return -errno;
	/* Segments go on as they come: the sender has had its own Nagle. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*ret_fd = take_fd(&fd);
	return 0;
}

static void start(struct uplink_out *out, struct uplink_flow *flow,
	const struct uplink_address *target)
{
	int r = open_socket(target, &flow->fd);

	if (r == 0)
		r = uplink_flow_connect(flow, target, on_connected);
	if (r < 0)
		fail(out, flow, -r);
}

static bool is_first_syn(const struct uplink_packet *packet)
{
	return packet->protocol == IPPROTO_TCP && !packet->fragment &&
	       (packet->tcp_flags & (TH_SYN | TH_ACK | TH_RST | TH_FIN)) == TH_SYN &&
	       packet->destination.port != 0 && !uplink_is_group(&packet->destination.ip);
}

static uint32_t sequence_of(const struct uplink_packet *packet)
{
	uint32_t sequence;

	memcpy(&sequence, packet->transport + 4, sizeof(sequence));
	return sequence;
}

/* A connection of the same addresses is there already. Return: false when this is another one: the
 * program has given the first one up, and its port is used again. */
static bool is_repeated(struct uplink_out *out, struct uplink_flow *flow, uint32_t id,
	uint32_t sequence)
{
	bool same = flow->sequence == sequence;

	switch (flow->state) {
	case FLOW_RELEASED:
		(void)uplink_queue_decide(out->queue, id, QUEUE_TAKE);
		return true;
	case FLOW_CONNECTING:
		/* The outside is asked once; who waits for the answer is the latest. */
		(void)uplink_queue_decide(out->queue, same ? id : flow->packet, QUEUE_DROP);
		if (!same) {
			flow->packet = id;
			flow->sequence = sequence;
		}
		return true;
	default:
		if (same)
			(void)uplink_queue_decide(out->queue, id, QUEUE_DROP);
		return same;
	}
}

static void on_syn(void *opaque, uint32_t id, const struct uplink_packet *packet)
{
	struct uplink_out *out = opaque;
	struct uplink_address target;
	struct uplink_scope *scope;
	struct uplink_flow *flow;

	if (!is_first_syn(packet)) {
		(void)uplink_queue_decide(out->queue, id, QUEUE_PASS);
		return;
	}
	flow = uplink_flow_find(out->flows, &packet->source, &packet->destination);
	if (flow && is_repeated(out, flow, id, sequence_of(packet)))
		return;
	scope = uplink_scopes_of(out->scopes, &packet->source.ip);
	if (!uplink_scopes_allow(out->scopes, scope, packet, false)) {
		(void)uplink_queue_decide(out->queue, id, QUEUE_PROHIBITED);
		return;
	}
	if (!uplink_target_of(out->target, packet, &target)) {
		(void)uplink_queue_decide(out->queue, id, QUEUE_NO_ROUTE);
		return;
	}
	flow = uplink_flow_new(out->flows, scope, false, &packet->source, &packet->destination);
	if (!flow) {
		(void)uplink_queue_decide(out->queue, id, QUEUE_DROP);
		return;
	}
	flow->owner = out;
	flow->packet = id;
	flow->sequence = sequence_of(packet);
	flow->abandon = on_abandoned;
	uplink_flow_hash(flow);
	start(out, flow, &target);
}

/* ---- from the pod ---- */

/* Connections from one port to several places become connections to one, the listening socket, so
 * that the kernel gives some of them another port: now, or while it remembers the earlier one. Then
 * any will do that goes from the same host to the same place: nothing was sent on it yet. */
static struct uplink_flow *find_released(const struct uplink_out *out,
	const struct uplink_address *source, const struct uplink_address *destination)
{
	struct uplink_flow *flow = uplink_flow_find(out->flows, source, destination);

	if (flow && flow->state == FLOW_RELEASED)
		return flow;
	return uplink_flow_find_like(out->flows, FLOW_RELEASED, source, destination);
}

static int accept_one(struct listener *listener)
{
	struct sockaddr_storage peer, original = {};
	socklen_t peer_size = sizeof(peer), original_size = sizeof(original);
	struct uplink_address source, destination;
	struct uplink_flow *flow = NULL;
	autoclose int fd = accept4(listener->fd, (struct sockaddr *)&peer, &peer_size,
		SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
	if (getsockopt(fd, listener->level, listener->option, &original, &original_size) == 0 &&
		uplink_from_sockaddr(&peer, &source) &&
		uplink_from_sockaddr(&original, &destination))
		flow = find_released(listener->out, &source, &destination);
	if (!flow) {
		splice_reset(take_fd(&fd));
		return 0;
	}
	uplink_flow_open(flow, take_fd(&fd));
	return 0;
}

static void accept_some(struct listener *listener)
{
	for (int i = 0; i < ACCEPT_BATCH; i++)
		if (accept_one(listener) < 0)
			return;
	uplink_loop_defer(listener->out->loop, &listener->work);
}

static void on_listener(struct uplink_watch *watch, uint32_t events)
{
	accept_some(container_of(watch, struct listener, watch));
}

static void on_turn(struct uplink_work *work)
{
	accept_some(container_of(work, struct listener, work));
}

/* A listening socket that could not be accepted from has no new edge. */
void uplink_out_resume(struct uplink_out *out)
{
	for (int i = 0; i < 2; i++)
		if (out->listeners[i].fd >= 0)
			accept_some(&out->listeners[i]);
}

static int listen_on(struct uplink_out *out, struct listener *listener, int fd)
{
	int r;

	listener->out = out;
	listener->watch.ready = on_listener;
	listener->work.run = on_turn;
	if (fd < 0)
		return 0;
	r = uplink_loop_add(out->loop, fd, EPOLLIN | EPOLLET, &listener->watch);
	if (r == 0)
		listener->fd = fd;
	return r;
}

int uplink_out_new(struct uplink_loop *loop, struct uplink_flows *flows,
	struct uplink_scopes *scopes, const struct uplink_target *target, int queue, int listen4,
	int listen6, struct uplink_out **ret, struct err *err)
{
	autoptr(uplink_out) out = calloc(1, sizeof(*out));
	int r;

	if (!out)
		return err_oom(err);
	out->loop = loop;
	out->flows = flows;
	out->scopes = scopes;
	out->target = target;
	out->listeners[0] = (struct listener){.fd = -1, .level = SOL_IP, .option = SO_ORIGINAL_DST};
	out->listeners[1] = (struct listener){
		.fd = -1, .level = SOL_IPV6, .option = IP6T_SO_ORIGINAL_DST};
	r = listen_on(out, &out->listeners[0], listen4);
	if (r == 0)
		r = listen_on(out, &out->listeners[1], listen6);
	if (r < 0)
		err_set(err, r, "watching the listening sockets: %s", strerror(-r));
	else
		r = uplink_queue_new(loop, queue, on_syn, out, &out->queue, err);
	if (r < 0) {
		/* Theirs whose they were; podd-outer keeps them open. */
		for (int i = 0; i < 2; i++) {
			struct listener *listener = &out->listeners[i];

			if (listener->fd >= 0)
				uplink_loop_remove(loop, listener->fd, &listener->watch);
			listener->fd = -1;
		}
		return r;
	}
	*ret = take_ptr(out);
	return 0;
}

void uplink_out_free(struct uplink_out *out)
{
	if (!out)
		return;
	uplink_queue_free(out->queue);
	for (int i = 0; i < 2; i++) {
		if (out->listeners[i].fd < 0)
			continue;
		uplink_loop_remove(out->loop, out->listeners[i].fd, &out->listeners[i].watch);
		close(out->listeners[i].fd);
	}
	free(out);
}
