/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The gate: what of the pod's frames goes on to libslirp, what is answered instead, to whom it is
 * counted. */

#include "uplink-gate.c"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

struct gated {
	struct uplink_scopes *scopes;
	struct uplink_gate *gate;
	unsigned to_pod, to_slirp; /* written by the gate itself */
	unsigned offered;
	bool takes;
};

static void on_write(void *opaque, const uint8_t *frame, size_t length, bool to_slirp)
{
	struct gated *gated = opaque;
	struct uplink_packet packet;

	assert_int_equal(uplink_frame_parse(frame, length, &packet), 0);
	if (to_slirp)
		gated->to_slirp++;
	else
		gated->to_pod++;
}

static bool on_offer(void *opaque, struct uplink_scope *scope,
	const struct uplink_packet *packet)
{
	struct gated *gated = opaque;

	assert_int_equal(packet->protocol, IPPROTO_UDP);
	gated->offered++;
	return gated->takes;
}

static void gated_init(struct gated *gated, bool host_loopback, const char *rules)
{
	struct uplink_config config = make_config();
	struct egress_rule parsed[EGRESS_RULES_MAX];
	size_t n = 0;

	*gated = (struct gated){};
	config.host_loopback = host_loopback;
	assert_int_equal(uplink_scopes_new(&config, &gated->scopes, NULL), 0);
	assert_int_equal(uplink_gate_new(gated->scopes, &config, &gated->gate, NULL), 0);
	uplink_gate_set_writer(gated->gate, on_write, gated);
	uplink_gate_set_takers(gated->gate, on_offer, NULL, NULL, gated);
	if (!rules)
		return;
	assert_int_equal(egress_parse(rules, parsed, EGRESS_RULES_MAX, &n, NULL), 0);
	assert_int_equal(uplink_scopes_set_rules(gated->scopes, 0, parsed, n, NULL), 0);
}

static void gated_done(struct gated *gated)
{
	uplink_gate_free(gated->gate);
	uplink_scopes_free(gated->scopes);
}

/* In memory of just this length, so that a sanitizer sees what is read beyond it. */
static bool pass(struct gated *gated, const uint8_t *frame, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	bool passed;

	assert_non_null(copy);
	memcpy(copy, frame, length);
	passed = uplink_gate_pass(gated->gate, copy, length);
	free(copy);
	return passed;
}

static bool pass_tcp(struct gated *gated, const char *source, const char *destination,
	unsigned port, unsigned flags)
{
	uint8_t frame[PACKET_MAX];

	return pass(gated, frame,
		make_tcp_frame(frame, source, 4000, destination, port, flags));
}

static bool pass_udp(struct gated *gated, const char *source, const char *destination,
	unsigned port)
{
	uint8_t frame[PACKET_MAX];

	return pass(gated, frame, make_udp_frame(frame, source, 4000, destination, port, "x", 1));
}

static void frames_pass_and_are_counted(void **state)
{
	struct uplink_child child = {.id = 1, .up = 1, .n_addresses = 1};
	struct uplink_counters *pod, *bridged;
	struct gated gated;

	gated_init(&gated, false, NULL);
	child.addresses[0] = make_ip("10.89.0.2");
	assert_int_equal(uplink_scopes_set(gated.scopes, &child, NULL), 0);
	pod = &uplink_scopes_first(gated.scopes)->counters;
	bridged = &uplink_scopes_find(gated.scopes, 1)->counters;
	assert_true(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 80, TH_SYN));
	assert_true(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 80, TH_ACK));
	assert_true(pass_udp(&gated, "fd00::64", "2001:db8::1", 53));
	assert_true(pass_tcp(&gated, "10.89.0.2", "1.2.3.4", 80, TH_SYN));
	assert_int_equal(pod->frames_out, 3);
	assert_int_equal(pod->frame_bytes_out, 2 * 54 + 63);
	assert_int_equal(pod->fallbacks, 1);
	assert_int_equal(bridged->frames_out, 1);
	assert_int_equal(bridged->fallbacks, 1);
	assert_int_equal(gated.to_pod + gated.to_slirp, 0);
	gated_done(&gated);
}

