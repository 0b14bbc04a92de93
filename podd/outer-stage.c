/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Showing stages. A directory in which a stage has something of its own gets a mount, and no other
 * one does: a read-only overlay of the stages' directories and the base's. Over that, each
 * directory of the base is bound back, so that it stays what it is: with what is mounted below it,
 * writable, and showing what the host does there later.
 *
 * The kernel makes no overlay of a directory with mounts below it that an unprivileged user may not
 * take away (that could show what they hide), and "/" always is one. Then a tmpfs is made to look
 * the same: with the base's and the stages' entries bound in one by one.
 *
 * What comes from a stage is read-only, and neither setuid bits nor devices of it mean anything.
 */

#include "outer-stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "file.h"
#include "text.h"

/* Each is a mount, of which a namespace may have 100000 (fs.mount-max), and every container's gets
 * a copy. */
#define MOUNTS_MAX 4096
#define LAYERS_MAX 14

struct level {
	const struct stage_plan *plan;
	const struct stage_node *node;
	int base;	     /* the directory before */
	int top;	     /* the mount that covers it */
	unsigned attributes; /* of what comes from stages */
	struct err *err;
};

static int fail(const struct level *level, int r, const char *name, const char *what)
{
	char path[1024], quoted[1024];

	snprintf(path, sizeof(path), "%s%s%s", level->node->path,
		name || !*level->node->path ? "/" : "", name ? name : "");
	return err_set(level->err, r, "%s %s: %s", what,
		text_sanitize(quoted, sizeof(quoted), path), strerror(-r));
}

/* ---- filesystems ---- */

static int configure(int fs, const char *const *options)
{
	for (; options[0]; options += 2)
		if (fsconfig(fs, options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options[0],
			    options[1], 0) < 0)
			return -errno;
	return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -errno : 0;
}

/* Makes a filesystem, mounted nowhere yet. @options: pairs, a flag's value is NULL. */
static int make_mount(const char *type, const char *const *options, unsigned attributes)
{
	autoclose int fs = fsopen(type, FSOPEN_CLOEXEC);
	int fd, r;

	if (fs < 0)
		return -errno;
	r = configure(fs, options);
	if (r < 0)
		return r;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	return fd < 0 ? -errno : fd;
}

/* The layers are named by their fds: paths have characters that mean something, and are long. */
static int make_overlay(const int *layers, size_t n, unsigned attributes)
{
	char text[LAYERS_MAX * sizeof("/proc/self/fd/1234:")];
	const char *const options[] = {"source", "podd", "lowerdir", text, "userxattr", NULL, NULL};
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s/proc/self/fd/%d",
			i ? ":" : "", layers[i]);
	return make_mount("overlay", options, attributes);
}

static int attach(int mount, int dirfd, const char *name)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*name ? 0 : MOVE_MOUNT_T_EMPTY_PATH);

	return move_mount(mount, "", dirfd, name, flags) < 0 ? -errno : 0;
}

/* @top and @base: the first layer and the last one; or -1. Between them are the stages'
 * directories, the last stage's first. Return: the mount's fd, -errno. */
static int overlay_of(const struct stage_plan *plan, const struct stage_node *node, int top,
	int base, unsigned attributes)
{
	int layers[LAYERS_MAX], opened[LAYERS_MAX];
	size_t n = 0, n_opened = 0;
	int r = node->n_sources + 2 > LAYERS_MAX ? -E2BIG : 0;

	if (top >= 0)
		layers[n++] = top;
	for (size_t i = node->n_sources; r == 0 && i > 0; i--) {
		int fd = stage_open_source(plan, &node->sources[i - 1]);

		if (fd >= 0)
			opened[n_opened++] = layers[n++] = fd;
		else
			r = fd;
	}
	if (base >= 0)
		layers[n++] = base;
	if (r == 0)
		r = make_overlay(layers, n, attributes);
	while (n_opened > 0)
		close(opened[--n_opened]);
	return r;
}

/* ---- entries ---- */

