/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Mounts as people say them: see volume.h. Every form becomes the same structure; its options are
 * checked against one table, in which options of one group exclude each other.
 */

#include "volume.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cleanup.h"
#include "quantity.h"
#include "text.h"

#define QUOTE_SIZE 256
/* Most options of one mount. */
#define OPTIONS_MAX 64

/* Options of one group exclude each other. */
enum group {
	GROUP_ACCESS,
	GROUP_EXEC,
	GROUP_DEV,
	GROUP_SUID,
	GROUP_BIND,
	GROUP_PROPAGATION,
	GROUP_COPY,
	GROUP_LABEL,
	GROUP_OWNER,
	GROUP_OVERLAY,
	GROUP_ATIME,
	GROUP_SYNC,
	GROUPS,
};

#define FOR_BIND 1
#define FOR_TMPFS 2
#define FOR_BOTH (FOR_BIND | FOR_TMPFS)

static const struct known_option {
	const char *name;
	enum group group;
	unsigned allowed;
	bool is_ours; /* podd acts on it; the runtime does not get it */
} known_options[] = {
	{"ro", GROUP_ACCESS, FOR_BOTH, false},
	{"rw", GROUP_ACCESS, FOR_BOTH, false},
	{"exec", GROUP_EXEC, FOR_BOTH, false},
	{"noexec", GROUP_EXEC, FOR_BOTH, false},
	{"dev", GROUP_DEV, FOR_BOTH, false},
	{"nodev", GROUP_DEV, FOR_BOTH, false},
	{"suid", GROUP_SUID, FOR_BOTH, false},
	{"nosuid", GROUP_SUID, FOR_BOTH, false},
	{"bind", GROUP_BIND, FOR_BIND, false},
	{"rbind", GROUP_BIND, FOR_BIND, false},
	{"private", GROUP_PROPAGATION, FOR_BOTH, false},
	{"rprivate", GROUP_PROPAGATION, FOR_BOTH, false},
	{"shared", GROUP_PROPAGATION, FOR_BIND, false},
	{"rshared", GROUP_PROPAGATION, FOR_BIND, false},
	{"slave", GROUP_PROPAGATION, FOR_BIND, false},
	{"rslave", GROUP_PROPAGATION, FOR_BIND, false},
	{"unbindable", GROUP_PROPAGATION, FOR_BIND, false},
	{"runbindable", GROUP_PROPAGATION, FOR_BIND, false},
	{"tmpcopyup", GROUP_COPY, FOR_TMPFS, false},
	{"notmpcopyup", GROUP_COPY, FOR_TMPFS, true},
	{"z", GROUP_LABEL, FOR_BIND, true},
	{"Z", GROUP_LABEL, FOR_BIND, true},
	{"U", GROUP_OWNER, FOR_BOTH, true},
	{"O", GROUP_OVERLAY, FOR_BIND, true},
	{"noatime", GROUP_ATIME, FOR_TMPFS, false},
	{"sync", GROUP_SYNC, FOR_TMPFS, false},
};

/* What a mount has unless something of the same group was said. */
static const struct default_option {
	const char *name;
	enum group group;
	unsigned allowed;
} default_options[] = {
	{"rbind", GROUP_BIND, FOR_BIND},
	{"rw", GROUP_ACCESS, FOR_BOTH},
	{"nosuid", GROUP_SUID, FOR_BOTH},
	{"nodev", GROUP_DEV, FOR_BOTH},
	{"rprivate", GROUP_PROPAGATION, FOR_BIND},
	{"tmpcopyup", GROUP_COPY, FOR_TMPFS},
};

/* One parse: its text for messages, and what was said already. */
struct parse {
	const char *kind; /* "--mount" */
	const char *text;
	struct volume volume;
	bool said[GROUPS];
	bool has_type;
	struct err *err;
};

static void parse_done(struct parse *parse)
{
	volume_done(&parse->volume);
}

void volume_done(struct volume *volume)
{
	free(volume->source);
	free(volume->target);
	strv_free(volume->options);
	*volume = (struct volume){0};
}

static int __attribute__((format(printf, 2, 3))) refuse(
	const struct parse *parse, const char *format, ...)
{
	char quote[QUOTE_SIZE], reason[QUOTE_SIZE * 2];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	text_sanitize(quote, sizeof(quote), parse->text);
	return err_set(parse->err, -EINVAL, "%s \"%s\": %s", parse->kind, quote, reason);
}

