/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table of connections: how they are found, what bounds them, and that none is freed before
 * the next turn, in whatever state it ends. */

#include "uplink-flow.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <limits.h>
#include <sys/epoll.h>

#include "uplink-fixture.h"

struct flowing {
	struct looped looped;
	struct uplink_scopes *scopes;
	struct uplink_flows *flows;
	unsigned ticks;
};

static void on_tick(void *opaque)
{
	((struct flowing *)opaque)->ticks++;
}

static void flowing_init(struct flowing *flowing)
{
	const struct uplink_config config = make_config();

	*flowing = (struct flowing){};
	looped_init(&flowing->looped);
	assert_int_equal(uplink_scopes_new(&config, &flowing->scopes, NULL), 0);
	assert_int_equal(uplink_flows_new(flowing->looped.loop,
				 flowing->scopes, on_tick, flowing, &flowing->flows, NULL), 0);
	flowing->flows->max = UPLINK_FLOWS_MAX; /* whatever RLIMIT_NOFILE is here */
}

static void flowing_done(struct flowing *flowing)
{
	uplink_flows_free(flowing->flows);
	uplink_scopes_free(flowing->scopes);
	looped_done(&flowing->looped);
}

static struct uplink_scope *add_child(struct flowing *flowing, uint32_t id, const char *address)
{
	struct uplink_child child = {.id = id, .up = 1, .n_addresses = 1};

	child.addresses[0] = make_ip(address);
	assert_int_equal(uplink_scopes_set(flowing->scopes, &child, NULL), 0);
	return uplink_scopes_find(flowing->scopes, id);
}

static struct uplink_flow *add(struct flowing *flowing, struct uplink_scope *scope,
	unsigned source_port, const char *destination, unsigned port)
{
	struct uplink_address source = make_address("10.0.2.100", source_port);
	struct uplink_address to = make_address(destination, port);

	return uplink_flow_new(flowing->flows,
		scope ? scope : uplink_scopes_first(flowing->scopes), false, &source, &to);
}

static struct uplink_flow *add_hashed(struct flowing *flowing, unsigned source_port,
	const char *destination, unsigned port)
{
	struct uplink_flow *flow = add(flowing, NULL, source_port, destination, port);

	assert_non_null(flow);
	uplink_flow_hash(flow);
	return flow;
}

static struct uplink_flow *find(struct flowing *flowing, unsigned source_port,
	const char *destination, unsigned port)
{
	struct uplink_address source = make_address("10.0.2.100", source_port);
	struct uplink_address to = make_address(destination, port);

	return uplink_flow_find(flowing->flows, &source, &to);
}

static struct uplink_flow *find_like(struct flowing *flowing, enum flow_state flow_state,
	const char *host, const char *destination, unsigned port)
{
	struct uplink_address source = make_address(host, 9);
	struct uplink_address to = make_address(destination, port);

	return uplink_flow_find_like(flowing->flows, flow_state, &source, &to);
}

/* ---- finding ---- */

static void flows_are_found_by_both_addresses(void **state)
{
	struct flowing flowing;
	struct uplink_flow *flows[3000];

	flowing_init(&flowing);
	for (unsigned i = 0; i < 3000; i++)
		flows[i] = add_hashed(&flowing, 1000 + i, "1.2.3.4", 80);
	for (unsigned i = 0; i < 3000; i++)
		assert_ptr_equal(find(&flowing, 1000 + i, "1.2.3.4", 80), flows[i]);
	assert_null(find(&flowing, 999, "1.2.3.4", 80));
	assert_null(find(&flowing, 1000, "1.2.3.4", 81));
	assert_null(find(&flowing, 1000, "1.2.3.5", 80));
	for (unsigned i = 0; i < 3000; i += 2)
		uplink_flow_cut(flows[i]);
	for (unsigned i = 0; i < 3000; i++)
		assert_ptr_equal(find(&flowing, 1000 + i, "1.2.3.4", 80), i % 2 ? flows[i] : NULL);
	turn_while_busy(&flowing.looped);
	assert_int_equal(uplink_flows_count(flowing.flows), 1500);
	flowing_done(&flowing);
}

