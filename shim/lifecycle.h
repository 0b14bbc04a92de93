/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The container's life: see the top of lifecycle.c. */

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "container.h"
#include "err.h"
#include "exec.h"
#include "place.h"
#include "reaper.h"
#include "runtime.h"
#include "streams.h"

struct lifecycle;

struct lifecycle_listener {
	/* A run has begun. */
	void (*started)(void *userdata, pid_t init);
	/* The first start came to nothing; everything of it is gone. */
	void (*failed)(void *userdata, int status, const char *reason);
	void (*output)(void *userdata, bool is_stderr, const char *data, size_t length);
	void (*writable)(void *userdata);
	/* A run has ended, its output was handed on and everything of it is gone. With @restarts
	 * another one follows. */
	void (*ended)(void *userdata, const struct container_exit *exit, bool restarts);
	/* Nothing more follows. */
	void (*finished)(void *userdata);
};

struct lifecycle_parts {
	sd_event *event;
	struct place *place;
	struct reaper *reaper;
	struct runtime *runtime;
	struct execs *execs;
	uint64_t order;
};

int lifecycle_new(const struct lifecycle_parts *parts, const struct lifecycle_listener *listener,
	void *userdata, struct lifecycle **ret, struct err *err);
void lifecycle_free(struct lifecycle *lifecycle);

/* The first start; what fails is told to the listener, from here or from the loop. */
void lifecycle_start(struct lifecycle *lifecycle);

/* Ends it for good: @signal, and SIGKILL after @seconds (both may be SHIM_DEFAULT). ended() follows.
 * */
void lifecycle_stop(struct lifecycle *lifecycle, uint32_t signal, uint32_t seconds);
/* Return: 0, -ESRCH when it does not run, -EINVAL for what is no signal. */
int lifecycle_signal(struct lifecycle *lifecycle, uint32_t signal);

/* The first process; 0 when it does not run. */
pid_t lifecycle_init(const struct lifecycle *lifecycle);
/* NULL between two runs. */
struct streams *lifecycle_streams(const struct lifecycle *lifecycle);
/* False from the end of a run to the start of the next one. */
bool lifecycle_takes_input(const struct lifecycle *lifecycle);
/* Output shall wait, also in runs to come. */
void lifecycle_hold(struct lifecycle *lifecycle, bool held);
void lifecycle_resize(struct lifecycle *lifecycle, uint32_t rows, uint32_t columns);
bool lifecycle_is_over(const struct lifecycle *lifecycle);
