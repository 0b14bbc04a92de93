/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Durable files and owned directories: see file.h. */

#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "text.h"

/* Deepest tree that file_remove_tree() walks: the hierarchy with room to spare. */
#define REMOVE_DEPTH_MAX 64
/* user_namespaces(7), "Unmapped user and group IDs" */
#define OVERFLOW_UID 65534

/* Files belong to whom their directory belongs to, whoever of the two roots wrote them. */
static int give_to_owner_of(int dirfd, int fd)
{
	struct stat dir, file;

	if (fstat(dirfd, &dir) < 0 || fstat(fd, &file) < 0)
		return -errno;
	if (dir.st_uid == file.st_uid && dir.st_gid == file.st_gid)
		return 0;
	return fchown(fd, dir.st_uid, dir.st_gid) < 0 ? -errno : 0;
}

static int sync_write(int dirfd, int fd, const void *data, size_t length, mode_t mode)
{
	int r = fd_write_all(fd, data, length);

	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0)
		return -errno;
	r = give_to_owner_of(dirfd, fd);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

/* True when the name still leads to the file that was opened by it. */
static bool is_current(int dirfd, const char *name, int fd)
{
	struct stat named, held;

	return fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &held) == 0 &&
	       named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

int file_write(int dirfd, const char *name, const void *data, size_t length, mode_t mode,
	struct err *err)
{
	char temporary[300];
	autoclose int fd = -1;
	int r;

	r = snprintf(temporary, sizeof(temporary), ".%s.new", name);
	if (r < 0 || (size_t)r >= sizeof(temporary))
		return err_set(err, -ENAMETOOLONG, "file name '%s' is too long", name);
	/* One writer per file: a leftover of that name is of a writer that died. */
	unlinkat(dirfd, temporary, 0);
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "creating a new %s", name);
	r = sync_write(dirfd, fd, data, length, mode);
	/* Another writer's half of it must not be taken for the whole. */
	if (r == 0 && !is_current(dirfd, temporary, fd))
		r = -EBUSY;
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		if (r != -EBUSY)
			unlinkat(dirfd, temporary, 0);
		errno = -r;
		return err_errno(err, "writing %s", name);
	}
	if (fsync(dirfd) < 0)
		return err_errno(err, "syncing the directory of %s", name);
	return 0;
}

int file_overwrite(int dirfd, const char *name, const void *data, size_t length, mode_t mode,
	struct err *err)
{
	autoclose int fd = -1;
	int r;

	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(err, "opening %s for writing", name);
	r = sync_write(dirfd, fd, data, length, mode);
	if (r == 0 && ftruncate(fd, (off_t)length) < 0)
		r = -errno;
	if (r < 0) {
		errno = -r;
		return err_errno(err, "writing %s", name);
	}
	return 0;
}

int file_read(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_length,
	struct err *err)
{
	autoclose int fd = -1;
	struct stat st;
	int r;

	/* O_NONBLOCK: a fifo in its place must not hold us up. */
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "opening %s", name);
	if (fstat(fd, &st) < 0)
		return err_errno(err, "looking at %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is not a regular file", name);
	r = fd_read_all(fd, max, ret_data, ret_length);
	if (r == -EFBIG)
		return err_set(
			err, r, "%s is larger than the %zu bytes that are allowed", name, max);
	if (r < 0) {
		errno = -r;
		return err_errno(err, "reading %s", name);
	}
	return 0;
}

int file_remove(int dirfd, const char *name, struct err *err)
{
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_errno(err, "removing %s", name);
	return 0;
}

/* True for the creator of the caller's user namespace, as the caller sees that uid (ioctl_ns(2)). */
static bool is_creator_of_userns(uid_t uid)
{
	autoclose int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	uid_t creator;

	/* Everybody without an id in the namespace is shown as the overflow uid. */
	if (uid == OVERFLOW_UID || fd < 0 || ioctl(fd, NS_GET_OWNER_UID, &creator) < 0)
		return false;
	return uid == creator;
}

int file_check_owned(int fd, const char *what, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "looking at %s", what);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a directory", what);
	if (st.st_uid != geteuid() && !is_creator_of_userns(st.st_uid))
		return err_set(err, -EPERM, "%s belongs to uid %u, not to the caller (uid %u)",
			what, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & 022)
		return err_set(err, -EPERM,
			"%s can be written by others (mode %04o); make it 0700", what,
			(unsigned)(st.st_mode & 07777));
	return 0;
}

