/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Counters of all uplinks of a pod together: see totals.h. */

#include "totals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "file.h"
#include "pod.h"
#include "record-internal.h"
#include "text.h"

/* Scopes that are kept: as many as a report can have. */
#define SCOPES_MAX 8192

struct totals {
	struct json *ended; /* as stats: {"droppedIn", "scopes": [...]}; never NULL */
	struct json *last;  /* the last sum that was shown; or NULL */
};

/* All but "flows", which is of now. */
static const char *const counters[] = {"flowsTotal", "overQuota", "failed", "denied", "fallbacks",
	"bytesOut", "bytesIn", "framesOut", "framesIn", "frameBytesOut", "frameBytesIn"};

#define COUNTERS_N (sizeof(counters) / sizeof(counters[0]))

static int64_t number(const struct json *object, const char *key)
{
	int64_t value = 0;

	return json_int(json_get(object, key), &value) == 0 && value > 0 ? value : 0;
}

static struct json *find_scope(const struct json *stats, const char *child)
{
	struct json *scopes = json_get(stats, "scopes");

	for (size_t i = 0; i < json_length(scopes); i++)
		if (text_equal(json_string(json_get(json_at(scopes, i), "child")), child))
			return json_at(scopes, i);
	return NULL;
}

static void add_number(struct json *object, const char *key, int64_t more)
{
	int64_t sum;

	/* What an uplink says may be anything. */
	if (__builtin_add_overflow(number(object, key), more, &sum))
		sum = INT64_MAX;
	json_set_int(object, key, sum);
}

void totals_add(struct pod *pod, struct json *stats)
{
	struct totals *totals = pod->totals;
	const struct json *scopes;

	if (!totals)
		return;
	scopes = json_get(totals->ended, "scopes");
	add_number(stats, "droppedIn", number(totals->ended, "droppedIn"));
	for (size_t i = 0; i < json_length(scopes); i++) {
		const struct json *ended = json_at(scopes, i);
		struct json *scope = find_scope(stats, json_string(json_get(ended, "child")));

		for (size_t j = 0; scope && j < COUNTERS_N; j++)
			add_number(scope, counters[j], number(ended, counters[j]));
	}
	json_free(totals->last);
	totals->last = json_copy(stats);
}

struct json *totals_last(const struct pod *pod)
{
	struct json *copy, *scopes;

	if (!pod->totals || !pod->totals->last)
		return NULL;
	copy = json_copy(pod->totals->last);
	scopes = json_get(copy, "scopes");
	for (size_t i = 0; i < json_length(scopes); i++)
		json_set_int(json_at(scopes, i), "flows", 0);
	return copy;
}

/* ---- the record ---- */

static struct json *copy_counters(const struct json *scope)
{
	struct json *copy = json_new_object();

	json_set_string(copy, "child", json_string(json_get(scope, "child")));
	for (size_t i = 0; i < COUNTERS_N; i++)
		json_set_int(copy, counters[i], number(scope, counters[i]));
	return copy;
}

static void save(struct pod *pod)
{
	struct json *document = record_new();
	const struct json *scopes = json_get(pod->totals->ended, "scopes");
	struct json *array;
	struct err err = {};

	json_set_int(document, "uplinkRestarts", pod->uplink_restarts);
	json_set_int(document, "droppedIn", number(pod->totals->ended, "droppedIn"));
	array = json_set_array(document, "scopes");
	for (size_t i = 0; i < json_length(scopes); i++)
		json_append(array, copy_counters(json_at(scopes, i)));
	if (record_save(pod->podfd, RECORD_TRAFFIC, document, &err) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
}

static int check_scopes(const struct json *document, struct err *err)
{
	const struct json *scopes = NULL;
	int64_t value = 0;
	int r = json_read_array(document, "scopes", true, &scopes, err);

	if (r == 0 && json_length(scopes) > SCOPES_MAX)
		return err_set(
			err, -E2BIG, "%s has more than %d scopes", RECORD_TRAFFIC, SCOPES_MAX);
	for (size_t i = 0; r == 0 && i < json_length(scopes); i++) {
		const struct json *scope = json_at(scopes, i);
		const char *child = NULL;

		r = json_read_string(scope, "child", false, &child, err);
		if (r == 0 && child)
			r = name_check_component(child, err);
		for (size_t j = 0; r == 0 && j < COUNTERS_N; j++)
			r = json_read_int(scope, counters[j], true, 0, INT64_MAX, &value, err);
	}
	return r;
}

static int load(struct pod *pod, struct totals *totals, struct err *err)
{
	autoptr(json) document = NULL;
	int64_t restarts = 0, dropped = 0;
	int r;

	r = record_load(pod->podfd, RECORD_TRAFFIC, &document, err);
	if (r == 0)
		r = json_read_int(document, "uplinkRestarts", true, 0, UINT32_MAX, &restarts, err);
	if (r == 0)
		r = json_read_int(document, "droppedIn", true, 0, INT64_MAX, &dropped, err);
	if (r == 0)
		r = check_scopes(document, err);
	if (r < 0)
		return r;
	pod->uplink_restarts += (unsigned)restarts;
	json_free(totals->ended);
	totals->ended = take_ptr(document);
	return 0;
}

int totals_new(struct pod *pod, struct totals **ret, struct err *err)
{
	struct totals *totals = calloc(1, sizeof(*totals));
	struct err problem = {};
	int r;

	if (!totals)
		return err_oom(err);
	totals->ended = json_new_object();
	*ret = totals;
	if (!pod->adopted) {
		file_remove(pod->podfd, RECORD_TRAFFIC, NULL);
		return 0;
	}
	r = load(pod, totals, &problem);
	if (r < 0 && r != -ENOENT)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, problem.msg);
	return 0;
}

void totals_free(struct totals *totals)
{
	if (!totals)
		return;
	json_free(totals->ended);
	json_free(totals->last);
	free(totals);
}

/* ---- changes ---- */

/* Scopes that the last report did not have keep what they had. */
static void keep_others(struct json *last, const struct json *ended)
{
	const struct json *scopes = json_get(ended, "scopes");
	struct json *kept = json_get(last, "scopes");

	for (size_t i = 0; i < json_length(scopes) && json_length(kept) < SCOPES_MAX; i++)
		if (!find_scope(last, json_string(json_get(json_at(scopes, i), "child"))))
			json_append(kept, json_copy(json_at(scopes, i)));
}

void totals_uplink_ended(struct pod *pod)
{
	struct totals *totals = pod->totals;

	if (!totals)
		return;
	if (totals->last) {
		keep_others(totals->last, totals->ended);
		json_free(totals->ended);
		totals->ended = json_copy(totals->last);
	}
	save(pod);
}

static bool forget_in(struct json *stats, const char *child)
{
	struct json *scopes = json_get(stats, "scopes");
	bool found = false;

	for (size_t i = json_length(scopes); i-- > 0;) {
		if (!text_equal(json_string(json_get(json_at(scopes, i), "child")), child))
			continue;
		json_remove_at(scopes, i);
		found = true;
	}
	return found;
}

void totals_forget(struct pod *pod, const char *child)
{
	if (!pod->totals)
		return;
	forget_in(pod->totals->last, child);
	if (forget_in(pod->totals->ended, child))
		save(pod);
}
