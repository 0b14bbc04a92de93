/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Why a command could not be executed: see judge.h. A container that could not be made has no root
 * any more, only its bundle: of the mounts that it would have had, the one that the command lies in
 * is looked at instead.
 */

#include "judge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "oci-container.h"
#include "rootfs.h"
#include "text.h"

#define STATUS_UNKNOWN 125
#define STATUS_NOT_RUNNABLE 126

int judge_load_config(const struct place *place, struct json **ret, struct err *err)
{
	autoclose int bundle = -1;
	autofree char *text = NULL;
	size_t length;
	int r;

	bundle = openat(place->childfd, CONTAINER_BUNDLE,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (bundle < 0)
		return err_errno(err, "opening the bundle");
	r = file_read(bundle, "config.json", JSON_BYTES_MAX, &text, &length, err);
	return r < 0 ? r : json_parse("config.json", text, length, ret, err);
}

static bool is_covered(const char *path, const char *mount)
{
	size_t length = strlen(mount);

	return length > 1 && text_starts_with(path, mount) &&
	       (path[length] == '/' || path[length] == '\0');
}

/* The last bind mount that covers @path, or is it. */
static const struct json *find_mount(const struct json *config, const char *path)
{
	const struct json *mounts = json_get(config, "mounts");
	const struct json *found = NULL;

	for (size_t i = 0; i < json_length(mounts); i++) {
		const struct json *mount = json_at(mounts, i);
		const char *target = json_string(json_get(mount, "destination"));

		if (target && is_covered(path, target))
			found = mount;
	}
	return found;
}

static bool has_option(const struct json *mount, const char *name)
{
	const struct json *options = json_get(mount, "options");

	for (size_t i = 0; i < json_length(options); i++)
		if (text_equal(json_string(json_at(options, i)), name))
			return true;
	return false;
}

/* What the command is called below the mount's source; a mounted file is in its own directory. */
static int open_source(const char *source, const char *rest, char **ret_name)
{
	autofree char *directory = NULL;
	const char *slash = strrchr(source, '/');

	if (*rest) {
		*ret_name = strdup(rest);
		return open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	directory = strndup(source, (size_t)(slash - source) + 1);
	*ret_name = strdup(slash);
	return directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Return: as rootfs_judge_command(); -1 when no mount has to do with it. */
static int judge_in_mount(const struct json *config, const struct json *process)
{
	const char *command = json_string(json_at(json_get(process, "args"), 0));
	const struct json *mount = command ? find_mount(config, command) : NULL;
	const char *source = json_string(json_get(mount, "source"));
	const char *target = json_string(json_get(mount, "destination"));
	autofree char *name = NULL;
	autoptr(json) moved = NULL;
	autoclose int rootfd = -1;

	if (!source || source[0] != '/')
		return -1;
	if (has_option(mount, "noexec"))
		return STATUS_NOT_RUNNABLE;
	rootfd = open_source(source, command + strlen(target), &name);
	moved = json_copy(process);
	if (rootfd < 0 || !moved || !name)
		return -1;
	json_append(json_set_array(moved, "args"), json_new_string(name));
	return rootfs_judge_command(rootfd, moved);
}

/* The process without the init program that starts it. */
static struct json *without_init(const struct json *process)
{
	struct json *copy = json_copy(process);
	struct json *args = json_get(copy, "args");

	/* OCI_INIT_PATH -- COMMAND ... */
	if (text_equal(json_string(json_at(args, 0)), OCI_INIT_PATH) && json_length(args) > 2) {
		json_remove_at(args, 0);
		json_remove_at(args, 0);
	}
	return copy;
}

int judge_command(const struct place *place)
{
	autoptr(json) config = NULL;
	autoptr(json) process = NULL;
	autoclose int rootfd = -1;
	const char *root;
	int status;

	if (judge_load_config(place, &config, NULL) < 0)
		return STATUS_UNKNOWN;
	process = without_init(json_get(config, "process"));
	if (!process)
		return STATUS_UNKNOWN;
	root = json_string(json_get(json_get(config, "root"), "path"));
	status = judge_in_mount(config, process);
	if (status >= 0 || !root || root[0] != '/')
		return status >= 0 ? status : STATUS_UNKNOWN;
	rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return rootfd < 0 ? STATUS_UNKNOWN : rootfs_judge_command(rootfd, process);
}

int judge_exec(pid_t init, int process)
{
	autoptr(json) document = NULL;
	autofree char *text = NULL;
	autoclose int rootfd = -1;
	char path[32];
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)init);
	rootfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0 || lseek(process, 0, SEEK_SET) < 0 ||
		fd_read_all(process, JSON_BYTES_MAX, &text, &length) < 0 ||
		json_parse("process", text, length, &document, NULL) < 0)
		return STATUS_UNKNOWN;
	return rootfs_judge_command(rootfd, document);
}
