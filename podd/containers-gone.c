/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the containers of a pod that is gone have left: see containers.h. Only records name them. */

#include "containers.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "container.h"
#include "deadline.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

/* What was killed is ending. */
#define CGROUP_TIMEOUT_MS 2000

/* Calls @function with the directory of each container that podctl made. */
static void for_each_record(int podfd, void (*function)(int childfd, void *userdata), void *userdata)
{
	autostrv names = NULL;

	if (hierarchy_children(podfd, HIERARCHY_CONTAINERS, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		autoclose int childfd = -1;

		if (hierarchy_open_child(podfd, names[i], false, &childfd, NULL) == 0 &&
			container_is_made(childfd))
			function(childfd, userdata);
	}
}

struct ending {
	bool wait;
	int64_t deadline_ms;
	char boot_id[PROC_BOOT_ID_SIZE];
};

static void end_process(const struct proc_id *id, const struct ending *ending)
{
	autoclose int pidfd = -1;

	if (id->pid == 0 || proc_open(id, &pidfd) < 0)
		return;
	if (ending->wait)
		proc_wait(pidfd, (int)deadline_left_ms(ending->deadline_ms, UINT32_MAX / 4));
	else
		proc_signal(pidfd, SIGKILL);
}

static void end_one(int childfd, void *userdata)
{
	cleanup(container_state_done) struct container_state state = {};
	const struct ending *ending = userdata;

	if (container_state_load(childfd, &state, NULL) < 0 ||
		!text_equal(state.boot_id, ending->boot_id))
		return;
	/* First the shim, which would start it again. */
	end_process(&state.shim, ending);
	end_process(&state.init, ending);
}

void containers_end_all(int podfd, bool wait, int64_t deadline_ms)
{
	struct ending ending = {.wait = wait, .deadline_ms = deadline_ms};

	if (proc_boot_id(ending.boot_id) == 0)
		for_each_record(podfd, end_one, &ending);
}

static void remove_cgroup(int childfd)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	int r = container_spec_load(childfd, &spec, NULL);

	if (r == 0 && spec.cgroup)
		r = cgroup_remove(spec.cgroup, CGROUP_TIMEOUT_MS);
	if (r < 0 && spec.cgroup)
		fprintf(stderr, "podd: removing the cgroup %s: %s\n", spec.cgroup, strerror(-r));
}

static void write_end(int childfd, void *userdata)
{
	cleanup(container_state_done) struct container_state state = {};
	cleanup(container_exit_done) struct container_exit end = {};

	remove_cgroup(childfd);
	file_remove_tree(childfd, CONTAINER_RUN, NULL);
	file_remove_tree(childfd, CONTAINER_OVERLAY, NULL);
	file_remove(childfd, CONTAINER_SOCKET, NULL);
	if (container_state_load(childfd, &state, NULL) < 0)
		container_state_init(&state);
	else if (state.phase == CONTAINER_EXITED || state.phase == CONTAINER_CREATED)
		return;
	memcpy(end.started, state.started, sizeof(end.started));
	record_time_now(end.ended);
	container_exit_save(childfd, &end, NULL);
	state.phase = CONTAINER_EXITED;
	memcpy(state.since, end.ended, sizeof(state.since));
	state.shim = state.init = (struct proc_id){};
	state.mounts = (struct ns_id){};
	container_state_save(childfd, &state, NULL);
}

void containers_write_ends(int podfd)
{
	for_each_record(podfd, write_end, NULL);
}
