/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl wait: waits for the end of containers and prints how each ended. Who has a shim is asked
 * by its socket, so that the answer comes even when the container removes itself; for the others,
 * and for what a shim could not say, the records are watched.
 */

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"
#include "text.h"

#include "each.h"
#include "options.h"
#include "verbs.h"
#include "watch.h"

/* How long podd may take to find out about a container whose shim was killed. */
#define LOST_TIMEOUT_MS 10000
#define WAIT_PATHS_MAX 4096

enum outcome { OUTCOME_KNOWN = 1, OUTCOME_UNKNOWN, OUTCOME_RESTARTED };

struct waiter {
	struct target target;
	int socket;         /* -1: none */
	uint8_t status;
};

static void waiter_done(struct waiter *waiter)
{
	target_done(&waiter->target);
	cleanup_close(&waiter->socket);
	waiter->socket = -1;
}

/* ---- the shim's answer ---- */

static void ask_shim(struct waiter *waiter)
{
	if (shim_connect(waiter->target.childfd, &waiter->socket, NULL) == 0 &&
		shim_send(waiter->socket, SHIM_WAIT, 0, 0, NULL, 0, -1) == 0)
		return;
	cleanup_close(&waiter->socket);
	waiter->socket = -1;
}

/* Return: of enum outcome, 0 when the shim ended without an answer, -errno. */
static int await_shim(struct waiter *waiter)
{
	autofree struct shim_message *message = malloc(sizeof(*message));
	int r = message ? 1 : -ENOMEM;

	while (r > 0) {
		r = shim_receive(waiter->socket, message, NULL);
		if (r > 0 && message->header.type == SHIM_EXIT) {
			waiter->status = (uint8_t)message->header.a;
			return message->header.b & SHIM_EXIT_UNKNOWN ? OUTCOME_UNKNOWN
								     : OUTCOME_KNOWN;
		}
	}
	cleanup_close(&waiter->socket);
	waiter->socket = -1;
	return r == -EBADMSG ? 0 : r;
}

/* ---- the records' answer ---- */

static int read_exit(struct waiter *waiter, struct err *err)
{
	struct container_exit end;
	int r;

	r = container_exit_load(waiter->target.childfd, &end, err);
	if (r == -ENOENT)
		return OUTCOME_UNKNOWN;
	if (r < 0)
		return r;
	waiter->status = (uint8_t)container_exit_status(&end);
	r = end.known ? OUTCOME_KNOWN : OUTCOME_UNKNOWN;
	container_exit_done(&end);
	return r;
}

/* Looks once. Return: of enum outcome, 0 when there is more to wait for (*ret_timeout: how long, in
 * ms), -errno. */
