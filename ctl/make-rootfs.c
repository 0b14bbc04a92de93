/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The root file system of a container, the bundle that it is made from, and its mounts: everything
 * must be there and be ours before anything is made.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "file.h"
#include "text.h"

#include "make-internal.h"

#define CONFIG_NAME "config.json"
#define OVERLAY_SUFFIX ":O"

/* ---- whose it is ---- */

/* The pod's root may change what belongs to a user of the pod, and cannot start what belongs to
 * anybody else. */
static int check_owner(const struct making *making, int fd, const char *path)
{
	struct stat st;
	uint32_t id;

	if (fstat(fd, &st) < 0)
		return err_errno(making->err, "the root file system %s", path);
	if (st.st_uid == geteuid() || idmap_to_container(&making->uids, st.st_uid, &id) == 0)
		return 0;
	return err_set(making->err, -EPERM,
		"the root file system %s is owned by user %u, who is not one of pod %s's (not you, and "
		"none of your subordinate ids): copy it, or change its owner",
		path, (unsigned)st.st_uid, making->spec.pod);
}

static int open_dir(struct making *making, const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOTDIR)
		return err_set(making->err, -ENOTDIR, "the root file system %s is not a directory",
			path);
	if (fd < 0)
		return err_errno(making->err, "the root file system %s", path);
	r = check_owner(making, fd, path);
	if (r == 0)
		making->rootfd = take_fd(&fd);
	return r;
}

/* Has podd-shim mount an overlay over @lower for each run; *ret is where. */
static int add_overlay(struct making *making, const char *lower, char **ret)
{
	size_t n = strv_length(making->spec.overlays);

	if (n >= CONTAINER_OVERLAYS_MAX)
		return err_set(making->err, -EINVAL, "a container has at most %d overlays",
			CONTAINER_OVERLAYS_MAX);
	*ret = text_format("%s/" CONTAINER_OVERLAY "/%zu/merged", making->child_dir, n);
	if (!*ret || strv_add(&making->spec.overlays, lower) < 0)
		return err_oom(making->err);
	return 0;
}

/* ---- --rootfs ---- */

/* "DIR:O", unless there is a directory of just that name. Return: 0 with the absolute path. */
static int resolve_rootfs(const struct making *making, char **ret, bool *ret_overlay)
{
	const char *text = making->options->rootfs;
	autofree char *cut = NULL;

	*ret = realpath(text, NULL);
	if (!*ret && text_ends_with(text, OVERLAY_SUFFIX)) {
		cut = strndup(text, strlen(text) - strlen(OVERLAY_SUFFIX));
		if (!cut)
			return err_oom(making->err);
		*ret_overlay = true;
		*ret = realpath(cut, NULL);
	}
	if (!*ret)
		return err_errno(making->err, "the root file system %s", cut ? cut : text);
	return 0;
}

static int open_plain(struct making *making)
{
	bool overlay = false;
	int r;

	r = resolve_rootfs(making, &making->spec.rootfs, &overlay);
	if (r == 0)
		r = open_dir(making, making->spec.rootfs);
	if (r < 0)
		return r;
	if (overlay)
		return add_overlay(making, making->spec.rootfs, &making->rootfs);
	making->rootfs = strdup(making->spec.rootfs);
	return making->rootfs ? 0 : err_oom(making->err);
}

/* ---- --bundle ---- */

static int load_base(struct making *making, int dirfd, const char *dir)
{
	autofree char *source = text_format("%s/" CONFIG_NAME, dir);
	autofree char *text = NULL;
	size_t length;
	int r;

	if (!source)
		return err_oom(making->err);
	r = file_read(dirfd, CONFIG_NAME, JSON_BYTES_MAX, &text, &length, making->err);
	if (r < 0)
		return err_wrap(making->err, r, "the bundle %s", dir);
	r = json_parse(source, text, length, &making->base, making->err);
	if (r < 0)
		return r;
	if (json_type(making->base) != JSON_OBJECT)
		return err_set(making->err, -EINVAL, "%s must be an object", source);
	return 0;
}

/* root.path is relative to the bundle. */
static int open_base_root(struct making *making, const char *dir)
{
	const struct json *root = NULL;
	const char *path = NULL;
	autofree char *joined = NULL;
	int r;

	r = json_read_object(making->base, "root", true, &root, making->err);
	if (r == 0)
		r = json_read_string(root, "path", true, &path, making->err);
	if (r < 0)
		return err_wrap(making->err, r, "%s/" CONFIG_NAME, dir);
	joined = path[0] == '/' ? strdup(path) : text_format("%s/%s", dir, path);
	if (!joined)
		return err_oom(making->err);
	making->rootfs = realpath(joined, NULL);
	if (!making->rootfs)
		return err_errno(making->err, "the root file system %s", joined);
	return open_dir(making, making->rootfs);
}

