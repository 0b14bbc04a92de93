/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Egress rules as they come from a command line, see rules.h. */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "text.h"

#include "rules.h"

/* Only the first word of a rule can be one of these. */
static bool begins_rule(const char *argument)
{
	return argument[0] == '{' || text_equal(argument, "allow") ||
	       text_starts_with(argument, "allow ") || text_equal(argument, "deny") ||
	       text_starts_with(argument, "deny ");
}

int rules_join(char *const *words, char ***ret)
{
	autofree char *rule = NULL;
	autostrv rules = NULL;

	for (size_t i = 0; words[i]; i++) {
		bool goes_on = rule && !begins_rule(words[i]);
		char *longer;

		if (rule && !goes_on && strv_add(&rules, rule) < 0)
			return -ENOMEM;
		longer = goes_on ? text_format("%s %s", rule, words[i]) : strdup(words[i]);
		free(rule);
		rule = longer;
		if (!rule)
			return -ENOMEM;
	}
	if (!rule)
		return -EINVAL;
	if (strv_add(&rules, rule) < 0)
		return -ENOMEM;
	*ret = take_ptr(rules);
	return 0;
}
