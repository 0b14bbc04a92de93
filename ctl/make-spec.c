/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of a container's options goes into its record as it is. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "quantity.h"
#include "text.h"

#include "limit.h"
#include "make-internal.h"

#define LABEL_FILE_MAX (1024 * 1024)
#define HEALTH_SHELL "/bin/sh"

char *make_absolute(const char *path)
{
	autofree char *cwd = NULL;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	return cwd ? text_format("%s/%s", cwd, path) : NULL;
}

static int set_absolute(char **target, const char *path, struct err *err)
{
	if (!path)
		return 0;
	*target = make_absolute(path);
	return *target ? 0 : err_oom(err);
}

bool make_is_in_run(const char *path)
{
	autofree char *dir = strdup(path);
	struct stat found, run;
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return false;
	slash[slash == dir ? 1 : 0] = '\0';
	return stat(dir, &found) == 0 && stat("/run", &run) == 0 && found.st_dev == run.st_dev &&
	       found.st_ino == run.st_ino;
}

/* podd-shim sees a /run of the pod's own, in which there are the host's directories: what it writes
 * beside them is seen by nobody else. */
static int refuse_run(const char *option, const char *path, struct err *err)
{
	if (!path || !make_is_in_run(path))
		return 0;
	return err_set(err, -EINVAL,
		"%s %s: each pod has a /run of its own, so a file directly in /run would not be seen "
		"outside of it; use a directory below /run that is there already, or "
		"$XDG_RUNTIME_DIR",
		option, path);
}

/* ---- labels and annotations ---- */

int make_add_pair(struct json *object, const char *text, const char *what, struct err *err)
{
	size_t length = strcspn(text, "=");
	autofree char *key = strndup(text, length);

	if (!key)
		return err_oom(err);
	if (length == 0)
		return err_set(err, -EINVAL, "%s must be KEY=VALUE, not \"%s\"", what, text);
	if (!json_get(object, key) && json_length(object) >= RECORD_LABELS_MAX)
		return err_set(err, -EINVAL, "%s may be given at most %d times", what,
			RECORD_LABELS_MAX);
	json_set_string(object, key, text[length] ? text + length + 1 : "");
	return 0;
}

int make_add_pairs(struct json *object, char *const *texts, const char *what, struct err *err)
{
	int r = 0;

	for (; r == 0 && texts && *texts; texts++)
		r = make_add_pair(object, *texts, what, err);
	return r;
}

static int add_label_file(struct json *object, const char *path, struct err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	autofree char *text = NULL;
	char *rest, *line;
	size_t length;
	int r;

	if (fd < 0)
		return err_errno(err, "the label file %s", path);
	r = fd_read_all(fd, LABEL_FILE_MAX, &text, &length);
	if (r < 0)
		return err_set(err, r, "the label file %s: %s", path, strerror(-r));
	rest = text;
	while (r == 0 && (line = strsep(&rest, "\n")))
		if (*line && *line != '#')
			r = make_add_pair(object, line, "a label", err);
	return r < 0 ? err_wrap(err, r, "the label file %s", path) : 0;
}

static int read_labels(struct making *making)
{
	const struct container_options *options = making->options;
	int r = 0;

	for (size_t i = 0; r == 0 && options->label_files && options->label_files[i]; i++)
		r = add_label_file(making->spec.labels, options->label_files[i], making->err);
	if (r == 0)
		r = make_add_pairs(making->spec.labels, options->labels, "--label", making->err);
	if (r == 0)
		r = make_add_pairs(making->spec.annotations, options->annotations, "--annotation",
			making->err);
	return r;
}

/* ---- the end ---- */

static int read_stop(struct making *making)
{
	const char *text = making->options->stop_signal;
	struct container_spec *spec = &making->spec;

	spec->stop_timeout_s = making->options->stop_timeout;
	if (text && quantity_parse_signal(text, &spec->stop_signal) < 0)
		return err_set(making->err, -EINVAL, "--stop-signal: there is no signal \"%s\"",
			text);
	return 0;
}

/* ---- health ---- */

static int set_shell_command(char ***command, const char *text, struct err *err)
{
	if (strv_add(command, HEALTH_SHELL) < 0 || strv_add(command, "-c") < 0 ||
		strv_add(command, text) < 0)
		return err_oom(err);
	return 0;
}

/* A JSON array is executed as it is; images have "CMD" or "CMD-SHELL" before it. */
static int set_array_command(char ***command, const char *text, struct err *err)
{
	autoptr(json) array = NULL;
	autostrv words = NULL;
	size_t skip;
	int r;

	r = json_parse("--health-cmd", text, strlen(text), &array, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_length(array); i++)
		if (!json_string(json_at(array, i)))
			return err_set(
				err, -EINVAL, "--health-cmd: the array must have strings only");
		else if (strv_add(&words, json_string(json_at(array, i))) < 0)
			return err_oom(err);
	if (words && words[0] && strcmp(words[0], "CMD-SHELL") == 0 && words[1] && !words[2])
		return set_shell_command(command, words[1], err);
	skip = words && words[0] && strcmp(words[0], "CMD") == 0;
	if (strv_length(words) <= skip)
		return err_set(err, -EINVAL, "--health-cmd: the array is empty");
	*command = strv_copy(words + skip);
	return *command ? 0 : err_oom(err);
}

