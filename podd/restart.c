/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Restarting a pod: see restart.h.
 *
 *   running ──the outer container ends unasked──▶ cleaned up, "restarting" ──delay──▶ started anew
 *                                                   │       ▲                          │    │
 *                                                 Stop      └──────── fails ───────────┘    ▼
 *                                                   ▼                                    running
 *                                                stopped
 *
 * The delay doubles from try to try, until the pod has run for a while. Between two runs podd
 * forgets everything but that: it opens the pod as if it had just been started itself.
 */

#include "restart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "container.h"
#include "hierarchy.h"
#include "launch.h"
#include "network.h"
#include "pod.h"
#include "text.h"

#define DELAY_US UINT64_C(100000)
#define DELAY_MAX_US UINT64_C(60000000)
/* A pod that ran so long did not fail of how it was started. */
#define STABLE_US UINT64_C(60000000)

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool restart_is_wanted(const struct pod *pod)
{
	return pod->spec.restart != POD_RESTART_NO && !pod->spec.auto_remove;
}

uint64_t restart_delay_us(struct restart *restart)
{
	uint64_t delay = DELAY_MAX_US;

	if (restart->since_us > 0 && now_us() - restart->since_us > STABLE_US)
		restart->in_a_row = 0;
	if (restart->in_a_row < 10 && DELAY_US << restart->in_a_row < DELAY_MAX_US)
		delay = DELAY_US << restart->in_a_row;
	restart->in_a_row++;
	restart->total++;
	restart->is_due = true;
	restart->since_us = 0;
	return delay;
}

static int on_delay_end(sd_event_source *source, uint64_t now, void *userdata)
{
	struct pod *pod = userdata;

	pod->next = POD_NEXT_START;
	sd_event_exit(pod->event, 0);
	return 0;
}

int restart_wait(struct pod *pod, uint64_t delay_us, struct err *err)
{
	int r = sd_event_add_time_relative(
		pod->event, NULL, CLOCK_MONOTONIC, delay_us, 1000, on_delay_end, pod);

	return r < 0 ? err_set(err, r, "waiting for the next start: %s", strerror(-r)) : 0;
}

/* ---- containers ---- */

/* Those that ended with the pod; what a person stopped, what ended by itself, and whose shim was
 * killed before, stays as it is. Only the pod's end takes the shim out of the record. */
static bool wants_start(
	int childfd, const struct container_spec *spec, const struct container_state *state)
{
	cleanup(container_exit_done) struct container_exit end = {};

	if (state->phase != CONTAINER_EXITED || state->stop_requested || state->shim.pid != 0 ||
		spec->restart == RESTART_NO)
		return false;
	return container_exit_load(childfd, &end, NULL) == 0 && !end.known;
}

static int start_one(struct pod *pod, const char *name, const struct container_spec *spec,
	uint64_t order, struct err *err)
{
	int r = 0;

	if (spec->net == CONTAINER_NET_POD)
		r = network_publish(pod->network, name, spec->publish, err);
	if (r < 0)
		return r;
	/* What becomes of its container the shim tells as always. */
	r = launch_shim(pod, name, order, -1, err);
	if (r < 0)
		network_detach(pod->network, name);
	return r;
}

struct candidate {
	const char *name;
	uint64_t order;
};

static int by_order(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;

	if (left->order != right->order)
		return left->order < right->order ? -1 : 1;
	return strcmp(left->name, right->name);
}

static bool is_candidate(const struct pod *pod, const char *name, struct candidate *ret)
{
	cleanup(container_state_done) struct container_state state = {};
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;

	if (hierarchy_open_child(pod->podfd, name, false, &childfd, NULL) < 0 ||
		container_spec_load(childfd, &spec, NULL) < 0 ||
		container_state_load(childfd, &state, NULL) < 0 ||
		!wants_start(childfd, &spec, &state))
		return false;
	*ret = (struct candidate){.name = name, .order = state.order};
	return true;
}

static void start_candidate(struct pod *pod, const struct candidate *candidate)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;
	struct err err = {};
	int r;

	r = hierarchy_open_child(pod->podfd, candidate->name, false, &childfd, &err);
	if (r == 0)
		r = container_spec_load(childfd, &spec, &err);
	if (r == 0)
		r = start_one(pod, candidate->name, &spec, candidate->order, &err);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: starting container %s again: %s\n", pod->path,
			candidate->name, err.msg);
}

static void start_containers(struct pod *pod)
{
	autofree struct candidate *candidates = NULL;
	autostrv names = NULL;
	struct err err = {};
	size_t n = 0;
	int r;

	r = hierarchy_children(pod->podfd, HIERARCHY_CONTAINERS, &names, &err);
	if (r == 0) {
		candidates = calloc(strv_length(names) + 1, sizeof(*candidates));
		r = candidates ? 0 : err_oom(&err);
	}
	if (r < 0) {
		fprintf(stderr, "podd: pod %s: starting its containers again: %s\n", pod->path,
			err.msg);
		return;
	}
	for (size_t i = 0; names[i]; i++)
		n += is_candidate(pod, names[i], &candidates[n]);
	qsort(candidates, n, sizeof(*candidates), by_order);
	for (size_t i = 0; i < n; i++)
		start_candidate(pod, &candidates[i]);
}

void restart_note_start(struct restart *restart, struct pod *pod)
{
	bool again = restart->is_due;

	restart->is_due = false;
	/* This podd may have had it before: then it has run for longer than since now. */
	if (!pod->adopted || restart->since_us == 0)
		restart->since_us = now_us();
	if (pod->adopted) {
		if (restart->total < pod->state.restarts)
			restart->total = pod->state.restarts;
		return;
	}
	if (!again)
		return;
	fprintf(stderr, "podd: pod %s: started again\n", pod->path);
	start_containers(pod);
}
