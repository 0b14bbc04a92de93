/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Records compared with what was told: see event-missed.h. */

#include "event-missed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container.h"
#include "event-log.h"
#include "hierarchy.h"
#include "text.h"

/* The ledger: {"": {"create": RECORD ...}, CHILD: {"start": RECORD ..., "late": {"start": true}}}.
 * Names of children are never empty. */
#define LATE "late"

struct json *event_ledger_new(void)
{
	return json_new_object();
}

static const char *child_of(const struct json *event)
{
	const char *child = json_string(json_get(event, "child"));

	return child ? child : "";
}

static struct json *entry_of(struct json *ledger, const char *child)
{
	struct json *entry = json_get(ledger, child);

	return entry ? entry : json_set_object(ledger, child);
}

static void set_late(struct json *entry, const char *type, bool late)
{
	struct json *marks = json_get(entry, LATE);

	if (!late) {
		json_remove(marks, type);
		return;
	}
	if (!marks)
		marks = json_set_object(entry, LATE);
	json_set_bool(marks, type, true);
}

void event_ledger_note(struct json *ledger, const struct json *event)
{
	const char *child = child_of(event);
	const char *type = json_string(json_get(event, "type"));
	const char *record = json_string(json_get(event, "record"));
	struct json *entry;

	if (!type || strcmp(type, LATE) == 0)
		return;
	if (*child && strcmp(type, "remove") == 0) {
		json_remove(ledger, child);
		return;
	}
	entry = entry_of(ledger, child);
	if (strcmp(type, "detached") == 0)
		json_remove(entry, "attached");
	/* That it ran out of memory is of the run that was told of last. */
	if (strcmp(type, "oom") == 0 && !record)
		record = json_string(json_get(entry, "start"));
	json_set_string(entry, type, record ? record : "");
	set_late(entry, type, json_is_true(json_get(event, LATE)));
}

const char *event_ledger_record(const struct json *ledger, const char *child, const char *type)
{
	return json_string(json_get(json_get(ledger, child ? child : ""), type));
}

bool event_ledger_has(struct json *ledger, const struct json *event)
{
	const char *child = child_of(event);
	const char *type = json_string(json_get(event, "type"));
	const char *record = json_string(json_get(event, "record"));
	struct json *entry = json_get(ledger, child);

	if (!type)
		return false;
	if (*child && strcmp(type, "remove") == 0)
		return !entry && json_is_true(json_get(event, LATE));
	if (!json_is_true(json_get(json_get(entry, LATE), type)) ||
		!text_equal(json_string(json_get(entry, type)), record ? record : ""))
		return false;
	set_late(entry, type, false);
	return true;
}

/* ---- what a record says ---- */

static char *copy_time(const char *time)
{
	return *time ? strdup(time) : NULL;
}

static char *record_of_container(int childfd, const char *type)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	cleanup(container_state_done) struct container_state state = {};
	cleanup(container_exit_done) struct container_exit exit = {};

	if (strcmp(type, "create") == 0)
		return container_spec_load(childfd, &spec, NULL) < 0 ? NULL
								     : copy_time(spec.created);
	if (strcmp(type, "start") == 0)
		return container_state_load(childfd, &state, NULL) < 0 ? NULL
								       : copy_time(state.started);
	if (strcmp(type, "died") == 0)
		return container_exit_load(childfd, &exit, NULL) < 0 ? NULL : copy_time(exit.ended);
	return NULL;
}

char *event_record(int podfd, const char *child, const char *type, const struct json *attributes)
{
	autoclose int childfd = -1;
	const char *text = NULL;

	if (strcmp(type, "health_status") == 0)
		text = json_string(json_get(attributes, "health"));
	else if (strcmp(type, "restart") == 0)
		text = json_string(json_get(attributes, "restarts"));
	if (text)
		return strdup(text);
	if (hierarchy_open_child(podfd, child, false, &childfd, NULL) < 0)
		return NULL;
	return record_of_container(childfd, type);
}

