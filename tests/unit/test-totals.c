/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Counters over several uplinks and several podds. */

#include "totals.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fixture.h"

/* What an uplink reports: of the pod, and of a child where it has one. */
static struct json *report(int64_t flows, const char *child, int64_t bytes)
{
	struct json *stats = json_new_object(), *scopes, *scope;

	json_set_int(stats, "droppedIn", 1);
	scopes = json_set_array(stats, "scopes");
	for (int i = 0; i < (child ? 2 : 1); i++) {
		scope = json_new_object();
		json_set_string(scope, "child", i ? child : NULL);
		json_set_int(scope, "flows", 3);
		json_set_int(scope, "flowsTotal", flows);
		json_set_int(scope, "bytesOut", bytes);
		json_append(scopes, scope);
	}
	return stats;
}

static int64_t sum(struct pod *pod, struct json *stats, const char *child, const char *key)
{
	int64_t value;

	totals_add(pod, stats);
	value = number(find_scope(stats, child), key);
	json_free(stats);
	return value;
}

static void init(struct pod *pod, const struct scratch *scratch, bool adopted)
{
	*pod = (struct pod){.podfd = scratch->fd, .adopted = adopted};
	assert_int_equal(totals_new(pod, &pod->totals, NULL), 0);
}

static void counters_go_on(void **state)
{
	struct scratch scratch;
	struct json *last;
	struct pod pod;

	scratch_init(&scratch);
	init(&pod, &scratch, false);
	assert_null(totals_last(&pod));
	assert_int_equal(sum(&pod, report(5, "web", 100), NULL, "flowsTotal"), 5);
	pod.uplink_restarts = 1;
	totals_uplink_ended(&pod);
	last = totals_last(&pod);
	assert_int_equal(number(find_scope(last, "web"), "bytesOut"), 100);
	assert_int_equal(number(find_scope(last, "web"), "flows"), 0);
	json_free(last);
	/* The next one knows no child at first, and then it does. */
	assert_int_equal(sum(&pod, report(2, NULL, 0), NULL, "flowsTotal"), 7);
	assert_int_equal(sum(&pod, report(2, "web", 10), "web", "bytesOut"), 110);
	pod.uplink_restarts = 2;
	totals_uplink_ended(&pod);
	/* One that was never asked adds nothing. */
	totals_uplink_ended(&pod);
	totals_free(pod.totals);

	init(&pod, &scratch, true);
	assert_int_equal(pod.uplink_restarts, 2);
	assert_int_equal(sum(&pod, report(1, "web", 1), "web", "bytesOut"), 111);
	totals_forget(&pod, "web");
	assert_int_equal(sum(&pod, report(1, "web", 1), "web", "bytesOut"), 1);
	totals_free(pod.totals);

	init(&pod, &scratch, false);
	assert_int_equal(sum(&pod, report(1, NULL, 1), NULL, "flowsTotal"), 1);
	totals_free(pod.totals);
	scratch_done(&scratch);
}

static void sums_do_not_overflow(void **state)
{
	struct scratch scratch;
	struct pod pod;

	scratch_init(&scratch);
	init(&pod, &scratch, false);
	sum(&pod, report(INT64_MAX, NULL, 0), NULL, "flowsTotal");
	totals_uplink_ended(&pod);
	assert_int_equal(sum(&pod, report(5, NULL, 0), NULL, "flowsTotal"), INT64_MAX);
	totals_free(pod.totals);
	scratch_done(&scratch);
}

static void damaged_records_are_refused(void **state)
{
	static const char *const texts[] = {"", "{}", "{\"version\": 1}",
		"{\"version\": 1, \"uplinkRestarts\": -1, \"droppedIn\": 0, \"scopes\": []}",
		"{\"version\": 1, \"uplinkRestarts\": 0, \"droppedIn\": 0, \"scopes\": {}}",
		"{\"version\": 1, \"uplinkRestarts\": 0, \"droppedIn\": 0, \"scopes\": [1]}",
		"{\"version\": 1, \"uplinkRestarts\": 0, \"droppedIn\": 0, \"scopes\": "
		"[{\"child\": \"../x\"}]}"};
	struct scratch scratch;
	struct pod pod;

	scratch_init(&scratch);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_file(scratch.fd, RECORD_TRAFFIC, texts[i]);
		init(&pod, &scratch, true);
		assert_int_equal(sum(&pod, report(5, NULL, 0), NULL, "flowsTotal"), 5);
		assert_int_equal(pod.uplink_restarts, 0);
		totals_free(pod.totals);
	}
	scratch_done(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_go_on),
		cmocka_unit_test(sums_do_not_overflow),
		cmocka_unit_test(damaged_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