static int read_seconds(const char *text, const char *option, uint32_t min, uint32_t *ret,
	struct err *err)
{
	if (!text)
		return 0;
	if (quantity_parse_seconds(text, ret) < 0 || *ret < min ||
		*ret > CONTAINER_HEALTH_SECONDS_MAX)
		return err_set(err, -EINVAL,
			"%s must be a time such as 30s or 1m30s, at most a week, not \"%s\"",
			option, text);
	return 0;
}

static int read_health(struct making *making)
{
	const struct container_options *options = making->options;
	struct container_health *health = &making->spec.health;
	const char *command = options->health_command;
	int r = 0;

	if (options->no_health || (command && strcmp(command, "none") == 0))
		return 0;
	if (command && !*command)
		return err_set(making->err, -EINVAL, "--health-cmd is empty");
	r = read_seconds(options->health_interval, "--health-interval", 1, &health->interval_s,
		making->err);
	if (r == 0)
		r = read_seconds(options->health_timeout, "--health-timeout", 1,
			&health->timeout_s, making->err);
	if (r == 0)
		r = read_seconds(options->health_start_period, "--health-start-period", 0,
			&health->start_period_s, making->err);
	if (r == 0 && options->health_retries &&
		text_to_uint32(options->health_retries, 1, UINT32_MAX, &health->retries) < 0)
		r = err_set(making->err, -EINVAL, "--health-retries must be a number, not \"%s\"",
			options->health_retries);
	if (r < 0 || !command)
		return r;
	return command[0] == '[' ? set_array_command(&health->command, command, making->err)
				 : set_shell_command(&health->command, command, making->err);
}

/* ---- the log ---- */

static int read_log_option(struct container_spec *spec, const char *text, struct err *err)
{
	size_t length = strcspn(text, "=");
	const char *value = text[length] ? text + length + 1 : "";
	int r = -EINVAL;

	if (length == strlen("max-size") && strncmp(text, "max-size", length) == 0) {
		r = quantity_parse_bytes(value, &spec->log_max_size);
	} else if (length == strlen("max-file") && strncmp(text, "max-file", length) == 0) {
		r = text_to_uint32(value, 1, CONTAINER_LOG_FILES_MAX, &spec->log_max_files);
	} else if (length == strlen("path") && strncmp(text, "path", length) == 0 && *value) {
		free(spec->log_path);
		spec->log_path = make_absolute(value);
		r = spec->log_path ? 0 : err_oom(err);
	} else if (length == strlen("tag") && strncmp(text, "tag", length) == 0) {
		ctl_warning(
			"--log-opt tag has no effect: entries are told apart by the container's "
			"id");
		r = 0;
	}
	if (r == -EINVAL || r == -ERANGE)
		return err_set(err, -EINVAL,
			"--log-opt takes max-size=SIZE, max-file=N (1 to %d) and path=FILE, not \"%s\"",
			CONTAINER_LOG_FILES_MAX, text);
	return r;
}

/* What is about files says nothing of a driver that writes none. */
static void drop_file_options(struct container_spec *spec)
{
	if (spec->log != LOG_JOURNALD && spec->log != LOG_NONE)
		return;
	if (spec->log_path || spec->log_max_size || spec->log_max_files > 1)
		ctl_warning(
			"--log-opt path, max-size and max-file have no effect with --log-driver %s",
			container_log_name(spec->log));
	free(take_ptr(spec->log_path));
	spec->log_max_size = 0;
	spec->log_max_files = 1;
}

static int read_log(struct making *making)
{
	const char *driver = making->options->log_driver;
	char *const *options = making->options->log_options;
	int r = 0;

	if (driver && container_log_from_name(driver, &making->spec.log) < 0)
		return err_set(making->err, -EINVAL,
			"--log-driver must be k8s-file, json-file, journald or none, not \"%s\"",
			driver);
	for (; r == 0 && options && *options; options++)
		r = read_log_option(&making->spec, *options, making->err);
	if (r < 0)
		return r;
	drop_file_options(&making->spec);
	return refuse_run("--log-opt path=", making->spec.log_path, making->err);
}

int make_read_spec(struct making *making)
{
	const struct container_options *options = making->options;
	struct container_spec *spec = &making->spec;
	int r;

	spec->terminal = options->terminal;
	spec->interactive = options->interactive;
	spec->auto_remove = options->auto_remove;
	r = options->restart ? limit_read_restart(options->restart, spec, making->err) : 0;
	if (r == 0)
		r = read_stop(making);
	if (r == 0)
		r = read_labels(making);
	if (r == 0)
		r = read_health(making);
	if (r == 0)
		r = read_log(making);
	if (r == 0)
		r = set_absolute(&spec->cidfile, options->cidfile, making->err);
	if (r == 0)
		r = set_absolute(&spec->pidfile, options->pidfile, making->err);
	return r < 0 ? r : refuse_run("--pidfile", spec->pidfile, making->err);
}