static void one_that_is_not_hashed_is_not_found(void **state)
{
	struct flowing flowing;

	flowing_init(&flowing);
	assert_non_null(add(&flowing, NULL, 1000, "1.2.3.4", 80));
	assert_null(find(&flowing, 1000, "1.2.3.4", 80));
	assert_null(find_like(&flowing, FLOW_CONNECTING, "10.0.2.100", "1.2.3.4", 80));
	flowing_done(&flowing);
}

static void one_alike_is_found_whatever_its_port(void **state)
{
	struct flowing flowing;
	struct uplink_flow *flow;

	flowing_init(&flowing);
	add_hashed(&flowing, 1000, "1.2.3.4", 80);
	flow = add_hashed(&flowing, 1001, "1.2.3.4", 80);
	add_hashed(&flowing, 1002, "1.2.3.4", 80);
	assert_null(find_like(&flowing, FLOW_RELEASED, "10.0.2.100", "1.2.3.4", 80));
	flow->state = FLOW_RELEASED;
	assert_ptr_equal(find_like(&flowing, FLOW_RELEASED, "10.0.2.100", "1.2.3.4", 80), flow);
	assert_null(find_like(&flowing, FLOW_RELEASED, "10.0.2.101", "1.2.3.4", 80));
	assert_null(find_like(&flowing, FLOW_RELEASED, "10.0.2.100", "1.2.3.4", 81));
	uplink_flow_cut(flow);
	assert_null(find_like(&flowing, FLOW_RELEASED, "10.0.2.100", "1.2.3.4", 80));
	flowing_done(&flowing);
}

/* ---- quotas ---- */

