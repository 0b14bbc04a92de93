/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl apply: has pods be as the files of a directory say. All of them are read and compared
 * first; what is wrong with any is said, and nothing done then. Each step is a verb of podctl,
 * which runs in a child, as if somebody had typed it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

#include "apply-check.h"
#include "apply-file.h"
#include "apply-plan.h"
#include "lifecycle.h"
#include "options.h"
#include "table.h"
#include "verbs.h"

#define LOCK_TIMEOUT_MS 10000
#define ROOT_DIR "/etc/podd/pods.d"

struct apply {
	const struct ctl *ctl;
	const char *dir;
	char *default_dir;
	int dirfd;
	bool dry_run;
	bool prune;
	bool json;
	char **names; /* pods that are meant; NULL: all */
	char **problems;
	size_t n;
	struct apply_pod **pods;
	struct json *plan;
};

static void apply_done(struct apply *apply)
{
	for (size_t i = 0; i < apply->n; i++)
		apply_pod_free(apply->pods[i]);
	free(apply->pods);
	free(apply->default_dir);
	cleanup_close(&apply->dirfd);
	strv_free(apply->problems);
	json_free(apply->plan);
}

/* ---- the directory ---- */

static int find_dir(struct apply *apply, struct err *err)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (apply->dir)
		return 0;
	if (geteuid() == 0)
		apply->default_dir = strdup(ROOT_DIR);
	else if (base && *base == '/')
		apply->default_dir = text_format("%s/podd/pods.d", base);
	else if (home && *home == '/')
		apply->default_dir = text_format("%s/.config/podd/pods.d", home);
	else
		return err_set(
			err, -ENOENT, "neither $XDG_CONFIG_HOME nor $HOME is set; use --dir");
	apply->dir = apply->default_dir;
	return apply->dir ? 0 : err_oom(err);
}

/* Two that apply at once would each plan what the other one does. */
static int open_dir(struct apply *apply, struct err *err)
{
	int r = find_dir(apply, err);

	if (r < 0)
		return r;
	apply->dirfd = open(apply->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (apply->dirfd < 0)
		return err_errno(err, "opening %s", apply->dir);
	r = file_check_owned(apply->dirfd, apply->dir, err);
	if (r < 0)
		return r;
	r = fd_lock(apply->dirfd, LOCK_TIMEOUT_MS);
	return r < 0 ? err_set(err, r, "%s: another podctl apply is at work", apply->dir) : 0;
}

static bool is_meant(const struct apply *apply, const char *pod)
{
	return !apply->names || strv_contains(apply->names, pod);
}

static int read_file(struct apply *apply, const char *file)
{
	autofree char *text = NULL;
	struct apply_pod *pod = NULL;
	struct err err = {};
	size_t length;
	int r;

	r = file_read(apply->dirfd, file, JSON_BYTES_MAX, &text, &length, &err);
	if (r < 0) {
		autofree char *problem = text_format("%s: %s", file, err.msg);

		return problem && strv_add(&apply->problems, problem) == 0 ? 0 : -ENOMEM;
	}
	r = apply_file_parse(file, text, length, &pod, &apply->problems);
	if (r == 0)
		apply->pods[apply->n++] = pod;
	return r == -EINVAL ? 0 : r;
}

static int compare_pods(const void *a, const void *b)
{
	return strcmp((*(struct apply_pod *const *)a)->path, (*(struct apply_pod *const *)b)->path);
}

/* Hidden ones, and others than *.json, are none of ours. A pod comes before those in it. */
static int read_files(struct apply *apply, struct err *err)
{
	autostrv files = NULL;
	char pod[NAME_PATH_SIZE];
	int r;

	r = file_list(apply->dirfd, APPLY_FILES_MAX, &files, err);
	if (r < 0)
		return r;
	apply->pods = calloc(strv_length(files) + 1, sizeof(struct apply_pod *));
	if (!apply->pods)
		return err_oom(err);
	for (size_t i = 0; r == 0 && files[i]; i++) {
		if (files[i][0] == '.' || !text_ends_with(files[i], APPLY_FILE_SUFFIX))
			continue;
		/* A file with a name that is none is not passed over in silence. */
		if (apply_file_pod(files[i], pod, NULL) == 0 && !is_meant(apply, pod))
			continue;
		r = read_file(apply, files[i]);
	}
	qsort(apply->pods, apply->n, sizeof(struct apply_pod *), compare_pods);
	return r < 0 ? err_oom(err) : 0;
}

/* ---- the plan ---- */

static bool is_defined(const struct apply *apply, const char *pod)
{
	for (size_t i = 0; i < apply->n; i++)
		if (strcmp(apply->pods[i]->path, pod) == 0)
			return true;
	return false;
}

static int add_problem(struct apply *apply, const char *file, const struct err *err)
{
	autofree char *text = text_format("%s: %s", file, err->msg);

	return text ? strv_add(&apply->problems, text) : -ENOMEM;
}

/* Innermost first. What is removed makes room: ports, names. */
static int plan_removals(struct apply *apply, struct err *err)
{
	autostrv all = NULL;
	int r;

	if (!apply->prune)
		return 0;
	r = lifecycle_all(apply->ctl, true, &all, err);
	for (size_t i = 0; r == 0 && all[i]; i++) {
		struct err problem = {};

		if (is_meant(apply, all[i]) && !is_defined(apply, all[i]) &&
			apply_plan_prune(apply->ctl, all[i], apply->plan, &problem) < 0)
			r = add_problem(apply, all[i], &problem);
	}
	return r;
}

static int make_plan(struct apply *apply, struct err *err)
{
	int r = plan_removals(apply, err);

	for (size_t i = 0; r == 0 && i < apply->n; i++) {
		struct err problem = {};

		if (apply_plan_pod(
			    apply->ctl, apply->pods[i], apply->prune, apply->plan, &problem) < 0)
			r = add_problem(apply, apply->pods[i]->file, &problem);
	}
	return r;
}

/* Every name that was given has a file, or with --prune at least a pod. */
static int check_names(struct apply *apply, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && apply->names && apply->names[i]; i++) {
		autoclose int podfd = -1;
		struct err problem = {};

		if (is_defined(apply, apply->names[i]) ||
			(apply->prune &&
				ctl_open_pod(apply->ctl, apply->names[i], &podfd, NULL) == 0))
			continue;
		err_set(&problem, -ENOENT, "there is no file of that pod in %s", apply->dir);
		r = add_problem(apply, apply->names[i], &problem);
	}
	return r < 0 ? err_oom(err) : 0;
}

