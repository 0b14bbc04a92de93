/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The outer container's root directory: see outer-root.h. A pod with --root has two mount
 * namespaces:
 *
 *   the host's side   as that of any pod; podd-shim and the runtimes work there, since they are the
 *                     host's programs, and so are the paths of bundles and volumes
 *   the pod's own     podd-outer is in it, and with it who enters the pod, hooks and plugins
 *
 * /run is shared by both (mount_namespaces(7)): plugins of the host and of the pod's own tree find
 * the network namespaces that a hook has bound to /run/netns.
 */

#include "outer-root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "outer-stage.h"
#include "outer.h"
#include "text.h"
#include "trim.h"

#define RESOLV "etc/resolv.conf"
#define SHOWN_MAX 10

int outer_trees_add(struct outer_trees *trees, unsigned kind, const char *path, struct err *err)
{
	char **target;

	if (path[0] != '/')
		return err_set(err, -EINVAL, "'%s' is not an absolute path", path);
	if (kind == OUTER_TREE_STAGE && trees->n_stages == STAGE_MAX)
		return err_set(err, -E2BIG, "more than %d stages", STAGE_MAX);
	switch (kind) {
	case OUTER_TREE_STAGE:
		target = &trees->stages[trees->n_stages++];
		break;
	case OUTER_TREE_ROOT:
		target = &trees->root;
		break;
	case OUTER_TREE_HOST_AT:
		target = &trees->host_at;
		break;
	case OUTER_TREE_SKELETON:
		target = &trees->skeleton;
		break;
	case OUTER_TREE_RECORDS:
		target = &trees->records;
		break;
	default:
		return err_set(err, -EINVAL, "unknown kind of tree %u", kind);
	}
	free(*target);
	*target = strdup(path);
	return *target ? 0 : err_oom(err);
}

/* ---- stages ---- */

static int plan_stages(
	const struct outer_trees *trees, int base, struct stage_plan **ret, struct err *err)
{
	autostrv reserved = NULL;
	struct stage_request request = {.base = base,
		.skeleton = trees->root ? trees->skeleton : NULL,
		.stages = trees->stages};
	int r = stage_reserved(trees->records, trees->host_at, &reserved);

	request.reserved = reserved;
	return r < 0 ? err_oom(err) : stage_plan_new(&request, ret, err);
}

static int mount_stages(const struct outer_trees *trees, int base, int *ret_top, struct err *err)
{
	struct stage_plan *plan = NULL;
	int r;

	r = plan_stages(trees, base, &plan, err);
	if (r == 0)
		r = outer_stage_mount(plan, ret_top, err);
	stage_plan_free(plan);
	trim_memory();
	return r;
}

int outer_root_stage(const struct outer_trees *trees, struct err *err)
{
	autofree char *directory = NULL;
	autoclose int base = -1, top = -1;
	int r;

	if (trees->n_stages == 0 || trees->root)
		return 0;
	directory = getcwd(NULL, 0);
	base = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!directory || base < 0)
		return err_errno(err, "opening the host's root directory");
	r = mount_stages(trees, base, &top, err);
	if (r == 0 && top >= 0)
		r = outer_stage_pivot(top, err);
	/* Where it is now: under a mount, the old one is no place to bind from. */
	if (r == 0 && chdir(directory) < 0)
		r = err_errno(err, "going back to the pod's directory");
	return r;
}

/* ---- a root directory of its own ---- */

/* What is taken along: copies of mounts, and where they belong. */
struct shown {
	const char *target;
	int mount;
};

struct change {
	const struct outer_trees *trees;
	struct shown shown[SHOWN_MAX];
	size_t n_shown;
	int root;
};

static void change_done(struct change *change)
{
	for (size_t i = 0; i < change->n_shown; i++)
		cleanup_close(&change->shown[i].mount);
	cleanup_close(&change->root);
}

static int take_along(
	struct change *change, const char *source, const char *target, struct err *err)
{
	struct shown *shown = &change->shown[change->n_shown];

	shown->target = target;
	shown->mount =
		open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (shown->mount < 0)
		return err_errno(err, "copying the mounts of %s", source);
	change->n_shown++;
	return 0;
}