static void unseen(const char *started, char ret[EVENT_UNSEEN_SIZE])
{
	snprintf(ret, EVENT_UNSEEN_SIZE, "%s%s", EVENT_UNSEEN, started);
}

bool event_was_unseen(int podfd, const char *child, char ret[EVENT_UNSEEN_SIZE])
{
	cleanup(container_exit_done) struct container_exit exit = {.known = true};
	autoclose int childfd = -1;

	if (hierarchy_open_child(podfd, child, false, &childfd, NULL) < 0 ||
		container_exit_load(childfd, &exit, NULL) < 0 || exit.known)
		return false;
	unseen(exit.started, ret);
	return true;
}

/* ---- comparing ---- */

struct missing {
	const struct event_comparison *comparison;
	const char *child; /* NULL: the pod */
	struct json *array;
};

static bool was_told(const struct missing *missing, const char *type, const char *record)
{
	return text_equal(
		event_ledger_record(missing->comparison->ledger, missing->child, type), record);
}

static bool is_forgotten(const struct missing *missing, const char *time)
{
	const char *horizon = missing->comparison->horizon;

	return horizon && strcmp(time, horizon) < 0;
}

static struct json *add(
	const struct missing *missing, const char *type, const char *time, const char *record)
{
	struct json *event = event_new(missing->comparison->pod, missing->child, type, time);

	json_set_string(event, "record", record);
	json_set_bool(event, LATE, true);
	json_append(missing->array, event);
	return event;
}

/* Something of which the record has a time, that is its name as well. */
static struct json *add_timed(const struct missing *missing, const char *type, const char *time)
{
	if (!*time || was_told(missing, type, time) || is_forgotten(missing, time))
		return NULL;
	return add(missing, type, time, time);
}

static void compare_exit(const struct missing *missing, const struct container_exit *exit)
{
	char record[EVENT_UNSEEN_SIZE];
	struct json *event;
	char status[16];

	/* That its shim was killed was told at once. */
	unseen(exit->started, record);
	if (!exit->known && was_told(missing, "died", record))
		return;
	/* A start that failed is told to who wanted it. */
	event = *exit->started ? add_timed(missing, "died", exit->ended) : NULL;
	if (!event)
		return;
	event = json_set_object(event, "attributes");
	snprintf(status, sizeof(status), "%d", container_exit_status(exit));
	json_set_string(event, "exitCode", status);
	if (!exit->known)
		json_set_string(event, "status", "unknown");
	if (exit->oom && !was_told(missing, "oom", exit->started))
		add(missing, "oom", exit->ended, exit->started);
}

static void compare_state(const struct missing *missing, const struct container_state *state)
{
	bool lives = state->phase == CONTAINER_RUNNING || state->phase == CONTAINER_RESTARTING;
	const char *health = container_healthiness_name(state->health);
	struct json *event;
	char restarts[16];

	add_timed(missing, "start", state->started);
	if (!lives || !missing->comparison->guess)
		return;
	snprintf(restarts, sizeof(restarts), "%u", state->restarts);
	if (state->restarts > 0 && !was_told(missing, "restart", restarts) &&
		!is_forgotten(missing, state->started)) {
		event = add(missing, "restart", state->started, restarts);
		json_set_string(json_set_object(event, "attributes"), "restarts", restarts);
	}
	if (state->health != HEALTH_NONE && !was_told(missing, "health_status", health)) {
		event = add(missing, "health_status", NULL, health);
		json_set_string(json_set_object(event, "attributes"), "health", health);
	}
}

static void compare_attachment(const struct missing *missing, int childfd)
{
	cleanup(attachment_done) struct attachment attachment = {};
	int r = attachment_load(childfd, &attachment, NULL);

	if (r == 0 && attachment.phase == ATTACHMENT_ATTACHED &&
		!was_told(missing, "attached", attachment.generation) &&
		!is_forgotten(missing, attachment.created))
		add(missing, "attached", attachment.created, attachment.generation);
	if (r == -ENOENT && missing->comparison->guess &&
		event_ledger_record(missing->comparison->ledger, missing->child, "attached"))
		add(missing, "detached", NULL, NULL);
}

