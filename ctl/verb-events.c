/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl events: what the supervisors tell, of one pod or of all, as it happens. A pod that ends or
 * starts meanwhile is noticed by its directory: so it begins and goes on without any, too.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "hierarchy.h"
#include "quantity.h"
#include "text.h"
#include "varlink.h"

#include "filters.h"
#include "lifecycle.h"
#include "options.h"
#include "target.h"
#include "verbs.h"

#define CONTROL_SOCKET "control.sock"
/* An answer that has begun to come is there in whole soon. */
#define CONNECT_TIMEOUT_MS 2000
#define SOURCES_MAX 512
#define DETAIL_SIZE 1024

/* A supervisor that is listened to. */
struct source {
	char pod[NAME_PATH_SIZE];
	struct varlink_client *client;
};

struct events {
	const struct ctl *ctl;
	char **pods;    /* those that are wanted; NULL: all */
	char **filters;
	bool json;
	bool has_until;
	struct timespec until;
	int inotify;
	size_t n;
	struct source sources[SOURCES_MAX];
};

static void events_done(struct events *events)
{
	for (size_t i = 0; i < events->n; i++)
		varlink_client_free(events->sources[i].client);
	cleanup_close(&events->inotify);
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

static void print_event(const struct events *events, const struct json *event)
{
	autofree char *text = NULL;
	size_t length;

	/* What says that we listen is no event. */
	if (text_equal(json_string(json_get(event, "type")), "now") ||
		!filters_accept(events->filters, filter_keys, FILTER_KEYS_N, matches, event))
		return;
	if (!events->json)
		print_plain(event);
	else if (json_write(event, false, &text, &length) == 0)
		printf("%s\n", text);
	fflush(stdout);
}

/* ---- sources ---- */

static bool has_source(const struct events *events, const char *pod)
{
	for (size_t i = 0; i < events->n; i++)
		if (strcmp(events->sources[i].pod, pod) == 0)
			return true;
	return false;
}

static void watch_directory(const struct events *events, int dirfd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	inotify_add_watch(events->inotify, path,
		IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR);
}

/* Where pods are made inside a pod. */
static void watch_pod(const struct events *events, int podfd)
{
	autoclose int children = openat(podfd, "children", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	watch_directory(events, podfd);
	if (children >= 0)
		watch_directory(events, children);
}

/* Listens to a pod's supervisor. One that is not there is heard of when its socket appears. */
static void add_source(struct events *events, const char *pod)
{
	struct source *source = &events->sources[events->n];
	autoptr(varlink_client) client = NULL;
	autoclose int podfd = -1;

	if (events->n == SOURCES_MAX || has_source(events, pod) ||
		ctl_open_pod(events->ctl, pod, &podfd, NULL) < 0)
		return;
	/* First, so that what happens after the attempt is noticed. */
	watch_pod(events, podfd);
	if (varlink_connect(podfd, CONTROL_SOCKET, CONNECT_TIMEOUT_MS, &client, NULL) < 0 ||
		varlink_client_more(client, VARLINK_INTERFACE ".Events", NULL, NULL) < 0)
		return;
	text_copy(source->pod, sizeof(source->pod), pod);
	source->client = take_ptr(client);
	events->n++;
}

static void drop_source(struct events *events, size_t index)
{
	varlink_client_free(events->sources[index].client);
	events->sources[index] = events->sources[--events->n];
}

/* Where pods are made. A directory is there before its pod is, and has to be watched by then. */
static void watch_root(const struct events *events)
{
	autoclose int rootfd = -1;
	autostrv names = NULL;

	if (hierarchy_open_root(events->ctl->root, true, &rootfd, NULL) < 0)
		return;
	watch_directory(events, rootfd);
	if (file_list(rootfd, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		autoclose int fd = openat(
			rootfd, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			watch_directory(events, fd);
	}
}

static int add_sources(struct events *events, struct err *err)
{
	autostrv all = NULL;
	int r = 0;

	if (!events->pods) {
		watch_root(events);
		r = lifecycle_all(events->ctl, false, &all, err);
	}
	for (char **pod = events->pods ? events->pods : all; r == 0 && pod && *pod; pod++)
		add_source(events, *pod);
	return r;
}

/* Prints what has come from one. Return: false when it has ended. */
static bool read_source(const struct events *events, struct source *source)
{
	while (varlink_client_is_ready(source->client)) {
		autoptr(json) event = NULL;
		int r = varlink_client_next(source->client, &event, NULL);

		if (r >= 0)
			print_event(events, event);
		if (r <= 0)
			return false;
	}
	return true;
}

/* ---- waiting ---- */

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

static void drain(int fd)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

/* Return: 1 to go on, 0 when the time is over or nobody reads, -errno. */
static int step(struct events *events, struct err *err)
{
	struct pollfd fds[SOURCES_MAX + 2];
	int timeout = time_left(events);
	size_t n = events->n;
	bool changed;
	int r;

	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){.fd = varlink_client_fd(events->sources[i].client),
			.events = POLLIN};
	fds[n] = (struct pollfd){.fd = events->inotify, .events = POLLIN};
	fds[n + 1] = (struct pollfd){.fd = STDOUT_FILENO, .events = 0};
	r = timeout == 0 ? 0 : poll(fds, n + 2, timeout);
	if (r < 0 && errno != EINTR)
		return err_errno(err, "waiting for events");
	if (r < 0)
		return 1;
	if (r == 0 || fds[n + 1].revents)
		return 0;
	changed = fds[n].revents != 0;
	drain(events->inotify);
	/* Backwards: what is dropped is replaced by the last one. */
	for (size_t i = n; i-- > 0;) {
		if (fds[i].revents && !read_source(events, &events->sources[i])) {
			drop_source(events, i);
			changed = true;
		}
	}
	r = changed ? add_sources(events, err) : 0;
	return r < 0 ? r : ferror(stdout) ? 0 : 1;
}

static int listen_to(struct events *events)
{
	struct err err = {};
	int r;

	events->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (events->inotify < 0)
		return ctl_fail(err_errno(&err, "watching the pods' directory"), &err);
	r = add_sources(events, &err);
	if (r == 0)
		r = 1;
	while (r > 0)
		r = step(events, &err);
	return r < 0 ? ctl_fail(r, &err) : CTL_OK;
}

/* Return: -1, or the exit status. */
static int read_options(struct events *events, const char *format, const char *until)
{
	struct timespec now;

	events->json = text_equal(format, "json");
	if (format && !events->json && strcmp(format, "plain") != 0)
		return ctl_usage_error(&verb_events, "--format must be json or plain");
	clock_gettime(CLOCK_REALTIME, &now);
	if (until && quantity_parse_time(until, &now, &events->until) < 0)
		return ctl_usage_error(&verb_events,
			"--until must be a time such as 2024-01-31T12:00:00Z, not \"%s\"", until);
	events->has_until = until != NULL;
	return filters_check(&verb_events, events->filters, filter_keys, FILTER_KEYS_N,
		"event=, type=, pod= or container=...");
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
	cleanup(events_done) struct events events = {.ctl = ctl, .inotify = -1};
	const char *format = NULL, *until = NULL;
	bool stream = true;
	const struct option options[] = {
		{.name = "filter", .letter = 'f', .argument = "KEY=VALUE", .list = &events.filters,
			.help = "event=, type=pod|container, pod=, container="},
		{.name = "format", .argument = "json|plain", .text = &format,
			.help = "form of the output; json: an object on each line"},
		{.name = "until", .argument = "TIME", .text = &until, .help = "ends then"},
		{.name = "stream", .flag = &stream, .help = "without meaning: it always follows"},
		{}};
	size_t n;
	int status = options_parse(&verb_events, options, argc, argv, &n);

	if (status < 0)
		status = read_options(&events, format, until);
	if (status < 0)
		status = check_pods(ctl, argv);
	if (status >= 0)
		return status;
	if (n > 0)
		events.pods = argv;
	return listen_to(&events);
}

const struct ctl_verb verb_events = {
	.name = "events",
	.operands = "[POD...]",
	.operands_max = SIZE_MAX,
	.summary = "Follow what happens to pods and containers",
	.details = "Without POD: of all pods, those that are made later included. Several --filter of one\n"
		   "key are alternatives; different keys must all match. Nothing is kept of the past.",
	.example = "podctl events --filter type=container --format json",
	.run = run,
};
