/* SPDX-License-Identifier: GPL-2.0-or-later */

/* podd-uplink's reports, as one writes them that is in somebody else's hands. */

#include "traffic.c"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fixture.h"

/* Instead of network.c: of all children there is number 7. */
const char *network_child(const struct network *network, uint32_t id)
{
	return id == 7 ? "web" : NULL;
}

struct written {
	struct uplink_report head;
	struct uplink_counters counters[4];
	struct uplink_flow_info flows[4];
};

/* Writes as many as the head says, and reads them. */
static int read_report(const struct written *written, struct json **ret_stats,
	struct json **ret_flows, struct err *err)
{
	const struct pod pod = {};
	autoclose int file = -1;

	assert_int_equal(traffic_make_file(&file), 0);
	assert_int_equal(fd_write_all(file, &written->head, sizeof(written->head)), 0);
	assert_int_equal(fd_write_all(file, written->counters,
				 written->head.n_counters * sizeof(*written->counters)), 0);
	assert_int_equal(fd_write_all(file, written->flows,
				 written->head.n_flows * sizeof(*written->flows)), 0);
	return traffic_read(&pod, file, ret_stats, ret_flows, err);
}

static int64_t number(const struct json *object, const char *key)
{
	int64_t value = -1;

	assert_int_equal(json_int(json_get(object, key), &value), 0);
	return value;
}

static const char *text(const struct json *object, const char *key)
{
	return json_string(json_get(object, key));
}

static struct written plain(void)
{
	struct written written = {
		.head = {.n_counters = 2, .n_flows = 3, .flows_max = 16384, .dropped_in = 4,
			.capture_running = 1, .capture_dropped = 5},
		.counters = {{.flows = 1, .bytes_out = 10}, {.id = 7, .denied = 2, .bytes_in = 20}},
		.flows = {{.source_port = 4000, .destination_port = 443, .protocol = IPPROTO_TCP,
				  .state = UPLINK_FLOW_OPEN, .bytes_out = 100, .bytes_in = 200},
			{.child = 7, .protocol = IPPROTO_UDP, .path = UPLINK_PATH_UDP, .inbound = 1,
				.state = UPLINK_FLOW_OPEN, .bytes_in = 300},
			{.child = 7, .protocol = IPPROTO_ICMP, .path = UPLINK_PATH_LIBSLIRP,
				.bytes_in = 4000}},
	};

	inet_pton(AF_INET6, "::ffff:10.0.2.100", &written.flows[0].source);
	inet_pton(AF_INET6, "2001:db8::1", &written.flows[0].destination);
	return written;
}

static void reports_are_read(void **state)
{
	const struct written written = plain();
	autoptr(json) stats = NULL;
	autoptr(json) flows = NULL;
	const struct json *item;

	assert_int_equal(read_report(&written, &stats, &flows, NULL), 0);
	assert_int_equal(number(stats, "flowsMax"), 16384);
	assert_int_equal(number(stats, "droppedIn"), 4);
	assert_int_equal(number(stats, "captureDropped"), 5);
	assert_true(json_is_true(json_get(stats, "capturing")));
	/* What goes on is counted along, but for what libslirp carries. */
	item = json_at(json_get(stats, "scopes"), 0);
	assert_null(json_get(item, "child"));
	assert_int_equal(number(item, "bytesOut"), 110);
	assert_int_equal(number(item, "bytesIn"), 200);
	item = json_at(json_get(stats, "scopes"), 1);
	assert_string_equal(text(item, "child"), "web");
	assert_int_equal(number(item, "denied"), 2);
	assert_int_equal(number(item, "bytesIn"), 320);
	assert_int_equal(json_length(flows), 3);
	item = json_at(flows, 0);
	assert_string_equal(text(item, "source"), "10.0.2.100:4000");
	assert_string_equal(text(item, "destination"), "[2001:db8::1]:443");
	assert_string_equal(text(item, "protocol"), "tcp");
	assert_string_equal(text(item, "path"), "splice");
	assert_string_equal(text(item, "state"), "open");
	assert_string_equal(text(item, "direction"), "out");
	item = json_at(flows, 1);
	assert_string_equal(text(item, "child"), "web");
	assert_string_equal(text(item, "path"), "udp");
	assert_string_equal(text(item, "direction"), "in");
}

