/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What is measured of pods and containers, in Prometheus' text format 0.0.4 (Prometheus
 * documentation, "Exposition formats"). From records, cgroups, and what podd answers to Inspect.
 */

#include <stddef.h>

#include "err.h"
#include "json.h"

/* Longest text. */
#define METRICS_BYTES_MAX (16 * 1024 * 1024)
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics;

int metrics_new(struct metrics **ret, struct err *err);
void metrics_free(struct metrics *metrics);
CLEANUP_DEFINE(metrics, metrics_free)

/* Adds a pod and its children; @inspection (NULL: it has no podd) is the answer to Inspect. What
 * has a record that cannot be read is left out. Return: 0; -E2BIG when there is no more room;
 * -errno. */
int metrics_add_pod(struct metrics *metrics, int podfd, const char *path,
	const struct json *inspection, struct err *err);

/* All of it; allocated. Return: 0, -E2BIG, -ENOMEM. */
int metrics_write(struct metrics *metrics, char **ret, size_t *ret_length);
