/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Definitions of pods in pods: see apply-check.h. */

#include "apply-check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct check {
	const struct ctl *ctl;
	struct apply_pod *const *pods;
	size_t n;
};

static const struct apply_pod *find(const struct check *check, const char *path)
{
	for (size_t i = 0; i < check->n; i++)
		if (strcmp(check->pods[i]->path, path) == 0)
			return check->pods[i];
	return NULL;
}

static bool is_there(const struct check *check, const char *path)
{
	autoclose int podfd = -1;

	return ctl_open_pod(check->ctl, path, &podfd, NULL) == 0;
}

static bool has_container(const struct apply_pod *pod, const char *name)
{
	for (size_t i = 0; i < pod->n; i++)
		if (strcmp(pod->containers[i].name, name) == 0)
			return true;
	return false;
}

/* A pod runs in those around it only: to start it starts them. */
static int check_state(const struct check *check, const struct apply_pod *pod, struct err *err)
{
	char path[NAME_PATH_SIZE], parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];

	memcpy(path, pod->path, sizeof(path));
	for (;;) {
		const struct apply_pod *around;

		name_split(path, parent, leaf);
		if (!*parent)
			return 0;
		around = find(check, parent);
		if (around && !around->running && pod->running)
			return err_set(err, -EINVAL,
				"pod %s shall run, but pod %s, which it is in, shall be stopped",
				pod->path, parent);
		memcpy(path, parent, sizeof(path));
	}
}

static int check_pod(const struct check *check, const struct apply_pod *pod, struct err *err)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];
	const struct apply_pod *around;

	if (name_depth(pod->path) > NAME_PODS_MAX)
		return err_set(err, -EINVAL, "pod %s: pods nest at most %d deep", pod->path,
			NAME_PODS_MAX);
	name_split(pod->path, parent, leaf);
	if (!*parent)
		return 0;
	around = find(check, parent);
	if (!around && !is_there(check, parent))
		return err_set(err, -ENOENT,
			"pod %s is in pod %s, which is not there, and no file that is read has it",
			pod->path, parent);
	if (around && has_container(around, leaf))
		return err_set(err, -EINVAL, "%s is also the name of a container, in %s", pod->path,
			around->file);
	return check_state(check, pod, err);
}

int apply_check(const struct ctl *ctl, struct apply_pod *const *pods, size_t n, char ***problems)
{
	const struct check check = {.ctl = ctl, .pods = pods, .n = n};

	for (size_t i = 0; i < n; i++) {
		autofree char *text = NULL;
		struct err err = {};

		if (check_pod(&check, pods[i], &err) == 0)
			continue;
		text = text_format("%s: %s", pods[i]->file, err.msg);
		if (!text || strv_add(problems, text) < 0)
			return -ENOMEM;
	}
	return 0;
}
