/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The directory tree of pods and children: see hierarchy.h. */

#include "hierarchy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "file.h"
#include "record.h"
#include "text.h"

/* No pod can have that name. */
#define HOST_DIR ".host"

#define LOCK_NAME_SIZE (NAME_COMPONENT_MAX + sizeof("child-"))

static const char *const pod_directories[] = {"children", "cni", "etc", "locks", "ns",
	"runtime"};

/* A hook runs as root of the pod's user namespace: the pods are those of the user that this root
 * is outside of it. The second column of the map says who that is (user_namespaces(7)); in the
 * initial namespace it is root. */
static uid_t owner_of_pods(void)
{
	unsigned inside, outside, size;
	autofclose FILE *map = NULL;
	uid_t self = geteuid();

	map = fopen("/proc/self/uid_map", "re");
	while (self == 0 && map && fscanf(map, "%u %u %u", &inside, &outside, &size) == 3)
		if (inside == 0)
			return outside;
	return self;
}

/* The XDG base directory specification: owned by the user, mode 0700. One that is not there is told
 * of when it is used. */
static int check_runtime_dir(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR,
			"XDG_RUNTIME_DIR: %s is not a directory (a symbolic link is not followed)",
			path);
	if (st.st_uid != geteuid())
		return err_set(err, -EPERM,
			"XDG_RUNTIME_DIR: %s belongs to uid %u, not to the caller", path,
			(unsigned)st.st_uid);
	if (st.st_mode & 022)
		return err_set(err, -EPERM,
			"XDG_RUNTIME_DIR: %s can be written by others (mode %04o); make it 0700",
			path, (unsigned)(st.st_mode & 07777));
	return 0;
}

/* *ret is NULL when memory is short. */
static int default_root(uid_t uid, char **ret, struct err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char user[64];
	int r;

	snprintf(user, sizeof(user), "/run/user/%u", (unsigned)uid);
	if (uid == 0) {
		*ret = strdup("/run/podd");
	} else if (runtime && runtime[0] == '/') {
		r = check_runtime_dir(runtime, err);
		if (r < 0)
			return r;
		*ret = text_format("%s/podd", runtime);
	} else if (access(user, F_OK) == 0) {
		*ret = text_format("%s/podd", user);
	} else {
		*ret = text_format("/tmp/podd-%u", (unsigned)uid);
	}
	return 0;
}

int hierarchy_root(const char *argument, char **ret, struct err *err)
{
	const char *variable = getenv("PODD_ROOT");
	const char *source = "--root";
	const char *given = argument;
	char *root;
	int r;

	if (!given && variable && *variable) {
		given = variable;
		source = "PODD_ROOT";
	}
	if (given) {
		if (given[0] != '/')
			return err_set(err, -EINVAL, "%s: '%s' is not an absolute path", source,
				given);
		root = strdup(given);
	} else {
		r = default_root(owner_of_pods(), &root, err);
		if (r < 0)
			return r;
	}
	if (!root)
		return err_oom(err);
	*ret = root;
	return 0;
}

/* Everything above the root's last component is the system's or the user's: links in it are
 * theirs. The last component is ours. */
int hierarchy_open_root(const char *root, bool create, int *ret_fd, struct err *err)
{
	autofree char *parent = strdup(root);
	autoclose int parent_fd = -1;
	const char *leaf;
	char *slash;
	int r;

	if (!parent)
		return err_oom(err);
	while ((slash = strrchr(parent, '/')) && slash != parent && slash[1] == '\0')
		*slash = '\0';
	if (!slash || slash[1] == '\0')
		return err_set(err, -EINVAL, "%s cannot be the root of the pods", root);
	leaf = root + (slash - parent) + 1;
	autofree char *name = strndup(leaf, strcspn(leaf, "/"));
	*slash = '\0';
	if (!name)
		return err_oom(err);
	parent_fd = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0)
		return err_errno(err, "opening %s, where the pods' directory belongs",
			*parent ? parent : "/");
	if (create)
		r = file_make_dir(parent_fd, name, ret_fd, err);
	else
		r = file_open_dir(parent_fd, name, ret_fd, err);
	if (r < 0)
		return err_wrap(err, r, "the pods' directory %s", root);
	return 0;
}

static int open_children(int podfd, int *ret_fd, struct err *err)
{
	return file_open_dir(podfd, "children", ret_fd, err);
}

/* Opens the directory that holds the last component of @path: the root, or children/ of the
 * parent pod. */
