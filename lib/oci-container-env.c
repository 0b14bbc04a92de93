/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The environment of a container, as -e and --env-file say it: see oci-container.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fd.h"
#include "oci-container.h"
#include "text.h"

#define QUOTE_SIZE 100

extern char **environ;

/* Replaces the entry of the same name, or appends. */
int oci_env_set(char ***env, const char *entry, struct err *err)
{
	size_t length = strcspn(entry, "=");
	size_t n = 0;

	for (; *env && (*env)[n]; n++) {
		char *copy;

		if (strncmp((*env)[n], entry, length) != 0 || (*env)[n][length] != '=')
			continue;
		copy = strdup(entry);
		if (!copy)
			return err_oom(err);
		free((*env)[n]);
		(*env)[n] = copy;
		return 0;
	}
	if (n >= OCI_ENV_MAX)
		return err_set(err, -E2BIG, "the environment has more than %d variables",
			OCI_ENV_MAX);
	return strv_add(env, entry) < 0 ? err_oom(err) : 0;
}

/* "LC_*": every variable of the caller's that begins so. */
static int add_matching(char ***env, const char *prefix, size_t length, struct err *err)
{
	int r = 0;

	for (char **entry = environ; r == 0 && entry && *entry; entry++)
		if (strncmp(*entry, prefix, length) == 0 && strchr(*entry, '=') > *entry)
			r = oci_env_set(env, *entry, err);
	return r;
}

static int add_callers(char ***env, const char *name, struct err *err)
{
	size_t length = strlen(name);
	autofree char *entry = NULL;
	const char *value;

	if (name[length - 1] == '*')
		return add_matching(env, name, length - 1, err);
	value = getenv(name);
	if (!value)
		return 0;
	entry = text_format("%s=%s", name, value);
	return entry ? oci_env_set(env, entry, err) : err_oom(err);
}

int oci_env_add(char ***env, const char *text, struct err *err)
{
	size_t length = strcspn(text, "=");
	char quote[QUOTE_SIZE];

	if (length == 0)
		return err_set(err, -EINVAL, "\"%s\": the name of the variable is missing",
			text_sanitize(quote, sizeof(quote), text));
	return text[length] ? oci_env_set(env, text, err) : add_callers(env, text, err);
}

/* Of a file a name may not have spaces in it: that is a mistake. */
static int add_line(char ***env, const char *line, struct err *err)
{
	size_t length = strcspn(line, "=");
	char quote[QUOTE_SIZE];

	if (strcspn(line, " \t") < length)
		return err_set(err, -EINVAL, "\"%s\": the name of the variable has a space in it",
			text_sanitize(quote, sizeof(quote), line));
	return oci_env_add(env, line, err);
}

int oci_env_parse(const char *source, char *text, char ***env, struct err *err)
{
	unsigned number = 0;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		size_t length;
		int r;

		number++;
		line += strspn(line, " \t\v\f\r");
		length = strlen(line);
		if (length > 0 && line[length - 1] == '\r')
			line[length - 1] = '\0';
		if (!*line || *line == '#')
			continue;
		r = add_line(env, line, err);
		if (r < 0)
			return err_wrap(err, r, "%s:%u", source, number);
	}
	return 0;
}

int oci_env_file(const char *path, char ***env, struct err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	autofree char *text = NULL;
	size_t length = 0;
	int r;

	if (fd < 0)
		return err_errno(err, "the environment file %s", path);
	r = fd_read_all(fd, OCI_ENV_FILE_MAX, &text, &length);
	if (r == -EFBIG)
		return err_set(err, -E2BIG, "the environment file %s has more than %d bytes", path,
			OCI_ENV_FILE_MAX);
	if (r < 0)
		return err_set(err, r, "the environment file %s: %s", path, strerror(-r));
	if (strlen(text) != length)
		return err_set(err, -EINVAL, "the environment file %s has NUL bytes in it", path);
	return oci_env_parse(path, text, env, err);
}
