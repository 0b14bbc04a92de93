/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Scopes: whose an address is, whose rules hold, and what becomes of a child that goes while its
 * connections stay. */

#include "uplink-scope.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

static struct uplink_scopes *scopes_of_test(void)
{
	const struct uplink_config config = make_config();
	struct uplink_scopes *scopes = NULL;

	assert_int_equal(uplink_scopes_new(&config, &scopes, NULL), 0);
	return scopes;
}

static struct uplink_child make_child(uint32_t id, const char *first, const char *second)
{
	struct uplink_child child = {.id = id, .up = 1};

	snprintf(child.name, sizeof(child.name), "child%u", id);
	if (first)
		child.addresses[child.n_addresses++] = make_ip(first);
	if (second)
		child.addresses[child.n_addresses++] = make_ip(second);
	return child;
}

static struct uplink_scope *set(struct uplink_scopes *scopes, struct uplink_child child)
{
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), 0);
	return uplink_scopes_find(scopes, child.id);
}

static uint32_t id_of(const struct uplink_scopes *scopes, const char *address)
{
	struct in6_addr ip = make_ip(address);

	return uplink_scopes_of(scopes, &ip)->id;
}

/* ---- addresses ---- */

static void addresses_lead_to_their_child(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();

	set(scopes, make_child(1, "10.89.0.2", "fd01::2"));
	set(scopes, make_child(2, "10.89.0.3", NULL));
	assert_int_equal(id_of(scopes, "10.89.0.2"), 1);
	assert_int_equal(id_of(scopes, "fd01::2"), 1);
	assert_int_equal(id_of(scopes, "10.89.0.3"), 2);
	assert_int_equal(id_of(scopes, "10.89.0.4"), 0);
	assert_int_equal(id_of(scopes, "10.0.2.100"), 0);
}

static void changed_addresses_replace_the_old(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_scope *scope = set(scopes, make_child(1, "10.89.0.2", "fd01::2"));

	assert_ptr_equal(set(scopes, make_child(1, "10.89.0.9", NULL)), scope);
	assert_int_equal(id_of(scopes, "10.89.0.2"), 0);
	assert_int_equal(id_of(scopes, "fd01::2"), 0);
	assert_int_equal(id_of(scopes, "10.89.0.9"), 1);
}

static void a_child_in_the_pods_network_has_no_address(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_child child = make_child(1, "10.0.2.100", NULL);

	child.shared = 1;
	set(scopes, child);
	assert_int_equal(id_of(scopes, "10.0.2.100"), 0);
}

static void servers_are_reached_in_the_clients_family(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct in6_addr four = make_ip("192.0.2.1"), six = make_ip("2001:db8::1");
	struct in6_addr four_server = make_ip("10.89.0.2"), six_server = make_ip("fd01::2"), server;
	struct uplink_scope *scope = set(scopes, make_child(1, "10.89.0.2", "fd01::2"));
	struct uplink_child child;

	assert_true(uplink_scope_server(scope, &four, &server));
	assert_memory_equal(&server, &four_server, sizeof(server));
	assert_true(uplink_scope_server(scope, &six, &server));
	assert_memory_equal(&server, &six_server, sizeof(server));
	scope = set(scopes, make_child(2, "10.89.0.2", NULL));
	assert_true(uplink_scope_server(scope, &six, &server));
	assert_memory_equal(&server, &four_server, sizeof(server));
	scope = set(scopes, make_child(3, NULL, NULL));
	assert_false(uplink_scope_server(scope, &four, &server));
	child = make_child(1, "10.89.0.2", "fd01::2");
	child.up = 0;
	assert_false(uplink_scope_server(set(scopes, child), &four, &server));
}

static void assert_client(const struct uplink_scopes *scopes, bool six, const char *client,
	const char *expected)
{
	struct uplink_address address = make_address(client, 4711), result;
	struct uplink_address wanted = make_address(expected, 4711);

	result = uplink_scopes_client(scopes, six, &address);
	assert_address(&result, &wanted);
}

static void clients_keep_addresses_that_mean_nothing_in_the_pod(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();

	set(scopes, make_child(1, "192.0.2.77", "2001:db8::77"));
	assert_client(scopes, false, "192.0.2.1", "192.0.2.1");
	assert_client(scopes, true, "2001:db8::1", "2001:db8::1");
	assert_client(scopes, false, "127.0.0.1", "10.0.2.2");
	assert_client(scopes, true, "::1", "fd00::2");
	/* The pod's own networks, and a child's address. */
	assert_client(scopes, false, "10.0.2.55", "10.0.2.2");
	assert_client(scopes, false, "10.0.3.55", "10.0.3.55");
	assert_client(scopes, true, "fd00::5", "fd00::2");
	assert_client(scopes, true, "fd00:0:0:1::5", "fd00:0:0:1::5");
	assert_client(scopes, false, "192.0.2.77", "10.0.2.2");
	assert_client(scopes, true, "2001:db8::77", "fd00::2");
	/* The other family. */
	assert_client(scopes, true, "192.0.2.1", "fd00::2");
	assert_client(scopes, false, "2001:db8::1", "10.0.2.2");
}

