/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Events: see events.h. First the log, then the subscribers: so what a subscriber was told from its
 * first answer on, and what the log had by then, are all that there is, each once. */

#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event-log.h"
#include "event-missed.h"
#include "manager.h"
#include "pod.h"
#include "server.h"
#include "text.h"

struct events {
	struct event_log log;
	struct json *ledger;
	char horizon[RECORD_TIME_SIZE]; /* "": the log has everything */
	bool is_broken;			/* was told */
};

static void tell(struct pod *pod, struct json *event)
{
	struct events *events = pod->events;
	struct err err = {};

	event_ledger_note(events->ledger, event);
	if (event_log_append(&events->log, event, &err) == 0) {
		events->is_broken = false;
	} else if (!events->is_broken) {
		events->is_broken = true;
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
	}
	manager_tell(pod, json_string(json_get(event, "type")), json_string(json_get(event, "child")),
		json_get(event, "attributes"));
	if (pod->server)
		server_broadcast(pod->server, event);
}

static void load_ledger(struct pod *pod, const struct json *past)
{
	struct events *events = pod->events;
	const char *first = json_string(json_get(json_at(past, 0), "time"));
	int64_t seq = 0;

	for (size_t i = 0; i < json_length(past); i++)
		event_ledger_note(events->ledger, json_at(past, i));
	/* What came before it is not there any more. */
	if (first && json_int(json_get(json_at(past, 0), "seq"), &seq) == 0 && seq > 1)
		text_copy(events->horizon, sizeof(events->horizon), first);
}

/* A pod that was left running and does not run ended while nobody looked. */
static void tell_end(struct pod *pod)
{
	autoptr(json) event = NULL;
	enum pod_phase now = pod_state_phase_now(&pod->state);

	if (pod->state.phase != POD_RUNNING && pod->state.phase != POD_STOPPING)
		return;
	if (now != POD_STOPPED && now != POD_FAILED)
		return;
	event = event_new(pod->path, NULL, "failed", NULL);
	json_set_bool(event, "late", true);
	tell(pod, event);
}

int events_new(struct pod *pod, struct events **ret, struct err *err)
{
	struct events *events = calloc(1, sizeof(*events));
	autoptr(json) past = NULL;
	struct err problem = {};

	if (!events)
		return err_oom(err);
	events->log = (struct event_log)EVENT_LOG_NONE;
	events->log.dirfd = pod->podfd;
	events->ledger = event_ledger_new();
	*ret = pod->events = events;
	if (event_log_open(pod->podfd, &events->log, &past, &problem) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, problem.msg);
	load_ledger(pod, past);
	events_catch_up(pod);
	tell_end(pod);
	return 0;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	event_log_done(&events->log);
	json_free(events->ledger);
	free(events);
}

void events_catch_up(struct pod *pod)
{
	const struct event_comparison comparison = {
		.podfd = pod->podfd,
		.pod = pod->path,
		.ledger = pod->events->ledger,
		.horizon = *pod->events->horizon ? pod->events->horizon : NULL,
		.guess = true,
	};
	autoptr(json) missed = NULL;
	struct err err = {};

	if (event_missed(&comparison, &missed, &err) < 0)
		fprintf(stderr, "podd: pod %s: comparing records with what was told: %s\n",
			pod->path, err.msg);
	for (size_t i = 0; i < json_length(missed); i++)
		tell(pod, json_at(missed, i));
}

void events_send(struct pod *pod, const char *type, const char *child)
{
	events_send_with(pod, type, child, NULL);
}

static struct json *make(const struct pod *pod, const char *type, const char *child,
	const struct json *attributes, const char *record)
{
	struct json *event = event_new(pod->path, child, type, NULL);

	json_set_string(event, "record", record);
	if (json_length(attributes) > 0)
		json_set(event, "attributes", json_copy(attributes));
	return event;
}

void events_send_with(
	struct pod *pod, const char *type, const char *child, const struct json *attributes)
{
	autofree char *record = child ? event_record(pod->podfd, child, type, attributes) : NULL;
	autoptr(json) event = NULL;
	char unseen[EVENT_UNSEEN_SIZE];

	/* The end of one whose shim was killed was told when podd saw that. */
	if (child && strcmp(type, "died") == 0 && event_was_unseen(pod->podfd, child, unseen) &&
		text_equal(event_ledger_record(pod->events->ledger, child, type), unseen))
		return;
	event = make(pod, type, child, attributes, record);
	/* Made up from its record already, before who reports it came so far. */
	if (!event_ledger_has(pod->events->ledger, event))
		tell(pod, event);
}

void events_send_once(struct pod *pod, const char *type, const char *child,
	const struct json *attributes, const char *record)
{
	autoptr(json) event = NULL;

	if (text_equal(event_ledger_record(pod->events->ledger, child, type), record))
		return;
	event = make(pod, type, child, attributes, record);
	tell(pod, event);
}

struct json *events_now(const struct pod *pod)
{
	struct json *event = event_new(pod->path, NULL, "now", NULL);

	json_set_int(event, "seq", pod->events->log.seq);
	return event;
}
