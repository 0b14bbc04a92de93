/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The table of connections: see uplink-flow.h. It owns the flows, and the pipes of all pairs.
 *
 * System calls: connect, getsockopt, setsockopt (keepalive), close.
 */

#include "uplink-flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HASH_SIZE 4096
/* Pairs of which one side does not read, at once. */
#define PIPES_MAX 512
/* libslirp's, published ports', and the uplink's own. */
#define RESERVED_FDS 512
/* With few fds at all; then some connections find none. */
#define FLOWS_LEAST 256
#define TICK_US 1000000
#define TICK_ACCURACY_US 500000
/* Keepalive would cost every short connection a system call. */
#define OLD_MS 10000

struct uplink_flows {
	struct uplink_loop *loop;
	struct uplink_scopes *scopes;
	struct uplink_splice *splice;
	sd_event_source *timer;
	void (*tick)(void *opaque);
	void *opaque;
	struct uplink_flow *first;
	struct uplink_flow *exact[HASH_SIZE]; /* by both addresses */
	struct uplink_flow *alike[HASH_SIZE]; /* without the source's port */
	unsigned n;
	unsigned max;
};

/* Two fds for each, beside those of pipes and of UDP. */
static unsigned most_flows(unsigned pipes)
{
	const rlim_t others = 2 * pipes + UPLINK_UDP_MAX + RESERVED_FDS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < 2 * others)
		return FLOWS_LEAST;
	if (limit.rlim_cur >= 2 * UPLINK_FLOWS_MAX + others)
		return UPLINK_FLOWS_MAX;
	return (unsigned)(limit.rlim_cur - others) / 2;
}

