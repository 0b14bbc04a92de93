/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Removes a container that does not run: first what tells that there is one, then its files. What
 * its processes wrote into an overlay belongs to other users of the pod, and is removed as the pod's
 * root.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deadline.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"
#include "varlink.h"

#include "lifecycle.h"
#include "make-internal.h"
#include "watch.h"

/* A shim ends a moment after it said that the container has ended. */
#define SHIM_TIMEOUT_MS 5000
#define HOOK_TIMEOUT_MS 10000
#define CONTROL_SOCKET "control.sock"

struct removal {
	const struct ctl *ctl;
	const char *pod;
	const char *name;
	int podfd;
	struct pod_spec spec;
	struct pod_state state;
};

static void removal_done(struct removal *removal)
{
	cleanup_close(&removal->podfd);
	pod_spec_done(&removal->spec);
	pod_state_done(&removal->state);
}

/* ---- its files ---- */

static int remove_tree(void *userdata)
{
	const struct removal *removal = userdata;

	return hierarchy_remove_child(removal->podfd, removal->name, NULL);
}

static int remove_as_pods_root(struct removal *removal, struct err *err)
{
	struct idmap uids = removal->state.uids.n ? removal->state.uids : removal->spec.uids;
	struct idmap gids = removal->state.gids.n ? removal->state.gids : removal->spec.gids;
	const char *warning;
	int r = 0;

	if (uids.n == 0)
		r = idmap_default(IDMAP_UID, &uids, &warning, err);
	if (r == 0 && gids.n == 0)
		r = idmap_default(IDMAP_GID, &gids, &warning, err);
	if (r == 0)
		r = idmap_run(&uids, &gids, remove_tree, removal, err);
	return r;
}

static int remove_files(struct removal *removal, struct err *err)
{
	int r = hierarchy_remove_child(removal->podfd, removal->name, err);

	if (r != -EACCES && r != -EPERM)
		return r;
	r = remove_as_pods_root(removal, err);
	return r < 0 ? err_set(err, r, "removing the files of container %s/%s: %s", removal->pod,
			       removal->name, strerror(-r))
		     : 0;
}

/* Removes the cidfile, if it is still this container's. */
static void remove_cidfile(const char *path, const char *id)
{
	autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[NAME_PATH_SIZE + 1] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, id) == 0)
		unlink(path);
}

/* ---- when it may be ---- */

static int refuse_running(const struct removal *removal, int childfd, struct err *err)
{
	struct container_state state = {};
	enum container_phase phase;
	int r;

	r = container_state_load(childfd, &state, NULL);
	/* A record that cannot be read tells nothing; the lock does. */
	if (r < 0)
		return 0;
	phase = container_phase_now(&state);
	container_state_done(&state);
	if (phase == CONTAINER_CREATED || phase == CONTAINER_EXITED)
		return 0;
	return err_set(err, -EBUSY, "container %s/%s is %s; stop it or use rm -f", removal->pod,
		removal->name, container_phase_name(phase));
}

static bool pod_runs(const struct removal *removal)
{
	char boot_id[PROC_BOOT_ID_SIZE];

	if (proc_boot_id(boot_id) == 0 && strcmp(boot_id, removal->state.boot_id) != 0)
		return false;
	return proc_alive(&removal->state.outer) || proc_alive(&removal->state.podd);
}