static void fewer_fds_are_fewer_flows(void **state)
{
	struct rlimit limit, few;
	unsigned before = UINT_MAX;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	for (few.rlim_cur = limit.rlim_cur < 65536 ? limit.rlim_cur : 65536; few.rlim_cur > 256;
		few.rlim_cur /= 2) {
		unsigned flows;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		flows = most_flows(PIPES_MAX);
		assert_true(flows > 0 && flows <= before && flows <= UPLINK_FLOWS_MAX);
		assert_true(few.rlim_cur <= 1024 || 2 * flows < few.rlim_cur);
		before = flows;
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_childs_quota_is_its_own(void **state)
{
	struct flowing flowing;
	struct uplink_scope *child, *other;
	struct uplink_flow *flow;

	flowing_init(&flowing);
	child = add_child(&flowing, 1, "10.89.0.2");
	other = add_child(&flowing, 2, "10.89.0.3");
	for (unsigned i = 0; i < UPLINK_CHILD_FLOWS_MAX; i++)
		assert_non_null(add(&flowing, child, i, "1.2.3.4", 80));
	assert_null(add(&flowing, child, 1, "1.2.3.4", 80));
	assert_int_equal(child->counters.over_quota, 1);
	assert_int_equal(child->counters.flows, UPLINK_CHILD_FLOWS_MAX);
	assert_int_equal(child->counters.flows_total, UPLINK_CHILD_FLOWS_MAX);
	flow = add(&flowing, other, 1, "1.2.3.4", 80);
	assert_non_null(flow);
	uplink_flow_cut(uplink_flows_first(flowing.flows)->next);
	turn_while_busy(&flowing.looped);
	assert_non_null(add(&flowing, child, 1, "1.2.3.4", 80));
	flowing_done(&flowing);
}

static void all_together_have_a_quota(void **state)
{
	struct flowing flowing;
	struct uplink_scope *pod;

	flowing_init(&flowing);
	pod = uplink_scopes_first(flowing.scopes);
	flowing.flows->max = 5;
	for (unsigned i = 0; i < 5; i++)
		assert_non_null(add(&flowing, NULL, i, "1.2.3.4", 80));
	assert_null(add(&flowing, NULL, 9, "1.2.3.4", 80));
	assert_null(add(&flowing, add_child(&flowing, 1, "10.89.0.2"), 9, "1.2.3.4", 80));
	assert_int_equal(pod->counters.over_quota, 1);
	assert_int_equal(uplink_flows_count(flowing.flows), 5);
	/* One that is cut counts until it is freed. */
	uplink_flow_cut(uplink_flows_first(flowing.flows));
	assert_null(add(&flowing, NULL, 9, "1.2.3.4", 80));
	turn_while_busy(&flowing.looped);
	assert_non_null(add(&flowing, NULL, 9, "1.2.3.4", 80));
	flowing_done(&flowing);
}

/* ---- the end ---- */

/* An end whose peer was reset says so. */
static void assert_reset(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&ready, 1, FIXTURE_WAIT_MS), 1);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void on_never(struct uplink_watch *watch, uint32_t events)
{
	fail_msg("this watch was removed");
}

/* With both of its sockets, and one of them watched. */
static void cut_before_it_is_open(struct flowing *flowing, enum flow_state flow_state)
{
	struct uplink_flow *flow = add_hashed(flowing, 1000, "1.2.3.4", 80);
	int outer[2], inner[2];

	connect_tcp(outer);
	connect_tcp(inner);
	flow->state = flow_state;
	flow->fd = outer[0];
	flow->inner = inner[0];
	assert_int_equal(watch(flow, on_never), 0);
	/* An event that is there already finds the watch gone. */
	assert_int_equal(write(inner[1], "x", 1), 1);
	uplink_flow_cut(flow);
	uplink_flow_cut(flow);
	assert_null(find(flowing, 1000, "1.2.3.4", 80));
	assert_int_equal(flow->fd, -1);
	assert_int_equal(flow->inner, -1);
	assert_reset(outer[1]);
	/* It is still there, for whoever holds it in this turn. */
	assert_ptr_equal(uplink_flows_first(flowing->flows), flow);
	assert_int_equal(uplink_loop_turn(flowing->looped.loop, 0), 0);
	assert_null(uplink_flows_first(flowing->flows));
	close(outer[1]);
	close(inner[1]);
}

static void cut_in_each_state_before_open(void **state)
{
	struct flowing flowing;

	flowing_init(&flowing);
	cut_before_it_is_open(&flowing, FLOW_CONNECTING);
	cut_before_it_is_open(&flowing, FLOW_RELEASED);
	cut_before_it_is_open(&flowing, FLOW_WAITING);
	assert_int_equal(uplink_scopes_first(flowing.scopes)->counters.flows, 0);
	assert_int_equal(uplink_scopes_first(flowing.scopes)->counters.flows_total, 3);
	assert_int_equal(uplink_scopes_first(flowing.scopes)->references, 1);
	flowing_done(&flowing);
}

static unsigned abandoned;

static void on_abandoned(struct uplink_flow *flow)
{
	assert_int_equal(flow->packet, 4711);
	abandoned++;
}

/* A SYN that is held must not be forgotten. */
static void whoever_holds_a_packet_for_it_is_told(void **state)
{
	struct flowing flowing;
	struct uplink_flow *flow;

	flowing_init(&flowing);
	abandoned = 0;
	flow = add_hashed(&flowing, 1000, "1.2.3.4", 80);
	flow->packet = 4711;
	flow->abandon = on_abandoned;
	uplink_flow_cut(flow);
	uplink_flow_cut(flow);
	assert_int_equal(abandoned, 1);
	turn_while_busy(&flowing.looped);
	assert_int_equal(abandoned, 1);
	flowing_done(&flowing);
}

/* Return: an open flow; the ends of the program and of the outside are returned. */
static struct uplink_flow *open_flow(struct flowing *flowing, struct uplink_scope *scope, int ret[2])
{
	struct uplink_flow *flow = add(flowing, scope, 1000, "1.2.3.4", 80);
	int outer[2], inner[2];

	assert_non_null(flow);
	connect_tcp(outer);
	connect_tcp(inner);
	assert_true(fcntl(outer[0], F_SETFL, O_NONBLOCK) == 0);
	assert_true(fcntl(inner[0], F_SETFL, O_NONBLOCK) == 0);
	flow->state = FLOW_RELEASED;
	flow->fd = outer[0];
	uplink_flow_hash(flow);
	uplink_flow_open(flow, inner[0]);
	assert_int_equal(flow->state, FLOW_OPEN);
	assert_int_equal(flow->fd, -1);
	ret[SPLICE_POD] = inner[1];
	ret[SPLICE_HOST] = outer[1];
	return flow;
}

static void an_open_flow_moves_data_and_is_counted(void **state)
{
	struct flowing flowing;
	struct uplink_counters *counters;
	struct uplink_flow *flow;
	char bytes[8];
	int ends[2];

	flowing_init(&flowing);
	counters = &uplink_scopes_first(flowing.scopes)->counters;
	flow = open_flow(&flowing, NULL, ends);
	/* By both its addresses it is still found, but it waits for nobody any more. */
	assert_ptr_equal(find(&flowing, 1000, "1.2.3.4", 80), flow);
	assert_null(uplink_flow_find_like(flowing.flows, FLOW_OPEN, &flow->source,
		&flow->destination));
	assert_int_equal(write(ends[SPLICE_POD], "hello", 5), 5);
	assert_int_equal(write(ends[SPLICE_HOST], "hi", 2), 2);
	turn_until(&flowing.looped, is_readable(ends[SPLICE_HOST]));
	assert_int_equal(read(ends[SPLICE_HOST], bytes, 8), 5);
	assert_memory_equal(bytes, "hello", 5);
	turn_until(&flowing.looped, is_readable(ends[SPLICE_POD]));
	assert_int_equal(read(ends[SPLICE_POD], bytes, 8), 2);
	assert_int_equal(counters->bytes_out, 0);
	close(ends[SPLICE_POD]);
	close(ends[SPLICE_HOST]);
	turn_until(&flowing.looped, !uplink_flows_first(flowing.flows));
	assert_int_equal(counters->bytes_out, 5);
	assert_int_equal(counters->bytes_in, 2);
	assert_int_equal(counters->flows, 0);
	(void)flow;
	flowing_done(&flowing);
}

static void an_open_flow_is_cut_on_both_sides(void **state)
{
	struct flowing flowing;
	struct uplink_flow *flow;
	int ends[2];

	flowing_init(&flowing);
	flow = open_flow(&flowing, NULL, ends);
	uplink_flow_cut(flow);
	uplink_flow_cut(flow);
	assert_reset(ends[SPLICE_POD]);
	assert_reset(ends[SPLICE_HOST]);
	assert_ptr_equal(uplink_flows_first(flowing.flows), flow);
	uplink_loop_turn(flowing.looped.loop, 0);
	assert_null(uplink_flows_first(flowing.flows));
	close(ends[SPLICE_POD]);
	close(ends[SPLICE_HOST]);
	flowing_done(&flowing);
}

/* Two events of one turn: the first one's handler ends the second one's flow. */
struct cutter {
	struct uplink_watch watch;
	struct uplink_flow *victim;
};

static void on_cutter(struct uplink_watch *watch, uint32_t events)
{
	uplink_flow_cut(container_of(watch, struct cutter, watch)->victim);
}

static void an_event_may_name_what_was_cut_in_its_turn(void **state)
{
	struct cutter cutters[2] = {{.watch.ready = on_cutter}, {.watch.ready = on_cutter}};
	struct flowing flowing;
	int first[2], last[2], ends[2];

	flowing_init(&flowing);
	connect_tcp(first);
	connect_tcp(last);
	uplink_loop_add(flowing.looped.loop, first[0], EPOLLIN, &cutters[0].watch);
	cutters[0].victim = cutters[1].victim = open_flow(&flowing, NULL, ends);
	uplink_loop_add(flowing.looped.loop, last[0], EPOLLIN, &cutters[1].watch);
	turn_while_busy(&flowing.looped);
	assert_int_equal(write(first[1], "x", 1), 1);
	assert_int_equal(write(ends[SPLICE_POD], "x", 1), 1);
	assert_int_equal(write(ends[SPLICE_HOST], "x", 1), 1);
	assert_int_equal(write(last[1], "x", 1), 1);
	assert_true(uplink_loop_turn(flowing.looped.loop, 0) >= 3);
	uplink_loop_remove(flowing.looped.loop, first[0], &cutters[0].watch);
	uplink_loop_remove(flowing.looped.loop, last[0], &cutters[1].watch);
	turn_while_busy(&flowing.looped);
	assert_null(uplink_flows_first(flowing.flows));
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(last[i]);
		close(ends[i]);
	}
	flowing_done(&flowing);
}

