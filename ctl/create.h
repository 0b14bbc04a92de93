/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The options of podctl create that say what a pod is, for who makes pods of something else than a
 * command line. */

#include "options.h"
#include "record.h"

struct create_options;

#define CREATE_OPTIONS_MAX 32

int create_options_new(struct create_options **ret);
void create_options_free(struct create_options *options);
CLEANUP_DEFINE(create_options, create_options_free)

/* Appends the table's entries, which fill @options, to @table from *n on, without an end mark. */
void create_options_table(struct create_options *options, struct option *table, size_t *n);

/* The specification that they are of. Return: 0; -EINVAL with the option named; -errno. */
int create_read_spec(const struct create_options *options, const char *path, struct pod_spec *ret,
	struct err *err);
