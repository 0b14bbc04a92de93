/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pod's life as podctl steers it. What is true is decided by the records and /proc, under the
 * pod's start.lock, so that two podctl do not start a pod twice. podctl writes no record here:
 * state.json is podd's.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "file.h"
#include "hierarchy.h"
#include "proc.h"
#include "record.h"
#include "text.h"
#include "varlink.h"

#include "entry.h"
#include "launch.h"
#include "lifecycle.h"
#include "lost.h"
#include "make-internal.h"
#include "manager.h"

#define LOCK_NAME "start.lock"
#define LOCK_TIMEOUT_MS LAUNCH_TIMEOUT_MS
/* The supervisor's own: held as long as it lives, which may be a little longer than its records
 * say. */
#define PODD_LOCK_NAME "lock"
#define PODD_LOCK_TIMEOUT_MS 2000
#define CONTROL_SOCKET "control.sock"
/* What podd gets for ending the pod beyond the time that its children have. */
#define STOP_GRACE_SECONDS 30
#define STOP_TRIES 3
#define EXIT_TIMEOUT_MS 5000
#define CONNECT_STEP_MS 50
#define ANSWER_TIMEOUT_MS 5000

/* A pod that nobody else starts or removes as long as this is held. */
struct held_pod {
	int podfd;
	int lock;
	enum pod_phase phase; /* as it is now */
	struct pod_state state;
};

static void held_pod_done(struct held_pod *pod)
{
	cleanup_close(&pod->lock);
	cleanup_close(&pod->podfd);
	pod_state_done(&pod->state);
}

static int load_state(struct held_pod *pod, struct err *err)
{
	struct pod_state state;
	int r;

	r = pod_state_load(pod->podfd, &state, err);
	if (r < 0)
		return r;
	pod_state_done(&pod->state);
	pod->state = state;
	pod->phase = pod_state_phase_now(&pod->state);
	return 0;
}

/* Waits for the end of a supervisor that has no more to do. */
static int await_podd(const struct held_pod *pod)
{
	autoclose int pidfd = -1;

	return proc_open(&pod->state.podd, &pidfd) < 0 ? 0 : proc_wait(pidfd, EXIT_TIMEOUT_MS);
}

/* Opens a pod, takes its lock, and loads its state as it is when nothing is under way. */
static int hold_pod(const struct ctl *ctl, const char *path, struct held_pod *pod, struct err *err)
{
	int r;

	r = ctl_open_pod(ctl, path, &pod->podfd, err);
	if (r < 0)
		return r;
	r = file_lock(pod->podfd, LOCK_NAME, LOCK_TIMEOUT_MS, &pod->lock, err);
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "pod %s is being started by another podctl", path);
	if (r < 0)
		return err_wrap(err, r, "pod %s", path);
	/* Who held the lock before may have removed the pod. */
	if (faccessat(pod->podfd, RECORD_POD, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, -ENOENT, "there is no pod '%s' (podctl ps lists the pods)", path);
	r = load_state(pod, err);
	/* A supervisor whose outer container has ended cleans up, and ends. */
	if (r == 0 && pod->phase == POD_FAILED && proc_alive(&pod->state.podd)) {
		await_podd(pod);
		r = load_state(pod, err);
	}
	return r < 0 ? err_wrap(err, r, "pod %s", path) : 0;
}

#define HELD_POD_NONE                                                                              \
	{                                                                                          \
		.podfd = -1, .lock = -1                                                            \
	}
#define autoheld cleanup(held_pod_done) struct held_pod

/* True when the supervisor answers: one that was just killed is a process for a little longer. */
static bool podd_answers(const struct held_pod *pod)
{
	autoptr(varlink_client) client = NULL;
	autoptr(json) reply = NULL;

	return varlink_connect(pod->podfd, CONTROL_SOCKET, ANSWER_TIMEOUT_MS, &client, NULL) == 0 &&
	       varlink_client_call(client, "org.varlink.service.GetInfo", NULL, &reply, NULL, NULL) ==
		       0;
}

