/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl events: what has happened and what happens, of some pods or of all, printed. Where it
 * comes from is in event-sources.c.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "name.h"
#include "quantity.h"
#include "text.h"

#include "event-sources.h"
#include "filters.h"
#include "options.h"
#include "verbs.h"

#define DETAIL_SIZE 1024

struct events {
	char **filters;
	bool json;
	bool stream;
	bool has_since, has_until;
	struct timespec since, until;
	struct event_sources *sources;
};

static void events_done(struct events *events)
{
	event_sources_free(events->sources);
	strv_free(events->filters);
}

/* ---- filters ---- */

static const char *const filter_keys[] = {"event", "type", "pod", "container"};

#define FILTER_KEYS_N (sizeof(filter_keys) / sizeof(filter_keys[0]))

/* A container is named by its name, or its path. */
static bool matches(const void *thing, const char *key, const char *value)
{
	const struct json *event = thing;
	const char *pod = json_string(json_get(event, "pod"));
	const char *child = json_string(json_get(event, "child"));
	autofree char *path = NULL;

	if (strcmp(key, "event") == 0)
		return text_equal(json_string(json_get(event, "type")), value);
	if (strcmp(key, "type") == 0)
		return strcmp(value, child ? "container" : "pod") == 0;
	if (strcmp(key, "pod") == 0)
		return text_equal(pod, value);
	path = child && pod ? text_format("%s/%s", pod, child) : NULL;
	return child && (strcmp(child, value) == 0 || text_equal(path, value));
}

/* ---- printing ---- */

static const char *shown(const struct json *value, char *text, size_t size)
{
	autofree char *written = NULL;
	size_t length;

	if (json_string(value))
		return text_sanitize(text, size, json_string(value));
	if (json_write(value, false, &written, &length) < 0)
		return "?";
	return text_sanitize(text, size, written);
}

static void print_plain(const struct json *event)
{
	const struct json *attributes = json_get(event, "attributes");
	const struct json *child = json_get(event, "child");
	char time[64], type[64], pod[NAME_PATH_SIZE], name[NAME_PATH_SIZE], detail[DETAIL_SIZE];

	printf("%s %s %s %s%s%s", shown(json_get(event, "time"), time, sizeof(time)),
		json_string(child) ? "container" : "pod",
		shown(json_get(event, "type"), type, sizeof(type)),
		shown(json_get(event, "pod"), pod, sizeof(pod)), json_string(child) ? "/" : "",
		json_string(child) ? shown(child, name, sizeof(name)) : "");
	for (size_t i = 0; i < json_length(attributes); i++)
		printf(" %s=%s", text_sanitize(name, sizeof(name), json_key_at(attributes, i)),
			shown(json_at(attributes, i), detail, sizeof(detail)));
	putchar('\n');
}

