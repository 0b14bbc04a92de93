/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Egress rules as they come from a command line. */

/* Makes one text of the words of each rule: a rule may be one argument, or several that follow each
 * other. Whether they are rules is not looked at. Return: 0 with at least one, -EINVAL when there
 * are no words, -ENOMEM. */
int rules_join(char *const *words, char ***ret);
