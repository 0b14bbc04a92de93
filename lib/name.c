/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The grammar of names, and the two ways to write one: a path in the hierarchy and an OCI
 * container id. Pure functions on the caller's buffers.
 */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "name.h"
#include "text.h"

#define GRAMMAR                                                                                  \
	"a name has 1 to 63 characters from a-z, 0-9, '_' and '-', and starts with a letter or " \
	"digit"

/* Bytes of a bad name that a message quotes. */
#define QUOTE_SIZE 100
#define HOSTNAME_MAX 64

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool component_ok(const char *name, size_t length)
{
	if (length == 0 || length > NAME_COMPONENT_MAX || !is_alphanumeric(name[0]))
		return false;
	for (size_t i = 1; i < length; i++)
		if (!is_alphanumeric(name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	return true;
}

int name_check_component(const char *name, struct err *err)
{
	char quote[QUOTE_SIZE];

	if (component_ok(name, strlen(name)))
		return 0;
	return err_set(err, -EINVAL, "\"%s\" is not a valid name: " GRAMMAR,
		text_sanitize(quote, sizeof(quote), name));
}

/* Checks components joined by @separator; @what is "path" or "container id". */
static int check_joined(const char *what, const char *text, char separator, struct err *err)
{
	char quote[QUOTE_SIZE];
	const char *part = text, *end;
	size_t n = 0;

	text_sanitize(quote, sizeof(quote), text);
	for (;; part = end + 1) {
		end = strchrnul(part, separator);
		if (!component_ok(part, (size_t)(end - part)))
			break;
		if (++n > NAME_COMPONENTS_MAX)
			return err_set(err, -EINVAL,
				"\"%s\" is not a valid %s: it has more than %d components", quote,
				what, NAME_COMPONENTS_MAX);
		if (!*end)
			return 0;
	}
	return err_set(err, -EINVAL,
		"\"%s\" is not a valid %s: it is names joined by '%c', and " GRAMMAR, quote, what,
		separator);
}

int name_check_path(const char *path, struct err *err)
{
	return check_joined("path", path, '/', err);
}

size_t name_depth(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Copies a checked name, one separator in place of the other. */
static void translate(const char *text, char from, char to, char ret[NAME_PATH_SIZE])
{
	int r = text_copy(ret, NAME_PATH_SIZE, text);

	assert(r == 0);
	(void)r;
	for (; *ret; ret++)
		if (*ret == from)
			*ret = to;
}

void name_path_to_id(const char *path, char ret_id[NAME_PATH_SIZE])
{
	translate(path, '/', '.', ret_id);
}

int name_id_to_path(const char *id, char ret_path[NAME_PATH_SIZE], struct err *err)
{
	int r = check_joined("container id of a pod's child", id, '.', err);

	if (r < 0)
		return r;
	translate(id, '.', '/', ret_path);
	return 0;
}

int name_read_path(const char *text, char ret_path[NAME_PATH_SIZE], struct err *err)
{
	int r;

	if (strchr(text, '.') && !strchr(text, '/'))
		return name_id_to_path(text, ret_path, err);
	r = name_check_path(text, err);
	return r < 0 ? r : text_copy(ret_path, NAME_PATH_SIZE, text);
}

int name_check_hostname(const char *name, struct err *err)
{
	size_t length = strlen(name);

	if (length == 0 || length > HOSTNAME_MAX || name[0] == '-' || name[0] == '.' ||
		name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789.-")])
		return err_set(err, -EINVAL,
			"a host name must be up to %d letters, digits, '-' and '.', not \"%s\"",
			HOSTNAME_MAX, name);
	return 0;
}

void name_split(
	const char *path, char ret_parent[NAME_PATH_SIZE], char ret_leaf[NAME_COMPONENT_MAX + 1])
{
	const char *slash = strrchr(path, '/');
	const char *leaf = slash ? slash + 1 : path;
	size_t length = slash ? (size_t)(slash - path) : 0;
	int r = text_copy(ret_leaf, NAME_COMPONENT_MAX + 1, leaf);

	assert(r == 0 && length < NAME_PATH_SIZE);
	(void)r;
	memcpy(ret_parent, path, length);
	ret_parent[length] = '\0';
}
