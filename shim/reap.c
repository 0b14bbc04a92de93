/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * After a shim was killed: see reap.h. Its container's first process is killed (podd does that too),
 * then RUNTIME delete --force runs the hooks and removes cgroup and state, and the records say that
 * nobody saw the end. Everything may have been done before: a second time is fine.
 *
 *   killing ──the first process is gone──▶ those that it left, too ──▶ deleting ──▶ recorded, removed
 */

#include "reap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "deletion.h"
#include "file.h"
#include "leftovers.h"
#include "overlay.h"
#include "report.h"
#include "text.h"

#define KILL_TIMEOUT_US (UINT64_C(20) * 1000000)
#define STATUS_UNKNOWN 255

struct reap {
	sd_event *event;
	struct place *place;
	struct runtime *runtime;
	struct container_state state;
	struct leftovers *leftovers;
	struct deletion *deletion;
	sd_event_source *gone;
	sd_event_source *patience;
	bool was_running;
};

static struct reap reap;

static void save_exit(const struct container_state *state)
{
	struct container_exit exit = {.status = STATUS_UNKNOWN};
	struct err err = {};

	text_copy(exit.started, sizeof(exit.started), state->started);
	record_time_now(exit.ended);
	if (container_exit_save(reap.place->childfd, &exit, &err) < 0)
		place_log(reap.place, "%s", err.msg);
}

static void save_state(struct container_state *state)
{
	struct err err = {};

	state->phase = CONTAINER_EXITED;
	record_time_now(state->since);
	memset(&state->init, 0, sizeof(state->init));
	memset(&state->mounts, 0, sizeof(state->mounts));
	state->health = HEALTH_NONE;
	state->health_failures = 0;
	if (container_state_save(reap.place->childfd, state, &err) < 0)
		place_log(reap.place, "%s", err.msg);
}

static void on_deleted(void *userdata, bool clean)
{
	struct place *place = reap.place;

	deletion_free(take_ptr(reap.deletion));
	overlay_remove(place);
	file_remove_tree(place->childfd, CONTAINER_RUN, NULL);
	file_remove(place->childfd, CONTAINER_SOCKET, NULL);
	place_remove_pidfile(place, reap.state.init.pid);
	if (reap.was_running) {
		save_exit(&reap.state);
		save_state(&reap.state);
		report(place, "died", "exitCode", STATUS_UNKNOWN);
	}
	if (place->spec.auto_remove) {
		place_remove_cidfile(place);
		place_remove_container(place);
		report(place, "remove", NULL, 0);
	}
	sd_event_exit(reap.event, clean ? 0 : 1);
}

static int delete_container(struct err *err)
{
	return deletion_begin(reap.event, reap.place, reap.runtime, on_deleted, NULL, &reap.deletion,
		err);
}

static void on_no_leftovers(void *userdata)
{
	struct err err = {};

	leftovers_free(take_ptr(reap.leftovers));
	if (delete_container(&err) == 0)
		return;
	place_log(reap.place, "%s", err.msg);
	on_deleted(NULL, false);
}

/* The first process is gone. */
static int kill_leftovers(struct err *err)
{
	reap.gone = sd_event_source_disable_unref(reap.gone);
	reap.patience = sd_event_source_disable_unref(reap.patience);
	return leftovers_begin(reap.event, &reap.state.mounts, on_no_leftovers, NULL,
		&reap.leftovers, err);
}

static void go_on(void)
{
	struct err err = {};

	if (kill_leftovers(&err) < 0)
		on_no_leftovers(NULL);
}

static int on_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	go_on();
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t now, void *userdata)
{
	go_on();
	return 0;
}

/* Return: 1 when there is something to wait for. */
static int kill_init(void)
{
	autoclose int pidfd = -1;
	int r;

	if (proc_open(&reap.state.init, &pidfd) < 0)
		return 0;
	proc_signal(pidfd, SIGKILL);
	r = sd_event_add_io(reap.event, &reap.gone, pidfd, EPOLLIN, on_gone, NULL);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(reap.gone, true);
	if (r < 0)
		return 0;
	take_fd(&pidfd);
	r = sd_event_add_time_relative(reap.event, &reap.patience, CLOCK_MONOTONIC, KILL_TIMEOUT_US,
		0, on_patience, NULL);
	return r < 0 ? 0 : 1;
}

int reap_begin(sd_event *event, struct place *place, struct reaper *reaper, struct runtime *runtime,
	struct err *err)
{
	char boot_id[PROC_BOOT_ID_SIZE];
	int r;

	reap = (struct reap){.event = event, .place = place, .runtime = runtime};
	r = container_state_load(place->childfd, &reap.state, err);
	if (r < 0)
		return r;
	reap.was_running = reap.state.phase != CONTAINER_CREATED &&
			   reap.state.phase != CONTAINER_EXITED;
	/* Processes and namespaces of another boot are not its. */
	if (proc_boot_id(boot_id) < 0 || !text_equal(boot_id, reap.state.boot_id))
		return delete_container(err);
	return kill_init() > 0 ? 0 : kill_leftovers(err);
}
