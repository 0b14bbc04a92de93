/* SPDX-License-Identifier: GPL-2.0-or-later */
/* network.json: how ports and rules come and go, what pod.json gives, and that a full record can be
 * read. Damaged ones: test-record-damage.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record-fixture.h"

static struct egress_rule rule_of(const char *text)
{
	struct egress_rule rule;
	size_t n = 0;

	assert_int_equal(egress_parse(text, &rule, 1, &n, NULL), 0);
	return rule;
}

/* The scope's rules, each "deny to <one address>", are just these. */
static void assert_rules(const struct pod_network *network, const char *child, const char *expected)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n = pod_network_rules(network, child, rules);
	autofree char *all = strdup("");

	for (size_t i = 0; i < n; i++) {
		char text[EGRESS_TEXT_SIZE], *longer;

		egress_format(&rules[i], text);
		longer = text_format("%s %s", all, text + strlen("deny to 10.0.0."));
		free(all);
		all = longer;
	}
	assert_string_equal(*all ? all + 1 : all, expected);
}

static void add(struct pod_network *network, const char *child, size_t position, const char *text)
{
	struct egress_rule rule = rule_of(text);

	assert_int_equal(pod_network_add_rules(network, child, position, &rule, 1, NULL), 0);
}

static void test_round_trip(void **state)
{
	cleanup(pod_network_done) struct pod_network a = {0}, b = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	network_example(&a);
	assert_int_equal(pod_network_save(scratch.fd, &a, NULL), 0);
	if (pod_network_load(scratch.fd, &b, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(b.n_ports, 2);
	assert_string_equal(b.ports[0].child, "");
	assert_string_equal(b.ports[0].spec, "8080:80");
	assert_int_equal(b.ports[0].wait_ms, 0);
	assert_string_equal(b.ports[1].child, "web");
	assert_string_equal(b.ports[1].spec, "443/tcp");
	assert_int_equal(b.ports[1].wait_ms, 10000);
	assert_int_equal(b.n_rules, 3);
	for (size_t i = 0; i < b.n_rules; i++) {
		assert_string_equal(b.rules[i].child, a.rules[i].child);
		assert_memory_equal(&b.rules[i].rule, &a.rules[i].rule, sizeof(a.rules[i].rule));
	}
}

static void test_missing(void **state)
{
	struct pod_network network = {.n_ports = 4711};
	cleanup(scratch_done) struct scratch scratch;
	struct err err = {0};

	scratch_init(&scratch);
	assert_int_equal(pod_network_load(scratch.fd, &network, &err), -ENOENT);
	assert_contains(err.msg, RECORD_NETWORK);
	assert_int_equal(network.n_ports, 4711);
	put_file(scratch.fd, RECORD_NETWORK, "{\"version\":1,\"ports\":[],\"egress\":[]}");
	assert_int_equal(pod_network_load(scratch.fd, &network, NULL), 0);
	assert_int_equal(network.n_ports, 0);
	assert_int_equal(network.n_rules, 0);
	pod_network_done(&network);
}

static void test_ports(void **state)
{
	cleanup(pod_network_done) struct pod_network network = {0};
	struct err err = {0};

	assert_int_equal(pod_network_add_port(&network, "", "8080:80", 0, NULL), 0);
	assert_int_equal(pod_network_add_port(&network, "web", "8080:80", 5, NULL), 0);
	assert_int_equal(pod_network_add_port(&network, "web", "81", 0, NULL), 0);
	assert_int_equal(pod_network_add_port(&network, "web", "8080:80", 0, &err), -EEXIST);
	assert_contains(err.msg, "\"8080:80\"");
	assert_int_equal(pod_network_add_port(&network, "", "x", 0, &err), -EINVAL);
	assert_int_equal(pod_network_add_port(&network, "a/b", "80", 0, &err), -EINVAL);
	assert_int_equal(network.n_ports, 3);
	assert_int_equal(pod_network_remove_port(&network, "db", "81"), -ENOENT);
	assert_int_equal(pod_network_remove_port(&network, "", "81"), -ENOENT);
	assert_int_equal(pod_network_remove_port(&network, "", "8080:80"), 0);
	assert_int_equal(pod_network_remove_port(&network, "", "8080:80"), -ENOENT);
	assert_int_equal(network.n_ports, 2);
	assert_string_equal(network.ports[0].child, "web");
	assert_false(pod_network_forget_ports(&network, ""));
	assert_true(pod_network_forget_ports(&network, "web"));
	assert_int_equal(network.n_ports, 0);
}

/* Positions are those of a scope, whatever lies between. */
static void test_rules(void **state)
{
	cleanup(pod_network_done) struct pod_network network = {0};
	struct egress_rule two[] = {rule_of("deny to 10.0.0.8"), rule_of("deny to 10.0.0.9")};

	add(&network, "", 0, "deny to 10.0.0.1");
	add(&network, "web", 0, "deny to 10.0.0.2");
	add(&network, "", 0, "deny to 10.0.0.3");
	add(&network, "web", 1, "deny to 10.0.0.4");
	add(&network, "", 2, "deny to 10.0.0.5");
	add(&network, "", 4711, "deny to 10.0.0.6");
	assert_rules(&network, "", "1 5 3 6");
	assert_rules(&network, "web", "4 2");
	assert_rules(&network, "db", "");
	assert_int_equal(pod_network_add_rules(&network, "web", 2, two, 2, NULL), 0);
	assert_rules(&network, "web", "4 8 9 2");
	assert_rules(&network, "", "1 5 3 6");
	assert_int_equal(pod_network_add_rules(&network, "web", 2, two, 0, NULL), 0);

	assert_int_equal(pod_network_remove_rule(&network, "", 0), -ENOENT);
	assert_int_equal(pod_network_remove_rule(&network, "", 5), -ENOENT);
	assert_int_equal(pod_network_remove_rule(&network, "db", 1), -ENOENT);
	assert_int_equal(pod_network_remove_rule(&network, "", 3), 0);
	assert_int_equal(pod_network_remove_rule(&network, "web", 1), 0);
	assert_rules(&network, "", "1 5 6");
	assert_rules(&network, "web", "8 9 2");
	assert_false(pod_network_forget_rules(&network, "db"));
	assert_true(pod_network_forget_rules(&network, "web"));
	assert_rules(&network, "web", "");
	assert_rules(&network, "", "1 5 6");
	assert_int_equal(pod_network_add_rules(&network, "a/b", 0, two, 2, NULL), -EINVAL);
}

/* As much as there can be, each as long as it can be, is saved and read. */
static void test_limits(void **state)
{
	cleanup(pod_network_done) struct pod_network network = {0}, again = {0};
	cleanup(scratch_done) struct scratch scratch;
	struct egress_rule longest = rule_of(
		"allow to ffff:ffff:ffff:ffff:ffff:ffff:ffff:1000-"
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:2000 proto tcp port 10000-65535 log");
	struct egress_rule rules[EGRESS_RULES_MAX + 1];
	char name[NAME_COMPONENT_MAX + 1];
	struct err err = {0};

	scratch_init(&scratch);
	for (size_t i = 0; i < EGRESS_RULES_MAX + 1; i++)
		rules[i] = longest;
	assert_int_equal(pod_network_add_rules(&network, "x", 0, rules, 129, &err), -E2BIG);
	assert_contains(err.msg, "more than 128 egress rules for container x");
	for (int i = 0; i < POD_NETWORK_RULES_MAX / EGRESS_RULES_MAX; i++) {
		snprintf(name, sizeof(name), "%063d", i);
		assert_int_equal(pod_network_add_rules(&network, name, 0, rules, 128, NULL), 0);
	}
	assert_int_equal(pod_network_add_rules(&network, name, 0, rules, 1, &err), -E2BIG);
	assert_int_equal(pod_network_add_rules(&network, "", 0, rules, 1, &err), -E2BIG);
	assert_contains(err.msg, "more than 1024 egress rules in the pod");
	for (int i = 0; i < POD_NETWORK_PORTS_MAX; i++) {
		autofree char *spec = text_format(
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:%d-60000:%d-60000/tcp",
			10000 + i, 10000 + i);

		assert_int_equal(pod_network_add_port(
					 &network, name, spec, POD_NETWORK_WAIT_MS_MAX, NULL),
			0);
	}
	assert_int_equal(pod_network_add_port(&network, "", "80", 0, &err), -E2BIG);
	assert_contains(err.msg, "more than 256 ports");
	if (pod_network_save(scratch.fd, &network, &err) < 0 ||
		pod_network_load(scratch.fd, &again, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(again.n_rules, POD_NETWORK_RULES_MAX);
	assert_int_equal(again.n_ports, POD_NETWORK_PORTS_MAX);
}

static void test_from_spec(void **state)
{
	cleanup(pod_network_done) struct pod_network network = {0};
	cleanup(pod_spec_done) struct pod_spec spec = {0};
	char text[EGRESS_TEXT_SIZE];

	spec_example(&spec);
	assert_int_equal(strv_add(&spec.publish, "8080:80"), 0);
	assert_int_equal(pod_network_from_spec(&spec, &network, NULL), 0);
	assert_int_equal(network.n_ports, 2);
	assert_string_equal(network.ports[1].spec, "[::1]:53:53/udp");
	assert_string_equal(network.ports[1].child, "");
	assert_int_equal(network.n_rules, 3);
	egress_format(&network.rules[2].rule, text);
	assert_string_equal(text, "deny to fd00::/8 log");
	pod_network_done(&network);

	strv_free(spec.publish);
	strv_free(spec.egress);
	spec.publish = NULL;
	spec.egress = NULL;
	assert_int_equal(pod_network_from_spec(&spec, &network, NULL), 0);
	assert_int_equal(network.n_ports + network.n_rules, 0);
}

/* What podctl create asks before it writes pod.json. */
static void test_check_traffic(void **state)
{
	char *const ports[] = {(char *)"80", (char *)"x", NULL};
	char *const rules[] = {(char *)"deny", (char *)"permit", NULL};
	autofree char *many = strdup("deny to 10.0.0.1");
	struct err err = {0};

	assert_int_equal(pod_spec_check_traffic(NULL, NULL, NULL), 0);
	assert_int_equal(pod_spec_check_traffic(ports, NULL, &err), -EINVAL);
	assert_contains(err.msg, "port \"x\"");
	assert_int_equal(pod_spec_check_traffic(NULL, rules, &err), -EINVAL);
	assert_contains(err.msg, "rule \"permit\"");
	for (int i = 1; i < EGRESS_RULES_MAX; i++) {
		char *longer = text_format("%s,10.0.0.1", many);

		free(many);
		many = longer;
	}
	assert_int_equal(pod_spec_check_traffic(NULL, (char *const[]){many, NULL}, NULL), 0);
	assert_int_equal(
		pod_spec_check_traffic(NULL, (char *const[]){many, (char *)"deny", NULL}, &err),
		-EINVAL);
	assert_contains(err.msg, "more than 128 egress rules");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_from_spec),
		cmocka_unit_test(test_check_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
