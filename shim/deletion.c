/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Deleting: see deletion.h. A runtime that fails may have done it even so, and one that was killed may
 * do it the next time: what counts is whether its state is gone. One that was killed before it wrote
 * its state leaves a cgroup that it will not remove.
 *
 *   calling ──state and cgroup are gone──▶ done(true)
 *      │  ▲
 *      │  └──delay───┐
 *      └──they are not─┴──too often──▶ done(false)
 */

#include "deletion.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "text.h"

/* Hooks (CNI plugins) run in it. */
#define DELETE_TIMEOUT_S 150
#define TRIES 4
#define DELAY_US UINT64_C(100000)

struct deletion {
	sd_event *event;
	const struct place *place;
	struct runtime *runtime;
	sd_event_source *timer;
	unsigned tries;
	void (*done)(void *userdata, bool clean);
	void *userdata;
};

bool deletion_is_needed(const struct place *place)
{
	autofree char *path = text_format(CONTAINER_RUNTIME_ROOT "/%s", place->spec.id);

	return !path || faccessat(place->podfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool cgroup_is_removed(const struct place *place)
{
	int r = place->spec.cgroup ? cgroup_remove(place->spec.cgroup, 0) : 0;

	if (r < 0 && r != -EBUSY)
		place_log(place, "removing the cgroup %s: %s", place->spec.cgroup, strerror(-r));
	return r == 0;
}

static void try_once(struct deletion *deletion);

static int on_delay(sd_event_source *source, uint64_t now, void *userdata)
{
	struct deletion *deletion = userdata;

	deletion->timer = sd_event_source_disable_unref(source);
	try_once(deletion);
	return 0;
}

static void on_called(void *userdata, const struct runtime_result *result)
{
	struct deletion *deletion = userdata;
	bool clean = !deletion_is_needed(deletion->place) && cgroup_is_removed(deletion->place);

	if (clean || deletion->tries == TRIES ||
		sd_event_add_time_relative(deletion->event, &deletion->timer, CLOCK_MONOTONIC,
			DELAY_US << deletion->tries, 0, on_delay, deletion) < 0)
		deletion->done(deletion->userdata, clean);
}

static void try_once(struct deletion *deletion)
{
	const char *const arguments[] = {"delete", "--force", deletion->place->spec.id, NULL};
	const struct runtime_result none = {};
	struct runtime_call call = RUNTIME_CALL_INIT;
	struct err err = {};

	deletion->tries++;
	call.arguments = arguments;
	call.timeout_s = DELETE_TIMEOUT_S;
	call.done = on_called;
	call.userdata = deletion;
	if (runtime_call(deletion->runtime, &call, &err) == 0)
		return;
	place_log(deletion->place, "%s", err.msg);
	on_called(deletion, &none);
}

int deletion_begin(sd_event *event, const struct place *place, struct runtime *runtime,
	void (*done)(void *userdata, bool clean), void *userdata, struct deletion **ret,
	struct err *err)
{
	struct deletion *deletion = calloc(1, sizeof(*deletion));

	if (!deletion)
		return err_oom(err);
	*deletion = (struct deletion){.event = event,
		.place = place,
		.runtime = runtime,
		.done = done,
		.userdata = userdata};
	*ret = deletion;
	try_once(deletion);
	return 0;
}

void deletion_free(struct deletion *deletion)
{
	if (!deletion)
		return;
	sd_event_source_disable_unref(deletion->timer);
	free(deletion);
}
