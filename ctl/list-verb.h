/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Verbs that list what every podd knows, or one of them: ports, rules, connections. */

#include <stdbool.h>

#include "ctl.h"
#include "supervisor.h"

struct list_verb {
	const struct ctl_verb *verb; /* its operand is [POD[/CHILD]], its option --format */
	supervisor_opener open;      /* for that operand */
	const char *method, *key;    /* see supervisor_list() */
	int (*print)(const struct json *entries, bool json);
};

/* Return: the exit status. What can be listed of many pods is printed, though one fails. */
int list_verb_run(const struct list_verb *list, const struct ctl *ctl, int argc, char **argv);
