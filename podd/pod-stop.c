/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * How a pod ends.
 *
 *   running ──stop──▶ stopping: children get SIGTERM ──time-out──▶ SIGKILL
 *                        │ the last child is detached (or the second time-out passes)
 *                        ▼
 *                     the outer container is killed
 *   any ──outer ends──▶ gone: what is left is killed, records of children and links removed,
 *                       the state is stopped, or failed when nobody asked for it; podd ends
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "cleanup.h"
#include "container.h"
#include "containers.h"
#include "deadline.h"
#include "events.h"
#include "file.h"
#include "hierarchy.h"
#include "manager.h"
#include "nested.h"
#include "metrics-server.h"
#include "network.h"
#include "pod.h"
#include "restart.h"
#include "server.h"
#include "text.h"

/* After SIGKILL a container is gone at once and its plugins have their own time-outs; what takes
 * longer than this is left to the cleaning. */
#define KILL_WAIT_US (20 * UINT64_C(1000000))
#define EXIT_WAIT_MS 5000
/* podctl's, while it starts or removes a pod. */
#define START_LOCK "start.lock"

/* What has to end before the pod may. */
static unsigned count_children(const struct pod *pod)
{
	return children_count(pod->children) + containers_count(pod->containers) +
	       nested_count(pod->nested);
}

static void end_outer(struct pod *pod)
{
	autoclose int pidfd = -1;

	if (pod->is_gone)
		return;
	pod->stop_timer = sd_event_source_disable_unref(pod->stop_timer);
	/* Its end calls pod_gone(). */
	if (proc_open(&pod->state.outer, &pidfd) == 0)
		proc_signal(pidfd, SIGKILL);
	else
		pod_gone(pod);
}

void pod_stop_continue(struct pod *pod)
{
	if (pod->stop_armed && count_children(pod) == 0)
		end_outer(pod);
}

void pod_consider_end(struct pod *pod)
{
	if (!pod->spec.auto_remove || !pod->had_container || pod->state.phase != POD_RUNNING ||
		count_children(pod) > 0)
		return;
	pod_stop(pod, 0, NULL, NULL);
}

/* Pods in it count as well. */
static bool has_children(const struct pod *pod)
{
	autostrv names = NULL;

	return hierarchy_children(pod->podfd, HIERARCHY_ANY, &names, NULL) < 0 || names[0];
}

