/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sources of events, see event-sources.h.
 *
 *   listening ──podd ends──▶ reading: log and records, at each change of the pod's directories
 *       ▲                       │
 *       └────podd is there──────┘
 *
 * A podd that is asked says first which number its last event has. What has a smaller one is read
 * from the log, what has a greater one comes from podd: so there is no gap, and nothing comes
 * twice. What was made up from records while there was no podd is told once more by the next one,
 * marked as late, and known by its record.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "event-log.h"
#include "event-missed.h"
#include "file.h"
#include "hierarchy.h"
#include "record.h"
#include "text.h"
#include "varlink.h"

#include "event-sources.h"
#include "lifecycle.h"

#define CONTROL_SOCKET "control.sock"
/* An answer that has begun to come is there in whole soon. */
#define CONNECT_TIMEOUT_MS 2000
#define SOURCES_MAX 4096

struct source {
	char pod[NAME_PATH_SIZE];
	char created[RECORD_TIME_SIZE]; /* another one: another pod of that name */
	struct varlink_client *client;	/* NULL: it has no podd */
	struct json *ledger;
	int64_t seq; /* of the last event that was told */
	bool is_there;
};

struct event_sources {
	const struct ctl *ctl;
	char *const *pods;
	event_sources_tell tell;
	void *userdata;
	int inotify;
	bool has_begun;
	struct json *news; /* to be told next, in the order of their times */
	size_t n;
	struct source **list;
};

static void source_free(struct source *source)
{
	if (!source)
		return;
	varlink_client_free(source->client);
	json_free(source->ledger);
	free(source);
}

void event_sources_free(struct event_sources *sources)
{
	if (!sources)
		return;
	for (size_t i = 0; i < sources->n; i++)
		source_free(sources->list[i]);
	free(sources->list);
	json_free(sources->news);
	cleanup_close(&sources->inotify);
	free(sources);
}

int event_sources_new(const struct ctl *ctl, char *const *pods, event_sources_tell tell,
	void *userdata, struct event_sources **ret, struct err *err)
{
	struct event_sources *sources = calloc(1, sizeof(*sources));

	if (!sources)
		return err_oom(err);
	sources->ctl = ctl;
	sources->pods = pods;
	sources->tell = tell;
	sources->userdata = userdata;
	sources->news = json_new_array();
	sources->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	sources->list = calloc(SOURCES_MAX, sizeof(*sources->list));
	if (sources->inotify < 0 || !sources->list) {
		int r = err_errno(err, "watching the pods' directory");

		event_sources_free(sources);
		return r;
	}
	*ret = sources;
	return 0;
}

/* ---- what is to be told ---- */

static void flush_news(struct event_sources *sources)
{
	event_sort(&sources->news);
	for (size_t i = 0; i < json_length(sources->news); i++)
		sources->tell(sources->userdata, json_at(sources->news, i));
	json_free(sources->news);
	sources->news = json_new_array();
}

/* Takes the event over. */
static void add_news(struct event_sources *sources, struct source *source, struct json *event)
{
	int64_t seq;

	if (json_int(json_get(event, "seq"), &seq) == 0 && seq > source->seq)
		source->seq = seq;
	/* One that we made up ourselves meanwhile. */
	if (event_ledger_has(source->ledger, event)) {
		json_free(event);
		return;
	}
	event_ledger_note(source->ledger, event);
	json_append(sources->news, event);
}

/* ---- directories ---- */

static void watch_directory(const struct event_sources *sources, int dirfd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	inotify_add_watch(sources->inotify, path,
		IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR);
}

static void watch_name(const struct event_sources *sources, int dirfd, const char *name)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		watch_directory(sources, fd);
}