static void compare_child(const struct missing *missing)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	cleanup(container_state_done) struct container_state state = {};
	cleanup(container_exit_done) struct container_exit exit = {};
	autoclose int childfd = -1;

	if (hierarchy_open_any_child(
		    missing->comparison->podfd, missing->child, &childfd, NULL) < 0)
		return;
	compare_attachment(missing, childfd);
	if (container_spec_load(childfd, &spec, NULL) < 0)
		return;
	add_timed(missing, "create", spec.created);
	if (container_state_load(childfd, &state, NULL) == 0)
		compare_state(missing, &state);
	if (container_exit_load(childfd, &exit, NULL) == 0)
		compare_exit(missing, &exit);
}

/* Children that were told of and are not there any more. */
static void compare_gone(struct missing *missing, char *const *names)
{
	const struct json *ledger = missing->comparison->ledger;

	for (size_t i = 0; i < json_length(ledger); i++) {
		missing->child = json_key_at(ledger, i);
		if (!*missing->child || strv_contains(names, missing->child))
			continue;
		if (event_ledger_record(ledger, missing->child, "attached"))
			add(missing, "detached", NULL, NULL);
		/* What a hook attached has no end but this. */
		if (event_ledger_record(ledger, missing->child, "create") ||
			event_ledger_record(ledger, missing->child, "start"))
			add(missing, "remove", NULL, NULL);
	}
}

static void compare_pod(const struct missing *missing)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	cleanup(pod_state_done) struct pod_state state = {};

	if (pod_spec_load(missing->comparison->podfd, &spec, NULL) == 0)
		add_timed(missing, "create", spec.created);
	if (pod_state_load(missing->comparison->podfd, &state, NULL) < 0)
		return;
	if (state.phase == POD_RUNNING)
		add_timed(missing, "started", state.since);
	else if (state.phase == POD_STOPPED)
		add_timed(missing, "stopped", state.since);
	else if (state.phase == POD_FAILED)
		add_timed(missing, "failed", state.since);
}

int event_missed(const struct event_comparison *comparison, struct json **ret, struct err *err)
{
	autoptr(json) array = json_new_array();
	struct missing missing = {.comparison = comparison, .array = array};
	autostrv names = NULL;
	int r;

	r = hierarchy_children(comparison->podfd, HIERARCHY_ANY, &names, err);
	if (r < 0)
		return r;
	compare_pod(&missing);
	for (size_t i = 0; names[i]; i++) {
		missing.child = names[i];
		compare_child(&missing);
	}
	if (comparison->guess)
		compare_gone(&missing, names);
	if (event_sort(&array) < 0)
		return err_oom(err);
	*ret = take_ptr(array);
	return 0;
}

/* ---- order ---- */

struct place {
	const struct json *event;
	size_t index;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a, *right = b;
	const char *left_time = json_string(json_get(left->event, "time"));
	const char *right_time = json_string(json_get(right->event, "time"));
	int order = strcmp(left_time ? left_time : "", right_time ? right_time : "");

	if (order != 0)
		return order;
	return left->index < right->index ? -1 : left->index > right->index;
}

int event_sort(struct json **array)
{
	size_t n = json_length(*array);
	autofree struct place *places = calloc(n + 1, sizeof(*places));
	struct json *sorted;

	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		places[i] = (struct place){json_at(*array, i), i};
	qsort(places, n, sizeof(*places), compare_places);
	sorted = json_new_array();
	for (size_t i = 0; i < n; i++)
		json_append(sorted, json_copy(places[i].event));
	json_free(*array);
	*array = sorted;
	return 0;
}
