/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting containers, see start.h: a shim is launched with one end of a socket pair, and says on
 * it what becomes of the start.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "hierarchy.h"
#include "proc.h"
#include "shim.h"
#include "text.h"

#include "manager.h"
#include "place-cgroup.h"
#include "start.h"
#include "supervisor.h"

#define REAP_TIMEOUT_MS 30000
/* For a shim whose container has ended, or is being ended. */
#define EARLIER_TIMEOUT_MS 20000
#define NS_PER_S UINT64_C(1000000000)

uint64_t start_order(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* In the pod's unit podd is the one to start it: the caller cannot put a process into another
 * unit's cgroup. Return: 1 when podd did, 0 when it is not for podd, -errno. */
static int launch_by_podd(const struct start *start, int client, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	struct json *parameters;
	int r;

	if (!manager_runs(start->pod_path, &start->pod->state))
		return 0;
	r = supervisor_connect(start->pod_path, start->pod->podfd, &supervisor, err);
	if (r < 0)
		return r;
	parameters = json_new_object();
	json_set_string(parameters, "child", start->name);
	json_set_int(parameters, "order", (int64_t)start->order);
	varlink_client_pass_fd(supervisor.client, client);
	r = supervisor_call(&supervisor, "Launch", parameters, NULL, err);
	return r < 0 ? r : 1;
}

static int launch(const struct start *start, int client, bool reap, pid_t *ret_pid, struct err *err)
{
	const struct shim_launch shim = {
		.root = start->ctl->root,
		.pod = start->pod_path,
		.name = start->name,
		.state = &start->pod->state,
		.podfd = start->pod->podfd,
		.order = start->order,
		.reap = reap,
		.client = client,
	};

	return shim_launch(&shim, ret_pid, err);
}

/* What the shim shall find on its socket when it comes up, and the shim. */
static int launch_with_client(const struct start *start, struct session *session, int *ret_socket,
	struct err *err)
{
	int sockets[2];
	pid_t pid;
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return err_errno(err, "making a socket pair");
	autoclose int own = sockets[0];
	autoclose int client = sockets[1];
	r = start->streams ? shim_send(own, SHIM_ATTACH, start->streams, 0, NULL, 0, -1) : 0;
	if (r < 0)
		return err_set(err, r, "preparing the shim's socket: %s", strerror(-r));
	r = session_prepare(session, own, err);
	if (r == 0)
		r = launch_by_podd(start, client, err);
	if (r == 0)
		r = launch(start, client, false, &pid, err);
	if (r >= 0)
		*ret_socket = take_fd(&own);
	return r < 0 ? r : 0;
}

int start_reap(const struct ctl *ctl, const struct pod_running *pod, const char *pod_path,
	const char *name, struct err *err)
{
	const struct start start = {.ctl = ctl, .pod = pod, .pod_path = pod_path, .name = name};
	autoclose int pidfd = -1;
	pid_t pid;
	int r;

	r = launch(&start, -1, true, &pid, err);
	if (r == 0)
		r = proc_open_child(pid, &pidfd);
	if (r < 0)
		return r;
	r = proc_wait(pidfd, REAP_TIMEOUT_MS);
	if (r < 0)
		return err_set(err, r, "container %s/%s: clearing up does not end", pod_path, name);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/* In front of what was added meanwhile: they are older. */
static int add_egress(const struct start *start, char *const *rules, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	struct json *parameters;
	int r;

	r = supervisor_reach(
		start->ctl, start->pod_path, start->pod->podfd, &supervisor, err);
	if (r < 0)
		return r;
	parameters = json_new_object();
	json_set_string(parameters, "child", start->name);
	json_set_strv(parameters, "rules", rules);
	json_set_int(parameters, "position", 1);
	return supervisor_call(&supervisor, "EgressAdd", parameters, NULL, err);
}

/* One with a network of its own has its ports published when it is attached. */
static int publish(const struct start *start, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	struct json *parameters;
	int r = supervisor_reach(
		start->ctl, start->pod_path, start->pod->podfd, &supervisor, err);

	if (r < 0)
		return r;
	parameters = json_new_object();
	json_set_string(parameters, "child", start->name);
	return supervisor_call(&supervisor, "Publish", parameters, NULL, err);
}

/* Its cgroup has its place, the rules that the container was made with hold before its program
 * runs, and its ports are taken. From then on the rules are in podd's record, where they may be
 * changed. */
static int prepare(const struct start *start, struct err *err)
{
	autoclose int childfd = -1;
	struct container_spec spec;
	int r;

	r = hierarchy_open_child(start->pod->podfd, start->name, false, &childfd, err);
	if (r == 0)
		r = container_spec_load(childfd, &spec, err);
	if (r < 0)
		return r;
	r = place_container(start->pod, childfd, &spec, err);
	if (r == 0 && spec.egress) {
		r = add_egress(start, spec.egress, err);
		strv_free(take_ptr(spec.egress));
		if (r == 0)
			r = container_spec_save(childfd, &spec, err);
	}
	if (r == 0 && spec.net == CONTAINER_NET_POD)
		r = publish(start, err);
	container_spec_done(&spec);
	return r;
}

int start_run(const struct start *start, const struct session_options *options,
	struct session_result *ret, struct err *err)
{
	autoptr(session) session = NULL;
	autoclose int socket = -1;
	int r;

	r = prepare(start, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", options->what);
	r = session_new(options, &session, err);
	if (r == 0)
		r = launch_with_client(start, session, &socket, err);
	if (r == 0)
		r = session_run(session, socket, ret, err);
	if (r == 0 && ret->end == SESSION_LOST && !ret->answered) {
		/* podd does the same when it knows of the shim already. */
		start_reap(start->ctl, start->pod, start->pod_path, start->name, NULL);
		return err_set(err, -EREMOTEIO,
			"%s: its shim was killed before the container was started; its shim.log may "
			"say more",
			options->what);
	}
	return r;
}

/* Waits for the end of what is about to end. */
static int await_end(const struct proc_id *id)
{
	autoclose int pidfd = -1;

	return proc_open(id, &pidfd) < 0 ? 0 : proc_wait(pidfd, EARLIER_TIMEOUT_MS);
}

int start_is_running(const struct target *target, struct err *err)
{
	struct container_state state;
	int r;

	r = container_state_load(target->childfd, &state, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	switch (container_phase_now(&state)) {
	case CONTAINER_STARTING:
	case CONTAINER_RUNNING:
	case CONTAINER_RESTARTING:
		r = 1;
		break;
	default:
		/* A shim that has told of the end may be there for a moment. */
		r = await_end(&state.shim);
		if (r == 0)
			r = await_end(&state.init);
		if (r < 0)
			err_set(err, -EBUSY, "container %s is being stopped, and does not end",
				target->path);
		r = r < 0 ? -EBUSY : 0;
	}
	container_state_done(&state);
	return r;
}

int start_container(const struct ctl *ctl, const struct target *target, uint64_t order,
	struct err *err)
{
	const struct session_options options = {.what = target->path,
		.only_start = true,
		.answer = SHIM_STARTED,
		.answer_seconds = START_ANSWER_SECONDS};
	cleanup(pod_running_done) struct pod_running pod = POD_RUNNING_NONE;
	struct session_result result = {};
	int r;

	r = pod_run(ctl, target->pod, &pod, err);
	if (r == 0)
		r = start_is_running(target, err);
	if (r != 0)
		return r < 0 ? r : 0;
	const struct start start = {.ctl = ctl,
		.pod = &pod,
		.pod_path = target->pod,
		.name = target->name,
		.order = order};

	r = start_run(&start, &options, &result, err);
	return r == 0 && result.end != SESSION_DETACHED ? -EREMOTEIO : r;
}

int start_pod_containers(const struct ctl *ctl, const char *path, uint64_t order, struct err *err)
{
	autoclose int podfd = -1;
	autostrv names = NULL;
	int first = 0;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, err);
	if (r == 0)
		r = target_containers(podfd, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		autofree char *name = text_format("%s/%s", path, names[i]);
		struct target target;
		struct err reason = {};

		if (!name)
			return err_oom(err);
		r = target_open(ctl, name, TARGET_ANY, &target, &reason);
		if (r == 0) {
			r = start_container(ctl, &target, order, &reason);
			target_done(&target);
		}
		if (r < 0 && first == 0) {
			first = r;
			err_set(err, r, "%s", reason.msg);
		} else if (r < 0) {
			ctl_error("%s", reason.msg);
		}
	}
	return first;
}
