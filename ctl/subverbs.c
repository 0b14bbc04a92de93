/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that are two words, see subverbs.h. */

#include <string.h>

#include "options.h"
#include "subverbs.h"

static bool is_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

/* "list" is also "ls", and "remove" is "rm", whichever of both the verb has. */
static bool is_named(const char *name, const char *word)
{
	static const char *const same[][2] = {{"list", "ls"}, {"remove", "rm"}};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		for (size_t j = 0; j < 2; j++)
			if (strcmp(name, same[i][j]) == 0 && strcmp(word, same[i][!j]) == 0)
				return true;
	return strcmp(name, word) == 0;
}

int subverbs_run(const struct ctl *ctl, const struct ctl_verb *verb,
	const struct ctl_verb *const *verbs, const struct ctl_verb *otherwise, int argc,
	char **argv)
{
	const size_t skipped = strlen(verb->name) + 1;
	const struct option none[] = {{}};
	size_t n;

	for (size_t i = 0; argc > 0 && verbs[i]; i++)
		if (is_named(verbs[i]->name + skipped, argv[0]))
			return verbs[i]->run(ctl, argc - 1, argv + 1);
	if (argc > 0 && (is_help(argv[0]) || (!otherwise && argv[0][0] == '-')))
		return options_parse(verb, none, argc, argv, &n);
	if (otherwise)
		return otherwise->run(ctl, argc, argv);
	return argc == 0 ? ctl_usage_error(verb, "what to do is missing: %s", verb->operands)
			 : ctl_usage_error(verb, "unknown verb \"%s %s\"", verb->name, argv[0]);
}
