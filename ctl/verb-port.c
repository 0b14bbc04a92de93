/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl port: publishes ports of pods and containers that run, takes them back, lists them. */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pod-network.h"
#include "publish.h"
#include "quantity.h"
#include "text.h"

#include "list-verb.h"
#include "options.h"
#include "subverbs.h"
#include "supervisor.h"
#include "table.h"
#include "verbs.h"

#define NS_PER_MS 1000000
#define HOST_SIZE (INET6_ADDRSTRLEN + 16)

static const struct ctl_verb verb_port_add, verb_port_rm, verb_port_list;

/* ---- printing ---- */

static struct json *port_json(const struct json *port)
{
	struct json *object = json_new_object();

	json_set_string(object, "path", supervisor_text(port, SUPERVISOR_TARGET));
	json_set_string(object, "spec", supervisor_text(port, "spec"));
	json_set_string(object, "protocol", supervisor_text(port, "protocol"));
	json_set_string(object, "hostIp", supervisor_text(port, "host_ip"));
	json_set_int(object, "hostPort", supervisor_number(port, "host_port"));
	json_set_int(object, "containerPort", supervisor_number(port, "container_port"));
	json_set_string(object, "state", supervisor_text(port, "state"));
	json_set_bool(object, "sourceKept", json_is_true(json_get(port, "source_kept")));
	json_set_string(object, "origin", supervisor_text(port, "origin"));
	return object;
}

/* "*:8080", "127.0.0.1:8080", "[::1]:8080". */
static void format_host(const struct json *port, char *text, size_t size)
{
	const char *ip = supervisor_text(port, "host_ip");
	bool brackets = strchr(ip, ':');

	snprintf(text, size, "%s%s%s:%" PRId64, brackets ? "[" : "", *ip ? ip : "*",
		brackets ? "]" : "", supervisor_number(port, "host_port"));
}

static void add_row(struct table *table, const struct json *port)
{
	char host[HOST_SIZE], container[64];
	const char *cells[] = {supervisor_text(port, SUPERVISOR_TARGET), host, container,
		supervisor_text(port, "state"),
		json_is_true(json_get(port, "source_kept")) ? "kept" : "replaced",
		supervisor_text(port, "origin"), NULL};

	format_host(port, host, sizeof(host));
	snprintf(container, sizeof(container), "%" PRId64 "/%s",
		supervisor_number(port, "container_port"), supervisor_text(port, "protocol"));
	table_add(table, "", cells);
}

static int print_table(const struct json *ports)
{
	static const char *const header[] = {
		"PATH", "HOST", "CONTAINER", "STATE", "SOURCE", "ORIGIN", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);

	for (size_t i = 0; i < json_length(ports); i++)
		add_row(table, json_at(ports, i));
	return table_print(table);
}

static int print_ports(const struct json *ports, bool json)
{
	struct json *array;

	if (!json)
		return print_table(ports);
	array = json_new_array();
	for (size_t i = 0; i < json_length(ports); i++)
		json_append(array, port_json(json_at(ports, i)));
	return ctl_print_json(array);
}

/* ---- add and rm ---- */

/* Calls and prints the ports that the answer has. */
static int change(
	const struct supervisor *supervisor, const char *method, struct json *parameters, bool json)
{
	autoptr(json) ports = NULL;
	int status = supervisor_change(supervisor, method, parameters, "ports", &ports);

	return status >= 0 ? status : print_ports(ports, json);
}

static int check_specs(const struct ctl_verb *verb, char *const *specs)
{
	if (strv_length(specs) > POD_NETWORK_PORTS_MAX)
		return ctl_usage_error(verb, "more than %d ports at once", POD_NETWORK_PORTS_MAX);
	for (size_t i = 0; specs[i]; i++) {
		struct publish publish;
		struct err err = {};

		if (publish_parse(specs[i], &publish, &err) < 0)
			return ctl_usage_error(verb, "%s", err.msg);
	}
	return -1;
}

static int read_wait(const char *text, int64_t *ret_ms)
{
	int64_t ns;

	if (text && (quantity_parse_duration(text, &ns) < 0 || ns < NS_PER_MS ||
			    ns / NS_PER_MS > POD_NETWORK_WAIT_MS_MAX))
		return ctl_usage_error(&verb_port_add,
			"--wait must be a time from 1ms to 24h such as 10s, not \"%s\"", text);
	*ret_ms = text ? ns / NS_PER_MS : 0;
	return -1;
}

