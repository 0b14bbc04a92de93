/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Starts a pod's supervisor and waits until it says that the pod is ready. */

#include "err.h"

/* How long a supervisor may take until it is ready. */
#define LAUNCH_TIMEOUT_MS 60000

/* Runs podd for the pod in a session of its own; its warnings are printed. The caller holds the
 * pod's start.lock. Return: 0 when the pod is ready, -EREMOTEIO with podd's message,
 * -ETIMEDOUT, -errno. */
int launch_podd(const char *root, const char *path, int podfd, struct err *err);
