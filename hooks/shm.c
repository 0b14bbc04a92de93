/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Sharing /dev/shm: see shm.h. A mount can only be copied in its own mount namespace, so a
 * short-lived child goes to the pod's and hands the copy over (open_tree(2)); here it is put where
 * the container will find it (move_mount(2)). The runtime has made the container's mounts by then,
 * and has not changed its root: that is where config.json says. What lies below that is hostile.
 */

#include "shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "fd.h"
#include "file.h"
#include "json.h"
#include "ns.h"

#define CONFIG "config.json"
#define SHM "dev/shm"

static bool is_in_pods_ipc(const struct place *place)
{
	const struct ns_id *pods = &place->state.namespaces[NS_IPC];
	struct ns_id own[NS_KINDS];

	return pods->inode != 0 && ns_identify(-1, own, NULL) == 0 && ns_equal(&own[NS_IPC], pods);
}

/* ---- the pod's ---- */

static int join_mounts(const struct place *place)
{
	cleanup(ns_set_done) struct ns_set set;
	struct ns_id wanted[NS_KINDS] = {};
	autoclose int dir = -1;
	int r;

	ns_set_init(&set);
	wanted[NS_MNT] = place->state.namespaces[NS_MNT];
	r = proc_open_dir(&place->state.outer, &dir);
	if (r == 0)
		r = ns_open(dir, wanted, &set, NULL);
	return r < 0 ? r : ns_join(&set, NULL);
}

static void __attribute__((noreturn)) send_tree(const struct place *place, int socket)
{
	int result = join_mounts(place);
	int tree = -1;

	if (result == 0)
		tree = open_tree(AT_FDCWD, "/" SHM, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (result == 0 && tree < 0)
		result = -errno;
	fd_send(socket, &result, sizeof(result), &tree, tree >= 0 ? 1 : 0);
	_exit(0);
}

/* Return: 0, -ENOENT when the pod has none, -errno. */
static int copy_tree(const struct place *place, int *ret)
{
	autoclose int tree = -1;
	int sockets[2], result = 0;
	pid_t pid;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		send_tree(place, sockets[1]);
	close(sockets[1]);
	n = pid < 0 ? -errno : fd_receive(sockets[0], &result, sizeof(result), &tree, 1, NULL);
	close(sockets[0]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (n != (ssize_t)sizeof(result))
		return n < 0 ? (int)n : -ECONNRESET;
	if (result < 0 || tree < 0)
		return result < 0 ? result : -EBADF;
	*ret = take_fd(&tree);
	return 0;
}

/* ---- the container's ---- */

static int read_root_path(int bundle, struct json **ret_config, const char **ret, struct err *err)
{
	autoptr(json) config = NULL;
	const struct json *root = NULL;
	autofree char *text = NULL;
	size_t length;
	int r;

	r = file_read(bundle, CONFIG, JSON_BYTES_MAX, &text, &length, err);
	if (r == 0)
		r = json_parse(CONFIG, text, length, &config, err);
	if (r == 0)
		r = json_read_object(config, "root", true, &root, err);
	if (r == 0)
		r = json_read_string(root, "path", true, ret, err);
	if (r == 0)
		*ret_config = take_ptr(config);
	return r;
}

/* Return: 0, -ENOENT when the container has no such directory, -errno. */
static int open_target(const char *bundle_path, int *ret, struct err *err)
{
	autoptr(json) config = NULL;
	autoclose int bundle = -1, root = -1;
	const char *path = NULL;
	int fd, r;

	bundle = open(bundle_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bundle < 0)
		return err_errno(err, "opening the bundle %s", bundle_path);
	r = read_root_path(bundle, &config, &path, err);
	if (r < 0)
		return r;
	root = openat(bundle, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(err, "opening the container's root %s", path);
	fd = fd_openat2(root, SHM, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return err_set(err, fd, "opening the container's /" SHM ": %s", strerror(-fd));
	*ret = fd;
	return 0;
}

int shm_share(const struct place *place, const struct request *request, struct err *err)
{
	autoclose int target = -1, tree = -1;
	int r;

	/* The document that podctl writes has it. */
	if (request->phase != HOOK_CREATE_CONTAINER || !request->state.bundle ||
		container_is_made(place->childfd) || !is_in_pods_ipc(place))
		return 0;
	r = open_target(request->state.bundle, &target, err);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	r = copy_tree(place, &tree);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(err, r, "copying the mount of the pod's /" SHM ": %s", strerror(-r));
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_errno(err, "mounting the pod's /" SHM " in the container");
	return 0;
}
