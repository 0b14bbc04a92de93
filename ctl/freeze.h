/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Freezing and thawing containers by their cgroups, for the verbs pause and unpause. */

#include "ctl.h"

/* The whole verb: options, operands, and what is done. Return: the exit status. */
int freeze_run(const struct ctl *ctl, const struct ctl_verb *verb, bool frozen, int argc,
	char **argv);
