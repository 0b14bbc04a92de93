/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Restart policies: see restart.h. */

#include "restart.h"

bool restart_wanted(const struct container_spec *spec, const struct container_exit *exit,
	uint32_t restarts, bool stopped)
{
	if (stopped)
		return false;
	switch (spec->restart) {
	case RESTART_ALWAYS:
	case RESTART_UNLESS_STOPPED:
		return true;
	case RESTART_ON_FAILURE:
		return exit->status != 0 && (spec->restart_max == 0 || restarts < spec->restart_max);
	default:
		return false;
	}
}

uint32_t restart_delay_ms(uint32_t last_ms, uint64_t ran_ms)
{
	if (last_ms == 0 || ran_ms >= RESTART_RESET_MS)
		return RESTART_DELAY_MIN_MS;
	return last_ms > RESTART_DELAY_MAX_MS / 2 ? RESTART_DELAY_MAX_MS : last_ms * 2;
}
