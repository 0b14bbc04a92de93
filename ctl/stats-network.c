/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Counters of uplinks: see stats-network.h. One row for each pod, with all that shares its network,
 * and one for each child that has one of its own. */

#include "stats-network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "json.h"
#include "name.h"
#include "text.h"

#include "format.h"
#include "lifecycle.h"
#include "supervisor.h"
#include "table.h"

static void add_scope(struct json *array, const char *pod, const struct json *scope,
	const struct json *stats)
{
	struct json *object = json_copy(scope);
	const char *child = json_string(json_get(scope, "child"));
	char path[NAME_PATH_SIZE * 2];

	snprintf(path, sizeof(path), "%s%s%s", pod, child ? "/" : "", child ? child : "");
	json_set_string(object, "path", path);
	/* What the tap did not take is nobody's alone. */
	if (!child)
		json_set_int(object, "droppedIn", supervisor_number(stats, "droppedIn"));
	json_append(array, object);
}

static int add_pod(const struct ctl *ctl, const char *pod, struct json *array, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) answer = NULL;
	const struct json *stats, *scopes;
	int r = supervisor_open(ctl, pod, &supervisor, err);

	if (r == 0)
		r = supervisor_call(&supervisor, "Inspect", NULL, &answer, err);
	if (r < 0)
		return r;
	stats = json_get(json_get(answer, "uplink"), "stats");
	scopes = json_get(stats, "scopes");
	for (size_t i = 0; i < json_length(scopes); i++)
		add_scope(array, pod, json_at(scopes, i), stats);
	return 0;
}

static void add_row(struct table *table, const struct json *scope)
{
	char flows[32], total[32], payload[80], frames[80], numbers[4][32];
	static const char *const keys[] = {"denied", "overQuota", "failed", "fallbacks"};
	char first[32], second[32];
	const char *cells[] = {supervisor_text(scope, "path"), flows, total, payload, frames,
		numbers[0], numbers[1], numbers[2], numbers[3], NULL};

	snprintf(flows, sizeof(flows), "%" PRId64, supervisor_number(scope, "flows"));
	snprintf(total, sizeof(total), "%" PRId64, supervisor_number(scope, "flowsTotal"));
	snprintf(payload, sizeof(payload), "%s / %s",
		format_bytes((uint64_t)supervisor_number(scope, "bytesOut"), first, sizeof(first)),
		format_bytes(
			(uint64_t)supervisor_number(scope, "bytesIn"), second, sizeof(second)));
	snprintf(frames, sizeof(frames), "%s / %s",
		format_bytes((uint64_t)supervisor_number(scope, "frameBytesOut"), first,
			sizeof(first)),
		format_bytes((uint64_t)supervisor_number(scope, "frameBytesIn"), second,
			sizeof(second)));
	for (size_t i = 0; i < 4; i++)
		snprintf(numbers[i], sizeof(numbers[i]), "%" PRId64,
			supervisor_number(scope, keys[i]));
	table_add(table, "", cells);
}

static int print_table(const struct json *array)
{
	static const char *const header[] = {"PATH", "FLOWS", "TOTAL", "OUT / IN", "TAP OUT / IN",
		"DENIED", "OVER QUOTA", "FAILED", "FALLBACKS", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);

	for (size_t i = 0; i < json_length(array); i++)
		add_row(table, json_at(array, i));
	return table_print(table);
}

int stats_network(const struct ctl *ctl, char *const *pods, bool json)
{
	autoptr(json) array = json_new_array();
	autostrv running = NULL;
	struct err err = {};
	bool all = !pods[0];
	int r = 0;

	if (all) {
		r = lifecycle_all(ctl, false, &running, &err);
		pods = running;
	}
	for (size_t i = 0; r == 0 && pods && pods[i]; i++) {
		r = add_pod(ctl, pods[i], array, &err);
		/* Without a name, what does not run is left out; what cannot be looked into is
		 * told, and hides no other. */
		if (all && r < 0 && r != -ENOENT && r != -ESRCH)
			ctl_warning("%s: %s", pods[i], err.msg);
		if (all)
			r = 0;
	}
	if (r < 0)
		return ctl_fail(r, &err);
	return json ? ctl_print_json(take_ptr(array)) : print_table(array);
}
