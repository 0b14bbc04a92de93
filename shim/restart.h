/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* When a container is started again after its end, and after which delay. */

#include <stdbool.h>
#include <stdint.h>

#include "container.h"

#define RESTART_DELAY_MIN_MS 100
#define RESTART_DELAY_MAX_MS 60000
/* Who ran that long is not failing in a loop. */
#define RESTART_RESET_MS 10000

/* @restarts: how often it was restarted by now; @stopped: a person or the pod's end ended it. */
bool restart_wanted(const struct container_spec *spec, const struct container_exit *exit,
	uint32_t restarts, bool stopped);

/* The delay before the next start, after the last one (0: none yet) and a run of @ran_ms. */
uint32_t restart_delay_ms(uint32_t last_ms, uint64_t ran_ms);
