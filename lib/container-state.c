/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * state.json and exit.json of a container: what it is, and how it last ended. Written by podd-shim,
 * and by podd for a shim that was killed; see container.h.
 */

#include "container.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "record-internal.h"
#include "text.h"

#define EXIT_UNKNOWN 255
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const phase_names[] = {
	[CONTAINER_CREATED] = "created",
	[CONTAINER_STARTING] = "starting",
	[CONTAINER_RUNNING] = "running",
	[CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_STOPPING] = "stopping",
	[CONTAINER_EXITED] = "exited",
};

static const char *const health_names[] = {
	[HEALTH_NONE] = "none",
	[HEALTH_STARTING] = "starting",
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_UNHEALTHY] = "unhealthy",
};

const char *container_phase_name(enum container_phase phase)
{
	return phase_names[phase];
}

const char *container_healthiness_name(enum container_healthiness health)
{
	return health_names[health];
}

/* ---- state.json ---- */

void container_state_init(struct container_state *state)
{
	memset(state, 0, sizeof(*state));
}

void container_state_done(struct container_state *state)
{
	free(state->cgroup);
	memset(state, 0, sizeof(*state));
}

struct json *container_state_to_json(const struct container_state *state)
{
	struct json *document = record_new();

	json_set_string(document, "phase", container_phase_name(state->phase));
	json_set_string(document, "bootId", state->boot_id);
	json_set_string(document, "since", state->since);
	if (state->started[0])
		json_set_string(document, "started", state->started);
	record_set_proc(document, "shim", &state->shim);
	record_set_proc(document, "init", &state->init);
	json_set_int(document, "order",
		state->order > INT64_MAX ? INT64_MAX : (int64_t)state->order);
	json_set_int(document, "restarts", state->restarts);
	json_set_bool(document, "stopRequested", state->stop_requested);
	json_set_string(document, "health", container_healthiness_name(state->health));
	json_set_int(document, "healthFailures", state->health_failures);
	json_set_string(document, "cgroup", state->cgroup);
	record_set_ns(document, "mountNamespace", &state->mounts);
	return document;
}

static int read_counts(const struct json *document, struct container_state *state, struct err *err)
{
	int64_t order = 0, restarts = 0, failures = 0;
	int r;

	r = json_read_int(document, "order", true, 0, INT64_MAX, &order, err);
	if (r == 0)
		r = json_read_int(document, "restarts", true, 0, UINT32_MAX, &restarts, err);
	if (r == 0)
		r = json_read_int(document, "healthFailures", true, 0, UINT32_MAX, &failures, err);
	state->order = (uint64_t)order;
	state->restarts = (uint32_t)restarts;
	state->health_failures = (uint32_t)failures;
	return r;
}

static int read_state(const struct json *document, struct container_state *state, struct err *err)
{
	unsigned phase = 0, health = 0;
	int r;

	r = record_read_enum(document, "phase", phase_names, COUNT_OF(phase_names), &phase, err);
	if (r == 0)
		r = record_read_text(document, "bootId", true, state->boot_id,
			sizeof(state->boot_id), err);
	if (r == 0)
		r = record_read_text(document, "since", true, state->since, sizeof(state->since),
			err);
	if (r == 0)
		r = record_read_text(document, "started", false, state->started,
			sizeof(state->started), err);
	if (r == 0)
		r = record_read_proc(document, "shim", false, &state->shim, err);
	if (r == 0)
		r = record_read_proc(document, "init", false, &state->init, err);
	if (r == 0)
		r = read_counts(document, state, err);
	if (r == 0)
		r = json_read_bool(document, "stopRequested", true, &state->stop_requested, err);
	if (r == 0)
		r = record_read_enum(
			document, "health", health_names, COUNT_OF(health_names), &health, err);
	if (r == 0)
		r = record_read_string(document, "cgroup", false, &state->cgroup, err);
	if (r == 0)
		r = record_read_ns(document, "mountNamespace", false, &state->mounts, err);
	state->phase = (enum container_phase)phase;
	state->health = (enum container_healthiness)health;
	return r;
}

