/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A pod's processes while it runs, seen from podd's loop.
 *
 *   podd-outer ends                    the pod is over: pod_gone()
 *   podd-uplink ends, or of a tenant   another one (or another connection), after a delay that grows
 *   its connection to another pod's    from one failure to the next
 *   the host's resolv.conf changes     written anew, and told to the uplink
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "events.h"
#include "fd.h"
#include "nested.h"
#include "network.h"
#include "pod.h"
#include "resolv.h"
#include "totals.h"
#include "uplink.h"

/* Delay before an uplink that died is started again, growing to the maximum. */
#define RESTART_DELAY_US 10000
#define RESTART_DELAY_MAX_US 10000000
/* One that lived this long did not die of what it was given at its start. */
#define UPLINK_STABLE_US 60000000

static int on_outer_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct pod *pod = userdata;

	pod->outer_exit = sd_event_source_disable_unref(source);
	waitid(P_PIDFD, (id_t)fd, &(siginfo_t){}, WEXITED | WNOHANG);
	pod_gone(pod);
	return 0;
}

/* Watches a process, by the pidfd from its start where there is one. */
static int watch_process(struct pod *pod, const struct proc_id *id, int started_pidfd,
	sd_event_io_handler_t handler, sd_event_source **ret, struct err *err)
{
	autoclose int pidfd = -1;
	int r = 0;

	if (started_pidfd >= 0)
		pidfd = fcntl(started_pidfd, F_DUPFD_CLOEXEC, 0);
	if (pidfd < 0)
		r = proc_open(id, &pidfd);
	if (r < 0)
		return err_set(err, r, "process %d ended, or /proc hides it (hidepid)",
			(int)id->pid);
	r = sd_event_add_io(pod->event, ret, pidfd, EPOLLIN, handler, pod);
	if (r < 0)
		return err_set(err, r, "watching process %d: %s", (int)id->pid, strerror(-r));
	sd_event_source_set_io_fd_own(*ret, true);
	take_fd(&pidfd);
	return 0;
}

static void uplink_ended(struct pod *pod);

/* It is of no use: the next one may be. A tenant's connection ends, and nothing tells of it. */
static void give_up_uplink(struct pod *pod)
{
	pod->uplink_reply = sd_event_source_disable_unref(pod->uplink_reply);
	if (pod_is_tenant(pod))
		uplink_ended(pod);
	else
		pod_kill_uplink(pod);
}

/* Answers to what was sent while the pod runs. An uplink that refuses its configuration is of no
 * use; the next one may have it better. */
static int on_uplink_reply(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct pod *pod = userdata;
	uint32_t operation = UPLINK_RESOLV;
	struct err err = {};
	int r;

	r = pod_await_uplink(pod, &operation, &err);
	/* Its end is told by its pidfd, but to a tenant by this. */
	if (r == -ECONNRESET) {
		pod->uplink_reply = sd_event_source_disable_unref(source);
		if (pod_is_tenant(pod))
			uplink_ended(pod);
		return 0;
	}
	/* Nobody has asked for it: what sends it is not podd-uplink any more. */
	if (!pod_uplink_is_asked(pod, operation)) {
		give_up_uplink(pod);
		return 0;
	}
	if (r < 0 && (operation == UPLINK_CONFIGURE || operation == UPLINK_NET))
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
	if (operation == UPLINK_NET && r < 0)
		pod_refuse_net(pod, &err);
	pod_uplink_answered(pod, operation, r, err.msg);
	if (operation != UPLINK_CONFIGURE)
		return 0;
	if (r == 0) {
		events_send(pod, "uplink-restarted", NULL);
		return 0;
	}
	give_up_uplink(pod);
	return 0;
}

static int on_uplink_exit(sd_event_source *source, int fd, uint32_t events, void *userdata);

static int watch_uplink(struct pod *pod, struct err *err)
{
	int r;

	sd_event_now(pod->event, CLOCK_MONOTONIC, &pod->uplink_since);
	/* What it does not take at once it is killed for. */
	fd_set_nonblock(pod->uplink);
	pod->uplink_reply = sd_event_source_disable_unref(pod->uplink_reply);
	r = sd_event_add_io(pod->event, &pod->uplink_reply, pod->uplink, EPOLLIN, on_uplink_reply,
		pod);
	if (r < 0)
		return err_set(err, r, "watching podd-uplink: %s", strerror(-r));
	if (pod_is_tenant(pod))
		return 0;
	return watch_process(pod, &pod->state.uplink, pod->uplink_pidfd, on_uplink_exit,
		&pod->uplink_exit, err);
}