/* What podd has to say about its start is in the record, since its output is the journal's. */
static int tell_outcome(const char *path, int podfd, int result, struct err *err)
{
	struct pod_state state;

	if (pod_state_load(podfd, &state, NULL) < 0)
		return result;
	for (size_t i = 0; result == 0 && state.warnings && state.warnings[i]; i++)
		ctl_warning("%s: %s", path, state.warnings[i]);
	if (result < 0 && state.error)
		err_set(err, result, "starting pod %s: %s", path, state.error);
	else if (result < 0)
		err_wrap(err, result, "starting pod %s", path);
	pod_state_done(&state);
	return result;
}

static int stop_by_socket(const struct held_pod *pod, uint32_t seconds);

/* Ends the podd of a pod that failed, so that another one can start it at once. It may be about to do
 * that itself. Return: 0 when it has ended, 1 when the pod runs again, -errno. */
static int end_restart(struct held_pod *pod, struct err *err)
{
	autoclose int pidfd = -1;
	int64_t deadline = deadline_now_ms() + LAUNCH_TIMEOUT_MS;

	if (proc_open(&pod->state.podd, &pidfd) < 0)
		return 0;
	while (deadline_left_ms(deadline, 1) > 0) {
		if (pod->phase == POD_RESTARTING && stop_by_socket(pod, 0) == 0)
			return await_podd(pod);
		if (pod->phase == POD_RUNNING && podd_answers(pod))
			return 1;
		if (proc_wait(pidfd, CONNECT_STEP_MS) == 0)
			return 0;
		load_state(pod, NULL);
	}
	return err_set(err, -EBUSY, "it is being started again");
}

int lifecycle_launch(const struct ctl *ctl, const struct launch *podd,
	const struct pod_state *state, int *lock, struct err *err)
{
	if ((podd->no_start && pod_state_phase_now(state) != POD_RUNNING) ||
		!manager_starts(ctl, podd->path, state))
		return launch_podd(podd, err);
	cleanup_close(lock);
	*lock = -1;
	return tell_outcome(podd->path, podd->podfd, manager_start(podd->path, err), err);
}

static int launch(const struct ctl *ctl, const char *path, struct held_pod *pod, bool no_start,
	struct err *err)
{
	const struct launch podd = {
		.root = ctl->root, .path = path, .podfd = pod->podfd, .no_start = no_start};

	/* A second podd-outer would take the place of one that nobody ends then. */
	if (!no_start && !manager_starts(ctl, path, &pod->state) && lost_state(pod->podfd) &&
		lost_runs(pod->podfd))
		return err_set(err, -EBUSY,
			"pod %s runs, but has lost its state.json: end it with podctl stop", path);
	return lifecycle_launch(ctl, &podd, &pod->state, &pod->lock, err);
}

/* Starts a supervisor unless there is one that works. */
static int ensure_podd(const struct ctl *ctl, const char *path, struct held_pod *pod,
	bool *ret_took_over, struct err *err)
{
	bool podd_alive = proc_alive(&pod->state.podd);
	int r;

	if (pod->phase == POD_RUNNING && podd_alive) {
		if (podd_answers(pod))
			return 0;
		if (await_podd(pod) < 0)
			return err_set(err, -ETIMEDOUT,
				"the supervisor of pod %s (process %d) does not answer; end it with "
				"SIGKILL and start the pod again: its containers go on meanwhile",
				path, (int)pod->state.podd.pid);
		podd_alive = false;
	}
	/* It waits until it starts the pod again: that is now. */
	if (pod->phase == POD_RESTARTING) {
		r = end_restart(pod, err);
		if (r != 0)
			return r < 0 ? err_wrap(err, r, "pod %s", path) : 0;
	}
	if (pod->phase == POD_STOPPING && podd_alive)
		return err_set(err, -EBUSY, "pod %s is being stopped; start it when it has stopped",
			path);
	r = launch(ctl, path, pod, false, err);
	if (r == 0)
		*ret_took_over = pod->phase == POD_RUNNING;
	return r;
}

static int start_one(const struct ctl *ctl, const char *path, bool *ret_took_over, struct err *err)
{
	autoheld pod = HELD_POD_NONE;
	bool took_over = false;
	int r;

	r = hold_pod(ctl, path, &pod, err);
	if (r == 0)
		r = ensure_podd(ctl, path, &pod, &took_over, err);
	if (r == 0 && ret_took_over)
		*ret_took_over = took_over;
	return r;
}