/* What is made, written and removed in a directory, and in those in it. */
static void watch_entries(const struct event_sources *sources, int dirfd)
{
	autostrv names = NULL;

	watch_directory(sources, dirfd);
	if (file_list(dirfd, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++)
		watch_name(sources, dirfd, names[i]);
}

/* Where pods are made inside a pod, and where the records of its containers are. */
static void watch_pod(const struct event_sources *sources, int podfd)
{
	autoclose int children =
		openat(podfd, "children", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	watch_directory(sources, podfd);
	if (children >= 0)
		watch_entries(sources, children);
}

/* A directory is there before its pod is, and has to be watched by then. */
static void watch_root(const struct event_sources *sources)
{
	autoclose int rootfd = -1;

	if (hierarchy_open_root(sources->ctl->root, true, &rootfd, NULL) == 0)
		watch_entries(sources, rootfd);
}

/* ---- one source ---- */

static struct source *find(const struct event_sources *sources, const char *pod)
{
	for (size_t i = 0; i < sources->n; i++)
		if (strcmp(sources->list[i]->pod, pod) == 0)
			return sources->list[i];
	return NULL;
}

static void begin_anew(struct source *source, const char *created)
{
	text_copy(source->created, sizeof(source->created), created);
	varlink_client_free(take_ptr(source->client));
	json_free(source->ledger);
	source->ledger = event_ledger_new();
	source->seq = 0;
}

/* Return: NULL when there are too many. */
static struct source *provide(struct event_sources *sources, const char *pod, const char *created)
{
	struct source *source = find(sources, pod);

	if (!source) {
		if (sources->n == SOURCES_MAX)
			return NULL;
		source = calloc(1, sizeof(*source));
		if (!source)
			return NULL;
		text_copy(source->pod, sizeof(source->pod), pod);
		sources->list[sources->n++] = source;
		begin_anew(source, created);
	} else if (strcmp(source->created, created) != 0) {
		begin_anew(source, created);
	}
	return source;
}

/* *ret_last is the number of the last event before those that it will tell. */
static int listen_to(struct source *source, int podfd, int64_t *ret_last)
{
	autoptr(varlink_client) client = NULL;
	autoptr(json) now = NULL;
	int r;

	r = varlink_connect(podfd, CONTROL_SOCKET, CONNECT_TIMEOUT_MS, &client, NULL);
	if (r == 0)
		r = varlink_client_more(client, VARLINK_INTERFACE ".Events", NULL, NULL);
	if (r == 0)
		r = varlink_client_next(client, &now, NULL);
	if (r < 0)
		return r;
	r = json_int(json_get(now, "seq"), ret_last);
	if (r == 0)
		source->client = take_ptr(client);
	return r;
}

/* What the log has up to that number, and was not told. */
static void read_log(struct event_sources *sources, struct source *source, int podfd, int64_t last,
	char ret_horizon[RECORD_TIME_SIZE])
{
	autoptr(json) log = NULL;
	const char *first;
	int64_t seq = 0;

	ret_horizon[0] = '\0';
	if (event_log_read(podfd, &log, NULL, NULL) < 0)
		return;
	first = json_string(json_get(json_at(log, 0), "time"));
	if (json_int(json_get(json_at(log, 0), "seq"), &seq) == 0 && seq > 1)
		text_copy(ret_horizon, RECORD_TIME_SIZE, first);
	for (size_t i = 0; i < json_length(log); i++)
		if (json_int(json_get(json_at(log, i), "seq"), &seq) == 0 && seq > source->seq &&
			seq <= last)
			add_news(sources, source, json_copy(json_at(log, i)));
}

static void read_records(
	struct event_sources *sources, struct source *source, int podfd, const char *horizon)
{
	const struct event_comparison comparison = {
		.podfd = podfd,
		.pod = source->pod,
		.ledger = source->ledger,
		.horizon = *horizon ? horizon : NULL,
		.guess = sources->has_begun,
	};
	autoptr(json) missed = NULL;

	if (event_missed(&comparison, &missed, NULL) < 0)
		return;
	for (size_t i = 0; i < json_length(missed); i++)
		add_news(sources, source, json_copy(json_at(missed, i)));
}

static void look_at(struct event_sources *sources, const char *pod)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	char horizon[RECORD_TIME_SIZE];
	struct source *source;
	autoclose int podfd = -1;
	int64_t last = INT64_MAX;

	if (ctl_open_pod(sources->ctl, pod, &podfd, NULL) < 0)
		return;
	/* First, so that what happens after the attempt is noticed. */
	watch_pod(sources, podfd);
	if (pod_spec_load(podfd, &spec, NULL) < 0)
		return;
	source = provide(sources, pod, spec.created);
	if (!source)
		return;
	source->is_there = true;
	if (source->client)
		return;
	listen_to(source, podfd, &last);
	read_log(sources, source, podfd, last, horizon);
	if (!source->client)
		read_records(sources, source, podfd, horizon);
}

/* ---- all of them ---- */

static bool is_wanted(const struct event_sources *sources, const char *pod)
{
	for (char *const *wanted = sources->pods; wanted && *wanted; wanted++) {
		size_t length = strlen(*wanted);

		if (strncmp(pod, *wanted, length) == 0 && (!pod[length] || pod[length] == '/'))
			return true;
	}
	return !sources->pods;
}

/* A removed pod's log is gone with it. */
static void drop_gone(struct event_sources *sources)
{
	for (size_t i = sources->n; i-- > 0;) {
		struct source *source = sources->list[i];

		if (source->is_there || source->client)
			continue;
		json_append(sources->news, event_new(source->pod, NULL, "remove", NULL));
		source_free(source);
		sources->list[i] = sources->list[--sources->n];
	}
}

static int look_at_all(struct event_sources *sources, struct err *err)
{
	autostrv all = NULL;
	int r;

	for (size_t i = 0; i < sources->n; i++)
		sources->list[i]->is_there = false;
	watch_root(sources);
	r = lifecycle_all(sources->ctl, false, &all, err);
	for (size_t i = 0; r == 0 && all[i]; i++)
		if (is_wanted(sources, all[i]))
			look_at(sources, all[i]);
	if (r == 0)
		drop_gone(sources);
	return r;
}

/* What has come from one. Return: false when it has ended. */
static bool read_source(struct event_sources *sources, struct source *source)
{
	while (varlink_client_is_ready(source->client)) {
		autoptr(json) event = NULL;
		int r = varlink_client_next(source->client, &event, NULL);

		if (r >= 0)
			add_news(sources, source, take_ptr(event));
		if (r <= 0)
			return false;
	}
	return true;
}

/* ---- waiting ---- */

static void drain(int fd)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

/* Return: as event_sources_step(), with *ret_changed: are there others now? */
static int wait_for(
	struct event_sources *sources, int timeout_ms, bool *ret_changed, struct err *err)
{
	autofree struct pollfd *fds = calloc(sources->n + 2, sizeof(*fds));
	struct pollfd *inotify, *output;
	int r;

	if (!fds)
		return err_oom(err);
	for (size_t i = 0; i < sources->n; i++)
		fds[i] = (struct pollfd){.fd = sources->list[i]->client
						       ? varlink_client_fd(sources->list[i]->client)
						       : -1,
			.events = POLLIN};
	inotify = &fds[sources->n];
	output = inotify + 1;
	*inotify = (struct pollfd){.fd = sources->inotify, .events = POLLIN};
	*output = (struct pollfd){.fd = STDOUT_FILENO, .events = 0};
	r = poll(fds, sources->n + 2, timeout_ms);
	if (r < 0 && errno != EINTR)
		return err_errno(err, "waiting for events");
	if (r <= 0)
		return r < 0;
	if (output->revents)
		return 0;
	*ret_changed = inotify->revents != 0;
	drain(sources->inotify);
	for (size_t i = 0; i < sources->n; i++) {
		struct source *source = sources->list[i];

		if (fds[i].revents && !read_source(sources, source)) {
			varlink_client_free(take_ptr(source->client));
			*ret_changed = true;
		}
	}
	return 1;
}

int event_sources_begin(struct event_sources *sources, bool replay, struct err *err)
{
	bool changed = false;
	int r = look_at_all(sources, err);

	if (r < 0)
		return r;
	if (!replay) {
		json_free(sources->news);
		sources->news = json_new_array();
	}
	sources->has_begun = true;
	/* What came while the logs were read goes between what they have. */
	r = wait_for(sources, 0, &changed, err);
	if (r >= 0 && changed)
		r = look_at_all(sources, err);
	flush_news(sources);
	return r < 0 ? r : 0;
}

int event_sources_step(struct event_sources *sources, int timeout_ms, struct err *err)
{
	bool changed = false;
	int r;

	if (timeout_ms == 0)
		return 0;
	r = wait_for(sources, timeout_ms, &changed, err);
	if (r > 0 && changed) {
		int looked = look_at_all(sources, err);

		r = looked < 0 ? looked : r;
	}
	flush_news(sources);
	return r;
}
