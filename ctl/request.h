/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One question to a container's podd-shim, and its answer. */

#include <stdint.h>

#include "target.h"

/* Sends one message and waits for SHIM_DONE or SHIM_ERROR, but not for ever. Return: 0; -ESRCH when
 * the container does not run; -EREMOTEIO with the shim's reason; -ETIMEDOUT; -errno. */
int request_shim(const struct target *target, uint32_t type, uint32_t a, uint32_t b,
	struct err *err);
