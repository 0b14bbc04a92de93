/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Starting, stopping and removing one pod, for the verbs of these names. */

#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"
#include "launch.h"
#include "record.h"

/* Seconds that children get between SIGTERM and SIGKILL: podman's default. */
#define LIFECYCLE_STOP_SECONDS 10
#define LIFECYCLE_STOP_SECONDS_MAX 86400

/* One that runs already is fine; one whose supervisor died gets a new one, which takes over what
 * runs: then *ret_took_over (may be NULL) is true. Return: 0, -ENOENT, -EBUSY (is being stopped),
 * -errno. */
int lifecycle_start(const struct ctl *ctl, const char *path, bool *ret_took_over, struct err *err);

/* Starts a supervisor of a pod whose start.lock is held: its service manager does where it is that
 * one's, and then gives the lock up, which what the unit runs may want. What is only to be cleaned
 * is no unit's. Return: as launch_podd(). */
int lifecycle_launch(const struct ctl *ctl, const struct launch *podd,
	const struct pod_state *state, int *lock, struct err *err);

/* The pods inside are stopped first. One that does not run is fine. Return: 0, -ENOENT, -errno. */
int lifecycle_stop(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err);

/* Ends and removes what is left of a pod that does not run, but for its records; one that runs gets
 * a supervisor where it has none. Return: 0, -ENOENT, -errno. */
int lifecycle_clean(const struct ctl *ctl, const char *path, struct err *err);

/* Removes the records of a pod that does not run. Return: 0, -ENOENT, -EBUSY (it runs), -errno. */
int lifecycle_remove(const struct ctl *ctl, const char *path, struct err *err);

/* Paths of the pods inside a pod, innermost first. */
int lifecycle_nested(const struct ctl *ctl, const char *path, char ***ret, struct err *err);

/* Paths of all pods, nested ones after (or with @children_first before) those they are in. */
int lifecycle_all(const struct ctl *ctl, bool children_first, char ***ret, struct err *err);
