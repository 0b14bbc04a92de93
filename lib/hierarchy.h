/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The directory tree that records pods and their children.
 *
 *   <root>/net0/                     a pod
 *          pod.json state.json network.json control.sock outer.sock uplink.sock podd.log lock
 *          events.jsonl events.jsonl.1 etc/ cni/ locks/ ns/ runtime/
 *          children/nginx/           a container: attachment.json error.json, and see container.h
 *          children/web/             a nested pod: pod.json makes it one
 */

#include <stdbool.h>

#include "err.h"
#include "name.h"

/* Most entries in one directory of the hierarchy that are looked at. */
#define HIERARCHY_CHILDREN_MAX 65536

/* Finds the root: @argument (the --root option) if given, $PODD_ROOT, /run/podd for root,
 * $XDG_RUNTIME_DIR/podd, /run/user/UID/podd, /tmp/podd-UID. In a user namespace (a hook), UID is
 * the namespace's creator. Return: 0, -EINVAL when it is not absolute, -ENOMEM. */
int hierarchy_root(const char *argument, char **ret, struct err *err);

/* The directory of a pod: <root>/a/children/b for a/b. Return: allocated, or NULL. */
char *hierarchy_pod_dir(const char *root, const char *path);

/* Opens the place of what podd attaches to networks of the host, which is laid out like a pod: cni/
 * (the host's /var/lib/cni) and locks/. With @create makes it. For root only. Return: 0, -ENOENT,
 * -errno. */
int hierarchy_open_host(int rootfd, bool create, int *ret_fd, struct err *err);

/* Opens the root; every directory that is podd's own must be owned by the caller and closed to
 * others. With @create makes it. Return: 0, -ENOENT, -EPERM, -ELOOP, -errno. */
int hierarchy_open_root(const char *root, bool create, int *ret_fd, struct err *err);

/* Opens a pod's directory. Return: 0, -ENOENT ("no such pod"), -errno. */
int hierarchy_open_pod(int rootfd, const char *path, int *ret_fd, struct err *err);

/* Makes the directory of a new pod with its subdirectories, without pod.json: the caller writes
 * that last, and hierarchy_remove_pod() takes it back. Return: 0, -EEXIST, -ENOENT (no parent). */
int hierarchy_make_pod(int rootfd, const char *path, int *ret_fd, struct err *err);
int hierarchy_remove_pod(int rootfd, const char *path, struct err *err);

/* Opens children/<name> of a pod, creating it if asked; removes it, which is fine when it is gone.
 * Return: 0, -ENOENT, -EEXIST when it is a pod and no container, -errno. */
int hierarchy_open_child(int podfd, const char *name, bool create, int *ret_fd, struct err *err);
int hierarchy_remove_child(int podfd, const char *name, struct err *err);

/* Takes the child's lock, which a hook holds while it attaches or detaches the child; uses
 * file_lock(). Return: 0, -EWOULDBLOCK, -errno. */
int hierarchy_lock_child(int podfd, const char *name, unsigned timeout_ms, int *ret_lock,
	struct err *err);
/* Removes the lock's file; for who holds it. Who waits for it makes another. */
void hierarchy_drop_child_lock(int podfd, const char *name);

/* Opens children/<name>, whatever it is: both kinds are attached to the pod's networks. Return: 0,
 * -ENOENT, -errno. */
int hierarchy_open_any_child(int podfd, const char *name, int *ret_fd, struct err *err);

/* Names of a pod's children of one kind. */
enum hierarchy_kind { HIERARCHY_CONTAINERS, HIERARCHY_PODS, HIERARCHY_ANY };
int hierarchy_children(int podfd, enum hierarchy_kind kind, char ***ret_names, struct err *err);

/* Paths of all pods, parents before their children. */
int hierarchy_pods(int rootfd, char ***ret_paths, struct err *err);