/* The time of an event in nanoseconds, as far as it can be read. */
static bool time_of(const struct json *event, struct timespec *ret)
{
	static const struct timespec never;
	const char *text = json_string(json_get(event, "time"));

	return text && quantity_parse_time(text, &never, ret) == 0;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool is_in_time(const struct events *events, const struct json *event)
{
	struct timespec time;

	if (!time_of(event, &time))
		return true;
	return !(events->has_since && is_before(&time, &events->since)) &&
	       !(events->has_until && is_before(&events->until, &time));
}

static void print_event(void *userdata, const struct json *event)
{
	const struct events *events = userdata;
	autofree char *text = NULL;
	size_t length;

	if (!is_in_time(events, event) ||
		!filters_accept(events->filters, filter_keys, FILTER_KEYS_N, matches, event))
		return;
	if (!events->json)
		print_plain(event);
	else if (json_write(event, false, &text, &length) == 0)
		printf("%s\n", text);
	fflush(stdout);
}

/* ---- the verb ---- */

/* Milliseconds until the end; -1: there is none. */
static int time_left(const struct events *events)
{
	struct timespec now;
	int64_t left;

	if (!events->has_until)
		return -1;
	clock_gettime(CLOCK_REALTIME, &now);
	left = (events->until.tv_sec - now.tv_sec) * INT64_C(1000) +
	       (events->until.tv_nsec - now.tv_nsec) / 1000000;
	return left <= 0 ? 0 : left < INT32_MAX ? (int)left + 1 : INT32_MAX;
}

static int follow(struct events *events, const struct ctl *ctl, char **pods)
{
	bool replay = events->has_since || !events->stream;
	struct err err = {};
	int r;

	r = event_sources_new(ctl, pods, print_event, events, &events->sources, &err);
	if (r == 0)
		r = event_sources_begin(events->sources, replay, &err);
	if (r == 0)
		r = events->stream;
	while (r > 0 && !ferror(stdout))
		r = event_sources_step(events->sources, time_left(events), &err);
	return r < 0 ? ctl_fail(r, &err) : CTL_OK;
}

static int read_time(const char *option, const char *text, bool *ret_has, struct timespec *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*ret_has = text != NULL;
	if (text && quantity_parse_time(text, &now, ret) < 0)
		return ctl_usage_error(&verb_events,
			"--%s must be a time such as 2024-01-31T12:00:00Z or 10m, not \"%s\"",
			option, text);
	return -1;
}

/* Return: -1, or the exit status. */
static int read_options(struct events *events, const char *format, const char *since,
	const char *until)
{
	int status;

	events->json = text_equal(format, "json");
	if (format && !events->json && strcmp(format, "plain") != 0)
		return ctl_usage_error(&verb_events, "--format must be json or plain");
	status = read_time("since", since, &events->has_since, &events->since);
	if (status < 0)
		status = read_time("until", until, &events->has_until, &events->until);
	if (status >= 0)
		return status;
	return filters_check(&verb_events, events->filters, filter_keys, FILTER_KEYS_N,
		"event=, type=, pod= or container=...");
}

/* As in podctl-events(1). */
static const char *const event_names[] = {"create", "start", "stop", "remove", "died", "restart",
	"oom", "health_status", "exec_died", "attached", "exited", "detached", "detach-failed",
	"started", "adopted", "stopping", "stopped", "failed", "uplink-restarted", "upgrading"};

static bool is_event(const char *name)
{
	for (size_t i = 0; i < sizeof(event_names) / sizeof(event_names[0]); i++)
		if (strcmp(event_names[i], name) == 0)
			return true;
	return false;
}

/* One that never matches is a mistake. Return: -1, or the exit status. */
static int check_values(char *const *filters)
{
	for (size_t i = 0; filters && filters[i]; i++) {
		const char *event = filters_value(filters[i], "event");
		const char *type = filters_value(filters[i], "type");

		if (event && !is_event(event))
			return ctl_usage_error(&verb_events,
				"--filter: there is no event \"%s\" (see podctl-events(1))", event);
		if (type && strcmp(type, "pod") != 0 && strcmp(type, "container") != 0)
			return ctl_usage_error(&verb_events,
				"--filter: type= must be pod or container, not \"%s\"", type);
	}
	return -1;
}

static int check_pods(const struct ctl *ctl, char *const *pods)
{
	for (size_t i = 0; pods[i]; i++) {
		autoclose int podfd = -1;
		struct err err = {};
		int r = ctl_open_pod(ctl, pods[i], &podfd, &err);

		if (r < 0)
			return ctl_fail(r, &err);
	}
	return -1;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(events_done) struct events events = {.stream = true};
	const char *format = NULL, *since = NULL, *until = NULL;
	const struct option options[] = {
		{.name = "filter", .letter = 'f', .argument = "KEY=VALUE", .list = &events.filters,
			.help = "event=, type=pod|container, pod=, container="},
		{.name = "format", .argument = "json|plain", .text = &format,
			.help = "form of the output; json: an object on each line"},
		{.name = "since", .argument = "TIME", .text = &since,
			.help = "first what has happened from then on"},
		{.name = "until", .argument = "TIME", .text = &until, .help = "ends then"},
		{.name = "stream", .flag = &events.stream,
			.help = "follow; =false: only what has happened (default: true)"},
		{}};
	size_t n;
	int status = options_parse(&verb_events, options, argc, argv, &n);

	if (status < 0)
		status = read_options(&events, format, since, until);
	if (status < 0)
		status = check_values(events.filters);
	if (status < 0)
		status = check_pods(ctl, argv);
	return status >= 0 ? status : follow(&events, ctl, n > 0 ? argv : NULL);
}

const struct ctl_verb verb_events = {
	.name = "events",
	.operands = "[POD...]",
	.operands_max = SIZE_MAX,
	.summary = "Follow what happens to pods and containers",
	.details = "Without POD: of all pods, those that are made later included; with it, of those and\n"
		   "the pods in them. Several --filter of one key are alternatives; different keys must\n"
		   "all match. What has happened comes from each pod's log, and from its records where\n"
		   "it had no supervisor.",
	.example = "podctl events --since 10m --filter type=container --format json",
	.run = run,
};
