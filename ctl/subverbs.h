/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Verbs that are two words: "network ls". */

#include "ctl.h"

/* Runs the one of @verbs (ended by NULL) whose second word is the first argument. Where none is,
 * @otherwise (may be NULL) gets all arguments. Return: the exit status. */
int subverbs_run(const struct ctl *ctl, const struct ctl_verb *verb,
	const struct ctl_verb *const *verbs, const struct ctl_verb *otherwise, int argc,
	char **argv);
