/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Published TCP ports. For each connection that a client makes to the host, one is made in the
 * pod's netns to the server, from the client's own address and port (IP_TRANSPARENT; the rules
 * lead the answers back, see outer-rules.c). So the server sees who it is. Clients whose address
 * means something else in the pod (the host's loopback, the pod's own networks) come from the
 * gateway's address.
 *
 *   accept(2) ──▶ CONNECTING ──connected──▶ OPEN
 *                  │      ▲
 *     no server,   ▼      │ a child came, or some time has passed
 *     no socket   WAITING ┘
 *                  │ the port's waiting time is over
 *                  ▼
 *                 the client is reset
 *
 * A server that is not there is waited for: its child restarts, or has only just started and does
 * not listen yet. One that has had time enough to listen and refuses is not: the client is reset at
 * once.
 *
 * System calls: accept4, bind (the clients' addresses), close.
 */

#include "uplink-port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections before others have their turn. */
#define ACCEPT_BATCH 64
#define RETRY_MS 25
/* So long a server may take from its start until it listens. */
#define SETTLE_MS 2000
/* ... and so long one may take to answer, within the pod. */
#define CONNECT_MS 20000
#define RETRY_US (RETRY_MS * 1000)
#define RETRY_ACCURACY_US 5000

struct port;

struct listener {
	struct uplink_watch watch;
	struct uplink_work work;
	struct port *port;
	int fd;
};

struct port {
	struct port *next;
	struct uplink_ports *ports;
	struct uplink_port spec;
	struct listener listeners[2];
	bool removed;
	struct uplink_work burial;
};

struct uplink_ports {
	struct uplink_loop *loop;
	struct uplink_flows *flows;
	struct uplink_scopes *scopes;
	struct uplink_datagrams *datagrams;
	bool transparent;
	struct uplink_sockets *sockets;
	void (*changed)(void *opaque); /* may be NULL */
	void *opaque;
	sd_event_source *timer; /* while anything waits */
	struct port *first;
	unsigned n;
};

static void reach(struct uplink_ports *ports, struct uplink_flow *flow);

/* ---- to the server ---- */

static void wait_for_server(struct uplink_ports *ports, struct uplink_flow *flow)
{
	flow->state = FLOW_WAITING;
	(void)uplink_loop_start_timer(ports->loop, ports->timer, RETRY_US);
}

/* Until when a server that is there, but refuses, is waited for: it may be about to listen. */
static int64_t patience_ends(const struct uplink_flow *flow)
{
	int64_t ends = flow->since_ms + flow->wait_ms;
	int64_t settled = flow->scope->up_since_ms + SETTLE_MS;

	/* When the pod's own servers have been started nobody knows. */
	return flow->scope->id == 0 || settled > ends ? ends : settled;
}

static void on_refusal(struct uplink_ports *ports, struct uplink_flow *flow, int error)
{
	flow->scope->counters.failed++;
	if (error == EPIPE || uplink_loop_now_ms() >= patience_ends(flow))
		uplink_flow_cut(flow);
	else
		wait_for_server(ports, flow);
}

static void on_connected(struct uplink_watch *watch, uint32_t events)
{
	struct splice_end *end = container_of(watch, struct splice_end, watch);
	struct uplink_flow *flow =
		container_of(end, struct uplink_flow, pair.ends[SPLICE_POD]);
	int r = uplink_flow_connected(flow, events);

	if (r == 0) {
		uplink_flow_open(flow, take_fd(&flow->inner));
	} else if (r != -EINPROGRESS) {
		uplink_flow_close_inner(flow);
		on_refusal(flow->owner, flow, -r);
	}
}

static int bind_to(int fd, const struct uplink_address *source)
{
	struct sockaddr_storage address;
	socklen_t length = uplink_sockaddr(source, &address);

	return bind(fd, (struct sockaddr *)&address, length) < 0 ? -errno : 0;
}

/* From the client's address; from another port, if its own is taken there by an old connection.
 * Return: 0: it is under way; -errno. */
static int begin_connect(const struct uplink_ports *ports, struct uplink_flow *flow,
	struct uplink_address source)
{
	int r = 0;

	if (ports->transparent)
		r = bind_to(flow->inner, &source);
	if (r < 0) {
		source.port = 0;
		r = bind_to(flow->inner, &source);
	}
	return r < 0 ? r : uplink_flow_connect(flow, &flow->destination, on_connected);
}

static void reach(struct uplink_ports *ports, struct uplink_flow *flow)
{
	struct uplink_address source;
	struct in_addr four;
	bool six;
	int r;

	if (!uplink_scope_server(flow->scope, &flow->source.ip, &flow->destination.ip)) {
		if (uplink_loop_now_ms() >= flow->since_ms + flow->wait_ms)
			uplink_flow_cut(flow);
		else
			wait_for_server(ports, flow);
		return;
	}
	six = !uplink_unmap4(&flow->destination.ip, &four);
	r = uplink_sockets_take(
		ports->sockets, six ? AF_INET6 : AF_INET, SOCK_STREAM, &flow->inner);
	if (r == -EAGAIN) {
		/* Mostly not as long as that: podd-outer answers. */
		wait_for_server(ports, flow);
		return;
	}
	source = uplink_scopes_client(ports->scopes, six, &flow->source);
	flow->state = FLOW_CONNECTING;
	if (r == 0)
		r = begin_connect(ports, flow, source);
	if (r < 0) {
		uplink_flow_close_inner(flow);
		on_refusal(ports, flow, -r);
	}
}

/* ---- from the client ---- */

/* Return: 0 or -errno of accept4(2). */
static int accept_one(struct listener *listener)
{
	const struct port *port = listener->port;
	struct uplink_ports *ports = port->ports;
	struct uplink_address client, server = {.port = htons(port->spec.port)};
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	struct uplink_scope *scope;
	struct uplink_flow *flow = NULL;
	autoclose int fd = accept4(listener->fd, (struct sockaddr *)&peer, &size,
		SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
	if (!uplink_from_sockaddr(&peer, &client))
		return 0;
	/* For a child that nobody knows the pod's own server is not meant. */
	scope = uplink_scopes_find(ports->scopes, port->spec.child);
	if (scope)
		flow = uplink_flow_new(ports->flows, scope, true, &client, &server);
	if (!flow) {
		splice_reset(take_fd(&fd));
		return 0;
	}
	flow->owner = ports;
	flow->port = port->spec.id;
	flow->fd = take_fd(&fd);
	flow->wait_ms = port->spec.wait_ms;
	flow->deadline_ms = flow->since_ms + port->spec.wait_ms + CONNECT_MS;
	reach(ports, flow);
	return 0;
}

static void accept_some(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	for (int i = 0; i < ACCEPT_BATCH; i++)
		if (accept_one(listener) < 0)
			return;
	uplink_loop_defer(listener->port->ports->loop, &listener->work);
}

static void on_listener(struct uplink_watch *watch, uint32_t events)
{
	accept_some(container_of(watch, struct listener, watch));
}

static void on_turn(struct uplink_work *work)
{
	accept_some(container_of(work, struct listener, work));
}

void uplink_ports_retry(struct uplink_ports *ports)
{
	for (struct uplink_flow *flow = uplink_flows_first(ports->flows); flow; flow = flow->next)
		if (flow->inbound && flow->state == FLOW_WAITING && !flow->gone)
			reach(ports, flow);
}

static void on_sockets(void *opaque)
{
	struct uplink_ports *ports = opaque;

	uplink_ports_retry(ports);
	if (ports->changed)
		ports->changed(ports->opaque);
}

struct uplink_sockets *uplink_ports_sockets(struct uplink_ports *ports)
{
	return ports->sockets;
}

void uplink_ports_set_listener(struct uplink_ports *ports, void (*changed)(void *opaque),
	void *opaque)
{
	ports->changed = changed;
	ports->opaque = opaque;
}

static int on_timer(sd_event_source *source, uint64_t now, void *opaque)
{
	uplink_ports_retry(opaque);
	return 0;
}

void uplink_ports_resume(struct uplink_ports *ports)
{
	for (struct port *port = ports->first; port; port = port->next)
		for (int i = 0; i < port->spec.n_fds && port->spec.protocol == IPPROTO_TCP; i++)
			accept_some(&port->listeners[i]);
}

/* ---- the ports ---- */

static struct port **find(struct uplink_ports *ports, uint32_t id)
{
	struct port **link = &ports->first;

	while (*link && (*link)->spec.id != id)
		link = &(*link)->next;
	return link;
}

static void port_free(struct uplink_work *work)
{
	free(container_of(work, struct port, burial));
}

static void close_listeners(struct port *port)
{
	for (int i = 0; i < port->spec.n_fds; i++) {
		struct listener *listener = &port->listeners[i];

		if (listener->fd < 0)
			continue;
		uplink_loop_remove(port->ports->loop, listener->fd, &listener->watch);
		close(take_fd(&listener->fd));
	}
}

void uplink_ports_remove(struct uplink_ports *ports, uint32_t id)
{
	struct port **link = find(ports, id), *port = *link;

	if (!port)
		return;
	*link = port->next;
	ports->n--;
	if (port->spec.protocol == IPPROTO_UDP)
		uplink_datagrams_remove(ports->datagrams, id);
	close_listeners(port);
	/* Nobody is there to be connected to any more. */
	for (struct uplink_flow *flow = uplink_flows_first(ports->flows); flow; flow = flow->next)
		if (flow->inbound && flow->port == id && flow->state != FLOW_OPEN)
			uplink_flow_cut(flow);
	/* After what a listener may have deferred. */
	port->burial.run = port_free;
	uplink_loop_defer(ports->loop, &port->burial);
}

void uplink_ports_close(struct uplink_ports *ports)
{
	while (ports->first)
		uplink_ports_remove(ports, ports->first->spec.id);
	for (struct uplink_flow *flow = uplink_flows_first(ports->flows); flow; flow = flow->next)
		uplink_flow_cut(flow);
	uplink_sockets_close(ports->sockets);
	ports->changed = NULL;
}

static int add_listener(struct port *port, int i, int fd)
{
	struct listener *listener = &port->listeners[i];

	listener->port = port;
	listener->fd = fd;
	listener->watch.ready = on_listener;
	listener->work.run = on_turn;
	return uplink_loop_add(port->ports->loop, fd, EPOLLIN | EPOLLET, &listener->watch);
}

static int add_tcp(struct port *port, const int *fds, struct err *err)
{
	int r = 0, i;

	for (i = 0; r == 0 && i < port->spec.n_fds; i++)
		r = add_listener(port, i, fds[i]);
	if (r == 0)
		return 0;
	while (--i > 0)
		uplink_loop_remove(port->ports->loop, fds[i - 1], &port->listeners[i - 1].watch);
	return err_set(err, r, "watching a published port: %s", strerror(-r));
}

int uplink_ports_add(struct uplink_ports *ports, const struct uplink_port *spec, int *fds,
	struct err *err)
{
	autofree struct port *port = NULL;
	int r;

	if (*find(ports, spec->id))
		return err_set(err, -EEXIST, "the port is published already");
	if (ports->n >= UPLINK_PORTS_MAX)
		return err_set(err, -E2BIG, "more than %d published ports", UPLINK_PORTS_MAX);
	if (spec->n_fds < 1 || spec->n_fds > 2 || fds[0] < 0 || (spec->n_fds > 1 && fds[1] < 0))
		return err_set(err, -EBADF, "the port's sockets did not come with it");
	port = calloc(1, sizeof(*port));
	if (!port)
		return err_oom(err);
	port->ports = ports;
	port->spec = *spec;
	port->listeners[0].fd = port->listeners[1].fd = -1;
	if (spec->protocol == IPPROTO_UDP)
		r = uplink_datagrams_add(ports->datagrams, spec, fds, err);
	else
		r = add_tcp(port, fds, err);
	if (r < 0)
		return r;
	for (int i = 0; i < spec->n_fds; i++)
		(void)take_fd(&fds[i]);
	port->next = ports->first;
	ports->first = port;
	ports->n++;
	/* Connections may wait already. */
	if (spec->protocol == IPPROTO_TCP)
		for (int i = 0; i < spec->n_fds; i++)
			uplink_loop_defer(ports->loop, &port->listeners[i].work);
	(void)take_ptr(port);
	return 0;
}

int uplink_ports_each(struct uplink_ports *ports,
	int (*each)(void *opaque, const struct uplink_port *port, const int *fds), void *opaque)
{
	int r = 0;

	for (const struct port *port = ports->first; r == 0 && port; port = port->next) {
		int fds[2] = {port->listeners[0].fd, port->listeners[1].fd};

		if (port->spec.protocol == IPPROTO_UDP)
			uplink_datagrams_fds(ports->datagrams, port->spec.id, fds);
		r = each(opaque, &port->spec, fds);
	}
	return r;
}

int uplink_ports_new(struct uplink_loop *loop, struct uplink_flows *flows,
	struct uplink_scopes *scopes, struct uplink_datagrams *datagrams, bool transparent,
	int sockets,
	struct uplink_ports **ret, struct err *err)
{
	autoptr(uplink_ports) ports = calloc(1, sizeof(*ports));
	int r;

	if (!ports)
		return err_oom(err);
	ports->loop = loop;
	ports->flows = flows;
	ports->scopes = scopes;
	ports->datagrams = datagrams;
	ports->transparent = transparent;
	r = uplink_loop_add_timer(loop, RETRY_ACCURACY_US, on_timer, ports, &ports->timer, err);
	if (r < 0)
		return r;
	r = uplink_sockets_new(loop, sockets, on_sockets, ports, &ports->sockets, err);
	if (r < 0)
		return r;
	*ret = take_ptr(ports);
	return 0;
}

void uplink_ports_free(struct uplink_ports *ports)
{
	if (!ports)
		return;
	while (ports->first) {
		struct port *port = ports->first;

		ports->first = port->next;
		close_listeners(port);
		free(port);
	}
	sd_event_source_disable_unref(ports->timer);
	uplink_sockets_free(ports->sockets);
	free(ports);
}