static int take_all_along(struct change *change, bool own_resolv, struct err *err)
{
	static const char *const own[] = {"/proc", "/sys", "/dev", "/run", "/var/lib/cni"};
	const struct outer_trees *trees = change->trees;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(own) / sizeof(*own); i++)
		r = take_along(change, own[i], own[i], err);
	if (r == 0 && !text_starts_with(trees->records, "/run/"))
		r = take_along(change, trees->records, trees->records, err);
	if (r == 0 && own_resolv)
		r = take_along(change, RESOLV, "/" RESOLV, err);
	if (r == 0 && trees->host_at)
		r = take_along(change, "/", trees->host_at, err);
	return r;
}

/* Like a stage: read-only, since several pods may have it. It lies over the host's root directory,
 * which is still the process's own, until pivot_root(2). */
static int open_root(const char *path, int *ret, struct err *err)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	autoclose int top = stage_open_top(path, err);
	autoclose int fd = -1;

	if (top < 0)
		return err_wrap(err, top, "the pod's root directory");
	fd = open_tree(top, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	if (fd < 0)
		return err_errno(err, "opening the pod's root directory %s", path);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) <
			0 ||
		move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, "mounting the pod's root directory %s", path);
	*ret = take_fd(&fd);
	return 0;
}

static int attach_shown(int root, const struct shown *shown, struct err *err)
{
	autoclose int target = stage_open_in(root, shown->target, O_PATH);

	if (target < 0 || move_mount(shown->mount, "", target, "",
				  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(err, target < 0 ? target : -errno,
			"mounting the pod's %s in its root directory: %s", shown->target,
			strerror(target < 0 ? -target : errno));
	return 0;
}

/* An empty one, with the way to the hierarchy where that is in it. */
static int make_tmp(int root, const char *records, struct err *err)
{
	autoclose int tmp = stage_open_in(root, "/tmp", O_PATH | O_DIRECTORY);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	if (tmp < 0 || mount("podd", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		return err_errno(err, "mounting the pod's own /tmp");
	if (!text_starts_with(records, "/tmp/"))
		return 0;
	close(tmp);
	tmp = stage_open_in(root, "/tmp", O_PATH | O_DIRECTORY);
	for (const char *slash = records + strlen("/tmp"); slash;) {
		slash = strchr(slash + 1, '/');
		snprintf(path, sizeof(path), "%.*s",
			(int)(slash ? slash - records : (ptrdiff_t)strlen(records)), records);
		if (mkdirat(tmp, path + strlen("/tmp/"), 0755) < 0)
			return err_errno(err, "making %s in the pod's own /tmp", records);
	}
	return 0;
}

static int fill_root(const struct change *change, int root, struct err *err)
{
	int r = make_tmp(root, change->trees->records, err);

	for (size_t i = 0; r == 0 && i < change->n_shown; i++)
		r = attach_shown(root, &change->shown[i], err);
	return r;
}

static int keep_host_side(struct err *err)
{
	autoclose int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup3(fd, OUTER_FD_HOST, O_CLOEXEC) < 0)
		return err_errno(err, "keeping the pod's mount namespace");
	/* The other side sees what a hook binds to /run/netns, which is a mount of its own. */
	if (mount(NULL, "/run", NULL, MS_SHARED, NULL) < 0 ||
		mount(NULL, "/run/netns", NULL, MS_SHARED, NULL) < 0)
		return err_errno(err, "sharing the pod's /run");
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(err, "making a mount namespace");
	return 0;
}

int outer_root_change(const struct outer_trees *trees, bool own_resolv, struct err *err)
{
	cleanup(change_done) struct change change = {.trees = trees, .root = -1};
	autoclose int top = -1;
	int r;

	if (!trees->root)
		return 0;
	r = keep_host_side(err);
	if (r == 0)
		r = take_all_along(&change, own_resolv, err);
	if (r == 0)
		r = open_root(trees->root, &change.root, err);
	if (r == 0)
		r = mount_stages(trees, change.root, &top, err);
	if (r < 0)
		return r;
	if (top < 0)
		top = take_fd(&change.root);
	r = fill_root(&change, top, err);
	return r == 0 ? outer_stage_pivot(top, err) : r;
}