/* ---- paths ---- */

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* Copies an absolute path without ".", "//" and a '/' at the end. */
static char *clean_path(const char *path)
{
	char *target = malloc(strlen(path) + 2);
	size_t n = 0;

	while (target && *path) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length > 0 && !(length == 1 && *path == '.')) {
			target[n++] = '/';
			memcpy(target + n, path, length);
			n += length;
		}
		path += length;
	}
	if (target)
		target[n] = '\0';
	return target;
}

static bool has_dotdot(const char *path)
{
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += length;
		path += *path == '/';
	}
	return false;
}

static int set_target(struct parse *parse, const char *path)
{
	if (parse->volume.target)
		return refuse(parse, "the place in the container is there twice");
	if (path[0] != '/')
		return refuse(parse, "the place in the container must be an absolute path");
	if (has_dotdot(path))
		return refuse(parse, "the place in the container must not have \"..\" in it");
	if (has_control(path))
		return refuse(parse, "the place in the container has control characters in it");
	parse->volume.target = clean_path(path);
	if (!parse->volume.target)
		return err_oom(parse->err);
	if (!parse->volume.target[0])
		return refuse(parse, "the place in the container must not be its root directory");
	return 0;
}

static int set_source(struct parse *parse, const char *path)
{
	if (parse->volume.source)
		return refuse(parse, "the source is there twice");
	if (path[0] != '/' && path[0] != '.')
		return refuse(parse,
			"the source must be a path that begins with '/' or '.': there are no named "
			"volumes");
	if (has_control(path))
		return refuse(parse, "the source has control characters in it");
	parse->volume.source = strdup(path);
	return parse->volume.source ? 0 : err_oom(parse->err);
}

/* ---- options ---- */

static unsigned type_bit(const struct parse *parse)
{
	return parse->volume.type == VOLUME_TMPFS ? FOR_TMPFS : FOR_BIND;
}

static int keep(struct parse *parse, const char *option)
{
	if (strv_length(parse->volume.options) >= OPTIONS_MAX)
		return refuse(parse, "there are more than %d options", OPTIONS_MAX);
	return strv_add(&parse->volume.options, option) < 0 ? err_oom(parse->err) : 0;
}

static int set_flag(struct parse *parse, const char *name)
{
	const struct known_option *found = NULL;
	char quote[QUOTE_SIZE];

	for (size_t i = 0; i < sizeof(known_options) / sizeof(known_options[0]); i++)
		if (strcmp(known_options[i].name, name) == 0)
			found = &known_options[i];
	text_sanitize(quote, sizeof(quote), name);
	if (!found || !(found->allowed & type_bit(parse)))
		return refuse(parse, "\"%s\" is no option of this kind of mount", quote);
	if (parse->said[found->group])
		return refuse(parse, "\"%s\" is there twice, or excludes an earlier option", quote);
	parse->said[found->group] = true;
	if (strcmp(name, "U") == 0)
		parse->volume.chown = true;
	if (strcmp(name, "O") == 0)
		parse->volume.overlay = true;
	return found->is_ours ? 0 : keep(parse, name);
}

/* "size=64m" and the like: the runtimes hand them on to the kernel as they are. */
static int set_tmpfs_value(struct parse *parse, const char *option)
{
	static const char *const names[] = {"size=", "mode=", "uid=", "gid=", "nr_inodes=", NULL};
	static const char allowed[] = "0123456789kKmMgG%";

	for (size_t i = 0; names[i]; i++) {
		const char *value = option + strlen(names[i]);

		if (!text_starts_with(option, names[i]))
			continue;
		if (!*value || value[strspn(value, allowed)])
			return refuse(parse, "%s takes a number", names[i]);
		return keep(parse, option);
	}
	return 1;
}

static int set_option(struct parse *parse, const char *option)
{
	int r = 1;

	if (parse->volume.type == VOLUME_TMPFS)
		r = set_tmpfs_value(parse, option);
	return r == 1 ? set_flag(parse, option) : r;
}

