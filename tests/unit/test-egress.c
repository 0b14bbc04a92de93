/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Egress rules: their forms, what is refused, and which one a packet matches. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "egress.h"
#include "fixture.h"
#include "text.h"

#define LOTS 4
#define LONGEST                                                                                    \
	"deny to ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe "  \
	"proto tcp port 10000-65535 log"

/* @text stands for just the rules @expected, as they are written. */
static void assert_expands(const char *text, const char *const *expected)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	struct err err = {};
	size_t n = 0;

	if (egress_parse(text, rules, EGRESS_RULES_MAX, &n, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < n; i++) {
		char line[EGRESS_TEXT_SIZE];

		egress_format(&rules[i], line);
		assert_non_null(expected[i]);
		assert_string_equal(line, expected[i]);
	}
	assert_null(expected[n]);
}

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		const char *expected[6];
	} cases[] = {
		{"allow", {"allow"}},
		{"deny to any proto all", {"deny"}},
		{"  deny\tto  10.0.0.0/8 ", {"deny to 10.0.0.0/8"}},
		{"deny log to 10.1.2.3", {"deny to 10.1.2.3 log"}},
		{"allow to 10.1.2.3/32", {"allow to 10.1.2.3"}},
		{"allow to 0.0.0.0/0", {"allow to 0.0.0.0/0"}},
		{"allow to 10.0.0.1-10.0.0.9", {"allow to 10.0.0.1-10.0.0.9"}},
		{"allow to 10.0.0.0-10.0.0.255", {"allow to 10.0.0.0/24"}},
		{"allow to ::/0", {"allow to ::/0"}},
		{"allow to ::/128", {"allow to ::"}},
		{"allow to FD00::1", {"allow to fd00::1"}},
		{"allow to 2001:db8::-2001:db8::5", {"allow to 2001:db8::-2001:db8::5"}},
		{"allow to dns,gateway,any", {"allow to dns", "allow to gateway", "allow"}},
		{"allow proto udp", {"allow proto udp"}},
		{"allow proto tcp port 80", {"allow proto tcp port 80"}},
		{"allow port 53", {"allow proto tcp port 53", "allow proto udp port 53"}},
		{"allow port 1-65535 proto udp", {"allow proto udp port 1-65535"}},
		{"allow to 1.1.1.1,dns proto tcp port 80,443-444",
			{"allow to 1.1.1.1 proto tcp port 80",
				"allow to 1.1.1.1 proto tcp port 443-444",
				"allow to dns proto tcp port 80",
				"allow to dns proto tcp port 443-444"}},
		{"deny proto icmp", {"deny proto icmp"}},
		{"deny type 8 proto icmp", {"deny proto icmp type 8"}},
		{"deny proto icmp type 3/0 log", {"deny proto icmp type 3/0 log"}},
		{"{}", {"allow"}},
		{"{\"action\":\"deny\",\"protocol\":null,\"networks\":null}", {"deny"}},
		{"{\"protocol\":1,\"networks\":[{\"start\":\"1.2.3.4\"},{\"end\":\"1.2.3.5\"}],"
		 "\"ports\":[{\"start\":80,\"end\":90}],\"log\":true}",
			{"allow to 1.2.3.4 proto tcp port 80-90 log",
				"allow to 1.2.3.5 proto tcp port 80-90 log"}},
		{"{\"protocol\":\"udp\",\"ports\":[{\"start\":53}]}", {"allow proto udp port 53"}},
		{"{\"protocol\":3,\"icmps\":{\"type\":0}}", {"allow proto icmp type 0"}},
		{"{\"protocol\":0,\"to\":\"dns,10.0.0.0/8\"}",
			{"allow to dns", "allow to 10.0.0.0/8"}},
		{"{\"action\":\"allow\",\"protocol\":2}", {"allow proto udp"}},
		{"{\"protocol\":\"icmp\",\"icmps\":{\"type\":8,\"code\":255}}",
			{"allow proto icmp type 8/255"}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_expands(cases[i].text, cases[i].expected);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
		{"", "allow or deny"},
		{"permit", "allow or deny"},
		{"Allow", "allow or deny"},
		{"allow from 10.0.0.1", "\"from\" is not known"},
		{"allow to", "what follows to is missing"},
		{"allow log log", "log is there twice"},
		{"allow to dns to gateway", "to is there twice"},
		{"allow to host.example", "dns, gateway or any"},
		{"allow to ,", "destination \"\""},
		{"allow to 10.0.0.1,", "destination \"\""},
		{"allow to 10.0.0.256", "it must be an address"},
		{"allow to 10.0.0.1/8", "bits beyond its prefix"},
		{"allow to 10.0.0.0/33", "prefix"},
		{"allow to 10.0.0.0/", "prefix"},
		{"allow to /8", "must be IPv4"},
		{"allow to fd00::/129", "prefix"},
		{"allow to fd00::1/64", "bits beyond its prefix"},
		{"allow to 10.0.0.9-10.0.0.1", "greater"},
		{"allow to 10.0.0.1-fd00::1", "both be IPv4"},
		{"allow to 10.0.0.1-", "must be IPv4"},
		{"allow to -10.0.0.1", "must be IPv4"},
		{"allow to ::ffff:10.0.0.1-::ffff:10.0.0.2", "must be IPv4"},
		{"allow to ::ffff:10.0.0.1", "it must be an address"},
		{"allow to ::ffff:0:0/96", "must be IPv4"},
		{"allow to ::/80", "stand for IPv4"},
		{"allow to fe80::1%lo", "it must be an address"},
		{"allow proto sctp", "tcp, udp, icmp or all"},
		{"allow proto tcp port 0", "from 1 to 65535"},
		{"allow proto tcp port 65536", "from 1 to 65535"},
		{"allow proto tcp port 9-8", "from 1 to 65535"},
		{"allow proto tcp port 80-", "from 1 to 65535"},
		{"allow proto tcp port -80", "from 1 to 65535"},
		{"allow proto tcp port 80,", "from 1 to 65535"},
		{"allow proto tcp port +80", "from 1 to 65535"},
		{"allow proto icmp port 80", "ports need"},
		{"allow proto all port 80", "ports need"},
		{"allow type 8", "needs the protocol icmp"},
		{"allow proto tcp type 8", "needs the protocol icmp"},
		{"allow proto icmp type 256", "from 0 to 255"},
		{"allow proto icmp type 3/", "from 0 to 255"},
		{"allow proto icmp type /3", "from 0 to 255"},
		{"allow proto icmp type 3/-1", "from 0 to 255"},
		{"{", "JSON:1:"},
		{"{\"network\":[]}", "\"network\" is not known"},
		{"{\"action\":\"permit\"}", "\"action\" must be"},
		{"{\"action\":1}", "\"action\" must be"},
		{"{\"log\":1}", "\"log\" must be"},
		{"{\"protocol\":4}", "\"protocol\" must be"},
		{"{\"protocol\":-1}", "\"protocol\" must be"},
		{"{\"protocol\":1.0}", "\"protocol\" must be"},
		{"{\"protocol\":\"sctp\"}", "\"protocol\" must be"},
		{"{\"ports\":[{\"start\":80}]}", "ports need"},
		{"{\"protocol\":1,\"ports\":[{\"start\":0}]}", "\"ports\": \"start\" must be"},
		{"{\"protocol\":1,\"ports\":[{\"start\":8,\"end\":7}]}",
			"\"ports\": \"end\" must be"},
		{"{\"protocol\":1,\"ports\":[80]}", "\"ports\": expected an object"},
		{"{\"networks\":[{}]}", "\"networks\": \"start\" is missing"},
		{"{\"networks\":[{\"start\":\"x\"}]}", "must be IPv4"},
		{"{\"networks\":[{\"start\":\"10.0.0.0/8\"}]}", "must be IPv4"},
		{"{\"networks\":[{\"start\":\"10.0.0.2\",\"end\":\"10.0.0.1\"}]}", "greater"},
		{"{\"networks\":[{\"start\":\"10.0.0.2\"}],\"to\":\"dns\"}", "goes without"},
		{"{\"to\":\"moon\"}", "destination \"moon\""},
		{"{\"protocol\":3,\"icmps\":{}}", "\"icmps\": \"type\" is missing"},
		{"{\"protocol\":3,\"icmps\":{\"type\":256}}", "\"icmps\": \"type\" must be"},
		{"{\"protocol\":3,\"icmps\":{\"type\":1,\"code\":-1}}",
			"\"icmps\": \"code\" must be"},
		{"{\"protocol\":1,\"icmps\":{\"type\":1}}", "needs the protocol icmp"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct egress_rule rules[LOTS], before[LOTS];
		struct err err = {};
		size_t n = 77;

		memset(rules, 0x55, sizeof(rules));
		memcpy(before, rules, sizeof(before));
		if (egress_parse(cases[i].text, rules, LOTS, &n, &err) != -EINVAL)
			fail_msg("'%s' was taken", cases[i].text);
		assert_contains(err.msg, cases[i].part);
		assert_contains(err.msg, "rule \"");
		assert_int_equal(n, 77);
		assert_memory_equal(rules, before, sizeof(rules));
	}
}

/* "allow to 10.0.0.0,10.0.0.1 ...", @n addresses. */
static char *many_destinations(size_t n)
{
	char *text = strdup("allow to 10.0.0.0");

	for (size_t i = 1; i < n; i++) {
		char *longer = text_format("%s,10.0.0.%zu", text, i);

		free(text);
		text = longer;
	}
	assert_non_null(text);
	return text;
}

static void test_limits(void **state)
{
	autofree char *full = many_destinations(EGRESS_RULES_MAX);
	autofree char *over = many_destinations(EGRESS_RULES_MAX + 1);
	autofree char *twice = text_format("%s port 1", full);
	autofree char *blank = text_format("allow%*s", EGRESS_INPUT_MAX, "");
	struct egress_rule rules[EGRESS_RULES_MAX];
	struct err err = {};
	size_t n = 0;

	assert_int_equal(egress_parse(full, rules, EGRESS_RULES_MAX, &n, NULL), 0);
	assert_int_equal(n, EGRESS_RULES_MAX);
	assert_int_equal(egress_parse(full, rules, EGRESS_RULES_MAX - 1, &n, &err), -E2BIG);
	assert_contains(err.msg, "it stands for 128 rules, and there is room for 127");
	assert_int_equal(egress_parse(over, rules, EGRESS_RULES_MAX, &n, &err), -E2BIG);
	assert_contains(err.msg, "more than 128 destinations");
	assert_int_equal(egress_parse(twice, rules, EGRESS_RULES_MAX, &n, &err), -E2BIG);
	assert_contains(err.msg, "it stands for 256 rules");
	assert_int_equal(egress_parse(blank, rules, EGRESS_RULES_MAX, &n, &err), -E2BIG);
	assert_contains(err.msg, "more than 16384 bytes");
}

static struct egress_rule rule_of(const char *text)
{
	struct egress_rule rule;
	size_t n = 0;

	assert_int_equal(egress_parse(text, &rule, 1, &n, NULL), 0);
	assert_int_equal(n, 1);
	return rule;
}

/* Text and JSON are read as the same bytes again; this is what goes through a socket. */
static void test_round_trip(void **state)
{
	static const char *const texts[] = {"allow", "deny log", "allow to dns proto udp port 53",
		"allow to gateway", "deny to 10.0.0.0/8", "deny to ::/0 proto icmp type 128/0 log",
		"allow to 1.2.3.4-2.3.4.5 proto tcp port 1-65535", "deny proto icmp type 8",
		LONGEST};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct egress_rule rule = rule_of(texts[i]), again;
		autoptr(json) object = egress_to_json(&rule);
		autofree char *json = NULL;
		char text[EGRESS_TEXT_SIZE];
		size_t n = 0;

		assert_int_equal(egress_check(&rule), 0);
		egress_format(&rule, text);
		assert_string_equal(text, texts[i]);
		assert_int_equal(json_write(object, false, &json, NULL), 0);
		assert_int_equal(egress_parse(json, &again, 1, &n, NULL), 0);
		assert_memory_equal(&rule, &again, sizeof(rule));
	}
}

