/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One question to a container's podd-shim, and its answer. */

#include <stdint.h>

#include "target.h"

/* Return: 0; -ESRCH when the container does not run; -errno. */
int request_connect(const struct target *target, int *ret_socket, struct err *err);

/* Sends one message, with @fd (or -1). A shim that refused the connection has said why before it
 * closed: that is the error then. Return: 0; -EREMOTEIO with the shim's reason; -ESRCH when it went
 * without one: the container has ended; -EAGAIN; -errno. */
int request_send(int socket, const char *path, uint32_t type, uint32_t a, uint32_t b, int fd,
	struct err *err);

/* Sends one message and waits for SHIM_DONE or SHIM_ERROR, but not for ever. Return: 0; -ESRCH when
 * the container does not run; -EREMOTEIO with the shim's reason; -ETIMEDOUT; -errno. */
int request_shim(const struct target *target, uint32_t type, uint32_t a, uint32_t b,
	struct err *err);