static bool is_attached(int childfd)
{
	return faccessat(childfd, RECORD_ATTACHMENT, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* podd detaches what has ended, and may be at it just now. What it cannot do in time is refused. */
static void await_detached(const struct removal *removal)
{
	int64_t deadline = deadline_now_ms() + HOOK_TIMEOUT_MS;
	struct watch watch = WATCH_NONE;
	autoclose int childfd = -1;
	int r;

	if (!pod_runs(removal) ||
		hierarchy_open_child(removal->podfd, removal->name, false, &childfd, NULL) < 0)
		return;
	r = watch_init(&watch, NULL);
	if (r == 0)
		r = watch_add_dir(&watch, childfd, NULL);
	while (r >= 0 && is_attached(childfd) && refuse_running(removal, childfd, NULL) == 0) {
		unsigned left = deadline_left_ms(deadline, HOOK_TIMEOUT_MS);

		r = left > 0 ? watch_wait(&watch, -1, -1, (int)left) : -ETIMEDOUT;
	}
	watch_done(&watch);
}

/* As long as the pod runs, its networks know the container until it is detached. */
static int refuse_attached(const struct removal *removal, int childfd, struct err *err)
{
	struct attachment attachment = {};
	int r;

	if (!pod_runs(removal))
		return 0;
	r = attachment_load(childfd, &attachment, NULL);
	attachment_done(&attachment);
	if (r == -ENOENT)
		return 0;
	return err_set(err, -EBUSY,
		"container %s/%s is not detached from its networks yet; try again, or stop the pod",
		removal->pod, removal->name);
}

/* With everything locked. */
static int remove_child(struct removal *removal, int childfd, struct err *err)
{
	struct container_spec spec = {};
	int r;

	r = refuse_running(removal, childfd, err);
	if (r == 0)
		r = refuse_attached(removal, childfd, err);
	if (r < 0)
		return r;
	if (container_spec_load(childfd, &spec, NULL) == 0) {
		if (spec.cidfile)
			remove_cidfile(spec.cidfile, spec.id);
		container_spec_done(&spec);
	}
	r = file_remove(childfd, RECORD_CONTAINER, err);
	return r < 0 ? r : remove_files(removal, err);
}

/* Keeps a shim away that somebody starts meanwhile. */
static int lock_and_remove(struct removal *removal, int childfd, struct err *err)
{
	autoclose int lock = -1;
	int r;

	r = file_lock(childfd, CONTAINER_LOCK, SHIM_TIMEOUT_MS, &lock, err);
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "container %s/%s is running; stop it or use rm -f",
			removal->pod, removal->name);
	return r < 0 ? r : remove_child(removal, childfd, err);
}

static int open_and_remove(struct removal *removal, struct err *err)
{
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_child(removal->podfd, removal->name, false, &childfd, err);
	if (r == -ENOENT || (r == 0 && !container_is_made(childfd)))
		return err_set(err, -ENOENT, "there is no container %s/%s", removal->pod,
			removal->name);
	if (r == 0)
		r = refuse_running(removal, childfd, err);
	return r < 0 ? r : lock_and_remove(removal, childfd, err);
}

/* ---- the pod ---- */

static void report(const struct removal *removal)
{
	struct json *parameters = json_new_object();

	json_set_string(parameters, "child", removal->name);
	json_set_string(parameters, "type", "remove");
	varlink_notify(removal->podfd, CONTROL_SOCKET, VARLINK_INTERFACE ".Report", parameters);
}

/* A pod that was made for a container goes with its last one; while it runs that is podd's to do. */
static void remove_pod(const struct removal *removal)
{
	autostrv containers = NULL;

	if (!removal->spec.auto_remove || pod_runs(removal))
		return;
	if (hierarchy_children(removal->podfd, HIERARCHY_CONTAINERS, &containers, NULL) == 0 &&
		strv_length(containers) == 0)
		lifecycle_remove(removal->ctl, removal->pod, NULL);
}

int make_remove(const struct ctl *ctl, const char *pod, const char *name, struct err *err)
{
	cleanup(removal_done) struct removal removal = {
		.ctl = ctl, .pod = pod, .name = name, .podfd = -1};
	autoclose int lock = -1;
	int r;

	r = ctl_open_pod(ctl, pod, &removal.podfd, err);
	if (r < 0)
		return r;
	/* What is wrong with the pod's records is no reason to keep the container. */
	if (pod_spec_load(removal.podfd, &removal.spec, NULL) < 0)
		memset(&removal.spec, 0, sizeof(removal.spec));
	if (pod_state_load(removal.podfd, &removal.state, NULL) < 0)
		memset(&removal.state, 0, sizeof(removal.state));
	await_detached(&removal);
	r = hierarchy_lock_child(removal.podfd, name, HOOK_TIMEOUT_MS, &lock, err);
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "container %s/%s is being attached or detached", pod,
			name);
	if (r == 0)
		r = open_and_remove(&removal, err);
	if (lock >= 0)
		hierarchy_drop_child_lock(removal.podfd, name);
	if (r < 0)
		return r;
	report(&removal);
	remove_pod(&removal);
	return 0;
}
