/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl doctor: tells how the records, and what there is, differ, one line each; with --fix mends
 * what can be mended, looks again, and tells what is left. Changes nothing without it.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "hierarchy.h"
#include "text.h"

#include "doctor.h"
#include "lifecycle.h"
#include "options.h"
#include "verbs.h"

/* There are differences, or some are left. */
#define DOCTOR_DIFFERS 1

struct doctor_options {
	bool fix;
	bool plugins;
	const char *format;
};

static const char *text_of(const struct json *finding, const char *key)
{
	const char *text = json_string(json_get(finding, key));

	return text ? text : "";
}

static enum doctor_action action_of(const struct json *finding)
{
	for (int i = 0; i < DOCTOR_ACTIONS; i++)
		if (strcmp(text_of(finding, "action"), doctor_action_name((enum doctor_action)i)) ==
			0)
			return (enum doctor_action)i;
	return DOCTOR_NOTHING;
}

/* ---- which pods ---- */

/* All pods, and directories beside them that are none. */
static int list_all(const struct ctl *ctl, char ***ret, struct err *err)
{
	autoclose int rootfd = -1;
	autostrv pods = NULL;
	autostrv names = NULL;
	int r;

	r = lifecycle_all(ctl, false, &pods, err);
	if (r < 0)
		return r;
	if (hierarchy_open_root(ctl->root, false, &rootfd, NULL) == 0 &&
		file_list(rootfd, HIERARCHY_CHILDREN_MAX, &names, NULL) == 0)
		for (size_t i = 0; names[i]; i++)
			if (name_check_component(names[i], NULL) == 0 &&
				!strv_contains(pods, names[i]) && strv_add(&pods, names[i]) < 0)
				return err_oom(err);
	*ret = take_ptr(pods);
	return 0;
}

/* Those that were named, each of which there has to be. */
static int check_named(const struct ctl *ctl, char *const *paths)
{
	int status = -1;

	for (size_t i = 0; paths[i]; i++) {
		autoclose int podfd = -1;
		struct err err = {};
		int r = ctl_open_pod(ctl, paths[i], &podfd, &err);

		if (r == -ENOENT || r == -EINVAL)
			status = ctl_fail(r, &err);
	}
	return status;
}

/* ---- telling ---- */

/* "net0: lease: ...; --fix removes it" */
static void print_finding(const struct json *finding, bool fix)
{
	const char *text = doctor_action_text(action_of(finding));
	const char *error = json_string(json_get(finding, "error"));
	const char *pod = text_of(finding, "pod");

	printf("%s%s%s: %s", pod, *pod ? ": " : "", text_of(finding, "check"),
		text_of(finding, "message"));
	if (!fix && text)
		printf("; --fix %s", text);
	else if (fix && text && error)
		printf("; not fixed: %s", error);
	else if (fix && text)
		printf("; fixed: %s", text);
	printf("\n");
}

static struct json *describe(const struct json *finding, bool fix, bool left)
{
	struct json *object = json_new_object();
	const char *text = doctor_action_text(action_of(finding));
	const char *error = json_string(json_get(finding, "error"));

	json_set_string(object, "pod", text_of(finding, "pod"));
	json_set_string(object, "check", text_of(finding, "check"));
	json_set_string(object, "message", text_of(finding, "message"));
	json_set(object, "fix", text ? json_new_string(text) : json_new_null());
	json_set_bool(object, "fixed", fix && text && !error && !left);
	json_set_string(object, "error", error);
	return object;
}

static int print_json(const struct json *findings, const struct json *left,
	const struct doctor_count *count, bool fix)
{
	struct json *document = json_new_object();
	struct json *array = json_set_array(document, "findings");

	for (size_t i = 0; i < json_length(findings); i++)
		json_append(array, describe(json_at(findings, i), fix, false));
	array = json_set_array(document, "left");
	for (size_t i = 0; i < json_length(left); i++)
		json_append(array, describe(json_at(left, i), fix, true));
	json_set_int(document, "pods", (int64_t)count->pods);
	json_set_int(document, "containers", (int64_t)count->containers);
	return ctl_print_json(document);
}

static void print_lines(const struct json *findings, const struct json *left, bool fix)
{
	for (size_t i = 0; i < json_length(findings); i++)
		print_finding(json_at(findings, i), fix);
	for (size_t i = 0; fix && i < json_length(left); i++) {
		printf("left: ");
		print_finding(json_at(left, i), false);
	}
}

/* ---- */

static int examine(const struct ctl *ctl, char *const *paths, bool all,
	const struct doctor_options *options, bool json)
{
	autoptr(json) findings = NULL;
	autoptr(json) left = NULL;
	struct doctor_count count = {}, unused;
	struct err err = {};
	int status = CTL_OK;
	int r;

	r = doctor_run(ctl, paths, all, options->plugins, &findings, &count, &err);
	if (r == 0 && options->fix && json_length(findings) > 0) {
		doctor_fix(ctl, findings);
		r = doctor_run(ctl, paths, all, options->plugins, &left, &unused, &err);
	} else if (r == 0) {
		left = json_copy(findings);
	}
	if (r < 0)
		return ctl_fail(r, &err);
	if (json)
		status = print_json(findings, left, &count, options->fix);
	else
		print_lines(findings, left, options->fix);
	return status ? status : json_length(left) > 0 ? DOCTOR_DIFFERS : CTL_OK;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct doctor_options values = {};
	const struct option options[] = {{.name = "fix",
						 .flag = &values.fix,
						 .help = "mend what can be mended, and look again"},
		{.name = "plugins",
			.flag = &values.plugins,
			.help = "without POD: also ask the CNI plugins of every container (CHECK)"},
		OPTION_FORMAT(&values.format), {}};
	autostrv all = NULL;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_doctor, options, argc, argv, &n);
	int r = 0;

	if (status >= 0)
		return status;
	if (ctl_format_is_json(values.format, &json) < 0)
		return ctl_usage_error(&verb_doctor, "--format must be json or table");
	/* Of all pods that would take seconds where there are many. */
	values.plugins |= n > 0;
	if (n > 0)
		status = check_named(ctl, argv);
	else
		r = list_all(ctl, &all, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	return status >= 0 ? status : examine(ctl, n > 0 ? argv : all, n == 0, &values, json);
}

const struct ctl_verb verb_doctor = {
	.name = "doctor",
	.operands = "[POD...]",
	.operands_max = SIZE_MAX,
	.passes_status = true,
	.summary = "Compare the records of pods with what there is, and mend it",
	.details =
		"Without POD: all. Each difference is a line: the pod, the check, what it means, "
		"and\n"
		"what --fix would do. Works whatever state the pods and their supervisors are in,\n"
		"and changes nothing without --fix. The exit status is 1 when there are (with "
		"--fix:\n"
		"are left) differences, 125 when it could not be found out.",
	.example = "podctl doctor --fix net0",
	.run = run,
};