static void answers_are_counted_to_whom_they_go(void **state)
{
	struct uplink_report report = {};
	uint8_t frame[PACKET_MAX];
	struct gated gated;
	size_t length;

	gated_init(&gated, false, NULL);
	length = make_tcp_frame(frame, "1.2.3.4", 80, "10.0.2.100", 4000, TH_ACK);
	uplink_gate_sent(gated.gate, frame, length, true);
	uplink_gate_sent(gated.gate, frame, length, false);
	uplink_gate_sent(gated.gate, frame, 3, true);
	assert_int_equal(uplink_scopes_first(gated.scopes)->counters.frames_in, 1);
	assert_int_equal(uplink_scopes_first(gated.scopes)->counters.frame_bytes_in, length);
	uplink_gate_report(gated.gate, &report);
	assert_int_equal(report.dropped_in, 1);
	gated_done(&gated);
}

static void the_hosts_loopback_is_reached_on_demand_only(void **state)
{
	for (int wanted = 0; wanted < 2; wanted++) {
		struct gated gated;

		gated_init(&gated, wanted, NULL);
		assert_int_equal(pass_tcp(&gated, "10.0.2.100", "127.0.0.1", 80, TH_SYN), wanted);
		assert_int_equal(pass_udp(&gated, "10.0.2.100", "127.8.8.8", 53), wanted);
		assert_int_equal(pass_tcp(&gated, "10.0.2.100", "0.0.0.0", 80, TH_SYN), wanted);
		assert_int_equal(pass_tcp(&gated, "fd00::64", "::1", 80, TH_SYN), wanted);
		assert_true(pass_tcp(&gated, "10.0.2.100", "10.0.2.2", 80, TH_SYN));
		gated_done(&gated);
	}
}

static void datagrams_are_offered_before_all_else(void **state)
{
	struct gated gated;

	gated_init(&gated, false, "deny");
	gated.takes = true;
	assert_false(pass_udp(&gated, "10.0.2.100", "127.0.0.1", 4711));
	assert_false(pass_udp(&gated, "10.0.2.100", "1.2.3.4", 4711));
	assert_int_equal(gated.offered, 2);
	assert_int_equal(gated.to_pod, 0);
	gated.takes = false;
	assert_false(pass_udp(&gated, "10.0.2.100", "1.2.3.4", 4711));
	assert_int_equal(gated.to_pod, 1);
	gated_done(&gated);
}

static void what_is_denied_is_answered(void **state)
{
	struct gated gated;

	gated_init(&gated, false, "deny proto tcp port 25");
	assert_true(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 80, TH_SYN));
	assert_false(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 25, TH_SYN));
	assert_int_equal(gated.to_pod, 1);
	assert_int_equal(gated.to_slirp, 0);
	/* Open until the rule came: it ends on both sides. */
	assert_false(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 25, TH_ACK));
	assert_int_equal(gated.to_pod, 2);
	assert_int_equal(gated.to_slirp, 1);
	assert_int_equal(uplink_scopes_first(gated.scopes)->counters.denied, 2);
	gated_done(&gated);
}

static void the_links_own_frames_pass_whatever_the_rules(void **state)
{
	static const uint8_t solicitation[24] = {135}, echo[8] = {128};
	static const uint8_t arp[42] = {[12] = 0x08, 0x06};
	uint8_t frame[PACKET_MAX];
	struct gated gated;

	gated_init(&gated, false, "deny");
	assert_true(pass(&gated, arp, sizeof(arp)));
	assert_true(pass(&gated, frame, make_frame(frame, make_packet(frame + ETHERNET_SIZE,
			"fd00::64", "ff02::1:ff00:2", IPPROTO_ICMPV6, solicitation, 24))));
	assert_false(pass(&gated, frame, make_frame(frame, make_packet(frame + ETHERNET_SIZE,
			"fd00::64", "2001:db8::1", IPPROTO_ICMPV6, echo, 8))));
	gated_done(&gated);
}

