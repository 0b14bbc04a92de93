/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl ps: every pod, and below each what is in it. Reads records and /proc and nothing else, so
 * that it answers whatever state the supervisors are in.
 */

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hierarchy.h"
#include "text.h"

#include "entry.h"
#include "filters.h"
#include "lifecycle.h"
#include "options.h"
#include "table.h"
#include "verbs.h"

/* Of the column of addresses, unless --no-trunc is given. */
#define ADDRESSES_WIDTH 40

struct ps_options {
	bool all;
	bool quiet;
	bool no_trunc;
	bool tree;
	const char *format;
	char **filters;
};

struct listing {
	struct entry *entries;
	size_t n;
	size_t size;
};

static void listing_done(struct listing *listing)
{
	for (size_t i = 0; i < listing->n; i++)
		entry_done(&listing->entries[i]);
	free(listing->entries);
}

/* Takes the entry over. */
static int listing_add(struct listing *listing, struct entry *entry)
{
	if (listing->n == listing->size) {
		size_t size = listing->size ? listing->size * 2 : 16;
		struct entry *entries = reallocarray(listing->entries, size, sizeof(*entries));

		if (!entries) {
			entry_done(entry);
			return -ENOMEM;
		}
		listing->entries = entries;
		listing->size = size;
	}
	listing->entries[listing->n++] = *entry;
	return 0;
}

/* ---- filters ---- */

static const char *const filter_keys[] = {
	"name", "status", "kind", "label", "id", "pod", "exited", "health"};

#define FILTER_KEYS_N (sizeof(filter_keys) / sizeof(filter_keys[0]))

/* What a filter looks at. @labels are those of the pod, which a container has beside its own. */
struct listed {
	const struct entry *entry;
	const struct json *labels;
};

static bool label_matches(const struct json *labels, const char *value)
{
	const char *separator = strchr(value, '=');
	size_t length = separator ? (size_t)(separator - value) : strlen(value);

	for (size_t i = 0; i < json_length(labels); i++) {
		const char *key = json_key_at(labels, i);

		if (strlen(key) == length && strncmp(key, value, length) == 0)
			return !separator ||
			       text_equal(json_string(json_at(labels, i)), separator + 1);
	}
	return false;
}

/* The OCI id of what has that path; podman takes the beginning of one. */
static bool id_matches(const struct entry *entry, const char *value)
{
	char id[NAME_PATH_SIZE];

	name_path_to_id(entry->path, id);
	return text_starts_with(id, value);
}

/* The pod itself, and the containers in it. */
static bool pod_matches(const struct entry *entry, const char *value)
{
	char parent[NAME_PATH_SIZE];
	char leaf[NAME_COMPONENT_MAX + 1];

	if (entry->is_pod)
		return strcmp(entry->path, value) == 0;
	name_split(entry->path, parent, leaf);
	return strcmp(parent, value) == 0;
}

static bool exit_matches(const struct entry *entry, const char *value)
{
	uint32_t code;

	return entry->is_made && entry->exit_code >= 0 &&
	       text_to_uint32(value, 0, UINT8_MAX, &code) == 0 &&
	       code == (uint32_t)entry->exit_code;
}

static bool value_matches(const void *thing, const char *key, const char *value)
{
	const struct listed *listed = thing;
	const struct entry *entry = listed->entry;

	if (strcmp(key, "name") == 0)
		return strstr(entry->path, value) != NULL;
	if (strcmp(key, "id") == 0)
		return id_matches(entry, value);
	if (strcmp(key, "pod") == 0)
		return pod_matches(entry, value);
	if (strcmp(key, "exited") == 0)
		return exit_matches(entry, value);
	if (strcmp(key, "health") == 0)
		return entry->is_made && strcmp(entry->health, value) == 0;
	if (strcmp(key, "status") == 0)
		return strcmp(entry->status, value) == 0;
	if (strcmp(key, "kind") == 0)
		return strcmp(entry->is_pod ? "pod" : "container", value) == 0;
	return label_matches(listed->labels, value) || label_matches(entry->labels, value);
}

/* As podman: who asks for what does not run need not say --all. */
static bool wants_all(char *const *filters)
{
	for (size_t i = 0; filters && filters[i]; i++)
		if (filters_value(filters[i], "status") || filters_value(filters[i], "exited"))
			return true;
	return false;
}

