/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a container with the log driver journald has written: read by way of journalctl(1). */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"
#include "container.h"
#include "log-sink.h"

struct journal;

/* Anybody may send entries with the container's id: only those count that the pod's own podd-shim
 * can have sent. @podfd: the pod. @lines: most lines of what is there already; UINT64_MAX: all.
 * With @follow, what is added comes as well. Return: 0 or -errno. */
int journal_new(int podfd, const struct container_spec *spec, uint64_t lines, bool follow,
	struct journal **ret, struct err *err);
void journal_free(struct journal *journal);
CLEANUP_DEFINE(journal, journal_free)

/* Is readable when there is something to copy. */
int journal_fd(const struct journal *journal);

/* Prints what has come; without follow, everything. Return: 0, -ENOENT (there is no journalctl),
 * -errno. */
int journal_copy(struct journal *journal, struct log_sink *sink, struct err *err);

/* Ends following and prints what is there beyond. */
int journal_finish(struct journal *journal, struct log_sink *sink, struct err *err);
