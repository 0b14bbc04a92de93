/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Mounts what stages show (lib/stage.h). */

#include "err.h"
#include "stage.h"

/* Changes the directories of the base in place. *ret_top is the mount that is over the base's own
 * top directory then (an fd), or -1 when that is as it was. The caller is root of a mount namespace
 * that nobody else uses yet. Needs CAP_SYS_ADMIN in the user namespace. Return: 0 or -errno. */
int outer_stage_mount(const struct stage_plan *plan, int *ret_top, struct err *err);

/* Makes the mount @top, which is over "/" or somewhere below it, the caller's root and that of its
 * mount namespace; what was it is gone. Return: 0 or -errno. */
int outer_stage_pivot(int top, struct err *err);
