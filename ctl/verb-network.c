/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl network: the CNI networks that the caller's directories define, and the built-in one. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni.h"
#include "record.h"
#include "text.h"

#include "options.h"
#include "subverbs.h"
#include "table.h"
#include "verbs.h"

static const struct ctl_verb verb_network_ls, verb_network_inspect;

/* As in a pod that is in no other. */
static const struct cni_builtin builtin = {.mtu = POD_MTU_DEFAULT, .ipv6 = true};

/* What cni_config_list() gives. */
struct networks {
	struct cni_config **configs;
	size_t n;
	char **problems;
};

static void networks_done(struct networks *networks)
{
	for (size_t i = 0; i < networks->n; i++)
		cni_config_free(networks->configs[i]);
	free(networks->configs);
	strv_free(networks->problems);
}

static char **plugin_types(const struct cni_config *config)
{
	char **types = calloc(1, sizeof(*types));

	for (size_t i = 0; types && i < cni_config_plugins(config); i++)
		if (strv_add(&types, cni_config_plugin_type(config, i)) < 0)
			break;
	return types;
}

static struct json *summary_json(const struct cni_config *config, char *const *types)
{
	struct json *object = json_new_object();

	json_set_string(object, "name", cni_config_name(config));
	json_set_string(object, "cniVersion", cni_config_version(config));
	json_set_strv(object, "plugins", types);
	json_set_string(object, "source", cni_config_source(config));
	return object;
}

static void add_row(struct table *table, const struct cni_config *config, char *const *types)
{
	char plugins[TABLE_CELL_MAX] = "";
	size_t used = 0;
	const char *cells[] = {cni_config_name(config), cni_config_version(config), plugins,
		cni_config_source(config), NULL};

	for (size_t i = 0; types[i] && used < sizeof(plugins); i++)
		used += (size_t)snprintf(plugins + used, sizeof(plugins) - used, "%s%s",
			i ? "," : "", types[i]);
	table_add(table, "", cells);
}

static int print_networks(const struct networks *networks, bool json)
{
	static const char *const header[] = {"NAME", "VERSION", "PLUGINS", "SOURCE", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);
	autoptr(json) array = json_new_array();

	for (size_t i = 0; i < networks->n; i++) {
		autostrv types = plugin_types(networks->configs[i]);

		if (!types) {
			ctl_error("out of memory");
			return CTL_FAILED;
		}
		if (json)
			json_append(array, summary_json(networks->configs[i], types));
		else
			add_row(table, networks->configs[i], types);
	}
	return json ? ctl_print_json(take_ptr(array)) : table_print(table);
}

static int run_ls(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(networks_done) struct networks networks = {};
	const char *format = NULL;
	const struct option options[] = {OPTION_FORMAT(&format), {}};
	autostrv dirs = NULL;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_network_ls, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_network_ls, "--format must be json or table");
	r = cni_default_config_dirs(&dirs);
	if (r == 0)
		r = cni_config_list(dirs, &builtin, &networks.configs, &networks.n,
			&networks.problems, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	for (size_t i = 0; networks.problems && networks.problems[i]; i++)
		ctl_warning("%s", networks.problems[i]);
	return print_networks(&networks, json);
}

static int inspect(char *const *dirs, const char *name, struct json *array, struct err *err)
{
	autoptr(cni_config) config = NULL;
	struct json *object;
	int r;

	r = cni_config_find(dirs, name, &builtin, &config, err);
	if (r < 0)
		return r;
	object = json_new_object();
	json_set_string(object, "name", cni_config_name(config));
	json_set_string(object, "source", cni_config_source(config));
	json_set(object, "config", json_copy(cni_config_document(config)));
	json_append(array, object);
	return 0;
}

static int run_inspect(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	const struct option options[] = {{.name = "format", .argument = "json", .text = &format,
						 .help = "form of the output; always JSON"},
		{}};
	autoptr(json) array = json_new_array();
	autostrv dirs = NULL;
	int failure = CTL_OK;
	bool json;
	size_t n;
	int status = options_parse(&verb_network_inspect, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (format && (ctl_format_is_json(format, &json) < 0 || !json))
		return ctl_usage_error(&verb_network_inspect, "--format must be json");
	if (cni_default_config_dirs(&dirs) < 0) {
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	for (size_t i = 0; i < n; i++) {
		struct err err = {};
		int r = inspect(dirs, argv[i], array, &err);

		if (r < 0)
			failure = ctl_fail(r, &err);
	}
	status = ctl_print_json(take_ptr(array));
	return status ? status : failure;
}

static const struct ctl_verb verb_network_ls = {
	.name = "network ls",
	.operands = "",
	.summary = "List the CNI networks",
	.example = "podctl network ls",
	.run = run_ls,
};

static const struct ctl_verb verb_network_inspect = {
	.name = "network inspect",
	.operands = "NETWORK...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Print the configurations of CNI networks",
	.example = "podctl network inspect podd",
	.run = run_inspect,
};

static int run(const struct ctl *ctl, int argc, char **argv)
{
	static const struct ctl_verb *const verbs[] = {
		&verb_network_ls, &verb_network_inspect, NULL};

	return subverbs_run(ctl, &verb_network, verbs, NULL, argc, argv);
}

const struct ctl_verb verb_network = {
	.name = "network",
	.operands = "ls | inspect NETWORK...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "List and print CNI networks",
	.details = "Networks are looked up in $XDG_CONFIG_HOME/cni/net.d (or ~/.config/cni/net.d)\n"
		   "and /etc/cni/net.d. The network \"podd\" is built in.",
	.example = "podctl network ls",
	.no_root = true,
	.run = run,
};