/* ---- ids ---- */

static void impossible_children_are_refused(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_child child = make_child(0, "10.89.0.2", NULL);

	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), -EINVAL);
	child = make_child(1, "10.89.0.2", NULL);
	child.n_addresses = UPLINK_ADDRESSES_MAX + 1;
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), -EINVAL);
	assert_null(uplink_scopes_find(scopes, 1));
	/* One that never came goes. */
	child = make_child(1, NULL, NULL);
	child.gone = 1;
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), 0);
	assert_null(uplink_scopes_find(scopes, 1));
}

static void there_is_a_limit(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_child child;

	for (uint32_t id = 1; id <= SCOPES_MAX; id++)
		set(scopes, make_child(id, NULL, NULL));
	child = make_child(SCOPES_MAX + 1, NULL, NULL);
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), -E2BIG);
	assert_int_equal(uplink_scopes_set_rules(scopes, SCOPES_MAX + 1, NULL, 0, NULL), -E2BIG);
	/* Those that are there may change, and make room. */
	child = make_child(5, "10.89.0.5", NULL);
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), 0);
	child.gone = 1;
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), 0);
	child = make_child(SCOPES_MAX + 1, NULL, NULL);
	assert_int_equal(uplink_scopes_set(scopes, &child, NULL), 0);
}

static void a_leaving_scope_stays_for_its_connections(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_scope *scope = set(scopes, make_child(1, "10.89.0.2", NULL)), *again;
	struct uplink_child child = make_child(1, "10.89.0.2", NULL);

	uplink_scope_ref(scope);
	uplink_scope_ref(scope);
	child.gone = 1;
	assert_null(set(scopes, child));
	assert_int_equal(id_of(scopes, "10.89.0.2"), 0);
	assert_true(scope->leaving);
	assert_false(scope->up);
	assert_ptr_equal(uplink_scopes_first(scopes)->next, scope);
	/* Another one may have its id by now. */
	again = set(scopes, make_child(1, "10.89.0.2", NULL));
	assert_ptr_not_equal(again, scope);
	assert_int_equal(id_of(scopes, "10.89.0.2"), 1);
	uplink_scope_unref(scopes, scope);
	assert_int_equal(scopes->n, 2);
	uplink_scope_unref(scopes, scope);
	assert_int_equal(scopes->n, 1);
	assert_ptr_equal(uplink_scopes_first(scopes)->next, again);
	assert_null(again->next);
}

static void the_pods_own_scope_is_always_there(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_scope *pod = uplink_scopes_first(scopes);
	struct in6_addr client = make_ip("192.0.2.1"), server, self = make_ip("10.0.2.100");

	assert_ptr_equal(uplink_scopes_find(scopes, 0), pod);
	uplink_scope_ref(pod);
	uplink_scope_unref(scopes, pod);
	assert_ptr_equal(uplink_scopes_find(scopes, 0), pod);
	assert_true(uplink_scope_server(pod, &client, &server));
	assert_memory_equal(&server, &self, sizeof(self));
}

static void the_time_that_it_is_up_begins_once(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_child child = make_child(1, "10.89.0.2", NULL);
	struct uplink_scope *scope;

	child.up = 0;
	scope = set(scopes, child);
	assert_int_equal(scope->up_since_ms, 0);
	child.up = 1;
	set(scopes, child);
	assert_true(scope->up_since_ms > 0);
	scope->up_since_ms = 5;
	set(scopes, child);
	assert_int_equal(scope->up_since_ms, 5);
}

/* ---- rules ---- */

static void set_rules(struct uplink_scopes *scopes, uint32_t id, const char *text)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n = 0;

	if (text)
		assert_int_equal(egress_parse(text, rules, EGRESS_RULES_MAX, &n, NULL), 0);
	assert_int_equal(uplink_scopes_set_rules(scopes, id, rules, n, NULL), 0);
}

static bool allows(struct uplink_scopes *scopes, const char *source, const char *destination,
	unsigned port)
{
	const struct uplink_packet packet = {
		.source = make_address(source, 4000),
		.destination = make_address(destination, port),
		.family = strchr(source, ':') ? AF_INET6 : AF_INET,
		.protocol = IPPROTO_TCP,
	};

	return uplink_scopes_allow(scopes, uplink_scopes_of(scopes, &packet.source.ip), &packet,
		false);
}

static void without_rules_all_is_allowed(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();

	assert_false(uplink_scopes_have_rules(scopes));
	assert_true(allows(scopes, "10.0.2.100", "1.2.3.4", 25));
	set_rules(scopes, 0, "deny port 25");
	assert_true(uplink_scopes_have_rules(scopes));
	set_rules(scopes, 0, NULL);
	assert_false(uplink_scopes_have_rules(scopes));
}

