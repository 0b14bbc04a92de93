/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a path on the command line names: a pod, or a container that podctl made. A container may be
 * named by its path (net0/web) or its OCI id (net0.web).
 */

#include <stdbool.h>

#include "container.h"
#include "ctl.h"

struct target {
	char path[NAME_PATH_SIZE];         /* of what it is, after the rules below */
	bool is_pod;
	char pod[NAME_PATH_SIZE];
	char name[NAME_COMPONENT_MAX + 1]; /* of a container; "" for a pod */
	int podfd;
	int childfd;                       /* -1 for a pod */
};

enum target_wanted {
	TARGET_ANY,        /* a pod is a pod */
	TARGET_CONTAINER,  /* a pod that has just one container stands for it */
};

/* Opens it. Return: 0; -ENOENT (nothing of that name); -EINVAL (no name; a container is wanted and
 * the pod has none or several: the message names them); -EMEDIUMTYPE when it is a container that
 * another program than podctl attached by the hook: the message says what to use instead;
 * -errno. */
int target_open(const struct ctl *ctl, const char *text, enum target_wanted wanted,
	struct target *ret, struct err *err);
void target_done(struct target *target);

/* Names of the containers in a pod that podctl made (NULL terminated). */
int target_containers(int podfd, char ***ret_names, struct err *err);

/* For verbs that take several names or -a: paths of every container that podctl made, in all pods. */
int target_all_containers(const struct ctl *ctl, char ***ret_paths, struct err *err);