static bool is_listed(const struct entry *entry, const struct json *labels,
	const struct ps_options *options)
{
	const struct listed listed = {.entry = entry, .labels = labels};

	if (!options->all && entry->is_made && !entry->is_running &&
		strcmp(entry->status, "invalid") != 0)
		return false;
	return filters_accept(options->filters, filter_keys, FILTER_KEYS_N, value_matches, &listed);
}

/* ---- collecting ---- */

static int add_containers(struct listing *listing, int podfd, const struct entry *pod,
	const struct ps_options *options, struct err *err)
{
	/* The listing may move while it grows; the pod's own entry is a copy of the caller's. */
	autostrv names = NULL;
	int r;

	r = hierarchy_children(podfd, HIERARCHY_CONTAINERS, &names, err);
	for (size_t i = 0; r == 0 && names[i]; i++) {
		struct entry entry;

		r = entry_container(podfd, pod->path, names[i], &entry, err);
		/* One that is detached while we look is not there. */
		if (r == -ENOENT) {
			r = 0;
			continue;
		}
		if (r < 0)
			return r;
		if (!is_listed(&entry, pod->labels, options))
			entry_done(&entry);
		else
			r = listing_add(listing, &entry);
	}
	return r;
}

/* A pod that is there, but whose containers cannot be listed, hides no other. */
static int mark_invalid(struct entry *pod, const struct err *why)
{
	char path[NAME_PATH_SIZE];

	text_copy(path, sizeof(path), pod->path);
	entry_done(pod);
	*pod = (struct entry){};
	return entry_pod_unreadable(path, why, pod);
}

static int add_pod(const struct ctl *ctl, const char *path, struct listing *listing,
	const struct ps_options *options, struct err *err)
{
	cleanup(entry_done) struct entry pod = {};
	struct listing containers = {};
	struct err why = {};
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, &why);
	if (r == -ENOENT)
		return 0;
	r = r < 0 ? entry_pod_unreadable(path, &why, &pod) : entry_pod(podfd, path, &pod);
	if (r == 0 && podfd >= 0)
		r = add_containers(&containers, podfd, &pod, options, &why);
	if (r < 0 && r != -ENOMEM)
		r = mark_invalid(&pod, &why);
	if (r == 0 && is_listed(&pod, pod.labels, options)) {
		r = listing_add(listing, &pod);
		pod = (struct entry){};
	}
	for (size_t i = 0; r == 0 && i < containers.n; i++) {
		r = listing_add(listing, &containers.entries[i]);
		containers.entries[i] = (struct entry){};
	}
	listing_done(&containers);
	return r;
}

/* ---- printing ---- */

/* "5 minutes ago", as podman says it. */
static const char *age(const char *created, char *text, size_t size)
{
	static const struct {
		time_t seconds;
		const char *name;
	} units[] = {{604800, "week"}, {86400, "day"}, {3600, "hour"}, {60, "minute"},
		{1, "second"}};
	struct tm tm = {};
	time_t passed;

	if (!strptime(created, "%Y-%m-%dT%H:%M:%S", &tm))
		return "-";
	passed = time(NULL) - timegm(&tm);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		long n = (long)(passed / units[i].seconds);

		if (n < 1)
			continue;
		snprintf(text, size, "%ld %s%s ago", n, units[i].name, n == 1 ? "" : "s");
		return text;
	}
	return "now";
}

static const char *join(char *const *strv, char *text, size_t size)
{
	size_t used = 0;

	text_copy(text, size, "-");
	for (size_t i = 0; strv && strv[i] && used < size; i++)
		used += (size_t)snprintf(
			text + used, size - used, "%s%s", used ? "," : "", strv[i]);
	return text;
}

static void add_row(struct table *table, const struct entry *entry, const char *lead,
	const struct ps_options *options)
{
	char created[64], addresses[TABLE_CELL_MAX], networks[TABLE_CELL_MAX], pid[16] = "-";
	char state[ENTRY_STATUS_SIZE];
	const char *slash = strrchr(entry->path, '/');
	const char *cells[] = {options->tree && slash ? slash + 1 : entry->path,
		entry->is_pod ? "pod" : "container", entry_status(entry, state),
		age(entry->created, created, sizeof(created)),
		join(entry->addresses, addresses,
			options->no_trunc ? sizeof(addresses) : ADDRESSES_WIDTH),
		join(entry->networks, networks, sizeof(networks)), pid, NULL};

	if (entry->pid)
		snprintf(pid, sizeof(pid), "%d", (int)entry->pid);
	table_add(table, lead, cells);
}

/* The lines that lead to entry @index. @more[d] says whether another entry of depth d follows
 * below the same parent; it is kept from row to row. */