static int open_container(int rootfd, const char *path, int *ret_fd, char leaf[], struct err *err)
{
	char parent[NAME_PATH_SIZE];
	autoclose int podfd = -1;
	int r;

	name_split(path, parent, leaf);
	if (!*parent) {
		int copy = fcntl(rootfd, F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			return err_errno(err, "opening the pods' directory");
		*ret_fd = copy;
		return 0;
	}
	r = hierarchy_open_pod(rootfd, parent, &podfd, err);
	if (r < 0)
		return r;
	return open_children(podfd, ret_fd, err);
}

char *hierarchy_pod_dir(const char *root, const char *path)
{
	autofree char *dir = strdup(root);
	autostrv names = NULL;

	if (!dir || strv_split(path, '/', &names) < 0)
		return NULL;
	for (size_t i = 0; names && names[i]; i++) {
		char *longer = text_format("%s%s/%s", dir, i ? "/children" : "", names[i]);

		if (!longer)
			return NULL;
		free(dir);
		dir = longer;
	}
	return take_ptr(dir);
}

int hierarchy_open_pod(int rootfd, const char *path, int *ret_fd, struct err *err)
{
	char leaf[NAME_COMPONENT_MAX + 1];
	autoclose int container = -1;
	autoclose int fd = -1;
	int r;

	r = name_check_path(path, err);
	if (r == 0)
		r = open_container(rootfd, path, &container, leaf, err);
	if (r < 0)
		return r;
	r = file_open_dir(container, leaf, &fd, err);
	if (r == -ENOENT)
		return err_set(err, r, "there is no pod '%s' (podctl ps lists the pods)", path);
	if (r < 0)
		return err_wrap(err, r, "pod '%s'", path);
	if (faccessat(fd, RECORD_POD, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, -ENOENT, "'%s' is not a pod: it has no %s", path, RECORD_POD);
	*ret_fd = take_fd(&fd);
	return 0;
}

int hierarchy_open_host(int rootfd, bool create, int *ret_fd, struct err *err)
{
	autoclose int hostfd = -1, locks = -1;
	int r;

	if (!create)
		return file_open_dir(rootfd, HOST_DIR, ret_fd, err);
	r = file_make_dir(rootfd, HOST_DIR, &hostfd, err);
	if (r == 0)
		r = file_make_dir(hostfd, "locks", &locks, err);
	if (r == 0)
		*ret_fd = take_fd(&hostfd);
	return r;
}

static bool is_pod(int container, const char *name)
{
	char record[NAME_COMPONENT_MAX + sizeof("/" RECORD_POD)];

	snprintf(record, sizeof(record), "%s/" RECORD_POD, name);
	return faccessat(container, record, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_container(int children, const char *name)
{
	char record[NAME_COMPONENT_MAX + sizeof("/" RECORD_ATTACHMENT)];

	snprintf(record, sizeof(record), "%s/" RECORD_CONTAINER, name);
	if (faccessat(children, record, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	snprintf(record, sizeof(record), "%s/" RECORD_ATTACHMENT, name);
	return faccessat(children, record, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A creation that was killed leaves a directory that is no pod, or is another one's at this moment:
 * who knows which may remove it. */
static int explain_existing(int container, const char *leaf, const char *path, struct err *err)
{
	if (is_pod(container, leaf))
		return err_set(err, -EEXIST, "'%s' exists already", path);
	if (is_container(container, leaf))
		return err_set(err, -EEXIST, "'%s' exists already as a container", path);
	return err_set(err, -EEXIST,
		"'%s' exists already, but is not finished: unless it is being created right now, remove "
		"it with: podctl rm %s",
		path, path);
}

int hierarchy_make_pod(int rootfd, const char *path, int *ret_fd, struct err *err)
{
	char leaf[NAME_COMPONENT_MAX + 1];
	autoclose int container = -1;
	autoclose int fd = -1;
	int r;

	r = name_check_path(path, err);
	if (r == 0 && name_depth(path) > NAME_PODS_MAX)
		r = err_set(
			err, -EINVAL, "pod '%s': pods nest at most %d deep", path, NAME_PODS_MAX);
	if (r == 0)
		r = open_container(rootfd, path, &container, leaf, err);
	if (r < 0)
		return r;
	if (mkdirat(container, leaf, 0700) < 0) {
		if (errno == EEXIST)
			return explain_existing(container, leaf, path, err);
		return err_errno(err, "making the directory of pod '%s'", path);
	}
	r = file_open_dir(container, leaf, &fd, err);
	for (size_t i = 0; r == 0 && i < sizeof(pod_directories) / sizeof(char *); i++) {
		autoclose int sub = -1;

		r = file_make_dir(fd, pod_directories[i], &sub, err);
	}
	if (r < 0) {
		file_remove_tree(container, leaf, NULL);
		return err_wrap(err, r, "making the directory of pod '%s'", path);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int hierarchy_remove_pod(int rootfd, const char *path, struct err *err)
{
	char leaf[NAME_COMPONENT_MAX + 1];
	autoclose int container = -1;
	int r;

	r = name_check_path(path, err);
	if (r == 0)
		r = open_container(rootfd, path, &container, leaf, err);
	if (r == 0)
		r = file_remove_tree(container, leaf, err);
	if (r < 0)
		return err_wrap(err, r, "removing pod '%s'", path);
	return 0;
}

/* Opens children/ for the container @name. Its id may name a pod inside the pod, whose records are
 * not the container's. */
static int open_for_container(int podfd, const char *name, int *ret_children, struct err *err)
{
	autoclose int children = -1;
	int r;

	r = name_check_component(name, err);
	if (r == 0)
		r = open_children(podfd, &children, err);
	if (r < 0)
		return r;
	if (is_pod(children, name))
		return err_set(err, -EEXIST,
			"'%s' is the name of a pod inside the pod: a container cannot have it",
			name);
	*ret_children = take_fd(&children);
	return 0;
}

int hierarchy_open_child(int podfd, const char *name, bool create, int *ret_fd, struct err *err)
{
	autoclose int children = -1;
	int r;

	r = open_for_container(podfd, name, &children, err);
	if (r < 0)
		return r;
	if (create)
		return file_make_dir(children, name, ret_fd, err);
	return file_open_dir(children, name, ret_fd, err);
}

int hierarchy_open_any_child(int podfd, const char *name, int *ret_fd, struct err *err)
{
	autoclose int children = -1;
	int r;

	r = name_check_component(name, err);
	if (r == 0)
		r = open_children(podfd, &children, err);
	return r < 0 ? r : file_open_dir(children, name, ret_fd, err);
}

int hierarchy_remove_child(int podfd, const char *name, struct err *err)
{
	autoclose int children = -1;
	int r;

	r = open_for_container(podfd, name, &children, err);
	if (r < 0)
		return r;
	return file_remove_tree(children, name, err);
}

static void lock_name(const char *child, char ret[LOCK_NAME_SIZE])
{
	snprintf(ret, LOCK_NAME_SIZE, "child-%s", child);
}

int hierarchy_lock_child(int podfd, const char *name, unsigned timeout_ms, int *ret_lock,
	struct err *err)
{
	char file[LOCK_NAME_SIZE];
	autoclose int locks = -1;
	int r;

	r = name_check_component(name, err);
	if (r == 0)
		r = file_open_dir(podfd, "locks", &locks, err);
	if (r < 0)
		return r;
	lock_name(name, file);
	return file_lock(locks, file, timeout_ms, ret_lock, err);
}

void hierarchy_drop_child_lock(int podfd, const char *name)
{
	char file[LOCK_NAME_SIZE];
	autoclose int locks = -1;

	lock_name(name, file);
	if (file_open_dir(podfd, "locks", &locks, NULL) == 0)
		file_remove(locks, file, NULL);
}

int hierarchy_children(int podfd, enum hierarchy_kind kind, char ***ret_names, struct err *err)
{
	autoclose int children = -1;
	autostrv names = NULL;
	size_t kept = 0;
	int r;

	r = open_children(podfd, &children, err);
	if (r == 0)
		r = file_list(children, HIERARCHY_CHILDREN_MAX, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		char *name = names[i];

		names[i] = NULL;
		if (name_check_component(name, NULL) == 0 &&
			(kind == HIERARCHY_ANY ||
				is_pod(children, name) == (kind == HIERARCHY_PODS)))
			names[kept++] = name;
		else
			free(name);
	}
	*ret_names = take_ptr(names);
	return 0;
}

static int add_pods(int rootfd, const char *path, char ***pods, struct err *err)
{
	autoclose int podfd = -1;
	autostrv names = NULL;
	int r;

	r = hierarchy_open_pod(rootfd, path, &podfd, err);
	/* One that is removed meanwhile, or is no pod, is not listed. */
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	/* One that cannot be opened is for its user to see, and hides no other. */
	if (strv_add(pods, path) < 0)
		return err_oom(err);
	if (r < 0)
		return 0;
	if (name_depth(path) == NAME_PODS_MAX)
		return 0;
	r = hierarchy_children(podfd, HIERARCHY_PODS, &names, err);
	/* What is wrong with it is told by who looks into it. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; r == 0 && names[i]; i++) {
		autofree char *child = text_format("%s/%s", path, names[i]);

		r = child ? add_pods(rootfd, child, pods, err) : err_oom(err);
	}
	return r;
}

int hierarchy_pods(int rootfd, char ***ret_paths, struct err *err)
{
	autostrv names = NULL;
	autostrv paths = NULL;
	int r;

	r = file_list(rootfd, HIERARCHY_CHILDREN_MAX, &names, err);
	for (size_t i = 0; r == 0 && names[i]; i++)
		if (name_check_component(names[i], NULL) == 0)
			r = add_pods(rootfd, names[i], &paths, err);
	if (r == 0 && !paths && !(paths = calloc(1, sizeof(*paths))))
		r = err_oom(err);
	if (r < 0)
		return r;
	*ret_paths = take_ptr(paths);
	return 0;
}