static void a_scope_lives_as_long_as_its_flows(void **state)
{
	struct uplink_child child = {.id = 1, .gone = 1};
	struct flowing flowing;
	struct uplink_scope *scope;
	struct uplink_flow *flow;
	int ends[2];

	flowing_init(&flowing);
	scope = add_child(&flowing, 1, "10.89.0.2");
	flow = open_flow(&flowing, scope, ends);
	assert_int_equal(uplink_scopes_set(flowing.scopes, &child, NULL), 0);
	assert_ptr_equal(uplink_scopes_first(flowing.scopes)->next, flow->scope);
	uplink_flow_cut(flow);
	turn_while_busy(&flowing.looped);
	assert_null(uplink_scopes_first(flowing.scopes)->next);
	close(ends[0]);
	close(ends[1]);
	flowing_done(&flowing);
}

/* ---- rules and times ---- */

static void new_rules_cut_what_they_forbid(void **state)
{
	struct uplink_address host = make_address("192.0.2.1", 25), server = {.port = htons(25)};
	struct egress_rule rules[4];
	struct flowing flowing;
	struct uplink_flow *kept, *inbound;
	size_t n = 0;
	int ends[2];

	flowing_init(&flowing);
	open_flow(&flowing, NULL, ends);
	add_hashed(&flowing, 1001, "1.2.3.4", 80);
	kept = add_hashed(&flowing, 1002, "1.2.3.4", 443);
	inbound = uplink_flow_new(flowing.flows, uplink_scopes_first(flowing.scopes), true, &host,
		&server);
	assert_int_equal(egress_parse("deny port 25,80", rules, 4, &n, NULL), 0);
	assert_int_equal(uplink_scopes_set_rules(flowing.scopes, 0, rules, n, NULL), 0);
	uplink_flows_apply_rules(flowing.flows);
	assert_reset(ends[SPLICE_POD]);
	turn_while_busy(&flowing.looped);
	assert_ptr_equal(uplink_flows_first(flowing.flows), inbound);
	assert_ptr_equal(inbound->next, kept);
	assert_null(kept->next);
	assert_int_equal(uplink_scopes_first(flowing.scopes)->counters.denied, 0);
	close(ends[0]);
	close(ends[1]);
	flowing_done(&flowing);
}

