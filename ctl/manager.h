/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The caller's service manager, by systemctl(1): root's is the system's, anybody else's the user's
 * own. A pod is its when the pod's processes are in the pod's unit podd@POD.service, or when that
 * unit is enabled for the directory of this pod; such a pod is started and stopped by the manager.
 * What runs in the unit itself (its ExecStop=) acts on its own.
 */

#include <stdbool.h>

#include "record.h"

#include "ctl.h"

/* Is the pod to be started by the manager? Looks at files only. @state: of the pod, or NULL. */
bool manager_starts(const struct ctl *ctl, const char *pod, const struct pod_state *state);

/* Does it run in its unit? */
bool manager_runs(const char *pod, const struct pod_state *state);

/* Starts the pod's unit and waits for it. Return: 0, -errno; the message says where to look. */
int manager_start(const char *pod, struct err *err);
/* Stops the unit, and the one of its control socket, and waits for that. */
int manager_stop(const char *pod, struct err *err);

/* Is its unit enabled, for a pod of this directory? */
bool manager_is_enabled(const struct ctl *ctl, const char *pod);
/* Return: 0; -EOPNOTSUPP when there is no manager; -EEXIST when it is enabled for a pod of the same
 * name in another directory; -errno. */
int manager_enable(const struct ctl *ctl, const char *pod, struct err *err);
int manager_disable(const struct ctl *ctl, const char *pod, struct err *err);

/* Why the unit may not be there after a reboot, each printed as a warning. */
void manager_warn(const struct ctl *ctl, const char *pod);
