/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Attaching a container to its pod: prestart, createRuntime and createContainer. */

#include "err.h"
#include "request.h"

/* Return: 0, also when it is attached already; or -errno with nothing left but error.json, and the
 * record where something could not be taken back. */
int attach(const struct request *request, struct err *err);
