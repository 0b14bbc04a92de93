/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The uplink's event loop: see uplink-loop.h. It owns the epoll fd, and no other.
 *
 * System calls: epoll_wait, epoll_pwait, epoll_ctl, clock_gettime.
 */

#include "uplink-loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* Few enough that nobody waits long for a place in the next turn. */
#define EVENTS_MAX 64

struct uplink_loop {
	int epoll;
	sd_event *event;
	struct uplink_watch timers; /* sd-event's own fd */
	bool timers_changed;
	struct uplink_work *first; /* of the next turn */
	struct uplink_work **last;
};

static void run_sd_event(struct uplink_loop *loop)
{
	int r;

	loop->timers_changed = false;
	do {
		r = sd_event_run(loop->event, 0);
	} while (r > 0 && sd_event_get_state(loop->event) != SD_EVENT_FINISHED);
}

static void on_sd_event(struct uplink_watch *watch, uint32_t events)
{
	struct uplink_loop *loop = container_of(watch, struct uplink_loop, timers);

	run_sd_event(loop);
}

int uplink_loop_new(sd_event *event, struct uplink_loop **ret, struct err *err)
{
	autoptr(uplink_loop) loop = calloc(1, sizeof(*loop));
	struct epoll_event level = {.events = EPOLLIN};

	if (!loop)
		return err_oom(err);
	loop->last = &loop->first;
	loop->event = sd_event_ref(event);
	loop->timers.ready = on_sd_event;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	level.data.ptr = &loop->timers;
	if (loop->epoll < 0 ||
		epoll_ctl(loop->epoll, EPOLL_CTL_ADD, sd_event_get_fd(event), &level) < 0)
		return err_errno(err, "cannot make the uplink's event loop");
	*ret = take_ptr(loop);
	return 0;
}

void uplink_loop_free(struct uplink_loop *loop)
{
	if (!loop)
		return;
	if (loop->epoll >= 0)
		close(loop->epoll);
	sd_event_unref(loop->event);
	free(loop);
}

int uplink_loop_fd(const struct uplink_loop *loop)
{
	return loop->epoll;
}

int uplink_loop_add(struct uplink_loop *loop, int fd, uint32_t events, struct uplink_watch *watch)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void uplink_loop_remove(struct uplink_loop *loop, int fd, struct uplink_watch *watch)
{
	watch->ready = NULL;
	(void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void uplink_loop_defer(struct uplink_loop *loop, struct uplink_work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	work->next = NULL;
	*loop->last = work;
	loop->last = &work->next;
}

bool uplink_loop_busy(const struct uplink_loop *loop)
{
	return loop->first || loop->timers_changed;
}

int uplink_loop_add_timer(struct uplink_loop *loop, uint64_t accuracy_us,
	sd_event_time_handler_t handler, void *opaque, sd_event_source **ret, struct err *err)
{
	sd_event_source *timer = NULL;
	int r = sd_event_add_time(loop->event, &timer, CLOCK_MONOTONIC, UINT64_MAX, accuracy_us,
		handler, opaque);

	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	if (r < 0) {
		sd_event_source_unref(timer);
		return err_set(err, r, "cannot make a timer: %s", strerror(-r));
	}
	*ret = timer;
	return 0;
}

int uplink_loop_start_timer(struct uplink_loop *loop, sd_event_source *timer, uint64_t delay_us)
{
	int enabled, r = sd_event_source_get_enabled(timer, &enabled);

	if (r < 0 || enabled != SD_EVENT_OFF)
		return r < 0 ? r : 0;
	r = sd_event_source_set_time_relative(timer, delay_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
	uplink_loop_timers_changed(loop);
	return r < 0 ? r : 0;
}

void uplink_loop_timers_changed(struct uplink_loop *loop)
{
	loop->timers_changed = true;
}

/* Only what was there at the start: what defers itself again waits for its next turn. */
static void run_deferred(struct uplink_loop *loop)
{
	struct uplink_work *work = loop->first;

	loop->first = NULL;
	loop->last = &loop->first;
	while (work) {
		struct uplink_work *next = work->next;

		work->queued = false;
		work->run(work);
		work = next;
	}
}

int64_t uplink_loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int uplink_loop_turn(struct uplink_loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n;

	if (loop->timers_changed)
		run_sd_event(loop);
	/* Before the wait: what it frees is not in the events then. */
	run_deferred(loop);
	n = epoll_wait(loop->epoll, events, EVENTS_MAX, uplink_loop_busy(loop) ? 0 : timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct uplink_watch *watch = events[i].data.ptr;

		if (watch->ready)
			watch->ready(watch, events[i].events);
	}
	return n < 0 ? 0 : n;
}
