/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl egress: the rules for where pods and containers that run may send to. */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress.h"
#include "text.h"

#include "list-verb.h"
#include "options.h"
#include "rules.h"
#include "subverbs.h"
#include "supervisor.h"
#include "table.h"
#include "verbs.h"

static const struct ctl_verb verb_egress_add, verb_egress_rm, verb_egress_list;

/* ---- printing ---- */

static void add_row(struct table *table, const struct json *rule)
{
	char position[32];
	const char *cells[] = {supervisor_text(rule, SUPERVISOR_TARGET), position,
		supervisor_text(rule, "rule"), NULL};

	snprintf(position, sizeof(position), "%" PRId64, supervisor_number(rule, "position"));
	table_add(table, "", cells);
}

static int print_table(const struct json *rules)
{
	static const char *const header[] = {"PATH", "POSITION", "RULE", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);

	for (size_t i = 0; i < json_length(rules); i++)
		add_row(table, json_at(rules, i));
	return table_print(table);
}

static int print_rules(const struct json *rules, bool json)
{
	struct json *array;

	if (!json)
		return print_table(rules);
	array = json_new_array();
	for (size_t i = 0; i < json_length(rules); i++) {
		struct json *object = json_new_object();

		json_set_string(
			object, "path", supervisor_text(json_at(rules, i), SUPERVISOR_TARGET));
		json_set_int(object, "position", supervisor_number(json_at(rules, i), "position"));
		json_set_string(object, "rule", supervisor_text(json_at(rules, i), "rule"));
		json_append(array, object);
	}
	return ctl_print_json(array);
}

/* Calls and prints the rules that the answer has. */
static int change(
	const struct supervisor *supervisor, const char *method, struct json *parameters, bool json)
{
	autoptr(json) rules = NULL;
	int status = supervisor_change(supervisor, method, parameters, "rules", &rules);

	return status >= 0 ? status : print_rules(rules, json);
}

/* ---- add ---- */

static int check_rules(char *const *rules)
{
	struct egress_rule expanded[EGRESS_RULES_MAX];
	size_t n = 0;

	for (size_t i = 0; rules[i]; i++) {
		struct err err = {};

		if (egress_parse(rules[i], expanded, EGRESS_RULES_MAX, &n, &err) < 0)
			return ctl_usage_error(&verb_egress_add, "%s", err.msg);
	}
	return -1;
}

static int add(
	const struct ctl *ctl, const char *path, char *const *rules, uint32_t position, bool json)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	struct json *parameters;
	struct err err = {};
	int r;

	r = supervisor_open_ruling(ctl, path, &supervisor, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	parameters = supervisor_parameters(&supervisor);
	json_set_strv(parameters, "rules", rules);
	if (position)
		json_set_int(parameters, "position", position);
	return change(&supervisor, "EgressAdd", parameters, json);
}

static int run_add(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	uint32_t position = 0;
	const struct option options[] = {
		{.name = "at",
			.argument = "N",
			.number = &position,
			.min = 1,
			.max = EGRESS_RULES_MAX,
			.help = "before the rule at this position (default: at the end)"},
		OPTION_FORMAT(&format), {}};
	autostrv rules = NULL;
	bool json;
	size_t n;
	int status = options_parse(&verb_egress_add, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_egress_add, "--format must be json or table");
	if (rules_join(argv + 1, &rules) < 0) {
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	status = check_rules(rules);
	return status >= 0 ? status : add(ctl, argv[0], rules, position, json);
}

/* ---- rm ---- */

/* Adds the numbers. Return: -1, or the exit status. */
static int read_positions(char *const *texts, struct json *positions)
{
	for (size_t i = 0; texts[i]; i++) {
		uint32_t position;

		if (text_to_uint32(texts[i], 1, EGRESS_RULES_MAX, &position) < 0)
			return ctl_usage_error(&verb_egress_rm,
				"POSITION must be a number from 1 to %d, not \"%s\"",
				EGRESS_RULES_MAX, texts[i]);
		json_append(positions, json_new_int(position));
	}
	return -1;
}

static int run_rm(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) positions = json_new_array();
	const char *format = NULL;
	bool all = false;
	const struct option options[] = {
		{.name = "all", .letter = 'a', .flag = &all, .help = "every one of POD or CHILD"},
		OPTION_FORMAT(&format), {}};
	struct json *parameters;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_egress_rm, options, argc, argv, &n);
	int r;

	if (status < 0 && ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_egress_rm, "--format must be json or table");
	if (status < 0 && all == (n > 1))
		return ctl_usage_error(&verb_egress_rm,
			all ? "--all goes without POSITION" : "POSITION is missing, or --all");
	if (status < 0)
		status = read_positions(argv + 1, positions);
	if (status >= 0)
		return status;
	r = supervisor_open_ruling(ctl, argv[0], &supervisor, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	parameters = supervisor_parameters(&supervisor);
	if (all)
		json_set_bool(parameters, "all", true);
	else
		json_set(parameters, "positions", take_ptr(positions));
	return change(&supervisor, "EgressRemove", parameters, json);
}

/* ---- list ---- */

static int run_list(const struct ctl *ctl, int argc, char **argv)
{
	static const struct list_verb list = {
		.verb = &verb_egress_list,
		.open = supervisor_open_ruling,
		.method = "Egress",
		.key = "rules",
		.print = print_rules,
	};

	return list_verb_run(&list, ctl, argc, argv);
}

static const struct ctl_verb verb_egress_add = {
	.name = "egress add",
	.operands = "POD[/CHILD] RULE...",
	.operands_min = 2,
	.operands_max = SIZE_MAX,
	.summary = "Add rules for where a pod or container may send to",
	.details =
		"RULE is allow|deny [to DEST[,DEST...]] [proto tcp|udp|icmp|all] [port "
		"P[-P][,...]]\n"
		"[type T[/CODE]] [log], as one argument or several. DEST is an address, a "
		"network,\n"
		"a range A-B, dns, gateway or any. Or it is JSON, as Garden's net-out has it. The\n"
		"first rule that matches decides; where none does, it is allowed.",
	.example = "podctl egress add net0 deny to 10.0.0.0/8,fd00::/8 log",
	.run = run_add,
};

static const struct ctl_verb verb_egress_rm = {
	.name = "egress rm",
	.operands = "POD[/CHILD] [POSITION...]",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Remove rules for where a pod or container may send to",
	.details = "The positions are those of podctl egress list, before anything is removed.",
	.example = "podctl egress rm net0 1 3",
	.run = run_rm,
};

static const struct ctl_verb verb_egress_list = {
	.name = "egress list",
	.operands = "[POD[/CHILD]]",
	.operands_max = 1,
	.summary = "List the rules for where pods and containers may send to",
	.details =
		"Without POD: of every pod that runs. With POD: those of the containers in it, "
		"too.",
	.example = "podctl egress list net0",
	.run = run_list,
};

static int run(const struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_verb *const verbs[] = {
		&verb_egress_add, &verb_egress_rm, &verb_egress_list, NULL};

	return subverbs_run(ctl, &verb_egress, verbs, &verb_egress_list, argc, argv);
}

const struct ctl_verb verb_egress = {
	.name = "egress",
	.operands = "add POD[/CHILD] RULE... | rm POD[/CHILD] POSITION... | [list] [POD[/CHILD]]",
	.summary = "Say where pods and containers that run may send to",
	.details = "'podctl egress add --help' and so on tell about each.",
	.example = "podctl egress add net0 deny to 10.0.0.0/8",
	.run = run,
};
