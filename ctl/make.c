/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Makes a container: first everything is read, looked up and checked, and the documents are built
 * in memory; then children/NAME is made under the child's lock, container.json last. A directory
 * without it is what a killed podctl left, and makes room for the next.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

#include "make-internal.h"

#define LOCK_TIMEOUT_MS 10000
#define RESOLV_BYTES_MAX (64 * 1024)

static void making_done(struct making *making)
{
	cleanup_close(&making->podfd);
	cleanup_close(&making->rootfd);
	free(making->pod_dir);
	free(making->child_dir);
	pod_spec_done(&making->pod);
	pod_state_done(&making->state);
	container_spec_done(&making->spec);
	json_free(making->base);
	free(making->rootfs);
	strv_free(making->args);
	strv_free(making->env);
	rootfs_user_done(&making->user);
	for (size_t i = 0; i < making->n_volumes; i++)
		volume_done(&making->volumes[i]);
	free(making->volumes);
	strv_free(making->capabilities);
	strv_free(making->added_capabilities);
	json_free(making->seccomp);
}

/* ---- the pod ---- */

/* The maps in force; of a pod that does not run, those that it will get. */
static int read_maps(struct making *making)
{
	const char *warning;
	int r = 0;

	making->uids = making->state.uids.n > 0 ? making->state.uids : making->pod.uids;
	making->gids = making->state.gids.n > 0 ? making->state.gids : making->pod.gids;
	if (making->uids.n == 0)
		r = idmap_default(IDMAP_UID, &making->uids, &warning, making->err);
	if (r == 0 && making->gids.n == 0)
		r = idmap_default(IDMAP_GID, &making->gids, &warning, making->err);
	return r;
}

static int open_pod(struct making *making, const char *pod)
{
	int r;

	r = ctl_open_pod(making->ctl, pod, &making->podfd, making->err);
	if (r == 0)
		r = pod_spec_load(making->podfd, &making->pod, making->err);
	if (r == 0)
		r = pod_state_load(making->podfd, &making->state, making->err);
	if (r == 0)
		r = read_maps(making);
	return r < 0 ? err_wrap(making->err, r, "pod %s", pod) : 0;
}

static int set_names(struct making *making, const char *pod, const char *name)
{
	char path[NAME_PATH_SIZE + NAME_COMPONENT_MAX + 2];
	struct container_spec *spec = &making->spec;
	int r;

	snprintf(path, sizeof(path), "%s/%s", pod, name);
	r = name_check_path(path, making->err);
	if (r < 0)
		return r;
	name_path_to_id(path, spec->id);
	name_split(path, spec->pod, spec->name);
	making->pod_dir = hierarchy_pod_dir(making->ctl->root, pod);
	if (making->pod_dir)
		making->child_dir = text_format("%s/children/%s", making->pod_dir, name);
	return making->child_dir ? 0 : err_oom(making->err);
}

/* ---- what it will be ---- */

static int cidfile_error(const struct making *making)
{
	return err_set(making->err, -EEXIST,
		"the cidfile %s exists already: another container may be using it",
		making->spec.cidfile);
}

/* One with this container's id is left of an earlier one of its name. */
static int check_cidfile(const struct making *making)
{
	const char *path = making->spec.cidfile;

	if (!path || access(path, F_OK) < 0 || container_is_own_file(path, making->spec.id))
		return 0;
	return cidfile_error(making);
}

static int read_all(struct making *making)
{
	char *const *groups = making->options->group_add;
	int r;

	making->spec.keep_groups = strv_contains(groups, "keep-groups");
	if (making->spec.keep_groups && strv_length(groups) > 1)
		return err_set(making->err, -EINVAL,
			"--group-add keep-groups goes with no other --group-add");
	r = make_read_spec(making);
	/* Before anything else can be wrong with it. */
	if (r == 0)
		r = check_cidfile(making);
	if (r == 0)
		r = make_find_runtime(making);
	if (r == 0)
		r = make_open_rootfs(making);
	if (r == 0)
		r = make_read_network(making);
	if (r == 0)
		r = make_find_init(making);
	if (r == 0)
		r = make_read_volumes(making);
	if (r == 0)
		r = make_read_process(making);
	return r < 0 ? r : make_read_limits(making);
}

