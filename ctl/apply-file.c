/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Definitions of pods: see apply-file.h. Each option becomes an argument, which goes where the
 * verb's own table says, and is what that verb is given later. */

#include "apply-file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct reading {
	const char *file;
	char ***problems;
	bool failed;
};

void apply_pod_free(struct apply_pod *pod)
{
	if (!pod)
		return;
	for (size_t i = 0; i < pod->n; i++) {
		container_options_free(pod->containers[i].options);
		strv_free(pod->containers[i].arguments);
		strv_free(pod->containers[i].command);
	}
	free(pod->containers);
	create_options_free(pod->options);
	strv_free(pod->arguments);
	free(pod->file);
	free(pod);
}

/* ---- problems ---- */

static void __attribute__((format(printf, 3, 4)))
complain(struct reading *reading, const char *path, const char *format, ...)
{
	char text[ERR_MSG_MAX];
	autofree char *line = NULL;
	va_list arguments;

	reading->failed = true;
	if (strv_length(*reading->problems) >= APPLY_PROBLEMS_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	line = text_format("%s: %s: %s", reading->file, *path ? path : "the whole", text);
	strv_add(reading->problems, line);
}

static bool is_a(
	struct reading *reading, const struct json *value, enum json_type type, const char *path)
{
	if (json_type(value) == type)
		return true;
	complain(reading, path, "must be %s %s, not %s",
		type == JSON_ARRAY || type == JSON_OBJECT ? "an" : "a", json_type_name(type),
		json_type_name(json_type(value)));
	return false;
}

/* ---- options ---- */

struct target {
	struct reading *reading;
	const struct option *table;
	char ***arguments;
};

/* What only makes sense where somebody calls the verb, or what apply itself says. */
static bool is_ours(const char *name)
{
	static const char *const names[] = {"name", "pod", "rm", "format", "cidfile", "tty"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static const struct option *find_option(const struct target *target, const char *name)
{
	for (const struct option *option = target->table; option->name; option++)
		if (strcmp(option->name, name) == 0 && !is_ours(name))
			return option;
	return NULL;
}

/* Return: the argument's value, which lives as long as the arguments; NULL when memory is short. */
static const char *add_argument(const struct target *target, const char *name, const char *value)
{
	autofree char *argument = text_format("--%s=%s", name, value);

	if (!argument || strv_add(target->arguments, argument) < 0) {
		target->reading->failed = true;
		return NULL;
	}
	return (*target->arguments)[strv_length(*target->arguments) - 1] + strlen(name) + 3;
}

static void set_list(const struct target *target, const struct option *option, const char *value,
	const char *path)
{
	if (strv_length(*option->list) >= OPTION_LIST_MAX)
		complain(target->reading, path, "has more than %d values", OPTION_LIST_MAX);
	else if (add_argument(target, option->name, value) && strv_add(option->list, value) < 0)
		target->reading->failed = true;
}

/* A text, or a whole number, of which JSON has no other form than people. */
static char *text_of(const struct json *value)
{
	char *text = NULL;
	size_t length;

	if (json_string(value))
		return strdup(json_string(value));
	if (json_type(value) == JSON_NUMBER)
		json_write(value, false, &text, &length);
	return text;
}

static void set_one(const struct target *target, const struct option *option,
	const struct json *value, const char *path)
{
	autofree char *text = text_of(value);
	const char *kept;

	if (!text) {
		complain(target->reading, path, "must be a string%s, not %s",
			option->list ? " or a number" : "", json_type_name(json_type(value)));
		return;
	}
	if (option->list) {
		set_list(target, option, text, path);
		return;
	}
	if (option->number && text_to_uint32(text, option->min, option->max, option->number) < 0) {
		complain(target->reading, path, "must be a number from %u to %u, not \"%s\"",
			option->min, option->max, text);
		return;
	}
	kept = add_argument(target, option->name, text);
	if (option->text)
		*option->text = kept;
}

static void set_flag(const struct target *target, const struct option *option,
	const struct json *value, const char *path)
{
	if (!is_a(target->reading, value, JSON_BOOL, path))
		return;
	*option->flag = json_is_true(value);
	add_argument(target, option->name, *option->flag ? "true" : "false");
}

/* {"KEY": "VALUE"}; null: the KEY alone. */
static void set_pair(const struct target *target, const struct option *option, const char *key,
	const struct json *value, const char *path)
{
	autofree char *text = text_of(value);
	autofree char *pair = NULL;

	if (!text && json_type(value) != JSON_NULL) {
		complain(target->reading, path, "must be a string, not %s",
			json_type_name(json_type(value)));
		return;
	}
	if (!*key || strchr(key, '=')) {
		complain(target->reading, path, "a name is not empty and has no '='");
		return;
	}
	pair = text ? text_format("%s=%s", key, text) : strdup(key);
	if (pair)
		set_list(target, option, pair, path);
}

static void set_several(const struct target *target, const struct option *option,
	const struct json *value, const char *path)
{
	bool is_object = json_type(value) == JSON_OBJECT;

	if (is_object && strcmp(option->argument, "KEY=VALUE") != 0 &&
		strcmp(option->argument, "NAME[=VALUE]") != 0) {
		complain(target->reading, path, "must be an array of strings, not an object");
		return;
	}
	for (size_t i = 0; i < json_length(value); i++) {
		autofree char *inner = is_object ? text_format("%s.%s", path, json_key_at(value, i))
						 : text_format("%s[%zu]", path, i);

		if (!inner)
			target->reading->failed = true;
		else if (is_object)
			set_pair(target, option, json_key_at(value, i), json_at(value, i), inner);
		else
			set_one(target, option, json_at(value, i), inner);
	}
}

static void set_option(
	const struct target *target, const char *name, const struct json *value, const char *path)
{
	const struct option *option = find_option(target, name);
	enum json_type type = json_type(value);

	if (!option)
		complain(target->reading, path, "there is no such option here");
	else if (option->flag)
		set_flag(target, option, value, path);
	else if (type == JSON_ARRAY && !option->list)
		complain(target->reading, path, "may be given once only, not as an array");
	else if (type == JSON_ARRAY || (type == JSON_OBJECT && option->list))
		set_several(target, option, value, path);
	else
		set_one(target, option, value, path);
}

static void read_options(const struct target *target, const struct json *options, const char *path)
{
	if (!options || !is_a(target->reading, options, JSON_OBJECT, path))
		return;
	for (size_t i = 0; i < json_length(options); i++) {
		const char *name = json_key_at(options, i);
		autofree char *inner = text_format("%s.%s", path, name);

		if (inner)
			set_option(target, name, json_at(options, i), inner);
		else
			target->reading->failed = true;
	}
}

static void add_label(const struct target *target)
{
	const struct option *label = find_option(target, "label");

	for (char **pair = *label->list; pair && *pair; pair++)
		if (strncmp(*pair, APPLY_LABEL, strlen(APPLY_LABEL)) == 0)
			complain(target->reading, "options.label",
				"%s is the label by which podctl apply knows its own", APPLY_LABEL);
	set_list(target, label, APPLY_LABEL "=" APPLY_LABEL_VALUE, "options.label");
}

/* ---- members ---- */

static void check_members(struct reading *reading, const struct json *object, const char *path,
	const char *const *known, size_t n)
{
	for (size_t i = 0; i < json_length(object); i++) {
		const char *key = json_key_at(object, i);
		size_t j = 0;

		while (j < n && strcmp(known[j], key) != 0)
			j++;
		if (j == n)
			complain(reading, path, "has an unknown member \"%s\"", key);
	}
}

static void read_state(
	struct reading *reading, const struct json *object, const char *path, bool *ret)
{
	const struct json *value = json_get(object, "state");
	const char *state = json_string(value);

	*ret = true;
	if (!value)
		return;
	if (text_equal(state, "stopped"))
		*ret = false;
	else if (!text_equal(state, "running"))
		complain(reading, path, "must be \"running\" or \"stopped\"");
}

static void read_command(
	struct reading *reading, const struct json *object, const char *path, char ***ret)
{
	const struct json *command = json_get(object, "command");

	if (!command || !is_a(reading, command, JSON_ARRAY, path))
		return;
	for (size_t i = 0; i < json_length(command); i++) {
		const char *word = json_string(json_at(command, i));

		if (!word)
			complain(reading, path, "must be an array of strings");
		else if (strv_add(ret, word) < 0)
			reading->failed = true;
	}
}

/* What names a place must name the same one for every caller. */
static void require_absolute(
	struct reading *reading, const struct json *options, const char *key, const char *where)
{
	const char *value = json_string(json_get(options, key));

	if (value && value[0] != '/')
		complain(reading, where, "%s must be an absolute path, not \"%s\"", key, value);
}

static void require_absolute_stages(struct reading *reading, const struct json *options)
{
	const struct json *stages = json_get(options, "stage");

	require_absolute(reading, options, "stage", "options");
	for (size_t i = 0; json_type(stages) == JSON_ARRAY && i < json_length(stages); i++) {
		const char *stage = json_string(json_at(stages, i));

		if (stage && stage[0] != '/')
			complain(reading, "options.stage", "must be absolute paths, not \"%s\"",
				stage);
	}
}

static int read_container(struct reading *reading, const char *name, const struct json *object,
	struct apply_container *container)
{
	static const char *const known[] = {"state", "options", "command"};
	struct option table[CONTAINER_OPTIONS_MAX + 1];
	struct target target = {reading, table, &container->arguments};
	autofree char *path = text_format("containers.%s", name);
	autofree char *state = text_format("containers.%s.state", name);
	autofree char *options = text_format("containers.%s.options", name);
	autofree char *command = text_format("containers.%s.command", name);
	const struct json *values = json_get(object, "options");
	struct err err = {};
	size_t n = 0;

	if (!path || !state || !options || !command ||
		container_options_new(&container->options) < 0)
		return -ENOMEM;
	if (name_check_component(name, &err) < 0)
		complain(reading, path, "%s", err.msg);
	text_copy(container->name, sizeof(container->name), name);
	if (!is_a(reading, object, JSON_OBJECT, path))
		return 0;
	check_members(reading, object, path, known, sizeof(known) / sizeof(known[0]));
	container_options_table(container->options, table, &n);
	table[n] = (struct option){};
	read_options(&target, values, options);
	add_label(&target);
	if (!container_options_request(container->options).makes_container)
		complain(reading, options, "rootfs or bundle is missing");
	require_absolute(reading, values, "rootfs", options);
	require_absolute(reading, values, "bundle", options);
	read_state(reading, object, state, &container->running);
	read_command(reading, object, command, &container->command);
	return 0;
}

static int read_containers(
	struct reading *reading, const struct json *object, struct apply_pod *pod)
{
	int r = 0;

	if (!object || !is_a(reading, object, JSON_OBJECT, "containers"))
		return 0;
	if (json_length(object) > APPLY_CONTAINERS_MAX) {
		complain(reading, "containers", "has more than %d members", APPLY_CONTAINERS_MAX);
		return 0;
	}
	pod->containers = calloc(json_length(object) + 1, sizeof(*pod->containers));
	if (!pod->containers)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < json_length(object); i++)
		r = read_container(reading, json_key_at(object, i), json_at(object, i),
			&pod->containers[pod->n++]);
	return r;
}

static int read_pod(struct reading *reading, const struct json *document, struct apply_pod *pod)
{
	static const char *const known[] = {"version", "state", "options", "containers"};
	struct option table[CREATE_OPTIONS_MAX + 1];
	struct target target = {reading, table, &pod->arguments};
	struct err err = {};
	int64_t version = 0;
	size_t n = 0;

	if (!is_a(reading, document, JSON_OBJECT, ""))
		return 0;
	check_members(reading, document, "", known, sizeof(known) / sizeof(known[0]));
	if (json_read_int(document, "version", true, 1, 1, &version, &err) < 0)
		complain(reading, "version", "%s", err.msg);
	create_options_table(pod->options, table, &n);
	table[n] = (struct option){};
	read_options(&target, json_get(document, "options"), "options");
	add_label(&target);
	require_absolute(reading, json_get(document, "options"), "root", "options");
	require_absolute_stages(reading, json_get(document, "options"));
	read_state(reading, document, "state", &pod->running);
	return read_containers(reading, json_get(document, "containers"), pod);
}

int apply_file_pod(const char *file, char ret[NAME_PATH_SIZE], struct err *err)
{
	size_t length = strlen(file), suffix = strlen(APPLY_FILE_SUFFIX);

	if (length <= suffix || !text_ends_with(file, APPLY_FILE_SUFFIX) ||
		length - suffix >= NAME_PATH_SIZE)
		return err_set(err, -EINVAL, "a file is called NAME%s", APPLY_FILE_SUFFIX);
	memcpy(ret, file, length - suffix);
	ret[length - suffix] = '\0';
	for (char *c = ret; *c; c++)
		if (*c == '.')
			*c = '/';
	return name_check_path(ret, err);
}

int apply_file_parse(
	const char *file, const char *text, size_t length, struct apply_pod **ret, char ***problems)
{
	struct reading reading = {.file = file, .problems = problems};
	autoptr(apply_pod) pod = calloc(1, sizeof(*pod));
	autoptr(json) document = NULL;
	struct err err = {};
	int r;

	if (!pod || create_options_new(&pod->options) < 0 || !(pod->file = strdup(file)))
		return -ENOMEM;
	if (apply_file_pod(file, pod->path, &err) < 0)
		complain(&reading, "its name", "%s", err.msg);
	r = json_parse(file, text, length, &document, &err);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		/* The message has the file's name. */
		return strv_add(problems, err.msg) < 0 ? -ENOMEM : -EINVAL;
	}
	r = read_pod(&reading, document, pod);
	if (r < 0)
		return r;
	if (reading.failed)
		return -EINVAL;
	*ret = take_ptr(pod);
	return 0;
}