static int set_options(struct parse *parse, const char *list)
{
	autostrv options = NULL;
	int r = 0;

	if (strv_split(list, ',', &options) < 0)
		return err_oom(parse->err);
	for (size_t i = 0; r == 0 && options && options[i]; i++)
		r = set_option(parse, options[i]);
	return r;
}

static int add_defaults(struct parse *parse)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(default_options) / sizeof(default_options[0]); i++)
		if ((default_options[i].allowed & type_bit(parse)) &&
			!parse->said[default_options[i].group])
			r = keep(parse, default_options[i].name);
	return r;
}

/* The end of every parse: hands the volume over. */
static int finish(struct parse *parse, struct volume *ret)
{
	int r;

	if (!parse->volume.target)
		return refuse(parse, "the place in the container is missing");
	if (parse->volume.type == VOLUME_BIND && !parse->volume.source)
		return refuse(parse, "the source is missing");
	if (parse->volume.type == VOLUME_TMPFS && parse->volume.source)
		return refuse(parse, "a tmpfs has no source");
	r = add_defaults(parse);
	if (r < 0)
		return r;
	*ret = parse->volume;
	parse->volume = (struct volume){0};
	return 0;
}

/* ---- -v ---- */

int volume_parse(const char *text, struct volume *ret, struct err *err)
{
	cleanup(parse_done) struct parse parse = {
		.kind = "volume",
		.text = text,
		.volume = {.type = VOLUME_BIND},
		.err = err,
	};
	autofree char *copy = strdup(text);
	char *rest = copy, *source, *target;
	int r;

	if (!copy)
		return err_oom(err);
	source = strsep(&rest, ":");
	target = strsep(&rest, ":");
	if (!target || !*source)
		return refuse(&parse, "it must be SOURCE:DESTINATION[:OPTION,...]");
	if (rest && strchr(rest, ':'))
		return refuse(&parse, "there are too many ':'");
	r = set_source(&parse, source);
	if (r == 0)
		r = set_target(&parse, target);
	if (r == 0 && rest)
		r = set_options(&parse, rest);
	return r < 0 ? r : finish(&parse, ret);
}

/* ---- --tmpfs ---- */

int volume_parse_tmpfs(const char *text, struct volume *ret, struct err *err)
{
	cleanup(parse_done) struct parse parse = {
		.kind = "tmpfs",
		.text = text,
		.volume = {.type = VOLUME_TMPFS},
		.err = err,
	};
	autofree char *copy = strdup(text);
	char *rest = copy;
	int r;

	if (!copy)
		return err_oom(err);
	r = set_target(&parse, strsep(&rest, ":"));
	if (r == 0 && rest)
		r = set_options(&parse, rest);
	return r < 0 ? r : finish(&parse, ret);
}

/* ---- --mount ---- */

static int read_boolean(const struct parse *parse, const char *key, const char *value, bool *ret)
{
	bool is_true = !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

	if (!is_true && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
		return refuse(parse, "%s takes true or false", key);
	*ret = is_true;
	return 0;
}

/* "readonly=false" is "rw". */
static int set_boolean(struct parse *parse, const char *key, const char *value, const char *yes,
	const char *no)
{
	bool is_true;
	int r = read_boolean(parse, key, value, &is_true);

	if (r < 0 || (!is_true && !no))
		return r;
	return set_flag(parse, is_true ? yes : no);
}

static int set_tmpfs_size(struct parse *parse, const char *value)
{
	autofree char *option = NULL;
	uint64_t bytes;

	if (quantity_parse_bytes(value, &bytes) < 0)
		return refuse(parse, "tmpfs-size takes a size such as 64m");
	option = text_format("size=%llu", (unsigned long long)bytes);
	return option ? keep(parse, option) : err_oom(parse->err);
}

static int set_tmpfs_mode(struct parse *parse, const char *value)
{
	autofree char *option = text_format("mode=%s", value);

	if (!*value || strlen(value) > 4 || value[strspn(value, "01234567")])
		return refuse(parse, "tmpfs-mode takes an octal number such as 1777");
	return option ? keep(parse, option) : err_oom(parse->err);
}

static int set_type(struct parse *parse, const char *value)
{
	if (strcmp(value, "bind") == 0)
		parse->volume.type = VOLUME_BIND;
	else if (strcmp(value, "tmpfs") == 0)
		parse->volume.type = VOLUME_TMPFS;
	else
		return refuse(parse, "type must be bind or tmpfs");
	return 0;
}

static bool is_one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(key, *names) == 0)
			return true;
	return false;
}

