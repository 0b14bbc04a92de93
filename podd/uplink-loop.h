/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The uplink's event loop for everything but libslirp's own sockets: edge-triggered epoll, with
 * work that is put off to the next turn. An event that was fetched already may name what has been
 * removed since: its watch says so, and it is freed by work of the next turn, before whose events
 * nothing can name it any more.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "err.h"

#define container_of(pointer, type, member)                                   \
	((type *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

/* Part of whatever has an fd in the loop. */
struct uplink_watch {
	void (*ready)(struct uplink_watch *watch, uint32_t events); /* NULL: gone */
};

/* Something to do in the next turn. */
struct uplink_work {
	struct uplink_work *next;
	void (*run)(struct uplink_work *work);
	bool queued;
};

struct uplink_loop;

/* @event's sources are dispatched as part of the loop. */
int uplink_loop_new(sd_event *event, struct uplink_loop **ret, struct err *err);
void uplink_loop_free(struct uplink_loop *loop);
CLEANUP_DEFINE(uplink_loop, uplink_loop_free)

/* Becomes readable when there is something for uplink_loop_turn(). */
int uplink_loop_fd(const struct uplink_loop *loop);

/* Calls watch->ready with the epoll events of @fd. Return: 0 or -errno. */
int uplink_loop_add(struct uplink_loop *loop, int fd, uint32_t events, struct uplink_watch *watch);
/* To be called before the fd is closed or given away. */
void uplink_loop_remove(struct uplink_loop *loop, int fd, struct uplink_watch *watch);

/* Runs @work once, at the start of the next turn. */
void uplink_loop_defer(struct uplink_loop *loop, struct uplink_work *work);
/* True while the next turn should not wait. */
bool uplink_loop_busy(const struct uplink_loop *loop);

/* A timer of CLOCK_MONOTONIC that is not started. Return: 0 or -errno. */
int uplink_loop_add_timer(struct uplink_loop *loop, uint64_t accuracy_us,
	sd_event_time_handler_t handler, void *opaque, sd_event_source **ret, struct err *err);
/* Calls the handler once, in @delay_us, unless it will be called anyway. To be called in the
 * handler for a timer that goes on. Return: 0 or -errno. */
int uplink_loop_start_timer(struct uplink_loop *loop, sd_event_source *timer, uint64_t delay_us);
/* A timer of sd-event was set otherwise, outside of its handler: sd-event must hear of it. */
void uplink_loop_timers_changed(struct uplink_loop *loop);

/* CLOCK_MONOTONIC, a few milliseconds coarse. */
int64_t uplink_loop_now_ms(void);

/* One turn: waits at most @timeout_ms (-1: forever), then does what there is.
 * Return: the number of events, or -errno. */
int uplink_loop_turn(struct uplink_loop *loop, int timeout_ms);
