/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Writing a container's log: the forms are in lib/log.h. What goes wrong is said once in the shim's
 * own log and never reaches the container.
 */

#include <stdbool.h>

#include "container.h"
#include "err.h"

struct shim_log;

/* Opens the log of the container in @childfd, appending. Return: 0 or -errno. */
int shim_log_open(const struct container_spec *spec, int childfd, struct shim_log **ret,
	struct err *err);

/* Writes what came from the container on one stream, as it came; the end of a line may come with a
 * later call. */
void shim_log_write(struct shim_log *log, bool is_stderr, const char *data, size_t length);

/* The container has ended: what waits for the end of its line is written as partial. */
void shim_log_flush(struct shim_log *log);
void shim_log_free(struct shim_log *log);
CLEANUP_DEFINE(shim_log, shim_log_free)