static int look(struct waiter *waiter, struct watch *watch, int *ret_timeout, struct err *err)
{
	struct container_state state;
	enum container_phase recorded, now;
	int r;

	if (!container_is_made(waiter->target.childfd))
		return err_set(err, -ENOENT, "container %s has been removed", waiter->target.path);
	r = container_state_load(waiter->target.childfd, &state, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", waiter->target.path);
	recorded = state.phase;
	now = container_phase_now(&state);
	watch_set_processes(watch, &state);
	container_state_done(&state);
	if (recorded == CONTAINER_EXITED)
		return read_exit(waiter, err);
	/* Nobody has written its end: podd is about to, if there is one. */
	*ret_timeout = now == CONTAINER_EXITED ? LOST_TIMEOUT_MS : -1;
	if (now != CONTAINER_CREATED && now != CONTAINER_EXITED)
		ask_shim(waiter);
	return 0;
}

static int await_records(struct waiter *waiter, struct err *err)
{
	cleanup(watch_done) struct watch watch = WATCH_NONE;
	int timeout = -1;
	int r;

	r = watch_init(&watch, err);
	if (r == 0)
		r = watch_add_dir(&watch, waiter->target.childfd, err);
	while (r == 0) {
		r = look(waiter, &watch, &timeout, err);
		if (r != 0 || waiter->socket >= 0)
			return r;
		r = watch_wait(&watch, -1, STDOUT_FILENO, timeout);
		if (r == 0)
			return OUTCOME_UNKNOWN;
		r = r > 0 ? 0 : r;
	}
	return r;
}

/* Return: of enum outcome, or -errno. */
static int await_end(struct waiter *waiter, struct err *err)
{
	int r = 0;

	while (r == 0) {
		r = waiter->socket >= 0 ? await_shim(waiter) : 0;
		if (r == 0)
			r = await_records(waiter, err);
	}
	return r;
}

/* ---- other conditions ---- */

/* Return: 1 when the container is so, 0, -EINVAL for none that is known. */
static int meets(const struct target *target, const char *condition)
{
	struct container_state state;
	int phase, health;

	if (container_state_load(target->childfd, &state, NULL) < 0)
		return 0;
	phase = strcmp(condition, container_phase_name(container_phase_now(&state))) == 0;
	health = strcmp(condition, container_healthiness_name(state.health)) == 0;
	container_state_done(&state);
	return phase || health;
}

static int await_condition(const struct target *target, const char *condition, struct err *err)
{
	cleanup(watch_done) struct watch watch = WATCH_NONE;
	int r;

	r = watch_init(&watch, err);
	if (r == 0)
		r = watch_add_dir(&watch, target->childfd, err);
	while (r >= 0 && !meets(target, condition)) {
		if (!container_is_made(target->childfd))
			return err_set(err, -ENOENT, "container %s has been removed", target->path);
		r = watch_wait(&watch, -1, STDOUT_FILENO, -1);
	}
	return r < 0 ? r : 0;
}

static bool is_condition(const char *condition)
{
	for (int i = CONTAINER_CREATED; i <= CONTAINER_EXITED; i++)
		if (strcmp(condition, container_phase_name((enum container_phase)i)) == 0)
			return true;
	return strcmp(condition, "stopped") == 0 || strcmp(condition, "healthy") == 0 ||
	       strcmp(condition, "unhealthy") == 0;
}

/* ---- the verb ---- */

struct wait_options {
	const char *condition; /* NULL: the end */
	bool ignore;
};

static int open_waiters(const struct ctl *ctl, char *const *paths,
	const struct wait_options *options, struct waiter *waiters, struct err *err)
{
	for (size_t i = 0; paths[i]; i++) {
		struct target *target = &waiters[i].target;
		int r = target_open(ctl, paths[i], TARGET_CONTAINER, target, err);

		if (r < 0)
			return r;
		/* There may be many. */
		close(target->podfd);
		target->podfd = -1;
		if (!options->condition)
			ask_shim(&waiters[i]);
	}
	return 0;
}

static int print_outcome(struct waiter *waiter, const struct wait_options *options)
{
	struct err err = {};
	int r;

	/* As podman: only an end has a status. */
	if (options->condition) {
		r = await_condition(&waiter->target, options->condition, &err);
		if (r == 0)
			printf("-1\n");
		return r < 0 ? ctl_fail(r, &err) : CTL_OK;
	}
	r = await_end(waiter, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	if (r == OUTCOME_UNKNOWN)
		ctl_warning("how container %s ended is unknown", waiter->target.path);
	printf("%d\n", r == OUTCOME_UNKNOWN ? CTL_UNKNOWN : waiter->status);
	fflush(stdout);
	return CTL_OK;
}

static int wait_for(const struct ctl *ctl, char *const *paths, const struct wait_options *options)
{
	size_t n = strv_length(paths);
	struct waiter *waiters = calloc(n + 1, sizeof(*waiters));
	struct err err = {};
	int status = CTL_OK;
	int r;

	if (!waiters)
		return ctl_fail(err_oom(&err), &err);
	for (size_t i = 0; i < n; i++)
		waiters[i] = (struct waiter){
			.target = {.podfd = -1, .childfd = -1}, .socket = -1};
	r = open_waiters(ctl, paths, options, waiters, &err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		int one = print_outcome(&waiters[i], options);

		status = one ? one : status;
	}
	for (size_t i = 0; i < n; i++)
		waiter_done(&waiters[i]);
	free(waiters);
	return r < 0 ? ctl_fail(r, &err) : status;
}

/* With --ignore, what is not there is told by -1. */
static int expand(const struct ctl *ctl, char **operands, const struct wait_options *options,
	char ***ret, struct err *err)
{
	autostrv paths = calloc(1, sizeof(*paths));

	for (size_t i = 0; paths && operands[i]; i++) {
		char *one[] = {operands[i], NULL};
		autostrv found = NULL;
		int r = each_expand(ctl, one, false, &found, err);

		if (r == -ENOENT && options->ignore) {
			printf("-1\n");
			continue;
		}
		if (r < 0)
			return r;
		for (size_t j = 0; found[j]; j++)
			if (strv_add(&paths, found[j]) < 0)
				return err_oom(err);
	}
	if (!paths)
		return err_oom(err);
	if (strv_length(paths) > WAIT_PATHS_MAX)
		return err_set(err, -E2BIG, "more than %d containers", WAIT_PATHS_MAX);
	*ret = take_ptr(paths);
	return 0;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct wait_options values = {};
	const char *interval = NULL;
	const struct option options[] = {
		{.name = "condition", .argument = "STATE", .text = &values.condition,
			.help = "stopped (default), running, healthy, unhealthy ..."},
		{.name = "ignore", .flag = &values.ignore, .help = "what is not there is no error"},
		{.name = "interval", .letter = 'i', .argument = "TIME", .text = &interval,
			.help = "without meaning: an end is known at once"},
		{}};
	autostrv paths = NULL;
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_wait, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (values.condition && !is_condition(values.condition))
		return ctl_usage_error(&verb_wait, "\"%s\" is not a state of a container",
			values.condition);
	if (values.condition && (strcmp(values.condition, "stopped") == 0 ||
					strcmp(values.condition, "exited") == 0))
		values.condition = NULL;
	r = expand(ctl, argv, &values, &paths, &err);
	return r < 0 ? ctl_fail(r, &err) : wait_for(ctl, paths, &values);
}

const struct ctl_verb verb_wait = {
	.name = "wait",
	.operands = "PATH...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Wait for the end of containers and print their exit status",
	.details = "PATH may be a pod, for all containers in it. One that has not been started yet is\n"
		   "waited for as well. 255 and a warning stand for an end that nobody saw.",
	.example = "podctl wait net0/job",
	.run = run,
};