static void what_is_late_is_cut(void **state)
{
	struct flowing flowing;
	struct uplink_flow *kept;
	int ends[2];

	flowing_init(&flowing);
	kept = open_flow(&flowing, NULL, ends);
	kept->deadline_ms = 1; /* of no meaning any more */
	add(&flowing, NULL, 1, "1.2.3.4", 80)->deadline_ms = uplink_loop_now_ms();
	add(&flowing, NULL, 2, "1.2.3.4", 80)->deadline_ms = 0;
	add(&flowing, NULL, 3, "1.2.3.4", 80)->deadline_ms = uplink_loop_now_ms() + 100000;
	turn_until(&flowing.looped, uplink_flows_count(flowing.flows) < 4);
	assert_int_equal(uplink_flows_count(flowing.flows), 3);
	assert_true(flowing.ticks > 0);
	close(ends[0]);
	close(ends[1]);
	flowing_done(&flowing);
}

static void without_flows_nothing_ticks(void **state)
{
	struct flowing flowing;
	int enabled;

	flowing_init(&flowing);
	assert_true(sd_event_source_get_enabled(flowing.flows->timer, &enabled) >= 0);
	assert_int_equal(enabled, SD_EVENT_OFF);
	uplink_flow_cut(add(&flowing, NULL, 1, "1.2.3.4", 80));
	assert_true(sd_event_source_get_enabled(flowing.flows->timer, &enabled) >= 0);
	assert_int_not_equal(enabled, SD_EVENT_OFF);
	turn_until(&flowing.looped, flowing.ticks > 0);
	assert_true(sd_event_source_get_enabled(flowing.flows->timer, &enabled) >= 0);
	assert_int_equal(enabled, SD_EVENT_OFF);
	flowing_done(&flowing);
}