static void numbers_beyond_their_range_are_shown_somehow(void **state)
{
	struct written written = plain();
	autoptr(json) stats = NULL;
	autoptr(json) flows = NULL;
	autofree char *shown = NULL;
	const struct json *item;

	written.head.n_counters = 1;
	written.head.n_flows = 1;
	memset(written.counters, 0xff, sizeof(written.counters));
	memset(written.flows, 0xff, sizeof(written.flows));
	written.counters[0].id = written.flows[0].child = 8; /* of nobody */
	assert_int_equal(read_report(&written, &stats, &flows, NULL), 0);
	item = json_at(flows, 0);
	assert_null(json_get(item, "child"));
	assert_string_equal(text(item, "protocol"), "other");
	assert_string_equal(text(item, "path"), "?");
	assert_string_equal(text(item, "state"), "?");
	assert_true(number(item, "bytes_out") >= 0);
	assert_true(number(item, "age_ms") >= 0);
	item = json_at(json_get(stats, "scopes"), 0);
	assert_true(number(item, "bytesIn") >= 0);
	assert_true(number(item, "flowsTotal") >= 0);
	assert_int_equal(json_write(flows, false, &shown, NULL), 0);
}

static void all_values_of_path_and_state_are_known_or_not(void **state)
{
	for (unsigned value = 0; value < 256; value++) {
		struct written written = plain();
		autoptr(json) stats = NULL;
		autoptr(json) flows = NULL;

		written.flows[0].path = written.flows[0].state = (uint8_t)value;
		written.flows[0].protocol = (uint8_t)value;
		assert_int_equal(read_report(&written, &stats, &flows, NULL), 0);
		assert_int_equal(strcmp(text(json_at(flows, 0), "path"), "?") == 0,
			value > UPLINK_PATH_UDP);
		assert_int_equal(strcmp(text(json_at(flows, 0), "state"), "?") == 0,
			value > UPLINK_FLOW_HALF_CLOSED);
	}
}

/* Return: what becomes of a file with this head and @size bytes in all. */
static int read_file(uint32_t n_counters, uint32_t n_flows, size_t size)
{
	const struct uplink_report head = {.n_counters = n_counters, .n_flows = n_flows};
	struct json *stats = NULL, *flows = NULL;
	const struct pod pod = {};
	autoclose int file = -1;
	struct err err = {};
	int r;

	assert_int_equal(traffic_make_file(&file), 0);
	assert_int_equal(fd_write_all(file, &head, sizeof(head)), 0);
	assert_int_equal(ftruncate(file, (off_t)size), 0);
	r = traffic_read(&pod, file, &stats, &flows, &err);
	assert_int_equal(!stats, r < 0);
	assert_int_equal(!flows, r < 0);
	assert_int_equal(!*err.msg, r == 0);
	json_free(stats);
	json_free(flows);
	return r;
}

static void files_of_another_length_are_refused(void **state)
{
	const size_t whole = sizeof(struct uplink_report) + 2 * sizeof(struct uplink_counters) +
			     3 * sizeof(struct uplink_flow_info);

	for (size_t size = 0; size < whole + 300; size++)
		assert_int_equal(read_file(2, 3, size), size == whole ? 0 : -EBADMSG);
}

static void numbers_that_wrap_are_refused(void **state)
{
	static const uint32_t numbers[] = {1, 0x02762763, 0x55555556, 0x7fffffff, 0x80000000,
		0xaaaaaaab, 0xfffffffe, UINT32_MAX};
	const size_t head = sizeof(struct uplink_report);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		assert_int_equal(read_file(numbers[i], 0, head), -EBADMSG);
		assert_int_equal(read_file(0, numbers[i], head), -EBADMSG);
		assert_int_equal(read_file(numbers[i], numbers[i], head), -EBADMSG);
	}
}

static void there_is_a_limit(void **state)
{
	const size_t head = sizeof(struct uplink_report);
	const size_t counters = sizeof(struct uplink_counters);
	const size_t flow = sizeof(struct uplink_flow_info);

	assert_int_equal(read_file(COUNTERS_MAX, 0, head + COUNTERS_MAX * counters), 0);
	assert_int_equal(read_file(COUNTERS_MAX + 1, 0, head + (COUNTERS_MAX + 1) * counters),
		-EBADMSG);
	assert_int_equal(read_file(0, FLOWS_MAX, head + FLOWS_MAX * flow), 0);
	assert_int_equal(read_file(0, FLOWS_MAX + 1, head + (FLOWS_MAX + 1) * flow), -EBADMSG);
	assert_int_equal(read_file(0, 0, 64 * 1024 * 1024), -EFBIG);
}

static void what_is_no_file_is_refused(void **state)
{
	struct json *stats = NULL, *flows = NULL;
	const struct pod pod = {};
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(traffic_read(&pod, ends[0], &stats, &flows, NULL), -ESPIPE);
	close(ends[0]);
	close(ends[1]);
	assert_null(stats);
	assert_null(flows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_are_read),
		cmocka_unit_test(numbers_beyond_their_range_are_shown_somehow),
		cmocka_unit_test(all_values_of_path_and_state_are_known_or_not),
		cmocka_unit_test(files_of_another_length_are_refused),
		cmocka_unit_test(numbers_that_wrap_are_refused),
		cmocka_unit_test(there_is_a_limit),
		cmocka_unit_test(what_is_no_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