/* libslirp puts fragments together: one that is too short for its ports would bring the rest past
 * rules that are about ports. */
static void what_cannot_be_judged_does_not_pass(void **state)
{
	static const char *const ways[][2] = {{"10.0.2.100", "1.2.3.4"}, {"fd00::64", "2001:db8::1"}};
	struct gated gated;

	gated_init(&gated, false, "deny proto tcp port 25");
	for (size_t i = 0; i < 2; i++) {
		uint8_t frame[PACKET_MAX];
		size_t length = make_tcp_frame(frame, ways[i][0], 4000, ways[i][1], 25, TH_SYN);

		frame[ETHERNET_SIZE + 6] |= i == 0 ? 0x20 : 0; /* more follow */
		for (size_t cut = ETHERNET_SIZE; cut <= length; cut++)
			assert_false(pass(&gated, frame, cut));
	}
	gated_done(&gated);
}

/* One version outside, another inside. */
static void frames_that_contradict_themselves_do_not_pass(void **state)
{
	static const char *const ways[][2] = {{"10.0.2.100", "1.2.3.4"}, {"fd00::64", "2001:db8::1"}};
	struct gated gated;

	gated_init(&gated, false, NULL);
	for (size_t i = 0; i < 2; i++) {
		uint8_t frame[PACKET_MAX];
		size_t length = make_tcp_frame(frame, ways[i][0], 4000, ways[i][1], 25, TH_SYN);

		assert_true(pass(&gated, frame, length));
		frame[12] = i == 0 ? 0x86 : 0x08;
		frame[13] = i == 0 ? 0xdd : 0;
		assert_false(pass(&gated, frame, length));
	}
	gated_done(&gated);
}

static void frames_are_captured_in_both_directions(void **state)
{
	struct uplink_report report = {};
	uint8_t frame[PACKET_MAX];
	struct gated gated;
	int ends[2], again[2];
	char bytes[4096];
	ssize_t head, n;

	signal(SIGPIPE, SIG_IGN);
	gated_init(&gated, false, "deny");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pipe2(again, O_CLOEXEC), 0);
	assert_int_equal(uplink_gate_capture(gated.gate, ends[1], 0, NULL), 0);
	head = read(ends[0], bytes, sizeof(bytes));
	assert_true(head > 0);
	/* What does not pass as well. */
	assert_false(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 25, TH_SYN));
	n = read(ends[0], bytes, sizeof(bytes));
	assert_true(n > 54);
	uplink_gate_sent(gated.gate, frame,
		make_tcp_frame(frame, "1.2.3.4", 80, "10.0.2.100", 4000, TH_ACK), true);
	assert_int_equal(read(ends[0], bytes, sizeof(bytes)), n);
	/* The next one takes its place. */
	assert_int_equal(uplink_gate_capture(gated.gate, again[1], 0, NULL), 0);
	assert_int_equal(read(ends[0], bytes, sizeof(bytes)), 0);
	uplink_gate_report(gated.gate, &report);
	assert_int_equal(report.capture_running, 1);
	close(again[0]);
	assert_false(pass_tcp(&gated, "10.0.2.100", "1.2.3.4", 25, TH_SYN));
	uplink_gate_report(gated.gate, &report);
	assert_int_equal(report.capture_running, 0);
	close(ends[0]);
	gated_done(&gated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_pass_and_are_counted),
		cmocka_unit_test(answers_are_counted_to_whom_they_go),
		cmocka_unit_test(the_hosts_loopback_is_reached_on_demand_only),
		cmocka_unit_test(datagrams_are_offered_before_all_else),
		cmocka_unit_test(what_is_denied_is_answered),
		cmocka_unit_test(the_links_own_frames_pass_whatever_the_rules),
		cmocka_unit_test(what_cannot_be_judged_does_not_pass),
		cmocka_unit_test(frames_that_contradict_themselves_do_not_pass),
		cmocka_unit_test(frames_are_captured_in_both_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
