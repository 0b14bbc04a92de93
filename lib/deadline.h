/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Deadlines: points of CLOCK_MONOTONIC in milliseconds, so that several waits can share the time
 * that there is for all of them.
 */

#include <stdint.h>

int64_t deadline_now_ms(void);

/* Return: milliseconds from now until @deadline, but not more than @max; 0 when it is over. */
unsigned deadline_left_ms(int64_t deadline, unsigned max);