static void keep_alive(struct uplink_flow *flow)
{
	const int one = 1;

	if (flow->kept_alive || flow->pair.closed)
		return;
	flow->kept_alive = true;
	(void)setsockopt(flow->pair.ends[SPLICE_HOST].fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *opaque)
{
	struct uplink_flows *flows = opaque;
	int64_t now = uplink_loop_now_ms();

	for (struct uplink_flow *flow = flows->first; flow; flow = flow->next) {
		if (flow->state != FLOW_OPEN && flow->deadline_ms > 0 && flow->deadline_ms <= now)
			uplink_flow_cut(flow);
		else if (flow->state == FLOW_OPEN && now - flow->since_ms > OLD_MS)
			keep_alive(flow);
	}
	flows->tick(flows->opaque);
	uplink_splice_trim(flows->splice);
	/* Without flows the pod sleeps. */
	return flows->first ? uplink_loop_start_timer(flows->loop, source, TICK_US) : 0;
}

int uplink_flows_new(struct uplink_loop *loop, struct uplink_scopes *scopes,
	void (*tick)(void *opaque), void *opaque, struct uplink_flows **ret, struct err *err)
{
	autoptr(uplink_flows) flows = calloc(1, sizeof(*flows));
	int r;

	if (!flows)
		return err_oom(err);
	flows->loop = loop;
	flows->scopes = scopes;
	flows->max = most_flows(PIPES_MAX);
	r = uplink_splice_new(loop, PIPES_MAX, &flows->splice, err);
	if (r < 0)
		return r;
	flows->tick = tick;
	flows->opaque = opaque;
	r = uplink_loop_add_timer(loop, TICK_ACCURACY_US, on_timer, flows, &flows->timer, err);
	if (r < 0)
		return r;
	*ret = take_ptr(flows);
	return 0;
}

void uplink_flows_free(struct uplink_flows *flows)
{
	if (!flows)
		return;
	while (flows->first) {
		struct uplink_flow *flow = flows->first;

		flows->first = flow->next;
		free(flow);
	}
	sd_event_source_disable_unref(flows->timer);
	uplink_splice_free(flows->splice);
	free(flows);
}

static size_t hash(const struct uplink_address *source, const struct uplink_address *destination)
{
	return uplink_address_hash(destination, uplink_address_hash(source, 0)) % HASH_SIZE;
}

static struct uplink_address without_port(const struct uplink_address *address)
{
	return (struct uplink_address){.ip = address->ip};
}

/* Where a flow with these addresses hangs in either table. */
static void find_places(const struct uplink_flows *flows, const struct uplink_address *source,
	const struct uplink_address *destination, struct uplink_flow ***ret_exact,
	struct uplink_flow ***ret_alike)
{
	const struct uplink_address host = without_port(source);
	struct uplink_flows *table = (struct uplink_flows *)flows;

	*ret_exact = &table->exact[hash(source, destination)];
	*ret_alike = &table->alike[hash(&host, destination)];
}

struct uplink_flow *uplink_flow_find(const struct uplink_flows *flows,
	const struct uplink_address *source, const struct uplink_address *destination)
{
	struct uplink_flow *flow = flows->exact[hash(source, destination)];

	while (flow && !(uplink_address_equal(&flow->source, source) &&
			       uplink_address_equal(&flow->destination, destination)))
		flow = flow->hash_next[0];
	return flow;
}

struct uplink_flow *uplink_flow_find_like(const struct uplink_flows *flows, enum flow_state state,
	const struct uplink_address *source, const struct uplink_address *destination)
{
	const struct uplink_address host = without_port(source);
	struct uplink_flow *flow = flows->alike[hash(&host, destination)];

	while (flow && !(flow->state == state &&
			       !memcmp(&flow->source.ip, &source->ip, sizeof(source->ip)) &&
			       uplink_address_equal(&flow->destination, destination)))
		flow = flow->hash_next[1];
	return flow;
}

void uplink_flow_hash(struct uplink_flow *flow)
{
	struct uplink_flow **places[2];

	find_places(flow->flows, &flow->source, &flow->destination, &places[0], &places[1]);
	for (int i = 0; i < 2; i++) {
		flow->hash_next[i] = *places[i];
		*places[i] = flow;
		flow->hashed[i] = true;
	}
}

/* @table: 0: the exact one, 1: the other. */
static void unhash(struct uplink_flow *flow, int table)
{
	struct uplink_flow **links[2];

	if (!flow->hashed[table])
		return;
	find_places(flow->flows, &flow->source, &flow->destination, &links[0], &links[1]);
	while (*links[table] != flow)
		links[table] = &(*links[table])->hash_next[table];
	*links[table] = flow->hash_next[table];
	flow->hashed[table] = false;
}

struct uplink_flow *uplink_flow_new(struct uplink_flows *flows, struct uplink_scope *scope,
	bool inbound, const struct uplink_address *source, const struct uplink_address *destination)
{
	struct uplink_flow *flow = NULL;

	if (flows->n < flows->max &&
		(scope->id == 0 || scope->counters.flows < UPLINK_CHILD_FLOWS_MAX))
		flow = calloc(1, sizeof(*flow));
	if (!flow) {
		scope->counters.over_quota++;
		return NULL;
	}
	flow->flows = flows;
	flow->scope = uplink_scope_ref(scope);
	flow->fd = flow->inner = -1;
	flow->inbound = inbound;
	flow->source = *source;
	flow->destination = *destination;
	flow->since_ms = uplink_loop_now_ms();
	flow->next = flows->first;
	if (flow->next)
		flow->next->previous = flow;
	flows->first = flow;
	flows->n++;
	scope->counters.flows++;
	scope->counters.flows_total++;
	(void)uplink_loop_start_timer(flows->loop, flows->timer, TICK_US);
	return flow;
}

/* The sockets are closed, and no event names it. */
static void flow_free(struct uplink_flow *flow)
{
	struct uplink_flows *flows = flow->flows;

	unhash(flow, 0);
	unhash(flow, 1);
	flow->scope->counters.bytes_out += flow->pair.ends[SPLICE_POD].bytes;
	flow->scope->counters.bytes_in += flow->pair.ends[SPLICE_HOST].bytes;
	flow->scope->counters.flows--;
	uplink_scope_unref(flows->scopes, flow->scope);
	if (flow->next)
		flow->next->previous = flow->previous;
	if (flow->previous)
		flow->previous->next = flow->next;
	else
		flows->first = flow->next;
	flows->n--;
	free(flow);
}

static void on_done(struct splice_pair *pair)
{
	flow_free(container_of(pair, struct uplink_flow, pair));
}

static void on_buried(struct uplink_work *work)
{
	flow_free(container_of(work, struct uplink_flow, pair.work));
}

void uplink_flow_close_inner(struct uplink_flow *flow)
{
	struct splice_end *end = &flow->pair.ends[SPLICE_POD];

	if (flow->inner < 0)
		return;
	uplink_loop_remove(flow->flows->loop, flow->inner, &end->watch);
	splice_forget(end);
	close(take_fd(&flow->inner));
}

void uplink_flow_cut(struct uplink_flow *flow)
{
	if (flow->state == FLOW_OPEN) {
		uplink_splice_cut(&flow->pair);
		return;
	}
	if (flow->gone)
		return;
	flow->gone = true;
	unhash(flow, 0);
	unhash(flow, 1);
	if (flow->abandon)
		flow->abandon(flow);
	splice_forget(&flow->pair.ends[SPLICE_POD]);
	splice_forget(&flow->pair.ends[SPLICE_HOST]);
	uplink_flow_close_inner(flow);
	if (flow->fd >= 0)
		splice_reset(take_fd(&flow->fd));
	flow->pair.work.run = on_buried;
	uplink_loop_defer(flow->flows->loop, &flow->pair.work);
}

static int watch(struct uplink_flow *flow, void (*ready)(struct uplink_watch *, uint32_t))
{
	struct splice_end *end = &flow->pair.ends[flow->inbound ? SPLICE_POD : SPLICE_HOST];

	return uplink_splice_watch(
		flow->flows->splice, end, flow->inbound ? flow->inner : flow->fd, ready);
}

void uplink_flow_open(struct uplink_flow *flow, int inner)
{
	/* Who is waited for is looked up there: it must not get long. */
	unhash(flow, 1);
	if (uplink_splice_join(flow->flows->splice, &flow->pair, inner, flow->fd, on_done) < 0) {
		splice_reset(inner);
		uplink_flow_cut(flow);
		return;
	}
	flow->fd = flow->inner = -1;
	flow->state = FLOW_OPEN;
	if (flow->was_reset)
		uplink_splice_mark_reset(&flow->pair, flow->inbound ? SPLICE_POD : SPLICE_HOST);
}

int uplink_flow_connect(struct uplink_flow *flow, const struct uplink_address *to,
	void (*ready)(struct uplink_watch *, uint32_t))
{
	struct sockaddr_storage address;
	socklen_t length = uplink_sockaddr(to, &address);

	if (connect(flow->inbound ? flow->inner : flow->fd, (struct sockaddr *)&address, length) < 0 &&
		errno != EINPROGRESS)
		return -errno;
	return watch(flow, ready);
}

int uplink_flow_connected(struct uplink_flow *flow, uint32_t events)
{
	socklen_t size = sizeof(int);
	int error = 0;

	splice_note(&flow->pair.ends[flow->inbound ? SPLICE_POD : SPLICE_HOST], events);
	if (flow->state != FLOW_CONNECTING || !(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return -EINPROGRESS;
	if (!(events & (EPOLLERR | EPOLLHUP)))
		return 0;
	if (getsockopt(flow->inbound ? flow->inner : flow->fd, SOL_SOCKET, SO_ERROR, &error, &size) <
		0)
		return -errno;
	/* One after the connection was made is for whoever reads it: there may be data before it.
	 * Instead of it, it is ECONNREFUSED. */
	flow->was_reset = error == ECONNRESET || error == EPIPE;
	return flow->was_reset ? 0 : -error;
}

struct uplink_flow *uplink_flows_first(const struct uplink_flows *flows)
{
	return flows->first;
}

unsigned uplink_flows_count(const struct uplink_flows *flows)
{
	return flows->n;
}

unsigned uplink_flows_max(const struct uplink_flows *flows)
{
	return flows->max;
}

void uplink_flows_apply_rules(struct uplink_flows *flows)
{
	/* Cutting defers the freeing: the list stays as it is. */
	for (struct uplink_flow *flow = flows->first; flow; flow = flow->next) {
		const struct uplink_packet packet = {
			.source = flow->source,
			.destination = flow->destination,
			.protocol = IPPROTO_TCP,
		};

		if (!flow->inbound && !uplink_scopes_allow(flows->scopes, flow->scope, &packet, true))
			uplink_flow_cut(flow);
	}
}
