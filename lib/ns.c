/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Namespaces: see ns.h. */

#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

static const struct {
	const char *name;
	const char *oci_name;
	int flag;
} kinds[NS_KINDS] = {
	[NS_USER] = {"user", "user", CLONE_NEWUSER},
	[NS_MNT] = {"mnt", "mount", CLONE_NEWNS},
	[NS_NET] = {"net", "network", CLONE_NEWNET},
	[NS_IPC] = {"ipc", "ipc", CLONE_NEWIPC},
	[NS_UTS] = {"uts", "uts", CLONE_NEWUTS},
	[NS_PID] = {"pid", "pid", CLONE_NEWPID},
};

const char *ns_name(enum ns_kind kind)
{
	return kinds[kind].name;
}

const char *ns_oci_name(enum ns_kind kind)
{
	return kinds[kind].oci_name;
}

int ns_clone_flag(enum ns_kind kind)
{
	return kinds[kind].flag;
}

void ns_set_init(struct ns_set *set)
{
	for (int i = 0; i < NS_KINDS; i++)
		set->fds[i] = -1;
}

void ns_set_done(struct ns_set *set)
{
	for (int i = 0; i < NS_KINDS; i++)
		if (set->fds[i] >= 0)
			close(set->fds[i]);
	ns_set_init(set);
}

bool ns_equal(const struct ns_id *a, const struct ns_id *b)
{
	return a->device == b->device && a->inode == b->inode;
}

int ns_identify_fd(int fd, struct ns_id *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	ret->device = st.st_dev;
	ret->inode = st.st_ino;
	return 0;
}

/* O_PATH would do to name one, but setns(2) needs it open. */
static int open_one(int procdir, enum ns_kind kind, int *ret)
{
	char path[32];
	int fd;

	if (procdir < 0)
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[kind].name);
	else
		snprintf(path, sizeof(path), "ns/%s", kinds[kind].name);
	fd = openat(procdir < 0 ? AT_FDCWD : procdir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

int ns_identify(int procdir, struct ns_id ret[NS_KINDS], struct err *err)
{
	struct ns_id ids[NS_KINDS];

	for (int i = 0; i < NS_KINDS; i++) {
		autoclose int fd = -1;
		int r = open_one(procdir, (enum ns_kind)i, &fd);

		if (r == 0)
			r = ns_identify_fd(fd, &ids[i]);
		if (r < 0)
			return err_set(err, r, "cannot look at the %s namespace: %s", kinds[i].name,
				strerror(-r));
	}
	memcpy(ret, ids, sizeof(ids));
	return 0;
}

int ns_open(int procdir, const struct ns_id ids[NS_KINDS], struct ns_set *ret, struct err *err)
{
	cleanup(ns_set_done) struct ns_set set;

	ns_set_init(&set);
	for (int i = 0; i < NS_KINDS; i++) {
		struct ns_id found = {};
		int r;

		if (ids[i].inode == 0)
			continue;
		r = open_one(procdir, (enum ns_kind)i, &set.fds[i]);
		if (r == 0)
			r = ns_identify_fd(set.fds[i], &found);
		if (r < 0)
			return err_set(err, r, "cannot open the pod's %s namespace: %s",
				kinds[i].name, strerror(-r));
		if (!ns_equal(&found, &ids[i]))
			return err_set(err, -ESTALE,
				"the pod's outer container is not in the %s namespace of its record",
				kinds[i].name);
	}
	*ret = set;
	ns_set_init(&set);
	return 0;
}

int ns_open_host_mount(int procdir, int *ret_fd)
{
	char path[16];
	int fd;

	snprintf(path, sizeof(path), "fd/%d", NS_FD_HOST_MOUNT);
	fd = openat(procdir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int join_one(const struct ns_set *set, const struct ns_id own[NS_KINDS], enum ns_kind kind,
	struct err *err)
{
	struct ns_id id = {};
	int r;

	if (set->fds[kind] < 0)
		return 0;
	r = ns_identify_fd(set->fds[kind], &id);
	if (r < 0)
		return err_set(err, r, "looking at the %s namespace: %s", kinds[kind].name,
			strerror(-r));
	/* setns(2): entering the user namespace that one is in already gives EINVAL. */
	if (ns_equal(&id, &own[kind]))
		return 0;
	if (setns(set->fds[kind], kinds[kind].flag) < 0)
		return err_errno(err, "entering the pod's %s namespace", kinds[kind].name);
	return 0;
}

/* Becomes root of the user namespace. The supplementary groups stay: they are the caller's, and
 * giving them up needs a mapping of them. */
static int become_root(struct err *err)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_errno(err, "becoming root in the pod's user namespace");
	return 0;
}

int ns_join(const struct ns_set *set, struct err *err)
{
	/* Not the pid namespace: setns(2) into it concerns children only, and /proc stays the
	 * host's. */
	static const enum ns_kind order[] = {NS_USER, NS_IPC, NS_UTS, NS_NET, NS_MNT};
	struct ns_id own[NS_KINDS];
	int r;

	r = ns_identify(-1, own, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		r = join_one(set, own, order[i], err);
		if (r < 0)
			return r;
		if (order[i] == NS_USER && set->fds[NS_USER] >= 0) {
			r = become_root(err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
