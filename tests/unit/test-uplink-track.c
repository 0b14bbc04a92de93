/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table of what goes by libslirp: what is told apart, counted, forgotten. */

#include "uplink-track.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "uplink-fixture.h"

static struct uplink_scope scope = {.id = 7};

static struct uplink_packet make(uint8_t protocol, uint8_t flags, const char *source,
	unsigned source_port, const char *destination, unsigned destination_port)
{
	return (struct uplink_packet){
		.source = make_address(source, source_port),
		.destination = make_address(destination, destination_port),
		.family = strchr(source, ':') ? AF_INET6 : AF_INET,
		.protocol = protocol,
		.tcp_flags = flags,
	};
}

static bool note(struct uplink_tracker *tracker, struct uplink_packet packet, size_t length)
{
	return uplink_tracker_note(tracker, &scope, &packet, length, false, UPLINK_PATH_LIBSLIRP);
}

static bool note_answer(struct uplink_tracker *tracker, struct uplink_packet packet, size_t length)
{
	return uplink_tracker_note(tracker, &scope, &packet, length, true, UPLINK_PATH_LIBSLIRP);
}

#define SYN(port) make(IPPROTO_TCP, TH_SYN, "10.0.2.100", port, "1.2.3.4", 80)
#define ACK(port) make(IPPROTO_TCP, TH_ACK, "10.0.2.100", port, "1.2.3.4", 80)
#define FIN(port) make(IPPROTO_TCP, TH_ACK | TH_FIN, "10.0.2.100", port, "1.2.3.4", 80)

struct reported {
	unsigned n;
	struct uplink_flow_info last;
};

static void on_each(void *opaque, const struct uplink_flow_info *info)
{
	struct reported *reported = opaque;

	reported->n++;
	reported->last = *info;
}

static struct reported report(struct uplink_tracker *tracker)
{
	struct reported reported = {};

	uplink_tracker_report(tracker, on_each, &reported);
	return reported;
}

static struct uplink_tracker *tracker_of_test(void)
{
	struct uplink_tracker *tracker = NULL;

	assert_int_equal(uplink_tracker_new(&tracker, NULL), 0);
	return tracker;
}

static void both_directions_are_one(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();
	struct in6_addr source = make_ip("10.0.2.100");
	struct reported reported;

	assert_true(note(tracker, SYN(4000), 60));
	assert_false(note_answer(tracker,
		make(IPPROTO_TCP, TH_SYN | TH_ACK, "1.2.3.4", 80, "10.0.2.100", 4000), 70));
	assert_false(note(tracker, ACK(4000), 5));
	reported = report(tracker);
	assert_int_equal(reported.n, 1);
	assert_int_equal(reported.last.bytes_out, 65);
	assert_int_equal(reported.last.bytes_in, 70);
	assert_int_equal(reported.last.child, 7);
	assert_int_equal(reported.last.protocol, IPPROTO_TCP);
	assert_int_equal(reported.last.path, UPLINK_PATH_LIBSLIRP);
	assert_int_equal(reported.last.source_port, 4000);
	assert_int_equal(reported.last.destination_port, 80);
	assert_memory_equal(&reported.last.source, &source, sizeof(source));
}

static void the_first_of_a_connection_is_told(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();

	assert_true(note(tracker, SYN(4000), 60));
	assert_false(note(tracker, SYN(4000), 60)); /* sent again */
	assert_true(note(tracker, SYN(4001), 60));
	/* One that was there before. */
	assert_false(note(tracker, ACK(4002), 60));
	assert_false(note(tracker, make(IPPROTO_UDP, 0, "10.0.2.100", 1, "1.2.3.4", 53), 60));
	assert_int_equal(report(tracker).n, 4);
}

static void a_port_is_used_again_after_the_end(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();

	assert_true(note(tracker, SYN(4000), 60));
	assert_false(note(tracker, FIN(4000), 60));
	assert_true(note(tracker, SYN(4000), 10));
	assert_int_equal(report(tracker).n, 1);
	assert_int_equal(report(tracker).last.bytes_out, 10);
	note_answer(tracker,
		make(IPPROTO_TCP, TH_RST, "1.2.3.4", 80, "10.0.2.100", 4000), 40);
	assert_int_equal(report(tracker).n, 0);
	assert_int_equal(tracker->n, 0);
}

