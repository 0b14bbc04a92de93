/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Stopping containers, for the verbs stop, restart and rm. */

#include <stdint.h>

#include "target.h"

/* One of several that are stopped together. */
struct stop {
	struct target target; /* owned; its descriptors are closed early, as there may be many */
	int socket;
	int result;           /* 0: it has ended, or did not run */
	struct err err;
};

#define STOP_DEFAULT UINT32_MAX

/* Stops all of them at once: each gets its signal, and SIGKILL after @seconds (STOP_DEFAULT: what
 * its own specification says). Everything of their runs is gone afterwards. */
void stop_containers(const struct ctl *ctl, struct stop *stops, size_t n, uint32_t seconds);
void stop_done(struct stop *stop);

/* One of them. */
int stop_container(const struct ctl *ctl, const struct target *target, uint32_t seconds,
	struct err *err);
