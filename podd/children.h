/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pod's attached containers: each first process is held by a pidfd; when it ends without its
 * poststop, podd-hook is run to detach it.
 */

#include "err.h"
#include "json.h"

struct children;
struct pod;

/* Most containers that one pod watches. */
#define CHILDREN_MAX 4096

int children_new(struct pod *pod, struct children **ret, struct err *err);
void children_free(struct children *children);

/* Reads all attachment records and watches what they name. */
int children_load(struct children *children, struct err *err);

/* Looks at one child's record. Return: 0, -ENOENT when it has none (of that @generation, which may
 * be NULL), -E2BIG, -errno. */
int children_attach(struct children *children, const char *name, const char *generation,
	struct err *err);

/* The record of that generation is gone: stops watching. */
void children_detached(struct children *children, const char *name, const char *generation);

/* The shim of the container of that name has ended: what its runtime did not detach is detached. */
void children_shim_ended(struct children *children, const char *name);

/* How many are watched or still being detached. */
unsigned children_count(const struct children *children);
/* Logs those that did not end in time. */
void children_tell_left(const struct children *children);

/* Sends a signal to each container's first process; SIGKILL to those that are still being made. Those
 * that have a shim are left to it, but for SIGKILL. */
void children_signal(struct children *children, int signal);

/* [{"name", "id", "generation", "pid", "phase"}, ...] */
struct json *children_to_json(const struct children *children);