static int build_config(struct making *making, struct json **ret)
{
	const struct oci_container container = {
		.root = making->ctl->root,
		.pod_dir = making->pod_dir,
		.hook = PODD_LIBEXECDIR "/podd-hook",
		.pod = &making->pod,
		.child_dir = making->child_dir,
		.spec = &making->spec,
		.gids = &making->gids,
		.cgroup2 = making->cgroup2,
		.base = making->base,
		.rootfs = making->rootfs,
		.read_only = making->options->read_only,
		.args = making->args,
		.env = making->env,
		.cwd = making->options->cwd,
		.user = making->has_user ? &making->user : NULL,
		.groups = making->groups,
		.n_groups = making->n_groups,
		.hostname = making->options->hostname,
		.volumes = making->volumes,
		.n_volumes = making->n_volumes,
		.capabilities = making->capabilities,
		.added_capabilities = making->added_capabilities,
		.ulimits = making->options->ulimits,
		.seccomp = making->seccomp,
		.no_new_privileges = making->no_new_privileges,
		.unmask = making->unmask,
		.init = making->init,
		.share = making->share,
		.shm_size = making->shm_size,
	};
	int r;

	r = oci_container_config(&container, ret, making->err);
	if (r < 0 && making->spec.bundle)
		return err_wrap(making->err, r, "the bundle %s", making->spec.bundle);
	return r;
}

/* The record says what is executed, also where that came from the bundle. */
static int record_command(struct making *making, const struct json *config)
{
	if (making->args) {
		making->spec.command = strv_copy(making->args);
		return making->spec.command ? 0 : err_oom(making->err);
	}
	return json_read_strv(
		json_get(config, "process"), "args", true, &making->spec.command, making->err);
}

/* ---- writing it ---- */

/* Written anew after a crash, so it need not be durable: container.json says that it is whole. */
static int write_bundle(const struct making *making, int childfd, const struct json *config)
{
	autofree char *text = NULL;
	autoclose int dirfd = -1;
	size_t length;
	int r;

	r = json_write(config, false, &text, &length);
	if (r < 0)
		return err_set(making->err, r, "writing config.json: %s", strerror(-r));
	r = file_make_dir(childfd, CONTAINER_BUNDLE, &dirfd, making->err);
	if (r == 0)
		r = file_overwrite(dirfd, "config.json", text, length, 0600, making->err);
	return r;
}

static int write_hostname(const struct making *making, int childfd, const struct json *config)
{
	const char *name = json_string(json_get(config, "hostname"));
	autofree char *text = NULL;

	if (!name)
		return 0;
	text = text_format("%s\n", name);
	if (!text)
		return err_oom(making->err);
	return file_overwrite(childfd, OCI_HOSTNAME_NAME, text, strlen(text), 0644, making->err);
}

/* In the pod's mount namespace the host's own file is covered by the pod's. */
static int write_resolv(const struct making *making, int childfd)
{
	autofree char *text = NULL;
	autoclose int fd = -1;
	size_t length = 0;

	if (making->spec.net != CONTAINER_NET_HOST)
		return 0;
	fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && fd_read_all(fd, RESOLV_BYTES_MAX, &text, &length) < 0)
		length = 0;
	return file_overwrite(
		childfd, OCI_RESOLV_NAME, text ? text : "", length, 0644, making->err);
}

static int write_cidfile(const struct making *making)
{
	const char *path = making->spec.cidfile;
	autoclose int fd = -1;
	int r;

	if (!path)
		return 0;
	/* The name is free, and locked. */
	container_remove_own_file(path, making->spec.id);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return cidfile_error(making);
	if (fd < 0)
		return err_errno(making->err, "the cidfile %s", path);
	r = fd_write_all(fd, making->spec.id, strlen(making->spec.id));
	if (r < 0) {
		unlink(path);
		return err_set(making->err, r, "writing the cidfile %s: %s", path, strerror(-r));
	}
	return 0;
}

static int write_records(const struct making *making, int childfd, const struct json *config)
{
	int r;

	r = write_bundle(making, childfd, config);
	if (r == 0)
		r = write_hostname(making, childfd, config);
	if (r == 0)
		r = write_resolv(making, childfd);
	if (r == 0)
		r = write_cidfile(making);
	if (r < 0)
		return r;
	r = container_spec_save(childfd, &making->spec, making->err);
	if (r < 0 && making->spec.cidfile)
		unlink(making->spec.cidfile);
	return r;
}

