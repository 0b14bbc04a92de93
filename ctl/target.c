/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds what a name on the command line means, see target.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hierarchy.h"
#include "text.h"

#include "lifecycle.h"
#include "target.h"

/* Most names that a message lists. */
#define NAMES_SHOWN 8

void target_done(struct target *target)
{
	cleanup_close(&target->podfd);
	cleanup_close(&target->childfd);
	target->podfd = -1;
	target->childfd = -1;
}

static bool is_made(int podfd, const char *name)
{
	autoclose int childfd = -1;

	return hierarchy_open_child(podfd, name, false, &childfd, NULL) == 0 &&
	       container_is_made(childfd);
}

int target_containers(int podfd, char ***ret_names, struct err *err)
{
	autostrv names = NULL;
	size_t kept = 0;
	int r;

	r = hierarchy_children(podfd, HIERARCHY_CONTAINERS, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		char *name = names[i];

		names[i] = NULL;
		if (is_made(podfd, name))
			names[kept++] = name;
		else
			free(name);
	}
	*ret_names = take_ptr(names);
	return 0;
}

static int add_containers(const struct ctl *ctl, const char *pod, char ***paths, struct err *err)
{
	autoclose int podfd = -1;
	autostrv names = NULL;
	int r;

	r = ctl_open_pod(ctl, pod, &podfd, err);
	if (r == 0)
		r = target_containers(podfd, &names, err);
	for (size_t i = 0; r == 0 && names[i]; i++) {
		autofree char *path = text_format("%s/%s", pod, names[i]);

		if (!path || strv_add(paths, path) < 0)
			return err_oom(err);
	}
	/* A pod that is removed while we look has none. */
	return r == -ENOENT ? 0 : r;
}

int target_all_containers(const struct ctl *ctl, char ***ret_paths, struct err *err)
{
	autostrv pods = NULL;
	autostrv paths = calloc(1, sizeof(*paths));
	int r;

	if (!paths)
		return err_oom(err);
	r = lifecycle_all(ctl, false, &pods, err);
	for (size_t i = 0; r == 0 && pods[i]; i++) {
		struct err problem = {};

		r = add_containers(ctl, pods[i], &paths, &problem);
		if (r == -ENOMEM)
			return err_oom(err);
		/* One that cannot be looked into hides no other. */
		if (r < 0)
			ctl_warning("%s: %s", pods[i], problem.msg);
		r = 0;
	}
	if (r < 0)
		return r;
	*ret_paths = take_ptr(paths);
	return 0;
}

/* @target has its pod open. Opens a container in it. */
static int open_container(struct target *target, const char *name, struct err *err)
{
	char path[NAME_PATH_SIZE + NAME_COMPONENT_MAX + 2];
	int r;

	snprintf(path, sizeof(path), "%s/%s", target->pod, name);
	r = hierarchy_open_child(target->podfd, name, false, &target->childfd, err);
	if (r == -ENOENT || (r == 0 && text_copy(target->path, sizeof(target->path), path) < 0))
		return err_set(err, -ENOENT, "there is no pod or container '%s'", path);
	if (r < 0)
		return err_wrap(err, r, "container %s", path);
	if (!container_is_made(target->childfd))
		return err_set(err, -EMEDIUMTYPE,
			"container %s was not made by podctl but attached by its runtime's hook: use "
			"the runtime that started it (crun, runc ...)",
			path);
	target->is_pod = false;
	return text_copy(target->name, sizeof(target->name), name);
}

/* The names, shortened where there are many. */
static void list_names(char *text, size_t size, const char *pod, char *const *names)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < NAMES_SHOWN && names[i] && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s/%s", i ? ", " : "", pod,
			names[i]);
	if (strv_length(names) > NAMES_SHOWN && used < size)
		snprintf(text + used, size - used, " ...");
}

/* A pod in which there is just one container stands for that. */
static int open_only_container(struct target *target, struct err *err)
{
	char list[ERR_MSG_MAX / 2];
	autostrv names = NULL;
	int r;

	r = target_containers(target->podfd, &names, err);
	if (r < 0)
		return r;
	if (!names[0])
		return err_set(
			err, -EINVAL, "pod %s has no container that podctl made", target->pod);
	if (!names[1])
		return open_container(target, names[0], err);
	list_names(list, sizeof(list), target->pod, names);
	return err_set(err, -EINVAL, "pod %s has several containers, name one of them: %s",
		target->pod, list);
}

static int find(const struct ctl *ctl, const char *path, enum target_wanted wanted,
	struct target *target, struct err *err)
{
	char leaf[NAME_COMPONENT_MAX + 1];
	int r;

	r = ctl_open_pod(ctl, path, &target->podfd, err);
	if (r == 0) {
		target->is_pod = true;
		memcpy(target->path, path, strlen(path) + 1);
		memcpy(target->pod, path, strlen(path) + 1);
		return wanted == TARGET_CONTAINER ? open_only_container(target, err) : 0;
	}
	if (r != -ENOENT)
		return r;
	name_split(path, target->pod, leaf);
	if (target->pod[0])
		r = ctl_open_pod(ctl, target->pod, &target->podfd, err);
	if (r == -ENOENT)
		return err_set(err, r, "there is no pod or container '%s'", path);
	return r < 0 ? r : open_container(target, leaf, err);
}

int target_open(const struct ctl *ctl, const char *text, enum target_wanted wanted,
	struct target *ret, struct err *err)
{
	struct target target = {.podfd = -1, .childfd = -1};
	char path[NAME_PATH_SIZE];
	int r;

	r = name_read_path(text, path, err);
	if (r == 0)
		r = find(ctl, path, wanted, &target, err);
	if (r < 0) {
		target_done(&target);
		return r;
	}
	*ret = target;
	return 0;
}
