/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The container's life.
 *
 *   created ──▶ starting ──▶ running ──▶ (ending) ──▶ exited
 *                  │            │ stop      ▲            ▲
 *                  │            ▼           │            │
 *                  │         stopping ──────┤            │
 *                  │                        ▼            │
 *                  └──fails──▶ (clearing) ──┴─▶ restarting ──stop──┘
 *                                   ▲               │
 *                                   └── starting ◀──┘ delay
 *
 * The phases are those of state.json, whose writer this is; within them, one step at a time is under
 * way, each asynchronous:
 *
 *   starting    what the runtime still knows of an earlier run is deleted; chown (a child), RUNTIME
 *               create, RUNTIME start
 *   running     nothing; the end of the first process begins the next
 *   ending      the others of a shared pid namespace are killed; the output is read to its end;
 *               RUNTIME delete; the records are written
 *   clearing    what a failed start left: its processes are killed, RUNTIME delete
 *
 * The first process may end before RUNTIME start does: its end is handled when both have ended. A
 * stop that comes before it runs is carried out when it does.
 */

#include "lifecycle-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "report.h"
#include "shim.h"

/* ---- records ---- */

void lifecycle_save_state(struct lifecycle *lifecycle)
{
	struct err err = {};

	if (container_state_save(lifecycle->place->childfd, &lifecycle->state, &err) < 0)
		place_log(lifecycle->place, "%s", err.msg);
}

void lifecycle_set_phase(struct lifecycle *lifecycle, enum container_phase phase)
{
	lifecycle->state.phase = phase;
	record_time_now(lifecycle->state.since);
	lifecycle_save_state(lifecycle);
}

void lifecycle_save_exit(struct lifecycle *lifecycle)
{
	struct err err = {};

	if (container_exit_save(lifecycle->place->childfd, &lifecycle->exit, &err) < 0)
		place_log(lifecycle->place, "%s", err.msg);
}

static void on_health(void *userdata, enum container_healthiness health, uint32_t failures)
{
	struct lifecycle *lifecycle = userdata;
	bool news = lifecycle->state.health != health;

	lifecycle->state.health = health;
	lifecycle->state.health_failures = failures;
	lifecycle_save_state(lifecycle);
	if (news)
		report_text(lifecycle->place, "health_status", "health",
			container_healthiness_name(health));
}

/* ---- streams ---- */

static void on_output(void *userdata, bool is_stderr, const char *data, size_t length)
{
	struct lifecycle *lifecycle = userdata;

	shim_log_write(lifecycle->log, is_stderr, data, length);
	lifecycle->listener->output(lifecycle->userdata, is_stderr, data, length);
}

static void on_writable(void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	lifecycle->listener->writable(lifecycle->userdata);
}

static void on_drained(void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	shim_log_flush(lifecycle->log);
	lifecycle_delete(lifecycle);
}

static const struct streams_handler stream_handler = {
	.output = on_output, .writable = on_writable, .finished = on_drained};

int lifecycle_open_streams(struct lifecycle *lifecycle, struct err *err)
{
	const struct streams_options options = {.terminal = lifecycle->place->spec.terminal,
		.interactive = lifecycle->place->spec.interactive};
	int r = streams_new(lifecycle->parts.event, lifecycle->place, &options, &stream_handler,
		lifecycle, &lifecycle->streams, err);

	if (r < 0)
		return r;
	streams_pause(lifecycle->streams, lifecycle->held);
	if (lifecycle->rows)
		streams_resize(lifecycle->streams, lifecycle->rows, lifecycle->columns);
	return 0;
}

/* ---- stopping ---- */

static int on_kill(sd_event_source *source, uint64_t now, void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	if (lifecycle->init > 0)
		kill(lifecycle->init, SIGKILL);
	return 0;
}

/* The pid is that of a child that was not waited for: nobody else can have it. */
static void send_stop(struct lifecycle *lifecycle, uint32_t signal, uint32_t seconds)
{
	lifecycle->kill_timer = sd_event_source_disable_unref(lifecycle->kill_timer);
	if (seconds == 0 || sd_event_add_time_relative(lifecycle->parts.event,
				    &lifecycle->kill_timer, CLOCK_MONOTONIC,
				    UINT64_C(1000000) * seconds, 0, on_kill, lifecycle) < 0)
		signal = SIGKILL;
	kill(lifecycle->init, (int)signal);
}

