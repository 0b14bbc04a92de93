/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pod's containers that podctl made, each watched by its shim's pidfd. A shim tells how its
 * container ended; one that was killed could not, and what it left is cleaned up from here.
 */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct containers;
struct pod;

/* Most containers with a shim that one pod watches. */
#define CONTAINERS_MAX 4096

int containers_new(struct pod *pod, struct containers **ret, struct err *err);
void containers_free(struct containers *containers);

/* Reads the records of all, and watches the shims that they name. */
int containers_load(struct containers *containers, struct err *err);

/* Looks at one container's record: a shim that is not known yet is watched. Return: 0, -ENOENT when
 * there is no such container, -E2BIG, -errno. */
int containers_look(struct containers *containers, const char *name, struct err *err);

/* How many have a shim, or are still being cleaned up. */
unsigned containers_count(const struct containers *containers);
/* Logs those that did not end in time. */
void containers_tell_left(const struct containers *containers);

/* True for a container whose shim lives: its runtime's poststop is still to come. */
bool containers_has_shim(const struct containers *containers, const char *name);

/* Has the shims end their containers: the last started first, all within @timeout_s. */
void containers_stop(struct containers *containers, unsigned timeout_s);

/* Kills the first processes of all. */
void containers_kill(struct containers *containers);

/* For a pod that is gone: kills the shims and the first processes of this boot's containers (or, with
 * @wait, waits for their ends until the deadline, see deadline.h), and writes the ends that nobody
 * saw. */
void containers_end_all(int podfd, bool wait, int64_t deadline_ms);
void containers_write_ends(int podfd);
