/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the verbs share, see ctl.h. Everything that podctl says on standard error is said here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hierarchy.h"
#include "name.h"
#include "text.h"

#include "ctl.h"

static void __attribute__((format(printf, 2, 0))) complain(
	const char *kind, const char *format, va_list arguments)
{
	char message[ERR_MSG_MAX];
	char clean[ERR_MSG_MAX];
	char *rest = message;
	char *line;

	vsnprintf(message, sizeof(message), format, arguments);
	fprintf(stderr, "podctl: %s%s", kind ? kind : "", kind ? ": " : "");
	while ((line = strsep(&rest, "\n")))
		fprintf(stderr, "%s\n", text_sanitize(clean, sizeof(clean), line));
}

void ctl_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain("error", format, arguments);
	va_end(arguments);
}

void ctl_warning(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain("warning", format, arguments);
	va_end(arguments);
}

void ctl_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(NULL, format, arguments);
	va_end(arguments);
}

/* The message of a failure; never empty. */
static const char *reason(int result, const struct err *err)
{
	return err->msg[0] ? err->msg : strerror(-result);
}

int ctl_fail(int result, const struct err *err)
{
	ctl_error("%s", reason(result, err));
	return CTL_FAILED;
}

int ctl_usage_error(const struct ctl_verb *verb, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain("error", format, arguments);
	va_end(arguments);
	fprintf(stderr, "see 'podctl %s --help'\n", verb->name);
	return verb->passes_status ? CTL_FAILED : CTL_USAGE;
}

int ctl_print_json(struct json *document)
{
	autoptr(json) owned = document;
	autofree char *text = NULL;
	size_t length;
	int r;

	r = json_write(owned, true, &text, &length);
	if (r < 0) {
		ctl_error("cannot write the output as JSON: %s", strerror(-r));
		return CTL_FAILED;
	}
	fwrite(text, 1, length, stdout);
	return CTL_OK;
}

int ctl_open_pod(const struct ctl *ctl, const char *path, int *ret_fd, struct err *err)
{
	autoclose int rootfd = -1;
	int r;

	r = name_check_path(path, err);
	if (r < 0)
		return r;
	r = hierarchy_open_root(ctl->root, false, &rootfd, err);
	if (r == -ENOENT)
		return err_set(err, -ENOENT, "no such pod: %s (there is no pod in %s)", path,
			ctl->root);
	if (r < 0)
		return r;
	return hierarchy_open_pod(rootfd, path, ret_fd, err);
}

int ctl_format_is_json(const char *format, bool *ret)
{
	bool json = format && strcmp(format, "json") == 0;

	if (format && !json && strcmp(format, "table") != 0)
		return -EINVAL;
	*ret = json;
	return 0;
}

void ctl_report_begin(struct ctl_report *report, bool json)
{
	report->array = json ? json_new_array() : NULL;
	report->status = CTL_OK;
}

void ctl_report_add(struct ctl_report *report, const char *path, int result, const struct err *err,
	int failure)
{
	struct json *entry;

	if (result < 0) {
		ctl_error("%s", reason(result, err));
		report->status = failure;
	}
	if (!report->array) {
		if (result >= 0)
			printf("%s\n", path);
		return;
	}
	entry = json_new_object();
	json_set_string(entry, "path", path);
	json_set_bool(entry, "ok", result >= 0);
	if (result < 0)
		json_set_string(entry, "error", reason(result, err));
	json_append(report->array, entry);
}

int ctl_report_end(struct ctl_report *report)
{
	if (report->array && ctl_print_json(take_ptr(report->array)) != CTL_OK)
		return CTL_FAILED;
	return report->status;
}