int lifecycle_start(const struct ctl *ctl, const char *path, bool *ret_took_over, struct err *err)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];
	int r = name_check_path(path, err);

	if (r < 0)
		return r;
	/* A pod runs in those around it only. */
	name_split(path, parent, leaf);
	if (*parent)
		r = lifecycle_start(ctl, parent, NULL, err);
	return r < 0 ? r : start_one(ctl, path, ret_took_over, err);
}

/* Processes that were recorded before the machine's last start are gone, whoever has their pids
 * now. */
static bool is_of_this_boot(const struct held_pod *pod)
{
	char boot_id[PROC_BOOT_ID_SIZE];

	return proc_boot_id(boot_id) < 0 || strcmp(boot_id, pod->state.boot_id) == 0;
}

/* True when there is nothing left that would have to be stopped. */
static bool has_ended(const struct held_pod *pod)
{
	if (!is_of_this_boot(pod))
		return true;
	return !proc_alive(&pod->state.outer) && !proc_alive(&pod->state.podd);
}

/* Nobody has cleaned up after it. */
static bool is_unfinished(const struct held_pod *pod)
{
	const enum pod_phase recorded = pod->state.phase;

	return recorded != POD_CREATED && recorded != POD_STOPPED && recorded != POD_FAILED;
}

static int connect_podd(const struct held_pod *pod, uint32_t seconds,
	struct varlink_client **ret, struct err *err)
{
	return varlink_connect(pod->podfd, CONTROL_SOCKET, (seconds + STOP_GRACE_SECONDS) * 1000,
		ret, err);
}

/* One that is about to serve has no socket yet, and one that ends has none any more. Return: 0; -ESRCH
 * when it has ended; -errno. */
static int connect_living(const struct held_pod *pod, uint32_t seconds,
	struct varlink_client **ret, struct err *err)
{
	autoclose int pidfd = -1;
	int r = -ENOENT;

	if (proc_open(&pod->state.podd, &pidfd) < 0)
		return -ESRCH;
	for (int i = 0; i < EXIT_TIMEOUT_MS / CONNECT_STEP_MS; i++) {
		r = connect_podd(pod, seconds, ret, err);
		if (r != -ECONNREFUSED && r != -ENOENT)
			return r;
		if (proc_wait(pidfd, CONNECT_STEP_MS) == 0)
			return -ESRCH;
	}
	return err_set(err, r, "its supervisor (process %d) does not answer",
		(int)pod->state.podd.pid);
}

/* Connects to the supervisor. Only it can end the pod in order: when it died, or is about to,
 * another one takes over. Return: 0, 1 when nothing runs any more, -errno. */
static int reach_podd(const struct ctl *ctl, const char *path, struct held_pod *pod,
	uint32_t seconds, struct varlink_client **ret, struct err *err)
{
	int r;

	r = connect_living(pod, seconds, ret, err);
	if (r != -ESRCH)
		return r;
	/* What was killed in the middle of its start is not started for this. */
	r = launch(ctl, path, pod, true, err);
	if (r == 0)
		r = load_state(pod, err);
	if (r < 0)
		return r;
	return has_ended(pod) ? 1 : connect_podd(pod, seconds, ret, err);
}

static int call_stop(struct varlink_client *client, uint32_t seconds, struct err *err)
{
	struct json *parameters = json_new_object();
	autoptr(json) reply = NULL;

	json_set_int(parameters, "timeout", seconds);
	return varlink_client_call(
		client, VARLINK_INTERFACE ".Stop", parameters, &reply, NULL, err);
}

static int stop_by_socket(const struct held_pod *pod, uint32_t seconds)
{
	autoptr(varlink_client) client = NULL;
	int r = connect_podd(pod, seconds, &client, NULL);

	return r < 0 ? r : call_stop(client, seconds, NULL);
}