static void what_the_outside_begins_is_not_noted(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();

	assert_false(note_answer(tracker,
		make(IPPROTO_TCP, TH_SYN, "1.2.3.4", 80, "10.0.2.100", 4000), 60));
	assert_false(note_answer(tracker,
		make(IPPROTO_UDP, 0, "1.2.3.4", 53, "10.0.2.100", 4000), 60));
	assert_int_equal(report(tracker).n, 0);
}

static void later_fragments_are_not_noted(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();
	struct uplink_packet packet = SYN(0);

	packet.fragment = true;
	assert_false(note(tracker, packet, 60));
	assert_int_equal(tracker->n, 0);
}

static void others_are_told_apart(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();

	note(tracker, make(IPPROTO_UDP, 0, "10.0.2.100", 1, "1.2.3.4", 53), 1);
	note(tracker, make(IPPROTO_UDP, 0, "10.0.2.100", 2, "1.2.3.4", 53), 1);
	note(tracker, make(IPPROTO_UDP, 0, "10.0.2.100", 1, "1.2.3.4", 54), 1);
	note(tracker, make(IPPROTO_UDP, 0, "10.0.2.100", 1, "1.2.3.5", 53), 1);
	note(tracker, make(IPPROTO_UDP, 0, "10.0.2.101", 1, "1.2.3.4", 53), 1);
	note(tracker, make(IPPROTO_TCP, TH_ACK, "10.0.2.100", 1, "1.2.3.4", 53), 1);
	note(tracker, make(IPPROTO_UDP, 0, "fd00::64", 1, "2001:db8::1", 53), 1);
	note(tracker, make(IPPROTO_ICMP, 0, "10.0.2.100", 0, "1.2.3.4", 0), 1);
	assert_int_equal(report(tracker).n, 8);
}

static void silent_ones_are_forgotten(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();

	note(tracker, make(IPPROTO_UDP, 0, "10.0.2.100", 1, "1.2.3.4", 53), 1);
	note(tracker, SYN(4000), 1);
	of_age(tracker->ages.oldest)->used_ms -= SILENT_MS + 1000;
	of_age(tracker->ages.newest)->used_ms -= SILENT_MS + 1000;
	assert_int_equal(report(tracker).n, 1);
	assert_int_equal(of_age(tracker->ages.newest)->protocol, IPPROTO_TCP);
	of_age(tracker->ages.newest)->used_ms -= SILENT_TCP_MS;
	assert_int_equal(report(tracker).n, 0);
	assert_int_equal(tracker->n, 0);
}

static void there_is_a_limit_and_the_oldest_go(void **state)
{
	autoptr(uplink_tracker) tracker = tracker_of_test();
	struct track *track;

	for (unsigned i = 0; i < UPLINK_TRACKS_MAX; i++)
		assert_true(note(tracker, SYN(i + 1), 1));
	/* Used once more: the second one is the oldest now. */
	assert_false(note(tracker, ACK(1), 1));
	assert_true(note(tracker, SYN(60000), 1));
	assert_int_equal(tracker->n, UPLINK_TRACKS_MAX);
	assert_int_equal(report(tracker).n, UPLINK_TRACKS_MAX);
	assert_int_equal(of_age(tracker->ages.newest)->source.port, htons(60000));
	assert_int_equal(of_age(tracker->ages.newest->older)->source.port, htons(1));
	assert_int_equal(of_age(tracker->ages.oldest)->source.port, htons(3));
	for (track = of_age(tracker->ages.newest); track->age.older; track = of_age(track->age.older))
		assert_ptr_equal(of_age(track->age.older->newer), track);
	assert_ptr_equal(track, of_age(tracker->ages.oldest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_one),
		cmocka_unit_test(the_first_of_a_connection_is_told),
		cmocka_unit_test(a_port_is_used_again_after_the_end),
		cmocka_unit_test(what_the_outside_begins_is_not_noted),
		cmocka_unit_test(later_fragments_are_not_noted),
		cmocka_unit_test(others_are_told_apart),
		cmocka_unit_test(silent_ones_are_forgotten),
		cmocka_unit_test(there_is_a_limit_and_the_oldest_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
