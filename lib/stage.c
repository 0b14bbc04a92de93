/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Planning what stages show: see stage.h. Both trees are walked side by side, no further than the
 * directories that both have:
 *
 *   in the stage          in the base           what becomes of it
 *   directory             directory             both are looked into
 *   directory             link to a directory   the same, where the link leads (/lib)
 *   directory             nothing               is new
 *   something else        something else        takes its place
 *   something else        nothing               is new
 *   link                  link, to the same     either may be seen
 *   directory             something else        refused
 *   something else        directory, link to    refused: it would hide a tree
 *
 * Overlayfs gives a meaning to some things in a layer: a device 0:0, and the attribute "opaque" on
 * a directory, hide what is in the layers below. Unpacked images have such. They are refused, too.
 */

#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "text.h"

/* Nothing that both trees have is as deep. */
#define DEPTH_MAX 128
/* The pod's own is mounted there: not through a link. */
#define RESOLV "/etc/resolv.conf"
#define OPAQUE "user.overlay.opaque"

struct planning {
	struct stage_plan *plan;
	const struct stage_request *request;
	char base_path[PATH_MAX]; /* as /proc names it; "" for "/" */
	unsigned stage;		  /* the one that is walked */
	const char *stage_name;
	bool is_skeleton;
	size_t n_nodes;
	struct err *err;
};

static int open_within(int dirfd, const char *path, int flags, uint64_t resolve)
{
	return fd_openat2(dirfd, *path ? path : ".", flags, resolve);
}