/* What has a value that must be there. Return: 1 when it is none of these. */
static int set_valued(struct parse *parse, const char *key, const char *value)
{
	static const char *const targets[] = {"target", "dst", "destination", NULL};
	static const char *const sources[] = {"source", "src", NULL};

	if (is_one_of(key, targets))
		return set_target(parse, value);
	if (is_one_of(key, sources))
		return set_source(parse, value);
	if (strcmp(key, "bind-propagation") == 0)
		return set_flag(parse, value);
	if (strcmp(key, "relabel") == 0 &&
		(strcmp(value, "shared") == 0 || strcmp(value, "private") == 0))
		return set_flag(parse, strcmp(value, "shared") == 0 ? "z" : "Z");
	if (parse->volume.type == VOLUME_TMPFS && strcmp(key, "tmpfs-size") == 0)
		return set_tmpfs_size(parse, value);
	if (parse->volume.type == VOLUME_TMPFS && strcmp(key, "tmpfs-mode") == 0)
		return set_tmpfs_mode(parse, value);
	return 1;
}

static int set_pair(struct parse *parse, const char *key, const char *value)
{
	static const char *const readonly[] = {"ro", "readonly", NULL};
	static const char *const owner[] = {"U", "chown", NULL};
	char quote[QUOTE_SIZE];
	int r = value ? set_valued(parse, key, value) : 1;

	if (r <= 0)
		return r;
	if (is_one_of(key, readonly))
		return set_boolean(parse, key, value, "ro", "rw");
	if (strcmp(key, "rw") == 0)
		return set_boolean(parse, key, value, "rw", "ro");
	if (is_one_of(key, owner))
		return set_boolean(parse, key, value, "U", NULL);
	if (strcmp(key, "bind-nonrecursive") == 0)
		return set_boolean(parse, key, value, "bind", "rbind");
	if (!value)
		return set_flag(parse, key);
	return refuse(parse, "\"%s\" is unknown, or has a value that it does not take",
		text_sanitize(quote, sizeof(quote), key));
}

/* Takes the next field of a line of comma-separated values in place: one in double quotes may have
 * commas in it, and "" for a quote. Return: NULL at the end. */
static char *next_field(char **rest)
{
	char *field = *rest, *from = *rest, *to = *rest;

	if (!field)
		return NULL;
	if (*from != '"')
		return strsep(rest, ",");
	for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
		from += *from == '"';
		*to++ = *from;
	}
	from += *from == '"';
	*rest = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return field;
}

/* The type decides what the other keys mean, wherever it stands. Return: 0, -EINVAL. */
static int find_type(struct parse *parse, char *const *fields)
{
	for (size_t i = 0; fields && fields[i]; i++) {
		if (!text_starts_with(fields[i], "type="))
			continue;
		if (parse->has_type)
			return refuse(parse, "type is there twice");
		parse->has_type = true;
		if (set_type(parse, fields[i] + strlen("type=")) < 0)
			return -EINVAL;
	}
	return 0;
}

int volume_parse_mount(const char *text, struct volume *ret, struct err *err)
{
	cleanup(parse_done) struct parse parse = {
		.kind = "mount",
		.text = text,
		.volume = {.type = VOLUME_BIND},
		.err = err,
	};
	autofree char *copy = strdup(text);
	autostrv fields = NULL;
	char *rest = copy, *field;
	int r;

	if (!copy)
		return err_oom(err);
	while ((field = next_field(&rest)))
		if (strv_length(fields) >= OPTIONS_MAX)
			return refuse(&parse, "there are more than %d options", OPTIONS_MAX);
		else if (strv_add(&fields, field) < 0)
			return err_oom(err);
	r = find_type(&parse, fields);
	for (size_t i = 0; r == 0 && fields && fields[i]; i++) {
		char *equals = strchr(fields[i], '=');

		if (text_starts_with(fields[i], "type="))
			continue;
		if (equals)
			*equals++ = '\0';
		r = set_pair(&parse, fields[i], equals);
	}
	return r < 0 ? r : finish(&parse, ret);
}
