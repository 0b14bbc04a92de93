/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl version. */

#include <stdio.h>

#include "record.h"

#include "options.h"
#include "verbs.h"

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	const struct option options[] = {OPTION_FORMAT(&format), {}};
	struct json *document;
	bool json;
	size_t n;
	int status = options_parse(&verb_version, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_version, "--format must be json or table");
	if (!json) {
		printf("podctl version %s\n", PACKAGE_VERSION);
		return CTL_OK;
	}
	document = json_new_object();
	json_set_string(document, "version", PACKAGE_VERSION);
	json_set_int(document, "recordVersion", RECORD_VERSION);
	json_set_string(document, "libexecDir", PODD_LIBEXECDIR);
	return ctl_print_json(document);
}

const struct ctl_verb verb_version = {
	.name = "version",
	.operands = "",
	.summary = "Print the version",
	.example = "podctl version --format json",
	.no_root = true,
	.run = run,
};
