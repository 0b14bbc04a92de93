/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Watching containers: see containers.h.
 *
 *   watched ──the shim ends, its record says that the container ended──▶ forgotten
 *      │
 *      └──the shim was killed──▶ reaping: the first process is killed, podd-shim --reap runs
 *                                  │ fails: again after a delay, a few times
 *                                  └──▶ forgotten
 */

#include "containers-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "children.h"
#include "cleanup.h"
#include "event-missed.h"
#include "events.h"
#include "hierarchy.h"
#include "manager.h"
#include "network.h"
#include "pod.h"
#include "shim.h"
#include "text.h"

#define REAP_TRIES 4
#define REAP_DELAY_US 200000
/* Its runtime, with hooks and plugins, has a shorter one. */
#define REAP_TIMEOUT_US UINT64_C(200000000)

/* FNV-1a. */
static struct container **bucket(struct containers *containers, const char *name)
{
	uint32_t hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return &containers->buckets[hash % BUCKETS];
}

static struct container *find(const struct containers *containers, const char *name)
{
	struct container *container = *bucket((struct containers *)containers, name);

	while (container && strcmp(container->name, name) != 0)
		container = container->next;
	return container;
}

int containers_new(struct pod *pod, struct containers **ret, struct err *err)
{
	struct containers *containers = calloc(1, sizeof(*containers));

	if (!containers)
		return err_oom(err);
	containers->pod = pod;
	*ret = containers;
	return 0;
}

static void container_free(struct container *container)
{
	sd_event_source_disable_unref(container->exit);
	sd_event_source_disable_unref(container->timer);
	cleanup_close(&container->stop_socket);
	free(container);
}

void containers_free(struct containers *containers)
{
	if (!containers)
		return;
	sd_event_source_disable_unref(containers->wave_timer);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct container *container = containers->buckets[i], *next; container;
			container = next) {
			next = container->next;
			container_free(container);
		}
	}
	free(containers);
}

unsigned containers_count(const struct containers *containers)
{
	return containers->n;
}

void containers_tell_left(const struct containers *containers)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct container *c = containers->buckets[i]; c; c = c->next)
			fprintf(stderr,
				"podd: pod %s: container %s did not end in time: %s (process %d)\n",
				containers->pod->path, c->name,
				c->has_shim ? "its shim runs" : "it is cleaned up",
				(int)(c->has_shim ? c->shim.pid : c->reaper));
}

bool containers_has_shim(const struct containers *containers, const char *name)
{
	const struct container *container = find(containers, name);

	return container && container->has_shim;
}

static void drop(struct container *container)
{
	struct containers *containers = container->owner;
	struct container **link = bucket(containers, container->name);

	network_down(containers->pod->network, container->name);
	while (*link != container)
		link = &(*link)->next;
	*link = container->next;
	containers->n--;
	container_free(container);
}

static void forget(struct container *container)
{
	struct containers *containers = container->owner;

	drop(container);
	if (containers->is_stopping)
		containers_next_wave(containers);
	pod_stop_continue(containers->pod);
	pod_consider_end(containers->pod);
}

/* ---- what a killed shim left ---- */

static void reap(struct container *container);

static int on_retry(sd_event_source *source, uint64_t now, void *userdata)
{
	struct container *container = userdata;

	container->timer = sd_event_source_disable_unref(source);
	reap(container);
	return 0;
}

static void reap_later(struct container *container)
{
	struct pod *pod = container->owner->pod;

	fprintf(stderr, "podd: pod %s: cleaning up after the shim of %s failed (try %u of %d)\n",
		pod->path, container->name, container->tries, REAP_TRIES);
	container->timer = sd_event_source_disable_unref(container->timer);
	if (container->tries >= REAP_TRIES ||
		sd_event_add_time_relative(pod->event, &container->timer, CLOCK_MONOTONIC,
			(uint64_t)REAP_DELAY_US << container->tries, 0, on_retry, container) < 0)
		forget(container);
}

static int on_reaper_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct container *container = userdata;
	siginfo_t info = {};

	container->exit = sd_event_source_disable_unref(source);
	container->timer = sd_event_source_disable_unref(container->timer);
	waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	container->reaper = 0;
	if (info.si_code == CLD_EXITED && info.si_status == 0)
		forget(container);
	else
		reap_later(container);
	return 0;
}

