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

static bool is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return length > 1 && text_starts_with(path, directory) && path[length] == '/';
}

/* The last bind mount that covers @path. */
static const struct json *find_mount(const struct json *config, const char *path)
{
	const struct json *mounts = json_get(config, "mounts");
	const struct json *found = NULL;

	for (size_t i = 0; i < json_length(mounts); i++) {
		const struct json *mount = json_at(mounts, i);
		const char *target = json_string(json_get(mount, "destination"));

		if (target && is_below(path, target))
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

/* Return: as rootfs_judge_command(); -1 when no mount has to do with it. */
static int judge_in_mount(const struct json *config, const struct json *process)
{
	const char *command = json_string(json_at(json_get(process, "args"), 0));
	const struct json *mount = command ? find_mount(config, command) : NULL;
	const char *source = json_string(json_get(mount, "source"));
	autoptr(json) moved = NULL;
	autoclose int rootfd = -1;
	struct json *args;

	if (!source || source[0] != '/')
		return -1;
	if (has_option(mount, "noexec"))
		return STATUS_NOT_RUNNABLE;
	rootfd = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	moved = json_copy(process);
	if (rootfd < 0 || !moved)
		return -1;
	args = json_set_array(moved, "args");
	json_append(args, json_new_string(
		command + strlen(json_string(json_get(mount, "destination")))));
	return rootfs_judge_command(rootfd, moved);
}

int judge_command(const struct place *place)
{
	autoptr(json) config = NULL;
	const struct json *process;
	autoclose int rootfd = -1;
	const char *root;
	int status;

	if (judge_load_config(place, &config, NULL) < 0)
		return STATUS_UNKNOWN;
	process = json_get(config, "process");
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
