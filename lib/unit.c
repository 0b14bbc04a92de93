/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Units of pods: see unit.h. */

#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "text.h"

#define SUBGROUP "podd"

static bool is_plain(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '_' || byte == ':' || byte == '.';
}

void unit_name(const char *pod, const char *suffix, char ret[UNIT_NAME_SIZE])
{
	size_t n = strlen(UNIT_PREFIX);

	memcpy(ret, UNIT_PREFIX, n + 1);
	for (; *pod && n + sizeof("\\x00") < UNIT_NAME_SIZE; pod++) {
		if (is_plain(*pod))
			ret[n++] = *pod;
		else if (*pod == '/')
			ret[n++] = '-';
		else
			n += (size_t)snprintf(
				ret + n, UNIT_NAME_SIZE - n, "\\x%02x", (unsigned char)*pod);
	}
	text_copy(ret + n, UNIT_NAME_SIZE - n, suffix);
}

/* The end of a component "name" of the path, or NULL. */
static const char *find_component(const char *path, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(path, name); at; at = strstr(at + 1, name))
		if (at > path && at[-1] == '/' && (at[length] == '/' || at[length] == '\0'))
			return at + length;
	return NULL;
}

int unit_cgroup_of(pid_t pid, const char *pod, char **ret)
{
	autofree char *cgroup = NULL;
	char name[UNIT_NAME_SIZE];
	const char *end;
	int r = cgroup_of(pid, &cgroup);

	if (r < 0)
		return r;
	unit_name(pod, UNIT_SERVICE, name);
	end = find_component(cgroup, name);
	if (!end)
		return -ENOENT;
	*ret = strndup(cgroup, (size_t)(end - cgroup));
	return *ret ? 0 : -ENOMEM;
}

int unit_move_process(const char *cgroup, pid_t pid, struct err *err)
{
	return cgroup_move_process(cgroup, SUBGROUP, pid, err);
}