int stage_open_in(int base, const char *path, int flags)
{
	return open_within(base, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int stage_open_top(const char *path, struct err *err)
{
	int fd = open_within(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	return fd >= 0 ? fd
		       : err_set(err, fd, "%s: %s", path,
				 fd == -ELOOP ? "there is a link in its path now" : strerror(-fd));
}

int stage_open_source(const struct stage_plan *plan, const struct stage_source *source)
{
	return open_within(plan->stages[source->stage], source->path, O_PATH | O_DIRECTORY,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int stage_reserved(const char *records, const char *host_at, char ***ret)
{
	const char *const all[] = {"/proc", "/sys", "/dev", "/run/netns", "/run/xtables.lock",
		"/var/lib/cni", PODD_LIBEXECDIR, records, host_at};
	autostrv reserved = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(all) / sizeof(*all); i++)
		if (all[i])
			r = strv_add(&reserved, all[i]);
	if (r == 0)
		*ret = take_ptr(reserved);
	return r;
}

/* ---- nodes ---- */

static void drop_sources(struct stage_node *node)
{
	for (size_t i = 0; i < node->n_sources; i++)
		free(node->sources[i].path);
	free(take_ptr(node->sources));
	node->n_sources = 0;
}

static void node_free(struct stage_node *node)
{
	while (node) {
		struct stage_node *next = node->next;

		node_free(node->children);
		drop_sources(node);
		free(node->path);
		free(node);
		node = next;
	}
}
CLEANUP_DEFINE(stage_node, node_free)

const struct stage_node *stage_child(const struct stage_node *node, const char *name)
{
	const struct stage_node *child = node->children;

	while (child && !text_equal(child->name, name))
		child = child->next;
	return child;
}

static int node_new(
	struct planning *planning, char *path, enum stage_kind kind, struct stage_node **ret)
{
	autoptr(stage_node) node = calloc(1, sizeof(*node));

	if (!node || !path) {
		free(path);
		return err_oom(planning->err);
	}
	node->path = path;
	node->name = strrchr(path, '/');
	node->name = node->name ? node->name + 1 : path;
	node->kind = kind;
	if (++planning->n_nodes > STAGE_NODES_MAX)
		return err_set(planning->err, -E2BIG,
			"the stages change more than %d entries: show such a tree with --root",
			STAGE_NODES_MAX);
	*ret = take_ptr(node);
	return 0;
}

static int find_child(struct planning *planning, struct stage_node *node, const char *name,
	enum stage_kind kind, struct stage_node **ret)
{
	struct stage_node *child = (struct stage_node *)stage_child(node, name);
	int r = 0;

	if (!child) {
		r = node_new(planning, text_format("%s/%s", node->path, name), kind, &child);
		if (r < 0)
			return r;
		child->next = node->children;
		node->children = child;
	}
	*ret = child;
	return 0;
}

/* The node of a directory of the base, by its path there. */
static int find_merged(struct planning *planning, const char *path, struct stage_node **ret)
{
	struct stage_node *node = planning->plan->top;
	autostrv parts = NULL;
	int r = strv_split(path, '/', &parts) < 0 ? err_oom(planning->err) : 0;

	for (size_t i = 0; r == 0 && parts && parts[i]; i++)
		r = find_child(planning, node, parts[i], STAGE_MERGED, &node);
	if (r == 0)
		*ret = node;
	return r;
}

static int add_source(struct planning *planning, struct stage_node *node, const char *path)
{
	struct stage_source *more =
		realloc(node->sources, (node->n_sources + 1) * sizeof(*node->sources));
	char *copy = strdup(path);

	if (more)
		node->sources = more;
	if (!more || !copy) {
		free(copy);
		return err_oom(planning->err);
	}
	more[node->n_sources++] = (struct stage_source){planning->stage, copy};
	return 0;
}

/* ---- what is refused ---- */

static int __attribute__((format(printf, 3, 4)))
refuse(const struct planning *planning, const char *path, const char *format, ...)
{
	char quoted[512], why[512], quoted_why[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	return err_set(planning->err, -EINVAL, "stage %s: %s %s", planning->stage_name,
		text_sanitize(quoted, sizeof(quoted), *path ? path : "/"),
		text_sanitize(quoted_why, sizeof(quoted_why), why));
}

/* Return: @path below @ancestor, "" when they are the same; NULL when it is neither. */
static const char *below(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	if (!text_starts_with(path, ancestor) || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path[n] ? path + n + 1 : path + n;
}

static const char *find_reserved(const struct planning *planning, const char *path)
{
	char *const *reserved = planning->request->reserved;

	for (size_t i = 0; !planning->is_skeleton && reserved && reserved[i]; i++)
		if (below(path, reserved[i]))
			return reserved[i];
	return NULL;
}

static int list_source(
	const struct planning *planning, const char *path, int *ret_fd, char ***ret_names)
{
	autoclose int fd = open_within(planning->plan->stages[planning->stage], path,
		O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	char quoted[512];
	int r = fd < 0 ? fd : file_list(fd, STAGE_NODES_MAX, ret_names, NULL);

	if (r < 0)
		return err_set(planning->err, r, "stage %s: reading /%s: %s", planning->stage_name,
			text_sanitize(quoted, sizeof(quoted), path), strerror(-r));
	*ret_fd = take_fd(&fd);
	return 0;
}

static char *join(const char *directory, const char *name)
{
	return text_format("%s%s%s", directory, *directory ? "/" : "", name);
}

/* An image has directories for what is mounted there, which hide nothing. */
static int check_reserved(
	struct planning *planning, const char *path, const char *reserved, unsigned depth)
{
	autoclose int fd = -1;
	autostrv names = NULL;
	struct stat st;
	int r;

	r = list_source(planning, path, &fd, &names);
	for (size_t i = 0; r == 0 && names && names[i]; i++) {
		autofree char *entry = join(path, names[i]);

		if (!entry)
			return err_oom(planning->err);
		if (fstatat(fd, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
			return refuse(planning, entry,
				"would be in %s, where a stage may have nothing but directories",
				reserved);
		r = check_reserved(planning, entry, reserved, depth + 1);
	}
	return r;
}

/* A directory that the base does not have is shown as a whole: what is reserved may be in it. */
static int check_new(struct planning *planning, const char *path, const char *source)
{
	char *const *reserved = planning->request->reserved;
	int r = 0;

	for (size_t i = 0; r == 0 && !planning->is_skeleton && reserved && reserved[i]; i++) {
		const char *rest = below(reserved[i], path);
		autofree char *inner = rest ? join(source, rest) : NULL;
		autoclose int fd = -1;

		if (!rest)
			continue;
		if (!inner)
			return err_oom(planning->err);
		fd = open_within(planning->plan->stages[planning->stage], inner, O_PATH | O_DIRECTORY,
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return refuse(planning, inner, "is no directory, where %s must be one",
				reserved[i]);
		r = check_reserved(planning, inner, reserved[i], 0);
	}
	return r;
}

/* ---- the walk ---- */

static int walk(
	struct planning *planning, struct stage_node *node, const char *source, unsigned depth);

/* One entry of a directory that both have. */
struct entry {
	struct stage_node *node; /* the directory */
	int sourcefd;
	int basefd;
	const char *name;
	char *source; /* the entry's path in the stage */
	char *path;   /* and in the base */
	struct stat st;
	struct stat base;
	bool in_base;
	unsigned depth;
};

static int add_merged(struct planning *planning, const struct entry *entry, const char *path)
{
	struct stage_node *child = NULL;
	int r;

	r = find_merged(planning, path, &child);
	if (r == 0)
		r = add_source(planning, child, entry->source);
	return r == 0 ? walk(planning, child, entry->source, entry->depth + 1) : r;
}

/* Where a link of the base leads, as a path in it. Return: 0, -errno. */
static int follow(const struct planning *planning, const char *path, char ret[PATH_MAX])
{
	autoclose int fd = stage_open_in(planning->plan->base, path, O_PATH | O_DIRECTORY);
	char link[32], target[PATH_MAX];
	const char *rest;
	ssize_t n;

	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	rest = below(target, planning->base_path);
	if (!rest)
		return -EXDEV;
	return snprintf(ret, PATH_MAX, "/%s", rest) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int add_through_link(struct planning *planning, const struct entry *entry)
{
	char target[PATH_MAX];
	const char *reserved;

	if (follow(planning, entry->path, target) < 0)
		return refuse(planning, entry->source,
			"is a directory, but %s is a link that leads to none", entry->path);
	reserved = find_reserved(planning, target);
	if (reserved)
		return check_reserved(planning, entry->source, reserved, 0);
	return add_merged(planning, entry, strcmp(target, "/") == 0 ? "" : target);
}

/* What an earlier stage has of this name is hidden by what is none, and by what it is none for. */
static int add_own(struct planning *planning, const struct entry *entry, enum stage_kind kind)
{
	struct stage_node *child = NULL;
	int r;

	r = find_child(planning, entry->node, entry->name, kind, &child);
	if (r < 0)
		return r;
	if (kind == STAGE_ENTRY || child->kind != kind)
		drop_sources(child);
	child->kind = kind;
	entry->node->changed = true;
	return add_source(planning, child, entry->source);
}

static int add_directory(struct planning *planning, const struct entry *entry)
{
	int r;

	if (entry->in_base && S_ISDIR(entry->base.st_mode))
		return add_merged(planning, entry, entry->path);
	if (entry->in_base && S_ISLNK(entry->base.st_mode))
		return add_through_link(planning, entry);
	if (entry->in_base)
		return refuse(
			planning, entry->source, "is a directory, and %s is none", entry->path);
	r = check_new(planning, entry->path, entry->source);
	return r == 0 ? add_own(planning, entry, STAGE_NEW) : r;
}

/* Return: 1 when both are links to the same, 0 when not, -errno. */
static int is_same_link(const struct planning *planning, const struct entry *entry)
{
	char ours[PATH_MAX], theirs[PATH_MAX], at[2 * PATH_MAX];
	char ours_leads[PATH_MAX], theirs_leads[PATH_MAX];
	ssize_t n = readlinkat(entry->sourcefd, entry->name, ours, sizeof(ours) - 1);
	ssize_t m = readlinkat(entry->basefd, entry->name, theirs, sizeof(theirs) - 1);

	if (n < 0 || m < 0)
		return -errno;
	ours[n] = theirs[m] = '\0';
	if (strcmp(ours, theirs) == 0)
		return 1;
	snprintf(at, sizeof(at), "%s/%s", *ours == '/' ? "" : entry->node->path, ours);
	return follow(planning, at, ours_leads) == 0 &&
	       follow(planning, entry->path, theirs_leads) == 0 &&
	       strcmp(ours_leads, theirs_leads) == 0;
}

static int add_other(struct planning *planning, const struct entry *entry)
{
	char target[PATH_MAX];
	int r;

	if (S_ISCHR(entry->st.st_mode) && entry->st.st_rdev == makedev(0, 0))
		return refuse(planning, entry->source,
			"is a whiteout: it would hide what the layer below has");
	if (strcmp(entry->path, RESOLV) == 0 && !S_ISREG(entry->st.st_mode))
		return refuse(planning, entry->source, "is no file, where the pod has its own");
	if (entry->in_base && S_ISDIR(entry->base.st_mode))
		return refuse(planning, entry->source,
			"is no directory, and %s is one: all in it would be hidden", entry->path);
	if (entry->in_base && S_ISLNK(entry->base.st_mode)) {
		r = S_ISLNK(entry->st.st_mode) ? is_same_link(planning, entry) : 0;
		if (r > 0)
			return 0;
		if (r < 0 || follow(planning, entry->path, target) == 0)
			return refuse(planning, entry->source,
				"would hide the directory to which %s leads", entry->path);
	}
	return add_own(planning, entry, STAGE_ENTRY);
}

static int add_entry(struct planning *planning, struct entry *entry)
{
	const char *reserved = find_reserved(planning, entry->path);

	if (fstatat(entry->sourcefd, entry->name, &entry->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : refuse(planning, entry->source, "cannot be looked at: %s",
						 strerror(errno));
	if (reserved && !S_ISDIR(entry->st.st_mode))
		return refuse(planning, entry->source,
			"would be in the place of %s, which is the pod's own or the kernel's",
			reserved);
	if (reserved)
		return check_reserved(planning, entry->source, reserved, 0);
	entry->in_base =
		fstatat(entry->basefd, entry->name, &entry->base, AT_SYMLINK_NOFOLLOW) == 0;
	if (!entry->in_base && errno != ENOENT)
		return refuse(planning, entry->source, "cannot be compared with %s: %s",
			entry->path, strerror(errno));
	return S_ISDIR(entry->st.st_mode) ? add_directory(planning, entry)
					  : add_other(planning, entry);
}

/* Overlayfs hides what is below an opaque directory, in a user namespace by this attribute. */
static int check_opaque(const struct planning *planning, int fd, const char *source)
{
	if (fgetxattr(fd, OPAQUE, NULL, 0) < 0)
		return 0;
	return refuse(planning, source,
		"has the attribute " OPAQUE ", which would hide what is below it");
}

static int walk(
	struct planning *planning, struct stage_node *node, const char *source, unsigned depth)
{
	autoclose int sourcefd = -1, basefd = -1;
	autostrv names = NULL;
	int r;

	if (depth == DEPTH_MAX)
		return refuse(planning, source, "is deeper than %d directories", DEPTH_MAX);
	r = list_source(planning, source, &sourcefd, &names);
	if (r == 0)
		r = check_opaque(planning, sourcefd, source);
	if (r < 0)
		return r;
	basefd = stage_open_in(planning->plan->base, node->path, O_PATH | O_DIRECTORY);
	if (basefd < 0)
		return refuse(planning, source, "cannot be compared with %s: %s", node->path,
			strerror(-basefd));
	for (size_t i = 0; r == 0 && names && names[i]; i++) {
		autofree char *entry_source = join(source, names[i]);
		autofree char *entry_path = text_format("%s/%s", node->path, names[i]);
		struct entry entry = {.node = node,
			.sourcefd = sourcefd,
			.basefd = basefd,
			.name = names[i],
			.source = entry_source,
			.path = entry_path,
			.depth = depth};

		r = entry_source && entry_path ? add_entry(planning, &entry)
					       : err_oom(planning->err);
	}
	return r;
}

/* ---- all stages ---- */

static int add_stage(struct planning *planning, const char *directory)
{
	struct stage_plan *plan = planning->plan;
	int fd, r;

	if (plan->n_stages == (planning->request->skeleton ? STAGE_MAX + 1u : STAGE_MAX))
		return err_set(planning->err, -E2BIG, "more than %d stages", STAGE_MAX);
	fd = stage_open_top(directory, planning->err);
	if (fd < 0)
		return err_wrap(planning->err, fd, "stage");
	plan->stages[plan->n_stages] = fd;
	planning->stage = plan->n_stages++;
	planning->stage_name = directory;
	r = add_source(planning, plan->top, "");
	return r == 0 ? walk(planning, plan->top, "", 0) : r;
}

static int name_base(struct planning *planning)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", planning->plan->base);
	n = readlink(link, planning->base_path, sizeof(planning->base_path) - 1);
	if (n < 0)
		return err_errno(planning->err, "finding the path of the pod's root directory");
	planning->base_path[n == 1 ? 0 : n] = '\0';
	return 0;
}

int stage_plan_new(const struct stage_request *request, struct stage_plan **ret, struct err *err)
{
	struct stage_plan *plan = calloc(1, sizeof(*plan));
	struct planning planning = {.plan = plan, .request = request, .err = err};
	int r;

	if (!plan)
		return err_oom(err);
	plan->base = request->base;
	r = name_base(&planning);
	if (r == 0)
		r = node_new(&planning, strdup(""), STAGE_MERGED, &plan->top);
	if (r == 0 && request->skeleton) {
		planning.is_skeleton = true;
		r = add_stage(&planning, request->skeleton);
		planning.is_skeleton = false;
	}
	for (size_t i = 0; r == 0 && request->stages && request->stages[i]; i++)
		r = add_stage(&planning, request->stages[i]);
	if (r < 0) {
		stage_plan_free(plan);
		return r;
	}
	*ret = plan;
	return 0;
}

void stage_plan_free(struct stage_plan *plan)
{
	if (!plan)
		return;
	for (unsigned i = 0; i < plan->n_stages; i++)
		close(plan->stages[i]);
	node_free(plan->top);
	free(plan);
}
