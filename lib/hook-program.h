/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* podd-hook, run by podd's own programs: attach, detach and gc. */

#include "err.h"

/* Runs it to its end, as the caller, with an empty environment, @timeout_ms at most. @argv begins with
 * its name. Return: 0; -EREMOTEIO when it failed, with what it said; -ETIMEDOUT, -errno. Blocks. */
int hook_program_run(const char *const *argv, unsigned timeout_ms, struct err *err);