static int on_reaper_timeout(sd_event_source *source, uint64_t now, void *userdata)
{
	struct container *container = userdata;

	/* Not waited for yet, so that the pid is still its. */
	if (container->reaper > 0)
		kill(container->reaper, SIGKILL);
	return 0;
}

static int watch_pid(struct container *container, int *pidfd, sd_event_io_handler_t handler)
{
	int r = sd_event_add_io(container->owner->pod->event, &container->exit, *pidfd, EPOLLIN,
		handler, container);

	if (r < 0)
		return r;
	sd_event_source_set_io_fd_own(container->exit, true);
	take_fd(pidfd);
	return 0;
}

static int start_reaper(struct container *container, struct err *err)
{
	struct pod *pod = container->owner->pod;
	const struct shim_launch launch = {
		.root = pod->root,
		.pod = pod->path,
		.name = container->name,
		.state = &pod->state,
		.podfd = pod->podfd,
		.reap = true,
		.client = -1,
	};
	autoclose int pidfd = -1;
	int r;

	r = shim_launch(&launch, &container->reaper, err);
	if (r < 0)
		return r;
	r = proc_open_child(container->reaper, &pidfd);
	if (r == 0)
		r = watch_pid(container, &pidfd, on_reaper_exit);
	if (r < 0) {
		/* What cannot be watched must not run. */
		kill(container->reaper, SIGKILL);
		waitpid(container->reaper, NULL, 0);
		container->reaper = 0;
		return err_set(err, r, "watching the reaper: %s", strerror(-r));
	}
	sd_event_add_time_relative(pod->event, &container->timer, CLOCK_MONOTONIC, REAP_TIMEOUT_US, 0,
		on_reaper_timeout, container);
	return 0;
}

static void reap(struct container *container)
{
	struct err err = {};

	container->tries++;
	if (start_reaper(container, &err) == 0)
		return;
	fprintf(stderr, "podd: pod %s: container %s: %s\n", container->owner->pod->path,
		container->name, err.msg);
	reap_later(container);
}

/* Return: true when the shim has written how its container ended, or has removed it. */
static bool has_ended_in_order(const struct container *container)
{
	cleanup(container_state_done) struct container_state state = {};
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_child(
		container->owner->pod->podfd, container->name, false, &childfd, NULL);
	if (r < 0 || !container_is_made(childfd))
		return true;
	if (container_state_load(childfd, &state, NULL) < 0)
		return false;
	if (state.phase == CONTAINER_EXITED || state.phase == CONTAINER_CREATED)
		return true;
	containers_kill_init(&state);
	return false;
}

static void report_unknown_end(struct container *container)
{
	cleanup(container_state_done) struct container_state state = {};
	autoptr(json) attributes = json_new_object();
	autoclose int childfd = -1;
	char record[EVENT_UNSEEN_SIZE];

	if (hierarchy_open_child(container->owner->pod->podfd, container->name, false, &childfd,
		    NULL) == 0)
		container_state_load(childfd, &state, NULL);
	snprintf(record, sizeof(record), "%s%s", EVENT_UNSEEN, state.started);
	json_set_string(attributes, "status", "unknown");
	events_send_once(container->owner->pod, "died", container->name, attributes, record);
}

static void on_shim_end(struct container *container)
{
	struct pod *pod = container->owner->pod;
	char name[sizeof(container->name)];

	memcpy(name, container->name, sizeof(name));
	container->has_shim = false;
	if (has_ended_in_order(container)) {
		forget(container);
	} else {
		fprintf(stderr, "podd: pod %s: the shim of container %s was killed\n", pod->path, name);
		report_unknown_end(container);
		reap(container);
	}
	children_shim_ended(pod->children, name);
}

static int on_shim_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct container *container = userdata;

	container->exit = sd_event_source_disable_unref(source);
	on_shim_end(container);
	return 0;
}

/* ---- watching ---- */

static bool same_process(const struct proc_id *a, const struct proc_id *b)
{
	return a->pid == b->pid && a->start_time == b->start_time;
}

static struct container *add(struct containers *containers, const char *name)
{
	struct container **first = bucket(containers, name);
	struct container *container = calloc(1, sizeof(*container));

