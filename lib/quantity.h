/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Signals, sizes, times and CPUs as people write them on a command line; podman's forms. */

#include <stdint.h>
#include <time.h>

/* "TERM", "SIGTERM", "term", "15", "RTMIN+3". Return: 0 or -EINVAL. */
int quantity_parse_signal(const char *text, uint32_t *ret);

/* "512m", "1.5g", "64kb", "1024": units of 1024 (b, k, m, g, t, p; "kb" and "kib" are the same).
 * Return: 0, -EINVAL, -ERANGE when it is more than INT64_MAX. */
int quantity_parse_bytes(const char *text, uint64_t *ret);

/* "1.5" in thousandths, rounded down. Return: 0, -EINVAL, -ERANGE. */
int quantity_parse_milli(const char *text, uint32_t *ret);

/* "1h30m", "90s", "1.5h", "500ms", "90" (seconds), in nanoseconds: Go's durations. Return: 0,
 * -EINVAL, -ERANGE when it is more than INT64_MAX. */
int quantity_parse_duration(const char *text, int64_t *ret_ns);

/* The same in whole seconds, rounded up. */
int quantity_parse_seconds(const char *text, uint32_t *ret);

/* A point of time: RFC 3339 ("2024-01-31T12:00:00Z", with a fraction or a zone, or with neither in
 * local time; the date alone), seconds since the epoch ("1706702400.5"), or a duration, counted
 * back from @now. Return: 0 or -EINVAL. */
int quantity_parse_time(const char *text, const struct timespec *now, struct timespec *ret);
