/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that list what podd knows: see list-verb.h. */

#include "list-verb.h"

#include "options.h"

int list_verb_run(const struct list_verb *list, const struct ctl *ctl, int argc, char **argv)
{
	autoptr(json) entries = NULL;
	const char *format = NULL;
	const struct option options[] = {OPTION_FORMAT(&format), {}};
	bool json;
	size_t n;
	int status = options_parse(list->verb, options, argc, argv, &n);
	int failure;

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(list->verb, "--format must be json or table");
	failure = supervisor_list_all(
		ctl, argv[0], list->open, list->method, list->key, &entries);
	if (n > 0 && failure >= 0)
		return failure;
	status = list->print(entries, json);
	return failure >= 0 ? failure : status;
}
