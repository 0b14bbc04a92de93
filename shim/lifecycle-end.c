/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A container's life: the ends of its runs, and what comes after them. See lifecycle.c. */

#include "lifecycle-internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "deadline.h"
#include "file.h"
#include "judge.h"
#include "overlay.h"
#include "report.h"
#include "restart.h"
#include "text.h"

/* Of an init whose execve(2) failed. */
#define STATUS_NOT_EXECUTED 1

/* ---- the end of a run ---- */

static bool pod_is_stopping(const struct place *place)
{
	struct pod_state state;
	bool stopping;

	pod_state_init(&state);
	if (pod_state_load(place->podfd, &state, NULL) < 0)
		return true;
	stopping = state.phase == POD_STOPPING || state.phase == POD_STOPPED ||
		   state.phase == POD_FAILED;
	pod_state_done(&state);
	return stopping;
}

static int on_delay(sd_event_source *source, uint64_t now, void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	lifecycle->step_timer = sd_event_source_disable_unref(lifecycle->step_timer);
	lifecycle->state.restarts++;
	report(lifecycle->place, "restart", "restarts", (int)lifecycle->state.restarts);
	lifecycle_begin_run(lifecycle);
	return 0;
}

static void remove_traces(struct lifecycle *lifecycle)
{
	struct place *place = lifecycle->place;

	streams_free(take_ptr(lifecycle->streams));
	overlay_remove(place);
	cleanup_close(&place->runfd);
	place->runfd = -1;
	file_remove_tree(place->childfd, CONTAINER_RUN, NULL);
	place_remove_pidfile(place, lifecycle->state.init.pid);
	memset(&lifecycle->state.init, 0, sizeof(lifecycle->state.init));
	memset(&lifecycle->state.mounts, 0, sizeof(lifecycle->state.mounts));
	lifecycle->state.health = HEALTH_NONE;
	lifecycle->state.health_failures = 0;
}

static void remove_container(struct lifecycle *lifecycle)
{
	const struct place *place = lifecycle->place;

	place_remove_cidfile(place);
	place_remove_container(place);
	report(place, "remove", NULL, 0);
}

void lifecycle_finish(struct lifecycle *lifecycle)
{
	struct place *place = lifecycle->place;

	lifecycle->step = STEP_OVER;
	lifecycle_set_phase(lifecycle, CONTAINER_EXITED);
	if (lifecycle->has_run || lifecycle->state.restarts > 0)
		report(place, "died", "exitCode", lifecycle->exit.status);
	if (place->spec.auto_remove)
		remove_container(lifecycle);
	if (lifecycle->first)
		lifecycle->listener->failed(lifecycle->userdata, lifecycle->exit.status,
			lifecycle->exit.error ? lifecycle->exit.error : "it did not start");
	else
		lifecycle->listener->ended(lifecycle->userdata, &lifecycle->exit, false);
	lifecycle->listener->finished(lifecycle->userdata);
}

static bool begin_delay(struct lifecycle *lifecycle)
{
	uint64_t ran = lifecycle->has_run ? (uint64_t)(deadline_now_ms() - lifecycle->run_since_ms)
					  : 0;

	lifecycle->delay_ms = restart_delay_ms(lifecycle->delay_ms, ran);
	return sd_event_add_time_relative(lifecycle->parts.event, &lifecycle->step_timer,
		       CLOCK_MONOTONIC, UINT64_C(1000) * lifecycle->delay_ms, 0, on_delay,
		       lifecycle) >= 0;
}

/* podctl update may have changed it. */
static void reload_restart(struct container_spec *spec, int childfd)
{
	cleanup(container_spec_done) struct container_spec now = {};

	if (container_spec_load(childfd, &now, NULL) < 0)
		return;
	spec->restart = now.restart;
	spec->restart_max = now.restart_max;
}