/* Return: 0; -EAGAIN when the supervisor died meanwhile and the pod goes on; -errno. */
static int try_to_stop(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err)
{
	autoptr(varlink_client) client = NULL;
	autoheld pod = HELD_POD_NONE;
	int r;

	r = hold_pod(ctl, path, &pod, err);
	/* A supervisor that runs knows better than a record that cannot be read, and writes it anew. */
	if (r < 0 && pod.lock >= 0 && lost_stop(pod.podfd, seconds, NULL) == 0)
		return 0;
	if (r < 0)
		return r;
	/* The same of a record that is gone; that there is none is as of a pod that never ran. */
	if (lost_state(pod.podfd) && lost_runs(pod.podfd)) {
		r = lost_stop(pod.podfd, seconds, err);
		return r < 0 ? err_wrap(err, r, "pod %s has lost its state.json", path) : 0;
	}
	if (has_ended(&pod)) {
		/* What its podd could not do any more; rm looks whether it was enough. */
		if (is_unfinished(&pod))
			launch(ctl, path, &pod, true, NULL);
		return 0;
	}
	r = reach_podd(ctl, path, &pod, seconds, &client, err);
	if (r < 0)
		return err_wrap(err, r, "stopping pod %s", path);
	if (r > 0)
		return 0;
	/* The lock is not kept while children take their time: "stop -t 0" must get through. */
	cleanup_close(&pod.lock);
	pod.lock = -1;
	r = call_stop(client, seconds, err);
	if (r == 0 || r == -ECONNRESET)
		await_podd(&pod);
	if (r < 0 && load_state(&pod, NULL) == 0 && has_ended(&pod))
		return 0;
	if (r == -ECONNRESET)
		return err_wrap(err, -EAGAIN, "stopping pod %s", path);
	return r < 0 ? err_wrap(err, r, "stopping pod %s", path) : 0;
}

static int stop_one(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err)
{
	int r = -EAGAIN;

	for (unsigned i = 0; r == -EAGAIN && i < STOP_TRIES; i++)
		r = try_to_stop(ctl, path, seconds, err);
	return r;
}

/* podd is asked, for the time that the children get; then the manager, which is to know that it is
 * over, and closes what would start the pod again. One that is being started is the manager's to
 * stop: nobody has start.lock meanwhile. */
static int stop_with_unit(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err)
{
	autoclose int podfd = -1;
	struct pod_state state;
	bool is_its = false, is_served = false;
	int r;

	if (ctl_open_pod(ctl, path, &podfd, NULL) == 0 && pod_state_load(podfd, &state, NULL) == 0) {
		is_its = manager_starts(ctl, path, &state);
		is_served = pod_state_phase_now(&state) == POD_RUNNING && proc_alive(&state.podd);
		pod_state_done(&state);
	}
	if (is_its && !is_served)
		manager_stop(path, NULL);
	r = stop_one(ctl, path, seconds, err);
	return r == 0 && is_its ? manager_stop(path, err) : r;
}

int lifecycle_stop(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err)
{
	autostrv nested = NULL;
	int r;

	r = lifecycle_nested(ctl, path, &nested, err);
	for (size_t i = 0; r == 0 && nested[i]; i++) {
		r = stop_with_unit(ctl, nested[i], seconds, err);
		r = r == -ENOENT ? 0 : r;
	}
	return r < 0 ? r : stop_with_unit(ctl, path, seconds, err);
}

int lifecycle_clean(const struct ctl *ctl, const char *path, struct err *err)
{
	autoheld pod = HELD_POD_NONE;
	int r = hold_pod(ctl, path, &pod, err);

	if (r < 0 || proc_alive(&pod.state.podd))
		return r;
	return launch(ctl, path, &pod, true, err);
}

/* The uplink outlives a supervisor and an outer container that were both killed, and its tap keeps
 * the pod's network namespace: with the record it would be lost. */
static void end_uplink(const struct held_pod *pod)
{
	autoclose int pidfd = -1;

	if (!is_of_this_boot(pod) || proc_open(&pod->state.uplink, &pidfd) < 0)
		return;
	proc_signal(pidfd, SIGKILL);
	proc_wait(pidfd, EXIT_TIMEOUT_MS);
}

/* What still runs, or belongs to a pod of its own, must not lose its record. */
static int refuse_with_children(const char *path, int podfd, struct err *err)
{
	autostrv containers = NULL;
	autostrv pods = NULL;
	int r;

	r = hierarchy_children(podfd, HIERARCHY_PODS, &pods, err);
	if (r == 0)
		r = hierarchy_children(podfd, HIERARCHY_CONTAINERS, &containers, err);
	/* Who has removed children/ has removed what was in it. */
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r;
	if (pods && pods[0])
		return err_set(err, -EBUSY, "pod %s contains pod %s/%s; remove that first", path,
			path, pods[0]);
	for (size_t i = 0; containers && containers[i]; i++) {
		struct entry entry;
		bool runs;

		if (entry_container(podfd, path, containers[i], &entry, NULL) < 0)
			continue;
		runs = entry.pid != 0;
		entry_done(&entry);
		if (runs)
			return err_set(err, -EBUSY, "container %s/%s still runs; end it first",
				path, containers[i]);
	}
	return 0;
}

