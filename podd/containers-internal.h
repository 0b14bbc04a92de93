/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What containers.c and containers-stop.c share. */

#include <systemd/sd-event.h>

#include "container.h"
#include "containers.h"
#include "name.h"
#include "proc.h"

#define BUCKETS 256

struct container {
	struct containers *owner;
	struct container *next;  /* in its bucket */
	char name[NAME_COMPONENT_MAX + 1];
	struct proc_id shim;
	uint64_t order;
	bool has_shim;
	bool is_asked;           /* to stop */
	int stop_socket;         /* on which it was asked; its end would take the request back */
	sd_event_source *exit;   /* of the shim, then of the reaper */
	sd_event_source *timer;  /* of the reaper: its deadline, or its next try */
	pid_t reaper;
	unsigned tries;
};

struct containers {
	struct pod *pod;
	unsigned n;
	bool is_stopping;
	uint64_t stop_deadline;  /* CLOCK_MONOTONIC, microseconds */
	sd_event_source *wave_timer;
	struct container *buckets[BUCKETS];
};

/* While the pod stops: asks one that came only now. */
void containers_ask_to_stop(struct container *container);
/* ... and when one has ended, those that are next. */
void containers_next_wave(struct containers *containers);
void containers_kill_init(const struct container_state *state);
