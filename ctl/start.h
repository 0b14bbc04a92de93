/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Starting a container that has been made, for the verbs run, start and restart. */

#include <stdint.h>

#include "pod.h"
#include "session.h"
#include "target.h"

/* How long everything may take that a start needs: CNI plugins have time-outs of their own. */
#define START_ANSWER_SECONDS 180

struct start {
	const struct ctl *ctl;
	const struct pod_running *pod;
	const char *pod_path;
	const char *name;
	uint64_t order;       /* see start_order() */
	uint32_t streams;     /* SHIM_STREAM_*; 0: not attached */
};

/* The order of what is started now: what is started later has a greater one. */
uint64_t start_order(void);

/* Has a shim start the container and passes its streams on until the session's end, see
 * session_run(). When the shim is killed before it could answer, what it left is removed. */
int start_run(const struct start *start, const struct session_options *options,
	struct session_result *ret, struct err *err);

/* Starts a container in the background and waits until it runs; one that runs is fine. The pod is
 * started where it is not. Return: 0, -EREMOTEIO (the shim's reason), -errno. */
int start_container(const struct ctl *ctl, const struct target *target, uint64_t order,
	struct err *err);

/* Waits until nothing of an earlier run is in the way, and tells whether it runs: 1, 0, -EBUSY when
 * it is being stopped and does not end. */
int start_is_running(const struct target *target, struct err *err);

/* Starts all containers in a pod that podctl made. Return: 0, or the first failure. */
int start_pod_containers(const struct ctl *ctl, const char *path, uint64_t order, struct err *err);

/* Has what a killed shim left removed. */
int start_reap(const struct ctl *ctl, const struct pod_running *pod, const char *pod_path,
	const char *name, struct err *err);
