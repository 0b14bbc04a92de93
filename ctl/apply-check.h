/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What of several definitions does not go together, or with the pods that there are. */

#include "apply-file.h"
#include "ctl.h"

/* What is wrong is appended to *problems, "FILE: reason" each. Return: 0 or -ENOMEM. */
int apply_check(const struct ctl *ctl, struct apply_pod *const *pods, size_t n, char ***problems);
