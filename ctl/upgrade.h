/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Replacing a pod's supervisor by the installed version while the pod runs, for podctl upgrade. */

#include <stdbool.h>

#include "ctl.h"

/* Is there anything to replace? */
bool upgrade_is_possible(const struct ctl *ctl, const char *path);

/* With @uplink podd-uplink too, whose connections end. On failure the supervisor that ran before
 * goes on, or is started again: the message says which. Return: 0, -ENOENT, -ESRCH (the pod does
 * not run), -errno. */
int upgrade_pod(const struct ctl *ctl, const char *path, bool uplink, struct err *err);