	if (!container)
		return NULL;
	container->owner = containers;
	container->stop_socket = -1;
	text_copy(container->name, sizeof(container->name), name);
	container->next = *first;
	*first = container;
	containers->n++;
	return container;
}

/* The unit's cgroup was without controllers for a moment: see release_cgroup() in main.c. */
static void restore_limits(struct containers *containers, const char *name,
	const struct container_state *state)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;
	struct err err = {};
	int r;

	if (!containers->pod->adopted || !manager_cgroup(containers->pod->manager) || !state->cgroup)
		return;
	r = hierarchy_open_child(containers->pod->podfd, name, false, &childfd, &err);
	if (r == 0)
		r = container_spec_load(childfd, &spec, &err);
	if (r == 0)
		r = cgroup_set_limits(state->cgroup, &spec.limits, NULL, &err);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: container %s: %s\n", containers->pod->path, name,
			err.msg);
}

static int watch(struct containers *containers, const char *name,
	const struct container_state *state, struct err *err)
{
	struct container *container = find(containers, name);
	bool is_second = container;
	autoclose int pidfd = -1;
	int r;

	if (container && same_process(&container->shim, &state->shim))
		return 0;
	/* A second run before the first one's end was seen: its records are the newer ones. */
	if (container)
		drop(container);
	if (containers->n == CONTAINERS_MAX)
		return err_set(err, -E2BIG, "more than %d containers in pod %s", CONTAINERS_MAX,
			containers->pod->path);
	container = add(containers, name);
	if (!container)
		return err_oom(err);
	container->shim = state->shim;
	container->order = state->order;
	r = proc_open(&state->shim, &pidfd);
	if (r == 0)
		r = watch_pid(container, &pidfd, on_shim_exit);
	if (r < 0) {
		on_shim_end(container);
		return 0;
	}
	container->has_shim = true;
	if (is_second)
		children_shim_ended(containers->pod->children, name);
	restore_limits(containers, name, state);
	if (state->phase == CONTAINER_RUNNING)
		network_up(containers->pod->network, name);
	if (containers->is_stopping)
		containers_ask_to_stop(container);
	return 0;
}

/* Records of another boot name nothing, and those of what has ended nobody. */
static bool is_of_interest(const struct pod *pod, const struct container_state *state)
{
	return state->phase != CONTAINER_CREATED && state->phase != CONTAINER_EXITED &&
	       text_equal(state->boot_id, pod->state.boot_id);
}

int containers_look(struct containers *containers, const char *name, struct err *err)
{
	cleanup(container_state_done) struct container_state state = {};
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_child(containers->pod->podfd, name, false, &childfd, err);
	if (r == 0 && !container_is_made(childfd))
		r = err_set(err, -ENOENT, "podctl made no container %s", name);
	if (r == 0)
		r = container_state_load(childfd, &state, err);
	if (r < 0 || !is_of_interest(containers->pod, &state))
		return r;
	return watch(containers, name, &state, err);
}

/* Those that share the pod's network, as an earlier podd knew them. */
static void publish(struct containers *containers, const char *name)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;
	struct err err = {};
	int r;

	r = hierarchy_open_child(containers->pod->podfd, name, false, &childfd, NULL);
	if (r == 0)
		r = container_spec_load(childfd, &spec, NULL);
	if (r < 0 || spec.net != CONTAINER_NET_POD)
		return;
	if (network_publish(containers->pod->network, name, spec.publish, &err) < 0)
		fprintf(stderr, "podd: pod %s: container %s: %s\n", containers->pod->path, name,
			err.msg);
}

int containers_load(struct containers *containers, struct err *err)
{
	autostrv names = NULL;
	int r;

	r = hierarchy_children(containers->pod->podfd, HIERARCHY_CONTAINERS, &names, err);
	for (size_t i = 0; r == 0 && names[i]; i++) {
		struct err problem = {};
		int looked;

		if (containers->pod->adopted)
			publish(containers, names[i]);
		looked = containers_look(containers, names[i], &problem);
		if (looked < 0 && looked != -ENOENT)
			fprintf(stderr, "podd: pod %s: container %s: %s\n", containers->pod->path,
				names[i], problem.msg);
	}
	return r;
}
