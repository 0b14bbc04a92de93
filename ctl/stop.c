/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stopping containers, see stop.h. Their shims do it, all at the same time; here is only waited. A
 * container without a shim (it was killed) is ended and cleared up by podd, or from here when podd
 * is not there.
 */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "deadline.h"
#include "fd.h"
#include "proc.h"
#include "shim.h"
#include "text.h"

#include "request.h"
#include "start.h"
#include "stop.h"

/* What a shim gets beyond the container's time: the network's teardown runs plugins. */
#define GRACE_SECONDS 60
#define END_TIMEOUT_MS 10000

void stop_done(struct stop *stop)
{
	target_done(&stop->target);
	cleanup_close(&stop->socket);
	stop->socket = -1;
}

/* The container's own stop time-out, where it can be read. */
static uint32_t own_seconds(int childfd)
{
	struct container_spec spec;
	uint32_t seconds;

	if (container_spec_load(childfd, &spec, NULL) < 0)
		return CONTAINER_STOP_SECONDS;
	seconds = spec.stop_timeout_s;
	container_spec_done(&spec);
	return seconds;
}

static int kill_init(const struct container_state *state)
{
	autoclose int pidfd = -1;

	if (proc_open(&state->init, &pidfd) < 0)
		return 0;
	proc_signal(pidfd, SIGKILL);
	return proc_wait(pidfd, END_TIMEOUT_MS);
}

/* What a killed shim left: its container, and all that belongs to it. */
static int clear_up(const struct ctl *ctl, const struct target *target,
	const struct container_state *state, struct err *err)
{
	cleanup(pod_running_done) struct pod_running pod = POD_RUNNING_NONE;
	int r;

	if (kill_init(state) < 0)
		return err_set(err, -ETIMEDOUT, "container %s does not end", target->path);
	r = pod_open(ctl, target->pod, &pod, err);
	if (r < 0 || !pod_is_running(&pod))
		return r;
	return start_reap(ctl, &pod, target->pod, target->name, err);
}

/* There is no shim to talk to. */
static int stop_without_shim(const struct ctl *ctl, const struct target *target, struct err *err)
{
	struct container_state state;
	enum container_phase phase;
	int r;

	r = container_state_load(target->childfd, &state, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	phase = container_phase_now(&state);
	if (phase != CONTAINER_CREATED && phase != CONTAINER_EXITED)
		r = clear_up(ctl, target, &state, err);
	container_state_done(&state);
	return r;
}

/* Return: 1 when its shim has been asked, 0 when there was nothing to stop, -errno. */
static int ask(const struct ctl *ctl, struct stop *stop, uint32_t seconds)
{
	int r;

	r = shim_connect(stop->target.childfd, &stop->socket, &stop->err);
	if (r == -ESRCH)
		return stop_without_shim(ctl, &stop->target, &stop->err);
	if (r < 0)
		return err_wrap(&stop->err, r, "container %s", stop->target.path);
	r = request_send(stop->socket, stop->target.path, SHIM_STOP, SHIM_DEFAULT,
		seconds == STOP_DEFAULT ? SHIM_DEFAULT : seconds, -1, &stop->err);
	/* It was about to go when we came: that it is gone is what was wanted. */
	if (r == -ESRCH)
		return 0;
	if (r < 0)
		return r;
	r = fd_set_nonblock(stop->socket);
	return r < 0 ? err_set(&stop->err, r, "container %s: preparing the socket: %s",
			       stop->target.path, strerror(-r))
		     : 1;
}

/* Return: 1 when more is to come, 0 when it has ended, -errno. */
static int hear(struct stop *stop)
{
	static struct shim_message message;
	int r = shim_receive(stop->socket, &message, NULL);

	if (r == -EAGAIN)
		return 1;
	/* A shim that goes without a word was killed; podd clears up. */
	if (r <= 0)
		return r;
	if (message.header.type == SHIM_ERROR)
		return err_set(&stop->err, -EREMOTEIO, "container %s: %s", stop->target.path,
			(const char *)message.data);
	return message.header.type != SHIM_DONE;
}

static void end_wait(struct stop *stop, int result)
{
	stop->result = result;
	cleanup_close(&stop->socket);
	stop->socket = -1;
}

/* Hears every shim that has something to say. Return: how many are still waited for. */
static size_t hear_all(struct stop *stops, size_t n, struct pollfd *polls)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		int r = 1;

		if (stops[i].socket < 0)
			continue;
		if (polls[i].revents)
			r = hear(&stops[i]);
		if (r != 1)
			end_wait(&stops[i], r);
		left += r == 1;
	}
	return left;
}

static void await(struct stop *stops, size_t n, struct pollfd *polls, int64_t deadline)
{
	size_t left = hear_all(stops, n, polls);

	while (left > 0) {
		unsigned ms = deadline_left_ms(deadline, INT32_MAX);

		for (size_t i = 0; i < n; i++)
			polls[i] = (struct pollfd){.fd = stops[i].socket, .events = POLLIN};
		if (ms == 0)
			break;
		if (poll(polls, n, (int)ms) > 0)
			left = hear_all(stops, n, polls);
	}
	for (size_t i = 0; i < n; i++)
		if (stops[i].socket >= 0)
			end_wait(&stops[i], err_set(&stops[i].err, -ETIMEDOUT,
				"container %s: its shim does not answer", stops[i].target.path));
}

/* A descriptor for each container is more than a shell's usual limit allows. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void stop_containers(const struct ctl *ctl, struct stop *stops, size_t n, uint32_t seconds)
{
	autofree struct pollfd *polls = calloc(n + 1, sizeof(*polls));
	uint32_t longest = seconds == STOP_DEFAULT ? 0 : seconds;

	raise_limit();
	for (size_t i = 0; i < n; i++) {
		int r = polls ? 1 : err_oom(&stops[i].err);

		if (r == 1 && seconds == STOP_DEFAULT) {
			uint32_t own = own_seconds(stops[i].target.childfd);

			longest = own > longest ? own : longest;
		}
		if (r == 1)
			r = ask(ctl, &stops[i], seconds);
		if (r != 1)
			end_wait(&stops[i], r);
		target_done(&stops[i].target);
	}
	if (polls)
		await(stops, n, polls,
			deadline_now_ms() + (longest + GRACE_SECONDS) * INT64_C(1000));
}

int stop_container(const struct ctl *ctl, const struct target *target, uint32_t seconds,
	struct err *err)
{
	autofree struct stop *stop = calloc(1, sizeof(*stop));
	int r;

	if (!stop)
		return err_oom(err);
	stop->socket = -1;
	stop->target.podfd = stop->target.childfd = -1;
	r = target_open(ctl, target->path, TARGET_ANY, &stop->target, err);
	if (r < 0)
		return r;
	stop_containers(ctl, stop, 1, seconds);
	r = stop->result;
	if (r < 0)
		err_set(err, r, "%s", stop->err.msg);
	stop_done(stop);
	return r;
}