/* @attributes: for what comes from a stage, else 0. A name that vanished meanwhile is no error. */
static int bind_entry(int from, const char *name, int to, const char *target, unsigned attributes)
{
	struct mount_attr attr = {.attr_set = attributes};
	autoclose int tree = open_tree(from, name,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);

	if (tree < 0)
		return errno == ENOENT ? 0 : -errno;
	if (attributes &&
		mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return attach(tree, to, target);
}

static int copy_link(int from, const char *name, int to, const char *target)
{
	char text[4096];
	ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return symlinkat(text, to, target) < 0 ? -errno : 0;
}

/* Makes <to>/<target> be what <from>/<name> is. */
static int show(int from, const char *name, int to, const char *target, unsigned attributes)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.st_mode))
		return copy_link(from, name, to, target);
	if (S_ISDIR(st.st_mode)) {
		if (mkdirat(to, target, 0755) < 0)
			return -errno;
	} else {
		autoclose int fd =
			openat(to, target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd < 0)
			return -errno;
	}
	return bind_entry(from, name, to, target, attributes);
}

static bool is_directory(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* ---- a directory ---- */

/* Goes through the base's entries that no stage has something else for. */
static int for_base(const struct level *level, bool only_directories,
	int (*act)(const struct level *level, const char *name))
{
	autoclose int fd = openat(level->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autostrv names = NULL;
	int r = fd < 0 ? -errno : file_list(fd, MOUNTS_MAX * 16, &names, NULL);
	char quoted[1024];
	size_t n = 0;

	if (r < 0)
		return fail(level, r, NULL, "reading the pod's");
	for (size_t i = 0; r == 0 && names[i]; i++) {
		const struct stage_node *child = stage_child(level->node, names[i]);

		if ((child && child->kind != STAGE_MERGED) ||
			(only_directories && !is_directory(level->base, names[i])))
			continue;
		if (++n > MOUNTS_MAX)
			return err_set(level->err, -E2BIG,
				"a stage changes %s, where more than %d entries would have to be "
				"mounted",
				text_sanitize(quoted, sizeof(quoted), level->node->path),
				MOUNTS_MAX);
		r = act(level, names[i]);
		if (r < 0)
			fail(level, r, names[i], "showing the pod's");
	}
	return r;
}

static int bind_back(const struct level *level, const char *name)
{
	return bind_entry(level->base, name, level->top, name, 0);
}

static int show_base(const struct level *level, const char *name)
{
	return show(level->base, name, level->top, name, 0);
}

/* A directory of several stages, over nothing. */
static int show_merged(const struct level *level, const struct stage_node *child)
{
	autoclose int overlay =
		overlay_of(level->plan, child, -1, -1, level->attributes | MOUNT_ATTR_RDONLY);

	if (overlay < 0)
		return overlay;
	if (mkdirat(level->top, child->name, 0755) < 0)
		return -errno;
	return attach(overlay, level->top, child->name);
}

/* Something of one stage, by way of the directory in which it has it. */
static int show_source(const struct level *level, const struct stage_node *child)
{
	const struct stage_source *source = &child->sources[child->n_sources - 1];
	autofree char *directory = strdup(source->path);
	const char *name = strrchr(source->path, '/');
	struct stage_source parent = {source->stage, directory};
	autoclose int fd = -1;

	if (!directory)
		return -ENOMEM;
	directory[name ? name - source->path : 0] = '\0';
	fd = stage_open_source(level->plan, &parent);
	if (fd < 0)
		return fd;
	return show(fd, name ? name + 1 : source->path, level->top, child->name,
		level->attributes | MOUNT_ATTR_RDONLY);
}

static int show_stages(const struct level *level)
{
	for (const struct stage_node *child = level->node->children; child; child = child->next) {
		int r = 0;

		if (child->kind == STAGE_MERGED)
			continue;
		if (child->n_sources > 1)
			r = show_merged(level, child);
		else
			r = show_source(level, child);
		if (r < 0)
			return fail(level, r, child->name, "showing a stage's");
	}
	return 0;
}

/* A tmpfs with the mode of the directory that it covers; also its owner, where the user namespace
 * knows that one. */
static int cover(struct level *level)
{
	char mode[16];
	const char *const options[] = {"source", "podd", "mode", mode, NULL};
	struct stat st;
	int r;

	if (fstat(level->base, &st) < 0)
		return fail(level, -errno, NULL, "looking at the pod's");
	snprintf(mode, sizeof(mode), "%o", (unsigned)st.st_mode & 07777);
	level->top = make_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	r = level->top < 0 ? level->top : attach(level->top, level->base, "");
	if (r < 0)
		return fail(level, r, NULL, "mounting the pod's");
	if (fchownat(level->top, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0 && errno != EINVAL &&
		errno != EPERM)
		return fail(level, -errno, NULL, "mounting the pod's");
	return 0;
}

static int fill_cover(const struct level *level)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	int r;

	r = for_base(level, false, show_base);
	if (r == 0)
		r = show_stages(level);
	if (r < 0)
		return r;
	if (mount_setattr(level->top, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
		return fail(level, -errno, NULL, "mounting the pod's");
	return 0;
}

/* The empty cover is the first layer, since that is whose mode an overlay shows. */
static int make_level(struct level *level)
{
	autoclose int overlay = -1;
	int r = cover(level);

	if (r < 0)
		return r;
	overlay = overlay_of(level->plan, level->node, level->top, level->base,
		level->attributes | MOUNT_ATTR_RDONLY);
	if (overlay < 0)
		return fill_cover(level);
	r = attach(overlay, level->top, "");
	if (r < 0)
		return fail(level, r, NULL, "mounting the pod's");
	close(level->top);
	level->top = take_fd(&overlay);
	return for_base(level, true, bind_back);
}

static unsigned stage_attributes(int dirfd)
{
	unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	struct statvfs vfs;

	/* What the host lets nobody execute, a stage does not make executable. */
	if (fstatvfs(dirfd, &vfs) == 0 && (vfs.f_flag & ST_NOEXEC))
		attributes |= MOUNT_ATTR_NOEXEC;
	return attributes;
}

static int mount_node(const struct stage_plan *plan, const struct stage_node *node, int dirfd,
	int *ret_top, struct err *err)
{
	struct level level = {.plan = plan,
		.node = node,
		.base = dirfd,
		.top = -1,
		.attributes = stage_attributes(dirfd),
		.err = err};
	int r = node->changed ? make_level(&level) : 0;

	for (const struct stage_node *child = node->children; r == 0 && child;
		child = child->next) {
		autoclose int fd = -1;

		if (child->kind != STAGE_MERGED)
			continue;
		fd = openat(level.top >= 0 ? level.top : dirfd, child->name,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? fail(&level, -errno, child->name, "opening the pod's")
			   : mount_node(plan, child, fd, NULL, err);
	}
	if (r == 0 && ret_top)
		*ret_top = take_fd(&level.top);
	cleanup_close(&level.top);
	return r;
}

int outer_stage_mount(const struct stage_plan *plan, int *ret_top, struct err *err)
{
	return mount_node(plan, plan->top, plan->base, ret_top, err);
}

/* Takes away what the working directory is the root of, after what is mounted over it; "." leads to
 * the topmost one. Then it is nowhere any more (EINVAL). Its mounts must have no peers, which would
 * go as well. */
static int leave(struct err *err)
{
	if (mount(NULL, ".", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(err, "separating the host's mounts from the pod's");
	while (umount2(".", MNT_DETACH) == 0)
		;
	return errno == EINVAL ? 0 : err_errno(err, "leaving the host's root directory");
}

/* The old root comes to lie over the new one, see pivot_root(2). */
int outer_stage_pivot(int top, struct err *err)
{
	autoclose int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (old < 0 || fchdir(top) < 0)
		return err_errno(err, "going to the pod's root directory");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(err, "making the pod's root directory its root");
	if (fchdir(old) < 0)
		return err_errno(err, "going to the host's root directory");
	r = leave(err);
	if (r < 0)
		return r;
	return chdir("/") < 0 ? err_errno(err, "going to /") : 0;
}