/* JSON of a record may have members that are newer than we are, or not of the rule. */
static void test_json_ignores_others(void **state)
{
	static const char text[] = "{\"child\":\"web\",\"protocol\":\"tcp\",\"to\":\"dns\"}";
	autoptr(json) object = NULL;
	struct egress_rule rule;
	char line[EGRESS_TEXT_SIZE];
	size_t n = 0;

	assert_int_equal(json_parse("text", text, strlen(text), &object, NULL), 0);
	assert_int_equal(egress_parse_json(object, &rule, 1, &n, NULL), 0);
	egress_format(&rule, line);
	assert_string_equal(line, "allow to dns proto tcp");
}

/* What no text could have made. */
static void test_check(void **state)
{
	const struct egress_rule good = rule_of("allow to 10.0.0.0/8 proto tcp port 80");
	const struct egress_rule icmp = rule_of("deny proto icmp type 8");
	struct egress_rule bad[16];
	size_t n = 0;

	/* The last five are of icmp. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = i < 11 ? good : icmp;
	bad[n++].action = 2;
	bad[n++].protocol = IPPROTO_ICMPV6;
	bad[n++].protocol = EGRESS_ALL;
	bad[n++].log = 2;
	bad[n++].to = 3;
	bad[n++].to = EGRESS_TO_DNS;
	bad[n++].family = AF_INET6;
	bad[n++].family = AF_UNIX;
	bad[n++].reserved[2] = 1;
	bad[n++].port_first = 81;
	bad[n++].last = bad[0].first;
	bad[n++].icmp_type = 256;
	bad[n++].icmp_type = -2;
	bad[n].icmp_type = -1;
	bad[n++].icmp_code = 0;
	bad[n++].icmp_code = -2;
	bad[n++].family = AF_INET;
	bad[10].first = good.last;
	bad[10].last = good.first;
	assert_int_equal(n, sizeof(bad) / sizeof(bad[0]));
	assert_int_equal(egress_check(&good), 0);
	assert_int_equal(egress_check(&icmp), 0);
	for (size_t i = 0; i < n; i++)
		if (egress_check(&bad[i]) != -EINVAL)
			fail_msg("rule %zu was taken", i);
}

/* ---- matching ---- */

static struct in6_addr address_of(const char *text)
{
	struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &address.s6_addr[12]) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
	return address;
}

