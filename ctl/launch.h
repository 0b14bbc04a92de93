/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Starts a pod's supervisor and waits until it says that the pod is ready. */

#include <stdbool.h>

#include "err.h"

/* How long a supervisor may take until it is ready. */
#define LAUNCH_TIMEOUT_MS 60000

struct launch {
	const char *root;
	const char *path;
	int podfd;
	bool no_start; /* what runs is taken over, what is left of what does not is removed */
	const int *program; /* executed instead of the installed podd; or NULL */
};

/* Runs podd for the pod in a session of its own; its warnings are printed. The caller holds the
 * pod's start.lock. Return: 0 when the pod is ready (with no_start: or clean), -EREMOTEIO with
 * podd's message, -ETIMEDOUT, -errno. */
int launch_podd(const struct launch *launch, struct err *err);

/* What a podd that is ready, or is not, says on its --ready-fd. Return: 0 ready, -EREMOTEIO with
 * its message, -ENODATA when it ended without either, -ETIMEDOUT, -errno. */
int launch_await(const char *path, int ready, struct err *err);