static int open_bundle(struct making *making)
{
	const char *text = making->options->bundle;
	autoclose int dirfd = -1;
	int r;

	making->spec.bundle = realpath(text, NULL);
	if (!making->spec.bundle)
		return err_errno(making->err, "the bundle %s", text);
	dirfd = open(making->spec.bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_errno(making->err, "the bundle %s", text);
	r = load_base(making, dirfd, making->spec.bundle);
	return r < 0 ? r : open_base_root(making, making->spec.bundle);
}

int make_open_rootfs(struct making *making)
{
	const struct container_options *options = making->options;

	if (!options->rootfs == !options->bundle)
		return err_set(making->err, -EINVAL,
			"a container is made from either --rootfs DIR or --bundle DIR");
	return options->rootfs ? open_plain(making) : open_bundle(making);
}

/* ---- mounts ---- */

static int grow(struct making *making, struct volume **ret)
{
	if (making->n_volumes >= MAKE_VOLUMES_MAX)
		return err_set(making->err, -E2BIG, "a container has at most %d mounts",
			MAKE_VOLUMES_MAX);
	if (!making->volumes)
		making->volumes = calloc(MAKE_VOLUMES_MAX, sizeof(*making->volumes));
	if (!making->volumes)
		return err_oom(making->err);
	*ret = &making->volumes[making->n_volumes];
	return 0;
}

static int parse_all(struct making *making, char *const *texts,
	int (*parse)(const char *text, struct volume *ret, struct err *err))
{
	struct volume *volume = NULL;
	int r = 0;

	for (; r == 0 && texts && *texts; texts++) {
		r = grow(making, &volume);
		if (r == 0)
			r = parse(*texts, volume, making->err);
		if (r == 0)
			making->n_volumes++;
	}
	return r;
}

static bool has_target(const struct making *making, const char *target)
{
	for (size_t i = 0; i < making->n_volumes; i++)
		if (strcmp(making->volumes[i].target, target) == 0)
			return true;
	return false;
}

/* podman's: with a root file system that cannot be written to, the places that programs need to
 * write to still can. */
static int add_writable(struct making *making)
{
	static char *const targets[] = {(char *)"/run:mode=755", (char *)"/tmp:mode=1777",
		(char *)"/var/tmp:mode=1777"};
	int r = 0;

	if (!making->options->read_only || !making->options->read_only_tmpfs)
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof(targets) / sizeof(targets[0]); i++) {
		char *const one[] = {targets[i], NULL};
		autofree char *target = strndup(targets[i], strcspn(targets[i], ":"));

		if (!target)
			return err_oom(making->err);
		if (!has_target(making, target))
			r = parse_all(making, one, volume_parse_tmpfs);
	}
	return r;
}

static bool has_option(const struct volume *volume, const char *option)
{
	return strv_contains(volume->options, option);
}

static int replace_option(struct volume *volume, const char *old, const char *new)
{
	for (size_t i = 0; volume->options[i]; i++) {
		if (strcmp(volume->options[i], old) != 0)
			continue;
		free(volume->options[i]);
		volume->options[i] = strdup(new);
		return volume->options[i] ? 0 : -ENOMEM;
	}
	return strv_add(&volume->options, new);
}

/* What the mount that the source lies on forbids cannot be allowed again in the pod's user
 * namespace (mount_namespaces(7)): the runtime would fail to set the other options. */
static int inherit_flags(struct making *making, struct volume *volume)
{
	struct statvfs st;
	int r = 0;

	if (statvfs(volume->source, &st) < 0)
		return err_errno(making->err, "the source %s of a mount", volume->source);
	if ((st.f_flag & ST_NOEXEC) && !has_option(volume, "noexec"))
		r = replace_option(volume, "exec", "noexec");
	if (r == 0 && (st.f_flag & ST_RDONLY) && !has_option(volume, "ro"))
		r = replace_option(volume, "rw", "ro");
	if (r == 0 && (st.f_flag & ST_NOSUID) && !has_option(volume, "nosuid"))
		r = replace_option(volume, "suid", "nosuid");
	if (r == 0 && (st.f_flag & ST_NODEV) && !has_option(volume, "nodev"))
		r = replace_option(volume, "dev", "nodev");
	return r < 0 ? err_oom(making->err) : 0;
}

static int add_chown(struct making *making, const char *path)
{
	if (strv_length(making->spec.chown) >= CONTAINER_CHOWN_MAX)
		return err_set(making->err, -EINVAL,
			"at most %d mounts may have the option U", CONTAINER_CHOWN_MAX);
	return strv_add(&making->spec.chown, path) < 0 ? err_oom(making->err) : 0;
}

static int find_source(struct making *making, struct volume *volume)
{
	autofree char *resolved = realpath(volume->source, NULL);
	struct stat st;

	if (!resolved)
		return err_errno(making->err, "the source %s of a mount", volume->source);
	free(take_ptr(volume->source));
	if (!volume->overlay) {
		volume->source = take_ptr(resolved);
		return inherit_flags(making, volume);
	}
	if (stat(resolved, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(making->err, -ENOTDIR,
			"the source %s of a mount is not a directory: it cannot have the option O",
			resolved);
	return add_overlay(making, resolved, &volume->source);
}

static int prepare_volume(struct making *making, struct volume *volume)
{
	int r;

	if (volume->type == VOLUME_TMPFS)
		return 0;
	r = find_source(making, volume);
	if (r == 0 && volume->chown)
		r = add_chown(making, volume->source);
	return r;
}

int make_read_volumes(struct making *making)
{
	const struct container_options *options = making->options;
	int r;

	r = parse_all(making, options->volumes, volume_parse);
	if (r == 0)
		r = parse_all(making, options->mounts, volume_parse_mount);
	if (r == 0)
		r = parse_all(making, options->tmpfs, volume_parse_tmpfs);
	if (r == 0)
		r = add_writable(making);
	for (size_t i = 0; r == 0 && i < making->n_volumes; i++)
		r = prepare_volume(making, &making->volumes[i]);
	return r;
}