void lifecycle_stop(struct lifecycle *lifecycle, uint32_t signal, uint32_t seconds)
{
	const struct container_spec *spec = &lifecycle->place->spec;

	if (lifecycle->step == STEP_OVER)
		return;
	lifecycle->state.stop_requested = true;
	lifecycle->stop_signal = signal;
	lifecycle->stop_seconds = seconds;
	if (lifecycle->step == STEP_DELAY) {
		lifecycle->step_timer = sd_event_source_disable_unref(lifecycle->step_timer);
		lifecycle_finish(lifecycle);
		return;
	}
	if (lifecycle->state.phase != CONTAINER_STOPPING) {
		lifecycle_set_phase(lifecycle, CONTAINER_STOPPING);
		report(lifecycle->place, "stop", NULL, 0);
	}
	if (lifecycle->owning > 0)
		kill(lifecycle->owning, SIGKILL);
	if (lifecycle->step == STEP_RUN && lifecycle->init > 0)
		send_stop(lifecycle,
			signal == SHIM_DEFAULT || signal == 0 || signal >= NSIG ? spec->stop_signal
										: signal,
			seconds == SHIM_DEFAULT ? spec->stop_timeout_s : seconds);
}

int lifecycle_signal(struct lifecycle *lifecycle, uint32_t signal)
{
	if (signal == 0 || signal >= NSIG)
		return -EINVAL;
	if (lifecycle->step != STEP_RUN || lifecycle->init == 0)
		return -ESRCH;
	return kill(lifecycle->init, (int)signal) < 0 ? -errno : 0;
}

/* ---- the rest ---- */

int lifecycle_new(const struct lifecycle_parts *parts, const struct lifecycle_listener *listener,
	void *userdata, struct lifecycle **ret, struct err *err)
{
	struct lifecycle *lifecycle = calloc(1, sizeof(*lifecycle));
	int r;

	if (!lifecycle)
		return err_oom(err);
	lifecycle->parts = *parts;
	lifecycle->listener = listener;
	lifecycle->userdata = userdata;
	lifecycle->place = parts->place;
	lifecycle->first = true;
	container_state_init(&lifecycle->state);
	lifecycle->state.shim = parts->place->self;
	lifecycle->state.order = parts->order;
	r = proc_boot_id(lifecycle->state.boot_id);
	if (r < 0)
		err_set(err, r, "reading the boot id: %s", strerror(-r));
	if (r == 0)
		r = shim_log_open(&parts->place->spec, parts->place->childfd, &lifecycle->log, err);
	if (r == 0)
		r = health_new(parts->event, parts->place, parts->execs, on_health, lifecycle,
			&lifecycle->health, err);
	if (r < 0) {
		lifecycle_free(lifecycle);
		return r;
	}
	*ret = lifecycle;
	return 0;
}

void lifecycle_free(struct lifecycle *lifecycle)
{
	if (!lifecycle)
		return;
	sd_event_source_disable_unref(lifecycle->kill_timer);
	sd_event_source_disable_unref(lifecycle->step_timer);
	health_free(lifecycle->health);
	deletion_free(lifecycle->deletion);
	leftovers_free(lifecycle->leftovers);
	streams_free(lifecycle->streams);
	shim_log_free(lifecycle->log);
	container_state_done(&lifecycle->state);
	container_exit_done(&lifecycle->exit);
	free(lifecycle);
}

void lifecycle_start(struct lifecycle *lifecycle)
{
	lifecycle_begin_run(lifecycle);
}

pid_t lifecycle_init(const struct lifecycle *lifecycle)
{
	return lifecycle->step == STEP_RUN ? lifecycle->init : 0;
}

struct streams *lifecycle_streams(const struct lifecycle *lifecycle)
{
	return lifecycle->streams;
}

bool lifecycle_takes_input(const struct lifecycle *lifecycle)
{
	return lifecycle->streams && !lifecycle->has_ended;
}

void lifecycle_hold(struct lifecycle *lifecycle, bool held)
{
	lifecycle->held = held;
	streams_pause(lifecycle->streams, held);
}

void lifecycle_resize(struct lifecycle *lifecycle, uint32_t rows, uint32_t columns)
{
	lifecycle->rows = rows;
	lifecycle->columns = columns;
	if (lifecycle->streams)
		streams_resize(lifecycle->streams, rows, columns);
}

bool lifecycle_is_over(const struct lifecycle *lifecycle)
{
	return lifecycle->step == STEP_OVER;
}