static void on_deleted(void *userdata, bool clean)
{
	struct lifecycle *lifecycle = userdata;
	struct container_exit *exit = &lifecycle->exit;
	bool stopped = lifecycle->state.stop_requested || pod_is_stopping(lifecycle->place);

	deletion_free(take_ptr(lifecycle->deletion));
	/* If not clean, there is nobody to do it better now; the next run begins with it. */
	remove_traces(lifecycle);
	record_time_now(exit->ended);
	lifecycle_save_exit(lifecycle);
	reload_restart(&lifecycle->place->spec, lifecycle->place->childfd);
	if (lifecycle->first ||
		!restart_wanted(&lifecycle->place->spec, exit, lifecycle->state.restarts, stopped) ||
		!begin_delay(lifecycle)) {
		lifecycle_finish(lifecycle);
		return;
	}
	lifecycle->step = STEP_DELAY;
	lifecycle_set_phase(lifecycle, CONTAINER_RESTARTING);
	report(lifecycle->place, "died", "exitCode", exit->status);
	lifecycle->listener->ended(lifecycle->userdata, exit, true);
}

void lifecycle_delete(struct lifecycle *lifecycle)
{
	struct err err = {};

	lifecycle->step = STEP_DELETE;
	if (deletion_begin(lifecycle->parts.event, lifecycle->place, lifecycle->parts.runtime,
		    on_deleted, lifecycle, &lifecycle->deletion, &err) < 0) {
		place_log(lifecycle->place, "%s", err.msg);
		on_deleted(lifecycle, false);
	}
}

/* A start that failed. */
void lifecycle_clear_start(struct lifecycle *lifecycle, int status, const char *reason)
{
	struct container_exit *exit = &lifecycle->exit;

	place_log(lifecycle->place, "it did not start: %s", reason);
	if (lifecycle->init > 0) {
		reaper_forget(lifecycle->parts.reaper, lifecycle->init);
		kill(lifecycle->init, SIGKILL);
		lifecycle->init = 0;
	}
	reaper_kill_unknown(lifecycle->parts.reaper);
	exit->known = true;
	exit->status = (uint8_t)status;
	free(exit->error);
	exit->error = strdup(reason);
	lifecycle_delete(lifecycle);
}

static void begin_drain(struct lifecycle *lifecycle)
{
	lifecycle->step = STEP_DRAIN;
	streams_finish(lifecycle->streams);
}

static void on_no_leftovers(void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	leftovers_free(take_ptr(lifecycle->leftovers));
	begin_drain(lifecycle);
}

static void kill_leftovers(struct lifecycle *lifecycle)
{
	struct err err = {};

	lifecycle->step = STEP_LEFTOVERS;
	if (leftovers_begin(lifecycle->parts.event, &lifecycle->state.mounts, on_no_leftovers,
		    lifecycle, &lifecycle->leftovers, &err) < 0)
		begin_drain(lifecycle);
}

/* What its end says, and what only can be asked before delete. */
static void note_exit(struct lifecycle *lifecycle)
{
	struct container_exit *exit = &lifecycle->exit;
	struct cgroup_stats stats;
	int status = lifecycle->wait_status;

	exit->known = true;
	if (WIFSIGNALED(status)) {
		exit->signal = (uint32_t)WTERMSIG(status);
		exit->status = (uint8_t)(128 + WTERMSIG(status));
	} else {
		exit->status = (uint8_t)WEXITSTATUS(status);
	}
	/* A file of no known format passes create and start, and its execve(2) fails after them. */
	if (exit->status == STATUS_NOT_EXECUTED &&
		judge_command(lifecycle->place) == STATUS_NOT_RUNNABLE)
		exit->status = STATUS_NOT_RUNNABLE;
	if (lifecycle->state.cgroup && cgroup_stats(lifecycle->state.cgroup, &stats) == 0)
		exit->oom = stats.oom_kills > 0;
	if (exit->oom)
		report(lifecycle->place, "oom", NULL, 0);
}

void lifecycle_end_run(struct lifecycle *lifecycle)
{
	note_exit(lifecycle);
	kill_leftovers(lifecycle);
}
