/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Stages: directory trees whose files appear over another tree, the base (the host's file system,
 * or the one that a pod has of its own). This module only looks and plans: which directories of the
 * base get something, and what; podd-outer does it (podd/outer-stage.c). podctl makes the same plan
 * to say at once what would not work. The trees are hostile: no link in a stage is followed, none
 * of the base leads out of it (openat2(2)), and what would hide more than it names is refused.
 */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* The kernel takes the paths of an overlay's layers in 255 bytes (fsconfig(2)). */
#define STAGE_MAX 8
/* Entries in which the base differs from what the pod sees; more is a root file system. */
#define STAGE_NODES_MAX 16384

enum stage_kind {
	STAGE_MERGED, /* a directory of the base and of stages */
	STAGE_NEW,    /* a directory that the base does not have */
	STAGE_ENTRY,  /* anything else, of one stage */
};

/* Where a stage has it: a path below its top, "" for the top itself. */
struct stage_source {
	unsigned stage;
	char *path;
};

struct stage_node {
	enum stage_kind kind;
	char *path;	  /* in the base, without links: "" for its top, "/usr/lib" */
	const char *name; /* the last part of it */
	bool changed;	  /* merged: something in this very directory is not the base's */
	struct stage_source *sources; /* the earlier stages first: the last one wins */
	size_t n_sources;
	struct stage_node *children;
	struct stage_node *next;
};

struct stage_plan {
	int base;
	unsigned n_stages;
	int stages[STAGE_MAX + 1];
	struct stage_node *top;
};

struct stage_request {
	int base;	       /* a directory; stays the caller's */
	const char *skeleton;  /* or NULL: a tree of podd's own, below all stages */
	char *const *stages;   /* absolute, without links; later ones win. Or NULL */
	char *const *reserved; /* paths in the base, in which stages may have directories only */
};

/* Return: 0, -ENOENT (a stage is not there), -EINVAL (what it has cannot be shown), -E2BIG,
 * -EACCES, -errno. */
int stage_plan_new(const struct stage_request *request, struct stage_plan **ret, struct err *err);
void stage_plan_free(struct stage_plan *plan);

/* What a stage may not touch: what the kernel shows, and podd's own; @records is the hierarchy, and
 * @host_at (may be NULL) where the host's tree is shown. Return: 0, -ENOMEM. */
int stage_reserved(const char *records, const char *host_at, char ***ret);

/* Opens a stage's own directory, or another one that is recorded without links (O_PATH): a link
 * means that it is not what it was. Return: an fd, -ELOOP, -errno. */
int stage_open_top(const char *path, struct err *err);

/* Opens a directory of a stage (O_PATH). Return: an fd, -errno. */
int stage_open_source(const struct stage_plan *plan, const struct stage_source *source);
/* The node's child of that name, or NULL. */
const struct stage_node *stage_child(const struct stage_node *node, const char *name);
/* Opens a path of the base: links in it lead nowhere else. Return: an fd, -errno. */
int stage_open_in(int base, const char *path, int flags);
