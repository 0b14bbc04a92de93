/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What has to be done so that pods are as their definitions say: steps, each of which is a command
 * of podctl. A plan is an array of {"action", "path", "reason", "command"}, see
 * podctl-apply.schema.json.
 */

#include "apply-file.h"
#include "ctl.h"

enum apply_action { APPLY_REMOVE, APPLY_CREATE, APPLY_CHANGE, APPLY_START, APPLY_STOP };

/* Compares one definition with the records, and appends the steps to @plan. With @prune, containers
 * that an earlier definition had are removed. Return: 0; -EINVAL for what cannot be made so, -EBUSY
 * for what somebody else has made, -errno; the message says which. */
int apply_plan_pod(const struct ctl *ctl, const struct apply_pod *pod, bool prune,
	struct json *plan, struct err *err);

/* Appends the removal of a pod that no definition is of. Return: 0 or -errno; nothing for one that
 * was made by hand. */
int apply_plan_prune(const struct ctl *ctl, const char *path, struct json *plan, struct err *err);