static int run_add(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	const char *format = NULL, *wait = NULL;
	const struct option options[] = {
		{.name = "wait",
			.argument = "TIME",
			.text = &wait,
			.help = "hold connections that long until the server listens"},
		OPTION_FORMAT(&format), {}};
	struct json *parameters;
	struct err err = {};
	int64_t wait_ms = 0;
	bool json;
	size_t n;
	int status = options_parse(&verb_port_add, options, argc, argv, &n);
	int r;

	if (status < 0 && ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_port_add, "--format must be json or table");
	if (status < 0)
		status = read_wait(wait, &wait_ms);
	if (status < 0)
		status = check_specs(&verb_port_add, argv + 1);
	if (status >= 0)
		return status;
	r = supervisor_open(ctl, argv[0], &supervisor, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	parameters = supervisor_parameters(&supervisor);
	json_set_strv(parameters, "specs", argv + 1);
	if (wait_ms)
		json_set_int(parameters, "wait_ms", wait_ms);
	return change(&supervisor, "PortAdd", parameters, json);
}

/* Prints what is left. */
static int run_rm(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) ports = json_new_array();
	const char *format = NULL;
	bool all = false;
	const struct option options[] = {
		{.name = "all", .letter = 'a', .flag = &all, .help = "every one of POD or CHILD"},
		OPTION_FORMAT(&format), {}};
	struct json *parameters;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_port_rm, options, argc, argv, &n);
	int r;

	if (status < 0 && ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_port_rm, "--format must be json or table");
	if (status < 0 && all == (n > 1))
		return ctl_usage_error(&verb_port_rm,
			all ? "--all goes without SPEC" : "SPEC is missing, or --all");
	if (status < 0)
		status = check_specs(&verb_port_rm, argv + 1);
	if (status >= 0)
		return status;
	r = supervisor_open(ctl, argv[0], &supervisor, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	parameters = supervisor_parameters(&supervisor);
	json_set_strv(parameters, "specs", argv + 1);
	if (all)
		json_set_bool(parameters, "all", true);
	r = supervisor_call(&supervisor, "PortRemove", parameters, NULL, &err);
	if (r == 0)
		r = supervisor_list(&supervisor, "Ports", "ports", ports, &err);
	return r < 0 ? ctl_fail(r, &err) : print_ports(ports, json);
}

/* ---- list ---- */

static int run_list(const struct ctl *ctl, int argc, char **argv)
{
	static const struct list_verb list = {
		.verb = &verb_port_list,
		.open = supervisor_open,
		.method = "Ports",
		.key = "ports",
		.print = print_ports,
	};

	return list_verb_run(&list, ctl, argc, argv);
}

static const struct ctl_verb verb_port_add = {
	.name = "port add",
	.operands = "POD[/CHILD] SPEC...",
	.operands_min = 2,
	.operands_max = SIZE_MAX,
	.summary = "Publish ports of a pod or container that runs",
	.details =
		"SPEC is [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp]; without HOSTPORT any "
		"free\n"
		"port of the host is taken. All are published, or none. Without CHILD it is the\n"
		"pod's own network that PORT belongs to.",
	.example = "podctl port add net0/web 8080:80",
	.run = run_add,
};

static const struct ctl_verb verb_port_rm = {
	.name = "port rm",
	.operands = "POD[/CHILD] [SPEC...]",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Publish ports no longer",
	.details =
		"SPEC is what the port was published with, see podctl port list --format json.\n"
		"Connections that there are go on. The ports that are left are printed.",
	.example = "podctl port rm net0/web 8080:80",
	.run = run_rm,
};

static const struct ctl_verb verb_port_list = {
	.name = "port list",
	.operands = "[POD[/CHILD]]",
	.operands_max = 1,
	.summary = "List published ports",
	.details =
		"Without POD: of every pod that runs. With POD: those of the containers in it, "
		"too.",
	.example = "podctl port list net0",
	.run = run_list,
};

static int run(const struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_verb *const verbs[] = {
		&verb_port_add, &verb_port_rm, &verb_port_list, NULL};

	return subverbs_run(ctl, &verb_port, verbs, &verb_port_list, argc, argv);
}

const struct ctl_verb verb_port = {
	.name = "port",
	.operands = "add POD[/CHILD] SPEC... | rm POD[/CHILD] SPEC... | [list] [POD[/CHILD]]",
	.summary = "Publish ports of pods and containers that run, and list them",
	.details = "'podctl port add --help' and so on tell about each.",
	.example = "podctl port add net0/web 8080:80",
	.run = run,
};
