/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Reading the files of a container's log in their order while they are written and rotated: PATH,
 * and PATH.1, the youngest of those before it, to PATH.N. See lib/container.h, lib/log.h.
 */

#include <stdint.h>

#include "cleanup.h"
#include "container.h"
#include "log.h"

struct log_files;

/* At the beginning of the oldest file; there may be none yet. Return: 0 or -errno. */
int log_files_open(const struct container_spec *spec, int childfd, struct log_files **ret,
	struct err *err);
void log_files_free(struct log_files *files);
CLEANUP_DEFINE(log_files, log_files_free)

/* The directory that they are in, for watching. */
int log_files_dir(const struct log_files *files);

/* Goes to where the last @lines lines of output begin. */
int log_files_seek_tail(struct log_files *files, uint64_t lines);

/* The next entry; its text is valid until the next call. Return: 1, 0 when there is no more at
 * present, -errno. */
int log_files_next(struct log_files *files, struct log_entry *ret);

/* Lines that were passed over because they are no entries. */
uint64_t log_files_skipped(const struct log_files *files);
