/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Telling podd-outer what it shall see in place of the host's file system: see outer-root.h. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni.h"
#include "file.h"
#include "hierarchy.h"
#include "outer.h"
#include "pod.h"
#include "text.h"

static int send_tree(struct pod *pod, enum outer_tree_kind kind, const char *path, struct err *err)
{
	struct outer_tree tree = {.kind = kind};

	if (text_copy(tree.path, sizeof(tree.path), path) < 0)
		return err_set(err, -ENAMETOOLONG, "the path %s is too long", path);
	return pod_ask_outer_tree(pod, &tree, err);
}

/* Somebody else may have what is there now, in a directory like /tmp. */
static int send_trusted(
	struct pod *pod, enum outer_tree_kind kind, const char *path, struct err *err)
{
	int r = cni_check_trusted(path, err);

	/* What else is wrong with it, podd-outer sees better. */
	if (r == -EPERM)
		return err_wrap(err, r, "%s", kind == OUTER_TREE_ROOT ? "--root" : "--stage");
	return send_tree(pod, kind, path, err);
}

/* ---- directories that have to be there ---- */

static int make_directories(int dirfd, const char *path, struct err *err)
{
	autostrv parts = NULL;
	autoclose int fd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "opening the pod's " POD_SKELETON);
	if (strv_split(path, '/', &parts) < 0)
		return err_oom(err);
	for (size_t i = 0; parts && parts[i]; i++) {
		int next = mkdirat(fd, parts[i], 0755) < 0 && errno != EEXIST
				   ? -1
				   : openat(fd, parts[i],
					     O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0)
			return err_errno(err, "making %s in the pod's " POD_SKELETON, path);
		close(fd);
		fd = next;
	}
	return 0;
}

/* What the outer container cannot do without. As a tree like a stage, below all of them, so that it
 * comes to a root directory that lacks some of it the way that a stage does. */
static int make_skeleton(struct pod *pod, const char *records, struct err *err)
{
	const char *const needed[] = {"proc", "sys", "dev", "run", "tmp", "etc", "var/lib/cni",
		records, pod->spec.host_at};
	autoclose int fd = -1, resolv = -1;
	int r;

	r = file_remove_tree(pod->podfd, POD_SKELETON, err);
	if (r == 0)
		r = file_make_dir(pod->podfd, POD_SKELETON, &fd, err);
	if (r == 0 && fchmod(fd, 0755) < 0)
		r = err_errno(err, "making the pod's " POD_SKELETON);
	for (size_t i = 0; r == 0 && i < sizeof(needed) / sizeof(*needed); i++)
		if (needed[i])
			r = make_directories(fd, needed[i], err);
	/* Where the pod has a resolv.conf of its own. */
	if (r < 0 || pod->spec.net == POD_NET_NONE || pod->spec.net == POD_NET_HOST)
		return r;
	resolv = openat(fd, "etc/resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return resolv < 0 ? err_errno(err, "making the pod's " POD_SKELETON) : 0;
}

static int send_root(struct pod *pod, const char *records, struct err *err)
{
	autofree char *pod_dir = hierarchy_pod_dir(records, pod->path);
	autofree char *skeleton = pod_dir ? text_format("%s/" POD_SKELETON, pod_dir) : NULL;
	int r;

	if (!skeleton)
		return err_oom(err);
	r = make_skeleton(pod, records, err);
	if (r == 0)
		r = send_tree(pod, OUTER_TREE_SKELETON, skeleton, err);
	if (r == 0)
		r = send_trusted(pod, OUTER_TREE_ROOT, pod->spec.root, err);
	if (r == 0 && pod->spec.host_at)
		r = send_tree(pod, OUTER_TREE_HOST_AT, pod->spec.host_at, err);
	return r;
}

int pod_send_trees(struct pod *pod, struct err *err)
{
	char *const *stages = pod->spec.stages;
	autofree char *records = NULL;
	int r;

	if (!stages && !pod->spec.root)
		return 0;
	records = realpath(pod->root, NULL);
	if (!records)
		return err_errno(err, "%s", pod->root);
	r = send_tree(pod, OUTER_TREE_RECORDS, records, err);
	for (size_t i = 0; r == 0 && stages && stages[i]; i++)
		r = send_trusted(pod, OUTER_TREE_STAGE, stages[i], err);
	return r == 0 && pod->spec.root ? send_root(pod, records, err) : r;
}

int pod_identify_host_mount(struct pod *pod, struct err *err)
{
	autoclose int dir = -1, fd = -1;
	int r;

	if (!pod->spec.root)
		return 0;
	r = proc_open_dir(&pod->state.outer, &dir);
	if (r < 0)
		return err_set(err, r, "podd-outer ended while it started");
	r = ns_open_host_mount(dir, &fd);
	if (r == 0)
		r = ns_identify_fd(fd, &pod->state.host_mount);
	return r < 0 ? err_set(err, r, "looking at podd-outer's mount namespaces: %s", strerror(-r))
		     : 0;
}