int file_open_dir(int dirfd, const char *name, int *ret_fd, struct err *err)
{
	autoclose int fd = -1;
	int r;

	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_set(err, -ENOTDIR,
			"%s is not a directory (a symbolic link is not followed)", name);
	if (fd < 0)
		return err_errno(err, "opening the directory %s", name);
	r = file_check_owned(fd, name, err);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int file_make_dir(int dirfd, const char *name, int *ret_fd, struct err *err)
{
	autoclose int fd = -1;
	bool made;
	int r;

	made = mkdirat(dirfd, name, 0700) == 0;
	if (!made && errno != EEXIST)
		return err_errno(err, "making the directory %s", name);
	r = file_open_dir(dirfd, name, &fd, err);
	if (r < 0)
		return r;
	if (made) {
		r = give_to_owner_of(dirfd, fd);
		/* Above the root of the hierarchy the owner is another one: that is as it is. */
		if (r < 0 && r != -EPERM) {
			errno = -r;
			return err_errno(err, "giving the directory %s to its owner", name);
		}
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The removal of a tree. It goes REMOVE_DEPTH_MAX directories down, since each one that is open
 * takes a descriptor and stack; what is deeper, as only who wants to annoy makes it, is moved up
 * first. */
struct removal {
	dev_t device;
	int top;        /* the tree's own directory */
	unsigned moved; /* to it */
	struct err *err;
};

/* A bind mount can be of the same device; since Linux 5.8 statx(2) tells. */
static bool is_mount(const struct statx *stx, dev_t device)
{
	return makedev(stx->stx_dev_major, stx->stx_dev_minor) != device ||
	       (stx->stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int open_to_remove(const struct removal *removal, int dirfd, const char *name, int *ret)
{
	autoclose int fd = -1;
	struct statx stx;

	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) < 0)
		return err_errno(removal->err, "removing %s", name);
	if (is_mount(&stx, removal->device))
		return err_set(
			removal->err, -EXDEV, "removing %s: something is mounted there", name);
	*ret = take_fd(&fd);
	return 0;
}

static int move_up(struct removal *removal, int dirfd, const char *name)
{
	char target[32];

	do {
		snprintf(target, sizeof(target), ".deep-%u", removal->moved++);
		if (renameat2(dirfd, name, removal->top, target, RENAME_NOREPLACE) == 0)
			return 0;
	} while (errno == EEXIST);
	return err_errno(removal->err, "removing %s, which is deep in its tree", name);
}

static int remove_at(struct removal *removal, int dirfd, const char *name, unsigned depth);

static int remove_contents(struct removal *removal, int fd, unsigned depth)
{
	autoclose int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		return err_errno(removal->err, "reading a directory");
	copy = -1;
	while (r == 0 && (entry = readdir(dir)))
		if (!text_equal(entry->d_name, ".") && !text_equal(entry->d_name, ".."))
			r = remove_at(removal, fd, entry->d_name, depth);
	closedir(dir);
	return r;
}

static int remove_at(struct removal *removal, int dirfd, const char *name, unsigned depth)
{
	autoclose int fd = -1;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(removal->err, "removing %s", name);
	r = open_to_remove(removal, dirfd, name, &fd);
	if (r == 0 && depth == 0)
		return move_up(removal, dirfd, name);
	if (r == 0)
		r = remove_contents(removal, fd, depth - 1);
	if (r < 0)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(removal->err, "removing the directory %s", name);
	return 0;
}

/* What was moved up while the directory was read may not have been seen. */
static int remove_all_contents(struct removal *removal)
{
	unsigned moved;
	int r;

	do {
		moved = removal->moved;
		r = remove_contents(removal, removal->top, REMOVE_DEPTH_MAX);
	} while (r == 0 && removal->moved != moved);
	return r;
}

int file_remove_tree(int dirfd, const char *name, struct err *err)
{
	struct removal removal = {.top = -1, .err = err};
	autoclose int top = -1;
	struct stat st;
	int r;

	if (fstat(dirfd, &st) < 0)
		return err_errno(err, "looking at the directory of %s", name);
	removal.device = st.st_dev;
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "removing %s", name);
	r = open_to_remove(&removal, dirfd, name, &top);
	removal.top = top;
	if (r == 0)
		r = remove_all_contents(&removal);
	if (r < 0)
		return r;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_errno(err, "removing the directory %s", name);
	return 0;
}

int file_lock(int dirfd, const char *name, unsigned timeout_ms, int *ret_fd, struct err *err)
{
	int64_t deadline = deadline_now_ms() + timeout_ms;

	for (;;) {
		autoclose int fd = openat(dirfd, name,
			O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		int r;

		if (fd < 0)
			return err_errno(err, "opening the lock %s", name);
		r = give_to_owner_of(dirfd, fd);
		if (r == 0)
			r = fd_lock(fd, deadline_left_ms(deadline, timeout_ms));
		if (r == -EWOULDBLOCK)
			return err_set(err, r, "the lock %s is held by another process", name);
		if (r < 0) {
			errno = -r;
			return err_errno(err, "taking the lock %s", name);
		}
		/* Whoever held it before may have removed the file: a lock on nothing. */
		if (is_current(dirfd, name, fd)) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int file_list(int dirfd, size_t max, char ***ret_names, struct err *err)
{
	autoclose int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autostrv names = NULL;
	struct dirent *entry;
	size_t n = 0, size = 0;
	DIR *dir;
	int r = 0;

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir)
		return err_errno(err, "reading a directory");
	copy = -1;
	while (r == 0 && (entry = readdir(dir))) {
		if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
			continue;
		if (n == max) {
			r = err_set(err, -E2BIG, "a directory has more than %zu entries", max);
			break;
		}
		if (n + 1 >= size) {
			char **grown;

			size = size ? size * 2 : 16;
			grown = realloc(names, size * sizeof(*names));
			if (!grown) {
				r = err_oom(err);
				break;
			}
			names = grown;
		}
		names[n] = strdup(entry->d_name);
		if (!names[n])
			r = err_oom(err);
		else
			names[++n] = NULL;
	}
	closedir(dir);
	if (r < 0)
		return r;
	if (n > 0)
		qsort(names, n, sizeof(*names), compare_names);
	else if (!names && !(names = calloc(1, sizeof(*names))))
		return err_oom(err);
	*ret_names = take_ptr(names);
	return 0;
}