static void schedule_uplink(struct pod *pod);

static int on_uplink_restart(sd_event_source *source, uint64_t now, void *userdata)
{
	struct pod *pod = userdata;
	struct err err = {};
	int r;

	pod->uplink_restart = sd_event_source_disable_unref(source);
	if (pod->state.phase != POD_RUNNING)
		return 0;
	r = pod_is_tenant(pod) ? pod_start_tenant(pod, &err) : pod_replace_uplink(pod, &err);
	if (r == 0 && pod->uplink >= 0)
		r = watch_uplink(pod, &err);
	if (r == 0)
		return 0;
	fprintf(stderr, "podd: pod %s: starting podd-uplink again: %s\n", pod->path, err.msg);
	pod_end_uplink(pod);
	pod_uplink_forget(pod);
	schedule_uplink(pod);
	return 0;
}

static void schedule_uplink(struct pod *pod)
{
	uint64_t delay = RESTART_DELAY_MAX_US;

	if (pod->uplink_failures < 10)
		delay = (uint64_t)RESTART_DELAY_US << pod->uplink_failures;
	pod->uplink_failures++;
	pod->uplink_restarts++;
	sd_event_add_time_relative(pod->event, &pod->uplink_restart, CLOCK_MONOTONIC, delay, 1000,
		on_uplink_restart, pod);
}

static void uplink_ended(struct pod *pod)
{
	uint64_t now = 0;

	pod->uplink_reply = sd_event_source_disable_unref(pod->uplink_reply);
	cleanup_close(&pod->uplink);
	pod->uplink = -1;
	pod_uplink_forget(pod);
	if (pod->state.phase != POD_RUNNING)
		return;
	sd_event_now(pod->event, CLOCK_MONOTONIC, &now);
	if (now - pod->uplink_since > UPLINK_STABLE_US)
		pod->uplink_failures = 0;
	fprintf(stderr, "podd: pod %s: podd-uplink ended; %s\n", pod->path,
		pod_is_tenant(pod) ? "waiting for the next one" : "starting another");
	schedule_uplink(pod);
	totals_uplink_ended(pod);
}

static int on_uplink_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct pod *pod = userdata;

	pod->uplink_exit = sd_event_source_disable_unref(source);
	waitid(P_PIDFD, (id_t)fd, &(siginfo_t){}, WEXITED | WNOHANG);
	uplink_ended(pod);
	return 0;
}

static void on_resolv_changed(void *userdata)
{
	struct pod *pod = userdata;
	autofree char *nameservers = NULL;
	struct err err = {};
	int r;

	r = pod_write_resolv(pod, &nameservers, &err);
	if (r == 0 && pod_has_uplink(pod) && pod->uplink >= 0) {
		r = pod_send_resolv(pod, nameservers, &err);
		/* One that does not read its requests hangs. */
		if (r < 0)
			pod_kill_uplink(pod);
	}
	if (r < 0)
		fprintf(stderr, "podd: pod %s: following resolv.conf: %s\n", pod->path, err.msg);
	nested_write_resolv(pod->podfd);
}

int pod_watch(struct pod *pod, struct err *err)
{
	int r;

	r = watch_process(pod, &pod->state.outer, pod->outer_pidfd, on_outer_exit,
		&pod->outer_exit, err);
	/* From now on nothing is waited for. */
	pod->uplink_async = true;
	pod_hurry_outer(pod);
	if (r == 0 && pod->uplink >= 0)
		r = watch_uplink(pod, err);
	else if (r == 0 && pod_is_tenant(pod) && network_has_uplink(pod->network))
		schedule_uplink(pod);
	/* The pod around writes that of its pods. */
	if (r == 0 && !pod_has_parents_resolv(pod))
		r = resolv_watch(pod->event, on_resolv_changed, pod, &pod->resolv, err);
	return r;
}