static int refuse_running(const struct held_pod *pod, const char *path, struct err *err)
{
	if (has_ended(pod))
		return 0;
	return err_set(err, -EBUSY, "pod %s is running; stop it or use rm -f", path);
}

/* Keeps every supervisor away: one that somebody else than podctl starts does not take the pod's
 * start.lock. */
static int keep_podd_away(struct held_pod *pod, const char *path, int *ret_lock, struct err *err)
{
	int r = file_lock(pod->podfd, PODD_LOCK_NAME, PODD_LOCK_TIMEOUT_MS, ret_lock, err);

	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "pod %s has a supervisor; stop it or use rm -f", path);
	if (r == 0)
		r = load_state(pod, err);
	if (r < 0)
		return err_wrap(err, r, "pod %s", path);
	/* One may have come and gone since the state was looked at. */
	return refuse_running(pod, path, err);
}

/* The pod around has rules and totals of it, which the next one of that name shall not have. */
static void tell_parent(const struct ctl *ctl, const char *path)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];
	autoclose int podfd = -1;

	name_split(path, parent, leaf);
	if (*parent && ctl_open_pod(ctl, parent, &podfd, NULL) == 0)
		make_report(podfd, leaf, "remove");
}

int lifecycle_remove(const struct ctl *ctl, const char *path, struct err *err)
{
	autoheld pod = HELD_POD_NONE;
	autoclose int podd_lock = -1;
	autoclose int rootfd = -1;
	int r;

	r = hold_pod(ctl, path, &pod, err);
	if (r == -ENOENT) {
		int unfinished = lost_remove_unfinished(ctl, path, err);

		return unfinished == -ENOENT ? r : unfinished;
	}
	if (r < 0)
		return r;
	r = refuse_running(&pod, path, err);
	if (r == 0)
		r = keep_podd_away(&pod, path, &podd_lock, err);
	if (r == 0)
		r = refuse_with_children(path, pod.podfd, err);
	if (r < 0)
		return r;
	end_uplink(&pod);
	/* A unit without its pod would fail at each boot. */
	if (manager_is_enabled(ctl, path))
		r = manager_disable(ctl, path, err);
	if (r < 0)
		return r;
	r = hierarchy_open_root(ctl->root, false, &rootfd, err);
	if (r == 0)
		r = hierarchy_remove_pod(rootfd, path, err);
	if (r == 0)
		tell_parent(ctl, path);
	return r;
}

int lifecycle_all(const struct ctl *ctl, bool children_first, char ***ret, struct err *err)
{
	autoclose int rootfd = -1;
	char **paths = NULL;
	size_t n;
	int r;

	r = hierarchy_open_root(ctl->root, false, &rootfd, err);
	if (r == -ENOENT)
		paths = calloc(1, sizeof(*paths));
	else if (r < 0 || (r = hierarchy_pods(rootfd, &paths, err)) < 0)
		return r;
	if (!paths)
		return err_oom(err);
	n = strv_length(paths);
	for (size_t i = 0; children_first && i < n / 2; i++) {
		char *other = paths[n - 1 - i];

		paths[n - 1 - i] = paths[i];
		paths[i] = other;
	}
	*ret = paths;
	return 0;
}

int lifecycle_nested(const struct ctl *ctl, const char *path, char ***ret, struct err *err)
{
	autofree char *prefix = text_format("%s/", path);
	char **paths = NULL;
	size_t kept = 0;
	int r;

	if (!prefix)
		return err_oom(err);
	r = lifecycle_all(ctl, true, &paths, err);
	if (r < 0)
		return r;
	for (size_t i = 0; paths[i]; i++) {
		if (text_starts_with(paths[i], prefix))
			paths[kept++] = paths[i];
		else
			free(paths[i]);
	}
	paths[kept] = NULL;
	*ret = paths;
	return 0;
}