void pod_remove_if_unused(struct pod *pod)
{
	autoclose int lock = -1;
	struct err err = {};

	/* A podctl that holds the lock is about to use it. */
	if (!pod->spec.auto_remove || !pod->had_container || !pod->is_gone ||
		file_lock(pod->podfd, START_LOCK, 0, &lock, NULL) < 0 || has_children(pod))
		return;
	if (hierarchy_remove_pod(pod->rootfd, pod->path, &err) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
}

static int on_kill_timeout(sd_event_source *source, uint64_t now, void *userdata)
{
	struct pod *pod = userdata;

	children_tell_left(pod->children);
	containers_tell_left(pod->containers);
	nested_tell_left(pod->nested);
	end_outer(pod);
	return 0;
}

static int on_stop_timeout(sd_event_source *source, uint64_t now, void *userdata)
{
	struct pod *pod = userdata;

	children_signal(pod->children, SIGKILL);
	containers_kill(pod->containers);
	nested_stop(pod->nested, 0);
	pod->stop_deadline = 0;
	pod->stop_timer = sd_event_source_disable_unref(pod->stop_timer);
	sd_event_add_time_relative(pod->event, &pod->stop_timer, CLOCK_MONOTONIC, KILL_WAIT_US, 0,
		on_kill_timeout, pod);
	return 0;
}

/* Who comes second may have less patience. */
static void hasten(struct pod *pod, unsigned timeout_s)
{
	uint64_t now = 0, deadline;

	sd_event_now(pod->event, CLOCK_MONOTONIC, &now);
	deadline = now + timeout_s * UINT64_C(1000000);
	if (!pod->stop_timer || deadline >= pod->stop_deadline)
		return;
	pod->stop_deadline = deadline;
	sd_event_source_set_time(pod->stop_timer, deadline);
	nested_stop(pod->nested, timeout_s);
}

/* It does not run, and waits to be started again: that is called off. */
static void end_waiting(struct pod *pod)
{
	struct err err = {};

	pod->next = POD_NEXT_END;
	pod->state.podd = (struct proc_id){};
	if (pod_set_phase(pod, POD_STOPPED, &err) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
	if (!manager_owns_control(pod->manager))
		file_remove(pod->podfd, "control.sock", NULL);
	events_send_once(pod, "stopped", NULL, NULL, pod->state.since);
	if (pod->stop_done)
		pod->stop_done(pod->stop_userdata, 0);
	server_flush(pod->server);
	sd_event_exit(pod->event, 0);
}

int pod_stop(struct pod *pod, unsigned timeout_s, void (*done)(void *userdata, int result),
	void *userdata)
{
	struct err err = {};
	uint64_t now = 0;
	int r;

	if (!pod->stop_done) {
		pod->stop_done = done;
		pod->stop_userdata = userdata;
	}
	if (pod->state.phase == POD_RESTARTING) {
		end_waiting(pod);
		return 0;
	}
	sd_event_now(pod->event, CLOCK_MONOTONIC, &now);
	if (pod->state.phase == POD_STOPPING) {
		hasten(pod, timeout_s);
		return -EALREADY;
	}
	/* A hook that comes from now on is refused by what the record says; a full disk must not
	 * keep a pod from ending. */
	r = pod_set_phase(pod, POD_STOPPING, &err);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
	manager_stopping(pod);
	events_send(pod, "stopping", NULL);
	children_load(pod->children, NULL);
	containers_load(pod->containers, NULL);
	nested_stop(pod->nested, timeout_s);
	containers_stop(pod->containers, timeout_s);
	children_signal(pod->children, timeout_s > 0 ? SIGTERM : SIGKILL);
	pod->stop_armed = true;
	if (count_children(pod) == 0) {
		end_outer(pod);
		return 0;
	}
	pod->stop_deadline = now + timeout_s * UINT64_C(1000000);
	r = sd_event_add_time(pod->event, &pod->stop_timer, CLOCK_MONOTONIC, pod->stop_deadline, 0,
		on_stop_timeout, pod);
	return r < 0 ? r : 0;
}

struct emptying {
	int dir;
	struct err *err;
};

static int empty(void *userdata)
{
	const struct emptying *emptying = userdata;
	autostrv names = NULL;
	int r;

	r = file_list(emptying->dir, HIERARCHY_CHILDREN_MAX, &names, emptying->err);
	for (size_t i = 0; r == 0 && names[i]; i++)
		r = file_remove_tree(emptying->dir, names[i], emptying->err);
	return r;
}

/* What plugins wrote belongs to the pod's root, who may be another than the pod's owner: then it
 * is removed as that root. */
static void empty_directory(struct pod *pod, const char *directory)
{
	struct err err = {};
	autoclose int dir = -1;
	struct emptying emptying = {.err = &err};
	int r;

	r = file_open_dir(pod->podfd, directory, &dir, &err);
	emptying.dir = dir;
	if (r == 0)
		r = empty(&emptying);
	if ((r == -EACCES || r == -EPERM) && pod->state.uids.n > 0)
		r = idmap_run(&pod->state.uids, &pod->state.gids, empty, &emptying, &err);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: emptying %s: %s\n", pod->path, directory, err.msg);
}

static bool is_pod(int childfd)
{
	return faccessat(childfd, RECORD_POD, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The records of containers: without the pod's namespaces there is nothing to detach from. What a
 * hook said of a failure stays to be read, until the next start. */
static void remove_children(struct pod *pod, bool keep_errors)
{
	autostrv names = NULL;

	if (hierarchy_children(pod->podfd, HIERARCHY_ANY, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		autoclose int childfd = -1;

		if (hierarchy_open_any_child(pod->podfd, names[i], &childfd, NULL) < 0)
			continue;
		if (container_is_made(childfd) || is_pod(childfd)) {
			file_remove(childfd, RECORD_ATTACHMENT, NULL);
			if (!keep_errors)
				file_remove(childfd, RECORD_ERROR, NULL);
			continue;
		}
		if (keep_errors &&
			faccessat(childfd, RECORD_ERROR, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			file_remove(childfd, RECORD_ATTACHMENT, NULL);
		else
			hierarchy_remove_child(pod->podfd, names[i], NULL);
	}
}

/* First every process is sent its signal, then their ends are waited for: at most so long in all,
 * since podd does nothing else meanwhile. */
struct killing {
	bool wait;
	int64_t deadline_ms;
};

static void kill_process(const struct proc_id *id, const struct killing *killing)
{
	autoclose int pidfd = -1;

	if (proc_open(id, &pidfd) < 0)
		return;
	if (!killing->wait)
		proc_signal(pidfd, SIGKILL);
	else
		proc_wait(pidfd, (int)deadline_left_ms(killing->deadline_ms, EXIT_WAIT_MS));
}

/* Containers that outlived their pod's outer container: those of this boot. */
static void kill_children(struct pod *pod, const struct killing *killing)
{
	autostrv names = NULL;

	if (hierarchy_children(pod->podfd, HIERARCHY_ANY, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		cleanup(attachment_done) struct attachment attachment = {};
		autoclose int childfd = -1;

		if (hierarchy_open_any_child(pod->podfd, names[i], &childfd, NULL) == 0 &&
			attachment_load(childfd, &attachment, NULL) == 0 &&
			text_equal(attachment.boot_id, pod->state.boot_id))
			kill_process(&attachment.init, killing);
	}
}

static void kill_all(struct pod *pod)
{
	struct killing killing = {.deadline_ms = deadline_now_ms() + EXIT_WAIT_MS};

	for (int i = 0; i < 2; i++) {
		containers_end_all(pod->podfd, killing.wait, killing.deadline_ms);
		kill_children(pod, &killing);
		kill_process(&pod->state.uplink, &killing);
		kill_process(&pod->state.outer, &killing);
		killing.wait = true;
	}
}

void pod_clean(struct pod *pod, bool keep_errors)
{
	static const char *const sockets[] = {"outer.sock", "uplink.sock", METRICS_SOCKET};
	char boot_id[PROC_BOOT_ID_SIZE];

	manager_alive();
	/* Start times of another boot name nothing. */
	if (proc_boot_id(boot_id) == 0 && text_equal(boot_id, pod->state.boot_id))
		kill_all(pod);
	manager_alive();
	pod_detach_outside(pod);
	manager_alive();
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		file_remove(pod->podfd, sockets[i], NULL);
	if (!manager_owns_control(pod->manager))
		file_remove(pod->podfd, "control.sock", NULL);
	containers_write_ends(pod->podfd);
	remove_children(pod, keep_errors);
	empty_directory(pod, "runtime");
	empty_directory(pod, "ns");
	empty_directory(pod, "cni");
	empty_directory(pod, "etc");
	empty_directory(pod, "locks");
	file_remove_tree(pod->podfd, POD_SKELETON, NULL);
	pod->state.outer = pod->state.uplink = (struct proc_id){};
	memset(pod->state.namespaces, 0, sizeof(pod->state.namespaces));
	pod->state.host_mount = (struct ns_id){};
	free(pod->state.tap);
	pod->state.tap = NULL;
}

void pod_gone(struct pod *pod)
{
	bool wanted = pod->state.phase == POD_STOPPING;
	struct err err = {};
	int r;

	if (pod->is_gone)
		return;
	pod->is_gone = true;
	if (!wanted) {
		fprintf(stderr, "podd: pod %s: the outer container ended\n", pod->path);
		free(pod->state.error);
		pod->state.error = strdup("the outer container ended unexpectedly");
	}
	pod->uplink_exit = sd_event_source_disable_unref(pod->uplink_exit);
	pod_leave_uplink(pod);
	pod_end_uplink(pod);
	pod_uplink_forget(pod);
	network_close(pod->network);
	pod_clean(pod, true);
	events_catch_up(pod);
	if (!wanted && restart_is_wanted(pod))
		pod->next = POD_NEXT_WAIT;
	else
		pod->state.podd = (struct proc_id){};
	r = pod_set_phase(pod,
		wanted ? POD_STOPPED
		       : pod->next == POD_NEXT_WAIT ? POD_RESTARTING : POD_FAILED,
		&err);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
	events_send_once(pod, wanted ? "stopped" : "failed", NULL, NULL, pod->state.since);
	if (pod->stop_done)
		pod->stop_done(pod->stop_userdata, 0);
	server_flush(pod->server);
	sd_event_exit(pod->event, wanted ? 0 : 1);
}
