/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The pod's private directories. A private directory is a tmpfs with every entry of the host's
 * directory bound back in, so that what is there stays what it was and what is added is the
 * pod's. New entries that the host makes later do not appear; changes below the old ones do.
 * Overlayfs would show those too, but hides what is mounted below it.
 */

#include "outer-mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

/* A directory like /run has some fifty entries; more than this is not one. */
#define ENTRIES_MAX 4096

static int make_target(const char *target, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return mkdir(target, 0755) < 0 ? -errno : 0;
	autoclose int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static int copy_link(int olddir, const char *name, const char *target)
{
	char text[4096];
	ssize_t n = readlinkat(olddir, name, text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return symlink(text, target) < 0 ? -errno : 0;
}

/* Makes <directory>/<name> be what <olddir>/<name> is. One that vanished meanwhile is no error. */
static int bind_back(int olddir, const char *directory, const char *name)
{
	char source[sizeof("/proc/self/fd/") + 16 + 256], target[512];
	struct stat st;
	int r;

	if (fstatat(olddir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	snprintf(source, sizeof(source), "/proc/self/fd/%d/%s", olddir, name);
	snprintf(target, sizeof(target), "%s/%s", directory, name);
	if (S_ISLNK(st.st_mode)) {
		r = copy_link(olddir, name, target);
		return r == -ENOENT ? 0 : r;
	}
	r = make_target(target, &st);
	if (r < 0)
		return r;
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) == 0)
		return 0;
	r = -errno;
	if (S_ISDIR(st.st_mode))
		rmdir(target);
	else
		unlink(target);
	return r == -ENOENT ? 0 : r;
}

static int bind_all_back(int olddir, const char *directory, const char *const *own,
	struct err *err)
{
	int copy = openat(olddir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	unsigned n = 0;
	int r = 0;

	if (!dir)
		return err_errno(err, "reading the host's %s", directory);
	while (r == 0 && (entry = readdir(dir))) {
		bool skip = text_equal(entry->d_name, ".") || text_equal(entry->d_name, "..");

		for (size_t i = 0; own[i]; i++)
			skip = skip || text_equal(entry->d_name, own[i]);
		if (skip)
			continue;
		if (++n > ENTRIES_MAX)
			r = err_set(err, -E2BIG, "%s has more than %d entries", directory,
				ENTRIES_MAX);
		else
			r = bind_back(olddir, directory, entry->d_name);
		if (r < 0 && r != -E2BIG)
			err_set(err, r, "showing the host's %s/%s in the pod: %s", directory,
				entry->d_name, strerror(-r));
	}
	closedir(dir);
	return r;
}

/* Covers @directory by a private one; the entries in @own are not taken over. */
static int make_private(const char *directory, const char *const *own, struct err *err)
{
	autoclose int old = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (old < 0)
		return err_errno(err, "opening the host's %s", directory);
	if (mount("podd", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return err_errno(err, "mounting the pod's own %s", directory);
	return bind_all_back(old, directory, own, err);
}

/* /run: the pod's named network namespaces, and the lock of iptables(8), are its own. */
static int setup_run(struct err *err)
{
	static const char *const own[] = {"netns", "xtables.lock", NULL};
	autoclose int lock = -1;
	int r;

	r = make_private("/run", own, err);
	if (r < 0)
		return r;
	if (mkdir("/run/netns", 0755) < 0)
		return err_errno(err, "making the pod's /run/netns");
	/* ip-netns(8) makes a mount point of it if it is none, with copies of what is mounted below: those
	 * hide the first ones, which nobody could remove any more. */
	if (mount("/run/netns", "/run/netns", NULL, MS_BIND, NULL) < 0)
		return err_errno(err, "mounting the pod's /run/netns");
	lock = open("/run/xtables.lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (lock < 0)
		return err_errno(err, "making the pod's /run/xtables.lock");
	return 0;
}

/* /var/lib/cni, where plugins keep leases and state: the pod's cni directory. */
static int setup_cni(struct err *err)
{
	static const char *const own[] = {NULL};
	int r;

	if (access("/var/lib/cni", F_OK) < 0) {
		r = make_private("/var/lib", own, err);
		if (r < 0)
			return r;
		if (mkdir("/var/lib/cni", 0755) < 0)
			return err_errno(err, "making the pod's /var/lib/cni");
	}
	if (mount("cni", "/var/lib/cni", NULL, MS_BIND, NULL) < 0)
		return err_errno(err, "mounting the pod's /var/lib/cni");
	return 0;
}

/* The host's nameserver may be one on its loopback, which the pod does not have. Where the host has
 * no file there is nothing to cover. */
static int setup_resolv(struct err *err)
{
	if (access("/etc/resolv.conf", F_OK) < 0)
		return 0;
	if (mount("etc/resolv.conf", "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return err_errno(err, "mounting the pod's /etc/resolv.conf");
	return 0;
}

/* /dev/shm, which the pod's children share. A host without one has no POSIX shared memory. */
static int setup_shm(uint64_t size, struct err *err)
{
	char options[64];

	if (access("/dev/shm", F_OK) < 0)
		return 0;
	snprintf(options, sizeof(options), "mode=1777,size=%" PRIu64, size);
	if (mount("podd", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_errno(err, "mounting the pod's own /dev/shm");
	return 0;
}

int outer_mounts_setup(bool own_resolv, uint64_t shm_size, const struct outer_trees *trees,
	struct err *err)
{
	int r;

	/* What the host mounts later appears here; nothing of ours appears there. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(err, "separating the pod's mounts from the host's");
	r = outer_root_stage(trees, err);
	if (r == 0)
		r = setup_cni(err);
	if (r == 0)
		r = setup_run(err);
	if (r == 0 && own_resolv)
		r = setup_resolv(err);
	if (r == 0)
		r = setup_shm(shm_size, err);
	return r == 0 ? outer_root_change(trees, own_resolv, err) : r;
}