static void draw_lead(const struct listing *listing, size_t index, bool *more, char *lead,
	size_t size)
{
	static const char *const ascii[] = {"`-- ", "|-- ", "    ", "|   "};
	static const char *const lines[] = {"└── ", "├── ", "    ", "│   "};
	const char *const *parts = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? lines : ascii;
	size_t depth = name_depth(listing->entries[index].path);
	size_t used = 0;

	more[depth] = false;
	for (size_t i = index + 1; i < listing->n; i++) {
		size_t other = name_depth(listing->entries[i].path);

		more[depth] |= other == depth;
		if (other <= depth)
			break;
	}
	lead[0] = '\0';
	for (size_t i = 2; i <= depth && used < size; i++)
		used += (size_t)snprintf(lead + used, size - used, "%s",
			parts[(i < depth ? 2 : 0) + (more[i] ? 1 : 0)]);
}

static int print_table(const struct listing *listing, const struct ps_options *options)
{
	static const char *const header[] = {
		"PATH", "KIND", "STATUS", "CREATED", "ADDRESSES", "NETWORKS", "PID", NULL};
	cleanup(cleanup_table) struct table *table = table_new(header);
	char lead[NAME_COMPONENTS_MAX * 16] = "";
	bool more[NAME_COMPONENTS_MAX + 1] = {};

	setlocale(LC_CTYPE, "");
	for (size_t i = 0; i < listing->n; i++) {
		if (options->tree)
			draw_lead(listing, i, more, lead, sizeof(lead));
		add_row(table, &listing->entries[i], lead, options);
	}
	return table_print(table);
}

static int print_listing(const struct listing *listing, const struct ps_options *options, bool json)
{
	struct json *array;

	if (options->quiet) {
		for (size_t i = 0; i < listing->n; i++)
			printf("%s\n", listing->entries[i].path);
		return CTL_OK;
	}
	for (size_t i = 0; i < listing->n && !json; i++)
		if (strcmp(listing->entries[i].status, "invalid") == 0)
			ctl_warning("%s: %s", listing->entries[i].path,
				listing->entries[i].problem);
	if (!json)
		return print_table(listing, options);
	array = json_new_array();
	for (size_t i = 0; i < listing->n; i++)
		json_append(array, entry_to_json(&listing->entries[i]));
	return ctl_print_json(array);
}

static int list(const struct ctl *ctl, const struct ps_options *options, bool json)
{
	cleanup(listing_done) struct listing listing = {};
	autostrv paths = NULL;
	struct err err = {};
	int r;

	r = lifecycle_all(ctl, false, &paths, &err);
	for (size_t i = 0; r == 0 && paths[i]; i++)
		r = add_pod(ctl, paths[i], &listing, options, &err);
	return r < 0 ? ctl_fail(r, &err) : print_listing(&listing, options, json);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct ps_options values = {};
	const struct option options[] = {
		{.name = "all", .letter = 'a', .flag = &values.all,
			.help = "also containers that do not run"},
		{.name = "quiet", .letter = 'q', .flag = &values.quiet, .help = "paths only"},
		{.name = "filter", .letter = 'f', .argument = "KEY=VALUE", .list = &values.filters,
			.help = "name=PART, id=, pod=, status=, exited=CODE, health=, kind=, label="},
		{.name = "tree", .flag = &values.tree, .help = "draw what is in what"},
		{.name = "no-trunc", .flag = &values.no_trunc, .help = "do not cut addresses"},
		OPTION_FORMAT(&values.format), {}};
	bool json;
	size_t n;
	int status = options_parse(&verb_ps, options, argc, argv, &n);

	if (status < 0)
		status = filters_check(&verb_ps, values.filters, filter_keys, FILTER_KEYS_N,
			"name=, id=, pod=, status=, exited=, health=, kind= or label=...");
	if (status < 0 && ctl_format_is_json(values.format, &json) < 0)
		status = ctl_usage_error(&verb_ps, "--format must be json or table");
	values.all |= wants_all(values.filters);
	if (status < 0)
		status = list(ctl, &values, json);
	strv_free(values.filters);
	return status;
}

const struct ctl_verb verb_ps = {
	.name = "ps",
	.operands = "",
	.summary = "List pods and the containers in them",
	.details = "Pods, and the containers in them that run; with --all every container. Several --filter\n"
		   "of one key are alternatives; different keys must all match. A container has the\n"
		   "labels of its pod beside its own.",
	.example = "podctl ps --filter status=running --format json",
	.run = run,
};
