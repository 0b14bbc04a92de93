/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a pod sees in place of the host's file system, as podctl create is asked for it: --stage,
 * --root,
 * --host-at. */

#include "err.h"
#include "record.h"

#include "ctl.h"

/* Takes what is said on the command line into the specification. Return: 0, -EINVAL, -ENOMEM. */
int trees_take(struct pod_spec *spec, char *const *stages, const char *root, const char *host_at,
	struct err *err);

/* Looks at the directories: paths become absolute and free of links; nobody else may be able to
 * change what is in them; and the stages must fit what they lie over. Return: 0, -ENOENT, -EPERM,
 * -EINVAL, -errno. */
int trees_check(const struct ctl *ctl, struct pod_spec *spec, struct err *err);

/* The directories of CNI plugins, which are the host's so far, as the pod sees them, with those
 * that stages and the root directory have; a pod in a pod sees the stages of those
 * around it, too. */
int trees_plugin_dirs(const struct ctl *ctl, struct pod_spec *spec, struct err *err);