/* ---- children/NAME ---- */

/* What is there and is no container of podctl's, nor attached by the hook, is left over. */
static int make_room(const struct making *making)
{
	const struct make_place place = {.podfd = making->podfd,
		.pod = making->spec.pod,
		.name = making->spec.name,
		.spec = &making->pod,
		.state = &making->state};
	struct attachment attachment = {};
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_child(making->podfd, making->spec.name, false, &childfd, making->err);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && !container_is_made(childfd)) {
		r = attachment_load(childfd, &attachment, NULL);
		attachment_done(&attachment);
		if (r == -ENOENT)
			return make_remove_files(&place, making->err);
		r = 0;
	}
	if (r == 0 || r == -EEXIST)
		return err_set(making->err, -EEXIST, "the name %s/%s is in use", making->spec.pod,
			making->spec.name);
	return r;
}

static int make_child(const struct making *making, const struct json *config)
{
	autoclose int childfd = -1;
	autoclose int lock = -1;
	int r;

	r = hierarchy_lock_child(
		making->podfd, making->spec.name, LOCK_TIMEOUT_MS, &lock, making->err);
	if (r == -EWOULDBLOCK)
		return err_set(making->err, -EBUSY, "the name %s/%s is in use", making->spec.pod,
			making->spec.name);
	if (r == 0)
		r = make_room(making);
	if (r < 0)
		goto out;
	r = hierarchy_open_child(making->podfd, making->spec.name, true, &childfd, making->err);
	if (r == 0)
		r = write_records(making, childfd, config);
	if (r < 0)
		hierarchy_remove_child(making->podfd, making->spec.name, NULL);
out:
	if (lock >= 0)
		hierarchy_drop_child_lock(making->podfd, making->spec.name);
	return r;
}

static int read_and_build(struct making *making, struct json **ret_config)
{
	autoptr(json) config = NULL;
	int r;

	r = read_all(making);
	if (r == 0)
		r = build_config(making, &config);
	if (r == 0)
		r = record_command(making, config);
	if (r == 0)
		*ret_config = take_ptr(config);
	return r;
}

static int begin(struct making *making, const char *pod, const char *name)
{
	int r = container_spec_init(&making->spec, making->err);

	return r < 0 ? r : set_names(making, pod, name);
}

int make_describe(const struct ctl *ctl, const struct pod_spec *pod, const char *name,
	const struct container_options *options, char *const *command,
	struct container_spec *ret_spec, struct json **ret_config, struct err *err)
{
	cleanup(making_done) struct making making = {
		.ctl = ctl,
		.options = options,
		.command = command,
		.err = err,
		.only_described = true,
		.podfd = -1,
		.rootfd = -1,
	};
	autoptr(json) config = NULL;
	int r = begin(&making, pod->path, name);

	if (r < 0)
		return r;
	/* Of one that is there already, what it has. */
	if (ctl_open_pod(ctl, pod->path, &making.podfd, NULL) == 0)
		r = pod_state_load(making.podfd, &making.state, err);
	if (r == 0) {
		making.pod = *pod;
		r = read_maps(&making);
	}
	if (r == 0)
		r = read_and_build(&making, &config);
	/* It stays the caller's. */
	memset(&making.pod, 0, sizeof(making.pod));
	if (r < 0)
		return r;
	*ret_spec = making.spec;
	memset(&making.spec, 0, sizeof(making.spec));
	*ret_config = take_ptr(config);
	return 0;
}

int make_container(const struct ctl *ctl, const char *pod, const char *name,
	const struct container_options *options, char *const *command, struct err *err)
{
	cleanup(making_done) struct making making = {
		.ctl = ctl,
		.options = options,
		.command = command,
		.err = err,
		.podfd = -1,
		.rootfd = -1,
	};
	autoptr(json) config = NULL;
	int r = begin(&making, pod, name);

	if (r == 0)
		r = open_pod(&making, pod);
	if (r == 0)
		r = read_and_build(&making, &config);
	if (r == 0)
		r = make_child(&making, config);
	if (r == 0)
		make_report(making.podfd, making.spec.name, "create");
	return r;
}
