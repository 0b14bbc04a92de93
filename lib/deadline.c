/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Deadlines: see deadline.h. */

#include "deadline.h"

#include <time.h>

int64_t deadline_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

unsigned deadline_left_ms(int64_t deadline, unsigned max)
{
	int64_t left = deadline - deadline_now_ms();

	if (left <= 0)
		return 0;
	return left < max ? (unsigned)left : max;
}
