/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Overlays and owners: see overlay.h. Number N lies in overlay/N below the container's directory:
 * upper, work, and merged, which the bundle names. "userxattr" is what the kernel wants without
 * privilege (Documentation/filesystems/overlayfs.rst).
 */

#include "overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "file.h"
#include "text.h"

#define CHOWN_DEPTH_MAX 256

static int own_mount_namespace(struct err *err)
{
	static bool done;

	if (done)
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(err, "making a mount namespace");
	/* What is mounted in the pod later still comes in; nothing goes out. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(err, "making the mounts private");
	done = true;
	return 0;
}

static int set_option(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
}

/* Through fsconfig(2), so that ':' and ',' in a path mean nothing; the kernel takes '\\' before
 * ':' as an escape in lowerdir only. */
static char *escape_lower(const char *path)
{
	char *escaped = malloc(strlen(path) * 2 + 1);
	char *to = escaped;

	for (; escaped && *path; path++) {
		if (*path == ':' || *path == '\\')
			*to++ = '\\';
		*to++ = *path;
	}
	if (escaped)
		*to = '\0';
	return escaped;
}

static int mount_at(const char *lower, const char *upper, const char *work, const char *merged)
{
	autofree char *escaped = escape_lower(lower);
	autoclose int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	autoclose int tree = -1;
	int r;

	if (!escaped)
		return -ENOMEM;
	if (fs < 0)
		return -errno;
	r = set_option(fs, "lowerdir", escaped);
	if (r == 0)
		r = set_option(fs, "upperdir", upper);
	if (r == 0)
		r = set_option(fs, "workdir", work);
	if (r == 0 && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		r = -errno;
	if (r == 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	if (r < 0)
		return r;
	tree = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (tree < 0)
		return -errno;
	return move_mount(tree, "", AT_FDCWD, merged, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* The upper directory is the new root of what is shown: it looks like the lower one. */
static int copy_root(const char *lower, int dirfd)
{
	struct stat st;

	if (stat(lower, &st) < 0)
		return -errno;
	if (fchownat(dirfd, "upper", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno != EINVAL && errno != EPERM)
		return -errno;
	return fchmodat(dirfd, "upper", st.st_mode & 07777, 0) < 0 ? -errno : 0;
}

static int make_directories(int overlays, const char *number, const char *lower, struct err *err)
{
	static const char *const names[] = {"upper", "work", "merged"};
	autoclose int dirfd = -1;
	int r;

	r = file_make_dir(overlays, number, &dirfd, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mkdirat(dirfd, names[i], 0755) < 0)
			return err_errno(err, "making " CONTAINER_OVERLAY "/%s/%s", number, names[i]);
	r = copy_root(lower, dirfd);
	return r < 0 ? err_set(err, r, "looking at %s: %s", lower, strerror(-r)) : 0;
}

static int mount_number(const struct place *place, int overlays, size_t i, struct err *err)
{
	const char *lower = place->spec.overlays[i];
	char number[24];
	int r;

	snprintf(number, sizeof(number), "%zu", i);
	r = make_directories(overlays, number, lower, err);
	if (r < 0)
		return r;
	autofree char *base = text_format(
		"%s/children/%s/" CONTAINER_OVERLAY "/%s", place->pod_dir, place->name, number);
	autofree char *upper = base ? text_format("%s/upper", base) : NULL;
	autofree char *work = base ? text_format("%s/work", base) : NULL;
	autofree char *merged = base ? text_format("%s/merged", base) : NULL;

	if (!upper || !work || !merged)
		return err_oom(err);
	r = mount_at(lower, upper, work, merged);
	return r < 0 ? err_set(err, r, "mounting an overlay on %s: %s", lower, strerror(-r)) : 0;
}

int overlay_mount(const struct place *place, struct err *err)
{
	char *const *lowers = place->spec.overlays;
	autoclose int overlays = -1;
	int r;

	if (!lowers || !lowers[0])
		return 0;
	r = own_mount_namespace(err);
	if (r == 0) {
		overlay_remove(place);
		r = file_make_dir(place->childfd, CONTAINER_OVERLAY, &overlays, err);
	}
	for (size_t i = 0; r == 0 && lowers[i]; i++)
		r = mount_number(place, overlays, i, err);
	return r;
}

void overlay_remove(const struct place *place)
{
	char *const *lowers = place->spec.overlays;
	struct err err = {};

	for (size_t i = 0; lowers && lowers[i]; i++) {
		autofree char *merged = text_format("%s/children/%s/" CONTAINER_OVERLAY "/%zu/merged",
			place->pod_dir, place->name, i);

		if (merged)
			(void)umount2(merged, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	if (file_remove_tree(place->childfd, CONTAINER_OVERLAY, &err) < 0)
		place_log(place, "removing the overlays: %s", err.msg);
}

/* ---- owners ---- */

static int chown_tree(int dirfd, const char *name, uid_t uid, gid_t gid, unsigned depth);

static int chown_entries(int fd, uid_t uid, gid_t gid, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		close(fd);
		return -errno;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = chown_tree(dirfd(dir), entry->d_name, uid, gid, depth);
	if (r == 0 && !entry)
		r = -errno;
	closedir(dir);
	return r;
}

static int chown_tree(int dirfd, const char *name, uid_t uid, gid_t gid, unsigned depth)
{
	struct stat st;
	int fd;

	if (depth > CHOWN_DEPTH_MAX)
		return -ELOOP;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((st.st_uid != uid || st.st_gid != gid) &&
		fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : chown_entries(fd, uid, gid, depth + 1);
}

int overlay_chown(char *const *paths, uid_t uid, gid_t gid, struct err *err)
{
	for (size_t i = 0; paths && paths[i]; i++) {
		int r = chown_tree(AT_FDCWD, paths[i], uid, gid, 0);

		if (r < 0)
			return err_set(err, r, "changing the owner of %s: %s", paths[i],
				strerror(-r));
	}
	return 0;
}