int container_state_load(int childfd, struct container_state *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct container_state state;
	int r;

	container_state_init(&state);
	r = record_load(childfd, RECORD_CONTAINER_STATE, &document, err);
	if (r < 0 && r != -ENOENT)
		return r;
	r = document ? read_state(document, &state, err) : 0;
	if (r < 0) {
		container_state_done(&state);
		return err_wrap(err, r, "%s", RECORD_CONTAINER_STATE);
	}
	if (!record_is_of_this_boot(state.boot_id)) {
		state.shim = state.init = (struct proc_id){};
		state.mounts = (struct ns_id){};
	}
	*ret = state;
	return 0;
}

int container_state_save(int childfd, const struct container_state *state, struct err *err)
{
	return record_save(childfd, RECORD_CONTAINER_STATE, container_state_to_json(state), err);
}

enum container_phase container_phase_now(const struct container_state *state)
{
	char boot_id[PROC_BOOT_ID_SIZE];

	if (state->phase == CONTAINER_CREATED || state->phase == CONTAINER_EXITED)
		return state->phase;
	if (proc_boot_id(boot_id) == 0 && !text_equal(boot_id, state->boot_id))
		return CONTAINER_EXITED;
	if (proc_alive(&state->shim))
		return state->phase;
	return proc_alive(&state->init) ? CONTAINER_STOPPING : CONTAINER_EXITED;
}

/* ---- exit.json ---- */

void container_exit_done(struct container_exit *exit)
{
	free(exit->error);
	memset(exit, 0, sizeof(*exit));
}

struct json *container_exit_to_json(const struct container_exit *exit)
{
	struct json *document = record_new();

	json_set_bool(document, "known", exit->known);
	json_set_int(document, "status", exit->status);
	json_set_int(document, "signal", exit->signal);
	json_set_bool(document, "oom", exit->oom);
	if (exit->started[0])
		json_set_string(document, "started", exit->started);
	json_set_string(document, "ended", exit->ended);
	json_set_string(document, "error", exit->error);
	return document;
}

static int read_exit(const struct json *document, struct container_exit *exit, struct err *err)
{
	int64_t status = 0, number = 0;
	int r;

	r = json_read_bool(document, "known", true, &exit->known, err);
	if (r == 0)
		r = json_read_int(document, "status", true, 0, UINT8_MAX, &status, err);
	if (r == 0)
		r = json_read_int(document, "signal", true, 0, NSIG - 1, &number, err);
	if (r == 0)
		r = json_read_bool(document, "oom", true, &exit->oom, err);
	if (r == 0)
		r = record_read_text(document, "started", false, exit->started,
			sizeof(exit->started), err);
	if (r == 0)
		r = record_read_text(
			document, "ended", true, exit->ended, sizeof(exit->ended), err);
	if (r == 0)
		r = record_read_string(document, "error", false, &exit->error, err);
	exit->status = (uint8_t)status;
	exit->signal = (uint32_t)number;
	return r;
}

int container_exit_load(int childfd, struct container_exit *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct container_exit exit = {};
	int r;

	r = record_load(childfd, RECORD_CONTAINER_EXIT, &document, err);
	if (r < 0)
		return r;
	r = read_exit(document, &exit, err);
	if (r < 0) {
		container_exit_done(&exit);
		return err_wrap(err, r, "%s", RECORD_CONTAINER_EXIT);
	}
	*ret = exit;
	return 0;
}

int container_exit_save(int childfd, const struct container_exit *exit, struct err *err)
{
	return record_save(childfd, RECORD_CONTAINER_EXIT, container_exit_to_json(exit), err);
}

int container_exit_status(const struct container_exit *exit)
{
	return exit->known ? exit->status : EXIT_UNKNOWN;
}