/* ---- connecting ---- */

struct connecting {
	struct uplink_flow *flow;
	int result;
	unsigned calls;
};

static struct connecting connecting;

static void on_connecting(struct uplink_watch *watch, uint32_t events)
{
	connecting.result = uplink_flow_connected(connecting.flow, events);
	connecting.calls++;
}

/* Return: what the flow's events said in the end. */
static int connect_flow(struct flowing *flowing, const struct uplink_address *to)
{
	struct uplink_flow *flow = add_hashed(flowing, 1000, "1.2.3.4", 80);
	int r;

	connecting = (struct connecting){.flow = flow, .result = -EINPROGRESS};
	flow->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = uplink_flow_connect(flow, to, on_connecting);
	while (r == 0 && connecting.result == -EINPROGRESS)
		assert_true(uplink_loop_turn(flowing->looped.loop, 1000) > 0);
	uplink_flow_cut(flow);
	assert_int_equal(uplink_loop_turn(flowing->looped.loop, 0), 0);
	return r < 0 ? r : connecting.result;
}

static void connecting_tells_how_it_went(void **state)
{
	struct sockaddr_in bound = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(bound);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct uplink_address to = make_address("127.0.0.1", 0);
	struct flowing flowing;

	flowing_init(&flowing);
	assert_int_equal(bind(listener, (struct sockaddr *)&bound, size), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &size), 0);
	to.port = bound.sin_port;
	/* Nobody listens yet. */
	assert_int_equal(connect_flow(&flowing, &to), -ECONNREFUSED);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect_flow(&flowing, &to), 0);
	close(listener);
	to = make_address("::1", 0);
	assert_int_equal(connect_flow(&flowing, &to), -EAFNOSUPPORT);
	flowing_done(&flowing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_are_found_by_both_addresses),
		cmocka_unit_test(one_that_is_not_hashed_is_not_found),
		cmocka_unit_test(one_alike_is_found_whatever_its_port),
		cmocka_unit_test(fewer_fds_are_fewer_flows),
		cmocka_unit_test(a_childs_quota_is_its_own),
		cmocka_unit_test(all_together_have_a_quota),
		cmocka_unit_test(cut_in_each_state_before_open),
		cmocka_unit_test(whoever_holds_a_packet_for_it_is_told),
		cmocka_unit_test(an_open_flow_moves_data_and_is_counted),
		cmocka_unit_test(an_open_flow_is_cut_on_both_sides),
		cmocka_unit_test(an_event_may_name_what_was_cut_in_its_turn),
		cmocka_unit_test(a_scope_lives_as_long_as_its_flows),
		cmocka_unit_test(new_rules_cut_what_they_forbid),
		cmocka_unit_test(what_is_late_is_cut),
		cmocka_unit_test(without_flows_nothing_ticks),
		cmocka_unit_test(connecting_tells_how_it_went),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
