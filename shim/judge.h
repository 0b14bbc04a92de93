/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Why a command could not be executed: what the runtime says about it is for people only, so the
 * root file system is asked. */

#include <sys/types.h>

#include "err.h"
#include "json.h"
#include "place.h"

/* The bundle's config.json. */
int judge_load_config(const struct place *place, struct json **ret, struct err *err);

/* For the container's own command. Return: 125, 126, 127, see rootfs_judge_command(). */
int judge_command(const struct place *place);
/* For the "process" in a file, in the container whose first process is @init. */
int judge_exec(pid_t init, int process);