static void rules_of_child_and_pod_hold_together(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();

	set(scopes, make_child(1, "10.89.0.2", NULL));
	set(scopes, make_child(2, "10.89.0.3", NULL));
	set_rules(scopes, 0, "deny proto tcp port 25");
	set_rules(scopes, 1, "deny proto tcp port 80");
	set_rules(scopes, 2, "allow proto tcp port 25");
	assert_false(allows(scopes, "10.89.0.2", "1.2.3.4", 80));
	assert_false(allows(scopes, "10.89.0.2", "1.2.3.4", 25));
	assert_true(allows(scopes, "10.89.0.2", "1.2.3.4", 443));
	assert_true(allows(scopes, "10.89.0.3", "1.2.3.4", 80));
	/* A child cannot allow what the pod denies. */
	assert_false(allows(scopes, "10.89.0.3", "1.2.3.4", 25));
	assert_true(allows(scopes, "10.0.2.100", "1.2.3.4", 80));
	assert_int_equal(uplink_scopes_find(scopes, 1)->counters.denied, 2);
	assert_int_equal(uplink_scopes_find(scopes, 2)->counters.denied, 1);
	assert_int_equal(uplink_scopes_find(scopes, 0)->counters.denied, 0);
}

static void names_in_rules_are_this_pods(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();

	set_rules(scopes, 0, "deny to dns");
	assert_false(allows(scopes, "10.0.2.100", "10.0.2.3", 53));
	assert_false(allows(scopes, "fd00::64", "fd00::3", 53));
	assert_true(allows(scopes, "10.0.2.100", "10.0.2.2", 53));
	set_rules(scopes, 0, "deny to gateway");
	assert_false(allows(scopes, "10.0.2.100", "10.0.2.2", 80));
	assert_false(allows(scopes, "fd00::64", "fd00::2", 80));
}

static void asking_quietly_counts_nothing(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	const struct uplink_packet packet = {.destination = make_address("1.2.3.4", 25),
		.protocol = IPPROTO_TCP};
	struct uplink_scope *pod = uplink_scopes_first(scopes);

	set_rules(scopes, 0, "deny log");
	assert_false(uplink_scopes_allow(scopes, pod, &packet, true));
	assert_int_equal(pod->counters.denied, 0);
	assert_int_equal(scopes->logged, 0);
}

static void messages_of_rules_are_limited(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct timespec now;
	unsigned n = 0;

	/* All in one second. */
	do {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
		for (n = 0; n < 1000 && may_log(scopes); n++)
			;
	} while (now.tv_sec != scopes->log_second);
	assert_int_equal(n, LOG_MAX);
	scopes->log_second--;
	assert_true(may_log(scopes));
}

static void rules_may_come_before_their_child(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();

	set_rules(scopes, 1, "deny proto tcp port 80");
	set(scopes, make_child(1, "10.89.0.2", NULL));
	assert_int_equal(scopes->n, 1);
	assert_false(allows(scopes, "10.89.0.2", "1.2.3.4", 80));
}

static void rules_go_with_their_child(void **state)
{
	autoptr(uplink_scopes) scopes = scopes_of_test();
	struct uplink_scope *scope = set(scopes, make_child(1, "10.89.0.2", NULL));
	struct uplink_child child = make_child(1, NULL, NULL);

	set_rules(scopes, 1, "deny proto tcp port 80-81");
	assert_true(uplink_scopes_have_rules(scopes));
	uplink_scope_ref(scope);
	child.gone = 1;
	set(scopes, child);
	assert_false(uplink_scopes_have_rules(scopes));
	uplink_scope_unref(scopes, scope);
}

static void too_many_rules_are_refused(void **state)
{
	static struct egress_rule rules[EGRESS_RULES_MAX + 1];
	autoptr(uplink_scopes) scopes = scopes_of_test();

	assert_int_equal(uplink_scopes_set_rules(scopes, 0, rules, EGRESS_RULES_MAX, NULL), 0);
	assert_int_equal(uplink_scopes_set_rules(scopes, 0, rules, EGRESS_RULES_MAX + 1, NULL),
		-E2BIG);
	assert_int_equal(scopes->n_rules, EGRESS_RULES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_lead_to_their_child),
		cmocka_unit_test(changed_addresses_replace_the_old),
		cmocka_unit_test(a_child_in_the_pods_network_has_no_address),
		cmocka_unit_test(servers_are_reached_in_the_clients_family),
		cmocka_unit_test(clients_keep_addresses_that_mean_nothing_in_the_pod),
		cmocka_unit_test(impossible_children_are_refused),
		cmocka_unit_test(there_is_a_limit),
		cmocka_unit_test(a_leaving_scope_stays_for_its_connections),
		cmocka_unit_test(the_pods_own_scope_is_always_there),
		cmocka_unit_test(the_time_that_it_is_up_begins_once),
		cmocka_unit_test(without_rules_all_is_allowed),
		cmocka_unit_test(rules_of_child_and_pod_hold_together),
		cmocka_unit_test(names_in_rules_are_this_pods),
		cmocka_unit_test(asking_quietly_counts_nothing),
		cmocka_unit_test(messages_of_rules_are_limited),
		cmocka_unit_test(rules_may_come_before_their_child),
		cmocka_unit_test(rules_go_with_their_child),
		cmocka_unit_test(too_many_rules_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