static void test_match_one(void **state)
{
	static const struct {
		const char *rule;
		const char *to;
		uint8_t protocol;
		uint16_t port; /* or type and code of ICMP, a byte each */
		bool matches;
	} cases[] = {
		{"allow", "10.0.0.1", IPPROTO_TCP, 1, true},
		{"allow", "fd00::1", IPPROTO_UDP, 0, true},
		{"allow", "fd00::1", IPPROTO_SCTP, 0, true},
		{"allow to 10.0.0.0/8", "10.0.0.0", IPPROTO_TCP, 1, true},
		{"allow to 10.0.0.0/8", "10.255.255.255", IPPROTO_SCTP, 0, true},
		{"allow to 10.0.0.0/8", "9.255.255.255", IPPROTO_TCP, 1, false},
		{"allow to 10.0.0.0/8", "11.0.0.0", IPPROTO_TCP, 1, false},
		{"allow to 10.0.0.0/8", "a00::1", IPPROTO_TCP, 1, false},
		{"allow to 0.0.0.0/0", "255.255.255.255", IPPROTO_TCP, 1, true},
		{"allow to 0.0.0.0/0", "::1", IPPROTO_TCP, 1, false},
		{"allow to ::/0", "::1", IPPROTO_TCP, 1, true},
		{"allow to ::/0", "ffff::1", IPPROTO_TCP, 1, true},
		{"allow to ::/0", "10.0.0.1", IPPROTO_TCP, 1, false},
		{"allow to fd00::5-fd00::7", "fd00::7", IPPROTO_TCP, 1, true},
		{"allow to fd00::5-fd00::7", "fd00::8", IPPROTO_TCP, 1, false},
		{"allow to dns", "10.0.2.3", IPPROTO_UDP, 53, true},
		{"allow to dns", "fd00::3", IPPROTO_UDP, 53, true},
		{"allow to dns", "10.0.2.2", IPPROTO_UDP, 53, false},
		{"allow to gateway", "10.0.2.2", IPPROTO_TCP, 80, true},
		{"allow to gateway", "10.0.2.3", IPPROTO_TCP, 80, false},
		/* There is no gateway for IPv6. */
		{"allow to gateway", "::", IPPROTO_TCP, 80, false},
		{"allow proto tcp", "10.0.0.1", IPPROTO_TCP, 65535, true},
		{"allow proto tcp", "10.0.0.1", IPPROTO_UDP, 1, false},
		{"allow proto tcp port 80-90", "10.0.0.1", IPPROTO_TCP, 79, false},
		{"allow proto tcp port 80-90", "10.0.0.1", IPPROTO_TCP, 80, true},
		{"allow proto tcp port 80-90", "10.0.0.1", IPPROTO_TCP, 90, true},
		{"allow proto tcp port 80-90", "10.0.0.1", IPPROTO_TCP, 91, false},
		{"allow proto icmp", "10.0.0.1", IPPROTO_ICMP, 0x0800, true},
		{"allow proto icmp", "fd00::1", IPPROTO_ICMPV6, 0x8000, true},
		{"allow proto icmp", "10.0.0.1", IPPROTO_UDP, 8, false},
		{"allow proto icmp type 8", "10.0.0.1", IPPROTO_ICMP, 0x0801, true},
		{"allow proto icmp type 8", "10.0.0.1", IPPROTO_ICMP, 0x0001, false},
		{"allow proto icmp type 3/4", "10.0.0.1", IPPROTO_ICMP, 0x0304, true},
		{"allow proto icmp type 3/4", "10.0.0.1", IPPROTO_ICMP, 0x0303, false},
		{"allow to dns proto icmp type 0/0", "10.0.2.3", IPPROTO_ICMP, 0, true},
	};
	const struct egress_addresses addresses = {
		.dns = {address_of("10.0.2.3"), address_of("fd00::3")},
		.gateway = {address_of("10.0.2.2")}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct egress_rule rule = rule_of(cases[i].rule);
		struct egress_packet packet = {.destination = address_of(cases[i].to),
			.addresses = &addresses,
			.port = cases[i].port,
			.protocol = cases[i].protocol,
			.icmp_type = (uint8_t)(cases[i].port >> 8),
			.icmp_code = (uint8_t)cases[i].port};

		if (egress_match(&rule, 1, &packet) != (cases[i].matches ? 0 : -1))
			fail_msg("'%s', %s", cases[i].rule, cases[i].to);
		packet.addresses = NULL;
		if (rule.to != EGRESS_TO_RANGE)
			assert_int_equal(egress_match(&rule, 1, &packet), -1);
	}
}

static void test_first_match(void **state)
{
	const struct egress_rule rules[] = {rule_of("allow to 10.0.0.1 proto tcp port 80"),
		rule_of("deny to 10.0.0.0/8 log"), rule_of("allow to 10.0.0.2")};
	struct egress_packet packet = {
		.destination = address_of("10.0.0.1"), .port = 80, .protocol = IPPROTO_TCP};

	assert_int_equal(egress_match(rules, 3, &packet), 0);
	packet.port = 81;
	assert_int_equal(egress_match(rules, 3, &packet), 1);
	packet.destination = address_of("10.0.0.2");
	assert_int_equal(egress_match(rules, 3, &packet), 1);
	assert_int_equal(egress_match(rules + 2, 1, &packet), 0);
	packet.destination = address_of("11.0.0.1");
	assert_int_equal(egress_match(rules, 3, &packet), -1);
	assert_int_equal(egress_match(NULL, 0, &packet), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_json_ignores_others),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_match_one),
		cmocka_unit_test(test_first_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
