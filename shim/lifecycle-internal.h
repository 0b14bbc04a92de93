/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the three parts of a container's life share: lifecycle.c, whose top has the theory, with the
 * records, the streams and stopping; lifecycle-start.c; lifecycle-end.c. */

#include <stdbool.h>
#include <stdint.h>

#include "container.h"
#include "deletion.h"
#include "health.h"
#include "leftovers.h"
#include "lifecycle.h"
#include "shim-log.h"

/* podctl's and podman's statuses for what never ran. */
#define STATUS_FAILED 125
#define STATUS_NOT_RUNNABLE 126

enum step {
	STEP_IDLE,
	STEP_CLEAR,
	STEP_CHOWN,
	STEP_CREATE,
	STEP_START,
	STEP_RUN,
	STEP_LEFTOVERS,
	STEP_DRAIN,
	STEP_DELETE,
	STEP_DELAY,
	STEP_OVER,
};

struct lifecycle {
	struct lifecycle_parts parts;
	const struct lifecycle_listener *listener;
	void *userdata;
	struct place *place;
	struct container_state state;
	struct container_exit exit;    /* of the run that ends */
	struct shim_log *log;
	struct streams *streams;
	struct health *health;
	struct deletion *deletion;
	struct leftovers *leftovers;
	sd_event_source *kill_timer;
	sd_event_source *step_timer;
	enum step step;
	pid_t init;                    /* 0: none */
	pid_t owning;                  /* the child that changes owners; 0: none */
	uint32_t stop_signal;          /* of a stop that came before it ran, and its time */
	uint32_t stop_seconds;
	bool has_ended;                /* init, with wait_status */
	int wait_status;
	bool has_run;                  /* this run was told as started */
	bool first;                    /* no run was told as started */
	bool held;
	int64_t run_since_ms;
	uint32_t delay_ms;
	uint32_t rows, columns;
};

/* What cannot be written is said in shim.log. */
void lifecycle_save_state(struct lifecycle *lifecycle);
void lifecycle_set_phase(struct lifecycle *lifecycle, enum container_phase phase);
void lifecycle_save_exit(struct lifecycle *lifecycle);
int lifecycle_open_streams(struct lifecycle *lifecycle, struct err *err);

/* starting */
void lifecycle_begin_run(struct lifecycle *lifecycle);

/* ending; a start that failed, which @status and @reason are about */
void lifecycle_clear_start(struct lifecycle *lifecycle, int status, const char *reason);
void lifecycle_end_run(struct lifecycle *lifecycle);
/* deleting; when the output was read to its end */
void lifecycle_delete(struct lifecycle *lifecycle);
/* over */
void lifecycle_finish(struct lifecycle *lifecycle);
