/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl flows: the connections that podd-uplink carries now, the oldest first. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "list-verb.h"
#include "supervisor.h"
#include "table.h"
#include "verbs.h"

static int64_t number(const struct json *flow, const char *key)
{
	int64_t number = supervisor_number(flow, key);

	return number < 0 ? 0 : number;
}

static int compare_ages(const void *a, const void *b)
{
	int64_t first = number(*(const struct json *const *)a, "age_ms");
	int64_t second = number(*(const struct json *const *)b, "age_ms");

	return (first < second) - (first > second);
}

/* Return: the members of the list, NULL when memory is short. */
static const struct json **sort(const struct json *flows)
{
	const struct json **sorted = calloc(json_length(flows) + 1, sizeof(*sorted));

	for (size_t i = 0; sorted && i < json_length(flows); i++)
		sorted[i] = json_at(flows, i);
	if (sorted)
		qsort(sorted, json_length(flows), sizeof(*sorted), compare_ages);
	return sorted;
}

static int print_json(const struct json *const *flows)
{
	struct json *array = json_new_array();

	for (; *flows; flows++) {
		struct json *object = json_new_object();

		json_set_string(object, "path", supervisor_text(*flows, SUPERVISOR_TARGET));
		json_set_string(object, "protocol", supervisor_text(*flows, "protocol"));
		json_set_string(object, "direction", supervisor_text(*flows, "direction"));
		json_set_string(object, "via", supervisor_text(*flows, "path"));
		json_set_string(object, "source", supervisor_text(*flows, "source"));
		json_set_string(object, "destination", supervisor_text(*flows, "destination"));
		json_set_string(object, "state", supervisor_text(*flows, "state"));
		json_set_int(object, "bytesOut", number(*flows, "bytes_out"));
		json_set_int(object, "bytesIn", number(*flows, "bytes_in"));
		json_set_int(object, "ageMs", number(*flows, "age_ms"));
		json_append(array, object);
	}
	return ctl_print_json(array);
}

static void add_row(struct table *table, const struct json *flow)
{
	char out[32], in[32], bytes[80], age[32];
	const char *cells[] = {supervisor_text(flow, SUPERVISOR_TARGET),
		supervisor_text(flow, "protocol"), supervisor_text(flow, "direction"),
		supervisor_text(flow, "source"), supervisor_text(flow, "destination"),
		supervisor_text(flow, "path"), supervisor_text(flow, "state"), bytes,
		format_duration((uint64_t)number(flow, "age_ms"), age, sizeof(age)), NULL};

	snprintf(bytes, sizeof(bytes), "%s / %s",
		format_bytes((uint64_t)number(flow, "bytes_out"), out, sizeof(out)),
		format_bytes((uint64_t)number(flow, "bytes_in"), in, sizeof(in)));
	table_add(table, "", cells);
}

static int print_table(const struct json *const *flows)
{
	static const char *const header[] = {"PATH", "PROTO", "DIR", "SOURCE", "DESTINATION", "VIA",
		"STATE", "OUT / IN", "AGE", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);

	for (; *flows; flows++)
		add_row(table, *flows);
	return table_print(table);
}

static int print_flows(const struct json *flows, bool json)
{
	autofree const struct json **sorted = sort(flows);

	if (!sorted) {
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	return json ? print_json(sorted) : print_table(sorted);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	static const struct list_verb list = {
		.verb = &verb_flows,
		.open = supervisor_open,
		.method = "Flows",
		.key = "flows",
		.print = print_flows,
	};

	return list_verb_run(&list, ctl, argc, argv);
}

const struct ctl_verb verb_flows = {
	.name = "flows",
	.operands = "[POD[/CHILD]]",
	.operands_max = 1,
	.summary = "Show the connections that leave and reach pods",
	.details =
		"Without POD: of every pod that runs. With POD: those of the containers in it, "
		"too.\n"
		"VIA is how a connection is carried: splice, libslirp or udp. The oldest come "
		"first.",
	.example = "podctl flows net0",
	.run = run,
};
