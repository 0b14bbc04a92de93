/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the outer container sees in place of the host's file system: stages over it, or a root
 * directory of its own. */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "stage.h"

/* All paths are absolute, and the host's. */
struct outer_trees {
	char *stages[STAGE_MAX + 1]; /* NULL-terminated */
	size_t n_stages;
	char *root;	/* the outer container's own root directory, or NULL */
	char *host_at;	/* where the host's tree is shown in it (a path in there), or NULL */
	char *skeleton; /* a tree of directories that it needs to have */
	char *records;	/* the hierarchy */
};

/* Takes a tree that podd has sent. Return: 0, -E2BIG, -EINVAL, -ENOMEM. */
int outer_trees_add(struct outer_trees *trees, unsigned kind, const char *path, struct err *err);

/* Both: the caller is root of a new mount namespace, from which nothing gets out, in the pod's
 * directory, and stays in that. They do nothing where nothing was asked for.
 * Needs CAP_SYS_ADMIN in the user namespace. Return: 0 or -errno. */

/* Mounts stages over the host's file system. */
int outer_root_stage(const struct outer_trees *trees, struct err *err);

/* Leaves the mount namespace, which OUTER_FD_HOST keeps then, for another one with @trees->root as
 * its root. What the pod has of its own, in /run and elsewhere, is in both. */
int outer_root_change(const struct outer_trees *trees, bool own_resolv, struct err *err);
