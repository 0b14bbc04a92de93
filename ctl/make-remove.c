/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Removes a container that does not run: first what its processes wrote into an overlay, which
 * belongs to other users of the pod and is removed as the pod's root; then what tells that there is
 * a container; then the other files.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "deadline.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"
#include "varlink.h"

#include "lifecycle.h"
#include "make-internal.h"
#include "pod.h"
#include "watch.h"

/* A shim ends a moment after it said that the container has ended. */
#define SHIM_TIMEOUT_MS 5000
#define HOOK_TIMEOUT_MS 10000
#define CGROUP_TIMEOUT_MS 2000
#define REPORT_TIMEOUT_MS 2000
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

/* One part of them, as the caller or in a child as the pod's root. */
struct part {
	const struct make_place *place;
	int (*remove)(const struct make_place *place, struct err *err);
};

static int remove_overlay(const struct make_place *place, struct err *err)
{
	autoclose int childfd = -1;
	int r = hierarchy_open_child(place->podfd, place->name, false, &childfd, err);

	return r < 0 ? r : file_remove_tree(childfd, CONTAINER_OVERLAY, err);
}

static int remove_all(const struct make_place *place, struct err *err)
{
	return hierarchy_remove_child(place->podfd, place->name, err);
}

static int remove_in_pod(void *userdata)
{
	const struct part *part = userdata;

	return part->remove(part->place, NULL);
}

static int remove_as_pods_root(struct part *part, struct err *err)
{
	const struct make_place *place = part->place;
	struct idmap uids = place->state->uids.n ? place->state->uids : place->spec->uids;
	struct idmap gids = place->state->gids.n ? place->state->gids : place->spec->gids;
	const char *warning;
	int r = 0;

	if (uids.n == 0)
		r = idmap_default(IDMAP_UID, &uids, &warning, err);
	if (r == 0 && gids.n == 0)
		r = idmap_default(IDMAP_GID, &gids, &warning, err);
	if (r == 0)
		r = idmap_run(&uids, &gids, remove_in_pod, part, err);
	return r;
}

static int remove_part(const struct make_place *place,
	int (*remove)(const struct make_place *place, struct err *err), struct err *err)
{
	struct part part = {.place = place, .remove = remove};
	int r = remove(place, err);

	if (r != -EACCES && r != -EPERM)
		return r;
	r = remove_as_pods_root(&part, err);
	return r < 0 ? err_set(err, r, "removing the files of container %s/%s: %s", place->pod,
			       place->name, strerror(-r))
		     : 0;
}

static int remove_record(const struct make_place *place, struct err *err)
{
	autoclose int childfd = -1;
	int r = hierarchy_open_child(place->podfd, place->name, false, &childfd, err);

	return r < 0 ? r : file_remove(childfd, RECORD_CONTAINER, err);
}

/* What was removed in part only can be removed again, or makes room for another. */
int make_remove_files(const struct make_place *place, struct err *err)
{
	int r;

	r = remove_part(place, remove_overlay, err);
	if (r == 0)
		r = remove_record(place, err);
	return r < 0 ? r : remove_part(place, remove_all, err);
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
	const struct make_place place = {.podfd = removal->podfd,
		.pod = removal->pod,
		.name = removal->name,
		.spec = &removal->spec,
		.state = &removal->state};
	struct container_spec spec;
	bool has_spec;
	int r;

	r = refuse_running(removal, childfd, err);
	if (r == 0)
		r = refuse_attached(removal, childfd, err);
	if (r < 0)
		return r;
	has_spec = container_spec_load(childfd, &spec, NULL) == 0;
	/* A runtime that was killed may have made it at its very end. */
	if (has_spec && spec.cgroup)
		(void)cgroup_remove(spec.cgroup, CGROUP_TIMEOUT_MS);
	r = make_remove_files(&place, err);
	if (has_spec && spec.cidfile && !container_is_made(childfd))
		container_remove_own_file(spec.cidfile, spec.id);
	if (has_spec)
		container_spec_done(&spec);
	return r;
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

/* Waits for the answer: what podd does about it is done then, the container's ports are free. A pod
 * without podd has none. */
void make_report(int podfd, const char *name, const char *type)
{
	autoptr(varlink_client) client = NULL;
	struct json *parameters;

	if (varlink_connect(podfd, CONTROL_SOCKET, REPORT_TIMEOUT_MS, &client, NULL) < 0)
		return;
	parameters = json_new_object();
	json_set_string(parameters, "child", name);
	json_set_string(parameters, "type", type);
	varlink_client_call(client, VARLINK_INTERFACE ".Report", parameters, NULL, NULL, NULL);
}

/* A pod that was made for a container goes with its last one. While it runs that is podd's to do;
 * one that is ending may have looked for containers before this one was gone. */
static void remove_pod(const struct removal *removal)
{
	struct pod_running pod = POD_RUNNING_NONE;
	autostrv containers = NULL;

	if (!removal->spec.auto_remove ||
		hierarchy_children(removal->podfd, HIERARCHY_CONTAINERS, &containers, NULL) < 0 ||
		strv_length(containers) > 0)
		return;
	if (pod_open(removal->ctl, removal->pod, &pod, NULL) == 0 && !pod_is_running(&pod)) {
		pod_await_end(&pod);
		lifecycle_remove(removal->ctl, removal->pod, NULL);
	}
	pod_running_done(&pod);
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
	make_report(removal.podfd, name, "remove");
	remove_pod(&removal);
	return 0;
}
