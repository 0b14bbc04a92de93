/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Health checks: see health.h.
 *
 *   off ──begin──▶ waiting ──interval──▶ checking ──result──▶ waiting
 *                                           └─time-out: SIGKILL, counts as a failure─┘
 *
 * Failures in the start period do not count; a success in it ends it.
 */

#include "health.h"

#include <signal.h>
#include <stdbool.h>

#include "cgroup.h"
#include "cleanup.h"

#define SECOND_US UINT64_C(1000000)

struct health {
	sd_event *event;
	const struct place *place;
	struct execs *execs;
	void (*changed)(void *userdata, enum container_healthiness health, uint32_t failures);
	void *userdata;
	sd_event_source *timer;
	struct exec *exec;
	pid_t init;
	const char *cgroup;    /* its own, or NULL; not owned */
	uint64_t started;
	enum container_healthiness health;
	uint32_t failures;
	bool timed_out;
};

static uint64_t now_us(const struct health *health)
{
	uint64_t now = 0;

	sd_event_now(health->event, CLOCK_MONOTONIC, &now);
	return now;
}

int health_new(sd_event *event, const struct place *place, struct execs *execs,
	void (*changed)(void *userdata, enum container_healthiness health, uint32_t failures),
	void *userdata, struct health **ret, struct err *err)
{
	struct health *health = calloc(1, sizeof(*health));

	if (!health)
		return err_oom(err);
	*health = (struct health){.event = event,
		.place = place,
		.execs = execs,
		.changed = changed,
		.userdata = userdata};
	*ret = health;
	return 0;
}

void health_free(struct health *health)
{
	if (!health)
		return;
	health_end(health);
	free(health);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata);

static void set_timer(struct health *health, uint32_t seconds)
{
	health->timer = sd_event_source_disable_unref(health->timer);
	(void)sd_event_add_time_relative(health->event, &health->timer, CLOCK_MONOTONIC,
		(seconds ? seconds : 1) * SECOND_US, 0, on_timer, health);
}

static void note_result(struct health *health, bool success)
{
	const struct container_health *spec = &health->place->spec.health;
	bool starting = health->health == HEALTH_STARTING &&
			now_us(health) - health->started < spec->start_period_s * SECOND_US;

	if (success) {
		health->failures = 0;
		health->health = HEALTH_HEALTHY;
	} else if (!starting) {
		if (health->failures < UINT32_MAX)
			health->failures++;
		if (health->failures >= spec->retries)
			health->health = HEALTH_UNHEALTHY;
	}
	health->changed(health->userdata, health->health, health->failures);
	set_timer(health, spec->interval_s);
}

static void on_started(void *userdata, pid_t pid)
{
}

static void on_failed(void *userdata, int status, const char *reason)
{
	struct health *health = userdata;

	health->exec = NULL;
	note_result(health, false);
}

static void on_output(void *userdata, bool is_stderr, const char *data, size_t length)
{
}

static void on_writable(void *userdata)
{
}

static void on_ended(void *userdata, int status)
{
	struct health *health = userdata;

	health->exec = NULL;
	note_result(health, status == 0 && !health->timed_out);
}

static const struct exec_handler handler = {.started = on_started,
	.failed = on_failed,
	.output = on_output,
	.writable = on_writable,
	.ended = on_ended};

static void check(struct health *health)
{
	const struct container_health *spec = &health->place->spec.health;
	struct exec_request request = {.init = health->init, .detached = true};
	struct err err = {};
	int r;

	health->timed_out = false;
	r = exec_process_file(health->place, spec->command, &request.process, &err);
	if (r == 0)
		r = exec_start(health->execs, &request, &handler, health, &health->exec, &err);
	if (r < 0) {
		place_log(health->place, "the health check: %s", err.msg);
		note_result(health, false);
		return;
	}
	set_timer(health, spec->timeout_s);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata)
{
	struct health *health = userdata;
	const struct container_health *spec = &health->place->spec.health;

	/* What is frozen cannot answer: nothing is known of it as long. */
	if (!health->exec && health->cgroup && cgroup_is_frozen(health->cgroup)) {
		set_timer(health, spec->interval_s);
		return 0;
	}
	if (!health->exec) {
		check(health);
		return 0;
	}
	health->timed_out = true;
	/* One that has not started yet gets it a little later. */
	if (exec_signal(health->exec, SIGKILL) < 0)
		set_timer(health, 1);
	return 0;
}

void health_begin(struct health *health, pid_t init, const char *cgroup)
{
	const struct container_health *spec = &health->place->spec.health;

	if (!spec->command || !spec->command[0])
		return;
	health->init = init;
	health->cgroup = cgroup;
	health->started = now_us(health);
	health->failures = 0;
	health->health = HEALTH_STARTING;
	health->changed(health->userdata, health->health, 0);
	set_timer(health, spec->interval_s);
}

void health_end(struct health *health)
{
	health->timer = sd_event_source_disable_unref(health->timer);
	if (health->exec)
		exec_disown(take_ptr(health->exec));
}