static int print_plan(const struct apply *apply)
{
	static const char *const header[] = {"ACTION", "PATH", "REASON", NULL};
	cleanup(cleanup_table) struct table *table = NULL;

	if (apply->json)
		return ctl_print_json(json_copy(apply->plan));
	if (json_length(apply->plan) == 0) {
		printf("nothing to do\n");
		return CTL_OK;
	}
	table = table_new(header);
	for (size_t i = 0; i < json_length(apply->plan); i++) {
		const struct json *step = json_at(apply->plan, i);
		const char *cells[] = {json_string(json_get(step, "action")),
			json_string(json_get(step, "path")), json_string(json_get(step, "reason")),
			NULL};

		table_add(table, "", cells);
	}
	return table_print(table);
}

/* ---- doing it ---- */

static const struct ctl_verb *const step_verbs[] = {
	&verb_create, &verb_start, &verb_stop, &verb_rm, &verb_update, &verb_port, &verb_egress};

static int run_words(const struct ctl *ctl, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(step_verbs) / sizeof(step_verbs[0]); i++)
		if (strcmp(step_verbs[i]->name, argv[0]) == 0)
			return step_verbs[i]->run(ctl, argc - 1, argv + 1);
	return CTL_FAILED;
}

/* In a child: what a verb prints of success is not said twice. */
static void __attribute__((noreturn)) run_step(const struct ctl *ctl, const struct json *step)
{
	const struct json *command = json_get(step, "command");
	char **argv = NULL;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(CTL_FAILED);
	for (size_t i = 0; i < json_length(command); i++)
		if (strv_add(&argv, json_string(json_at(command, i))) < 0)
			_exit(CTL_FAILED);
	_exit(run_words(ctl, (int)strv_length(argv), argv));
}

static int do_step(const struct ctl *ctl, const struct json *step)
{
	const char *action = json_string(json_get(step, "action"));
	const char *path = json_string(json_get(step, "path"));
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		run_step(ctl, step);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			pid = -1;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		ctl_error(
			"%s of %s failed; what was done before stays, and podctl apply goes on "
			"there",
			action, path);
		return CTL_FAILED;
	}
	return CTL_OK;
}

static int do_plan(const struct apply *apply)
{
	int status = CTL_OK;

	for (size_t i = 0; status == CTL_OK && i < json_length(apply->plan); i++)
		status = do_step(apply->ctl, json_at(apply->plan, i));
	return status;
}

/* ---- the verb ---- */

static int tell_problems(const struct apply *apply)
{
	for (size_t i = 0; apply->problems[i]; i++)
		ctl_error("%s", apply->problems[i]);
	ctl_error("nothing was changed");
	return CTL_FAILED;
}

static int apply_all(struct apply *apply)
{
	struct err err = {};
	int status;
	int r;

	apply->plan = json_new_array();
	r = open_dir(apply, &err);
	if (r == 0)
		r = read_files(apply, &err);
	if (r == 0 && !apply->problems)
		r = check_names(apply, &err);
	if (r == 0 && apply_check(apply->ctl, apply->pods, apply->n, &apply->problems) < 0)
		r = err_oom(&err);
	if (r == 0)
		r = make_plan(apply, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	if (apply->problems)
		return tell_problems(apply);
	status = print_plan(apply);
	return status || apply->dry_run ? status : do_plan(apply);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(apply_done) struct apply apply = {.ctl = ctl, .dirfd = -1};
	const char *format = NULL;
	const struct option options[] = {{.name = "dry-run",
						 .letter = 'n',
						 .flag = &apply.dry_run,
						 .help = "only say what would be done"},
		{.name = "prune",
			.flag = &apply.prune,
			.help = "remove what apply has made and no file has any more"},
		{.name = "dir",
			.argument = "DIR",
			.text = &apply.dir,
			.help = "of the files (default: $XDG_CONFIG_HOME/podd/pods.d)"},
		OPTION_FORMAT(&format), {}};
	size_t n;
	int status = options_parse(&verb_apply, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &apply.json) < 0)
		return ctl_usage_error(&verb_apply, "--format must be json or table");
	apply.names = n > 0 ? argv : NULL;
	return apply_all(&apply);
}

const struct ctl_verb verb_apply = {
	.name = "apply",
	.operands = "[POD...]",
	.operands_max = SIZE_MAX,
	.summary = "Have pods and containers be as files say",
	.details =
		"Each file NAME.json says what the pod NAME and its containers shall be. What is "
		"missing\n"
		"is made, what differs is changed, or made anew where it cannot be changed. If\n"
		"anything is wrong with a file, nothing is done.",
	.example = "podctl apply --dry-run",
	.run = run,
};
