/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of a pod: see doctor.h. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "pod-network.h"
#include "text.h"

#include "doctor.h"
#include "lost.h"

/* One line for each lock of the machine. */
#define LOCKS_BYTES_MAX (16 * 1024 * 1024)

static bool has_file(int fd, const char *name)
{
	return faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- loading ---- */

static void load_made(struct doctor *doctor, struct doctor_child *child)
{
	struct container_spec spec;
	struct err err = {};

	if (container_spec_load(child->fd, &spec, &err) < 0) {
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"container %s: %s; podctl rm -f gives it up", child->name, err.msg);
	} else {
		child->cgroup = take_ptr(spec.cgroup);
		container_spec_done(&spec);
	}
	child->has_state = container_state_load(child->fd, &child->state, &err) == 0;
	if (!child->has_state)
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"container %s: %s; podctl rm -f gives it up", child->name, err.msg);
}

static void load_child(struct doctor *doctor, struct doctor_child *child)
{
	struct err err = {};
	int r;

	r = hierarchy_open_any_child(doctor->podfd, child->name, &child->fd, &err);
	if (r < 0) {
		if (r != -ENOENT)
			doctor_find(doctor, "record", DOCTOR_NOTHING, NULL, "container %s: %s",
				child->name, err.msg);
		return;
	}
	child->is_pod = has_file(child->fd, RECORD_POD);
	child->is_made = !child->is_pod && container_is_made(child->fd);
	if (child->is_made)
		load_made(doctor, child);
	r = attachment_load(child->fd, &child->attachment, &err);
	child->is_attached = r == 0;
	if (r < 0 && r != -ENOENT)
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"%s %s: %s; podctl rm -f gives it up", doctor_child_kind(child),
			child->name, err.msg);
}

static void load_children(struct doctor *doctor)
{
	struct err err = {};
	size_t n;

	if (hierarchy_children(doctor->podfd, HIERARCHY_ANY, &doctor->names, &err) < 0) {
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL, "children: %s", err.msg);
		return;
	}
	n = strv_length(doctor->names);
	doctor->children = calloc(n + 1, sizeof(*doctor->children));
	if (!doctor->children)
		return;
	doctor->n_children = n;
	for (size_t i = 0; i < n; i++) {
		doctor->children[i] = (struct doctor_child){.name = doctor->names[i], .fd = -1};
		load_child(doctor, &doctor->children[i]);
	}
}

/* Without the record it would be taken for one that never ran. */
static bool has_lost_state(const struct doctor *doctor)
{
	return faccessat(doctor->podfd, RECORD_STATE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       (doctor_is_locked(doctor->podfd, "lock") || lost_outer(doctor->podfd) > 0) &&
	       !doctor_is_locked(doctor->podfd, "start.lock");
}

void doctor_load(struct doctor *doctor)
{
	struct err err = {};
	int r;

	r = ctl_open_pod(doctor->ctl, doctor->path, &doctor->podfd, &err);
	if (r < 0) {
		if (r != -ENOENT)
			doctor_find(doctor, "record", DOCTOR_NOTHING, NULL, "%s", err.msg);
		return;
	}
	doctor->has_spec = pod_spec_load(doctor->podfd, &doctor->spec, &err) == 0;
	if (!doctor->has_spec)
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL, "%s; podctl rm -f gives it up",
			err.msg);
	doctor->has_state = pod_state_load(doctor->podfd, &doctor->state, &err) == 0;
	if (!doctor->has_state) {
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"%s; podctl stop ends the pod, if its supervisor runs, and rm -f gives it "
			"up",
			err.msg);
	} else if (has_lost_state(doctor)) {
		doctor->has_state = false;
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"it runs, but its state.json is gone: podctl stop ends the pod, if its "
			"supervisor runs, and rm -f removes it");
	} else {
		doctor->phase = pod_state_phase_now(&doctor->state);
		doctor->podd_alive = proc_alive(&doctor->state.podd);
		doctor->runs = doctor->phase == POD_RUNNING;
	}
	load_children(doctor);
}

void doctor_done(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_children; i++) {
		struct doctor_child *child = &doctor->children[i];

		cleanup_close(&child->fd);
		attachment_done(&child->attachment);
		container_state_done(&child->state);
		free(child->cgroup);
	}
	free(doctor->children);
	strv_free(doctor->names);
	cleanup_close(&doctor->podfd);
	pod_spec_done(&doctor->spec);
	pod_state_done(&doctor->state);
}

const char *doctor_child_kind(const struct doctor_child *child)
{
	return child->is_pod ? "pod" : "container";
}

const struct doctor_child *doctor_child_of_id(const struct doctor *doctor, const char *id)
{
	for (size_t i = 0; i < doctor->n_children; i++)
		if (doctor->children[i].is_attached &&
			text_equal(doctor->children[i].attachment.id, id))
			return &doctor->children[i];
	return NULL;
}

/* ---- the records that loading does not need ---- */

void doctor_check_records(struct doctor *doctor)
{
	struct pod_network network = {};
	struct err err = {};
	int r;

	if (doctor->podfd < 0)
		return;
	r = pod_network_load(doctor->podfd, &network, &err);
	if (r == 0)
		pod_network_done(&network);
	else if (r != -ENOENT)
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"%s; without it the pod does not start", err.msg);
}

/* ---- half-made, half-removed ---- */

/* To try it would be in the way of who takes it. By inode alone: the device that the kernel prints
 * is another than stat(2)'s on some file systems. */
bool doctor_is_locked(int dirfd, const char *name)
{
	autofree char *locks = NULL;
	char inode[32];
	size_t length;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	snprintf(inode, sizeof(inode), ":%llu ", (unsigned long long)st.st_ino);
	return file_read(AT_FDCWD, "/proc/locks", LOCKS_BYTES_MAX, &locks, &length, NULL) < 0 ||
	       strstr(locks, inode);
}

bool doctor_child_is_busy(const struct doctor *doctor, const char *child)
{
	autofree char *name = text_format("locks/child-%s", child);

	return !name || doctor_is_locked(doctor->podfd, name);
}

/* Children whose directory was made, and that then got no record, or have lost theirs. */
static void find_unfinished_children(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_children; i++) {
		const struct doctor_child *child = &doctor->children[i];

		if (child->fd < 0 || child->is_pod || child->is_made || child->is_attached ||
			has_file(child->fd, RECORD_ATTACHMENT) ||
			has_file(child->fd, RECORD_ERROR) ||
			doctor_child_is_busy(doctor, child->name))
			continue;
		doctor_find(doctor, "unfinished", DOCTOR_REMOVE_CHILD, child->name,
			"container %s has no record: making or removing it was interrupted",
			child->name);
	}
}

void doctor_check_unfinished(struct doctor *doctor)
{
	autoclose int rootfd = -1;
	autoclose int fd = -1;

	if (doctor->podfd >= 0) {
		find_unfinished_children(doctor);
		return;
	}
	if (strchr(doctor->path, '/') ||
		hierarchy_open_root(doctor->ctl->root, false, &rootfd, NULL) < 0 ||
		file_open_dir(rootfd, doctor->path, &fd, NULL) < 0 || has_file(fd, RECORD_POD))
		return;
	if (doctor_is_locked(fd, "lock") || lost_runs(fd)) {
		doctor_find(doctor, "record", DOCTOR_NOTHING, NULL,
			"it runs, but its pod.json is gone: write it again from a copy, or end and "
			"remove the pod with podctl rm -f");
		return;
	}
	doctor_find(doctor, "unfinished", DOCTOR_REMOVE_POD, NULL,
		"it has no pod.json: making or removing it was interrupted");
}

/* ---- ns/ ---- */

void doctor_check_links(struct doctor *doctor)
{
	struct ns_id found[NS_KINDS];
	autoclose int dir = -1;
	struct err err = {};

	if (!doctor->runs || proc_open_dir(&doctor->state.outer, &dir) < 0)
		return;
	if (ns_identify(dir, found, &err) < 0) {
		doctor_find(doctor, "namespace", DOCTOR_NOTHING, NULL, "%s", err.msg);
		return;
	}
	for (int i = 0; i < NS_KINDS; i++) {
		const char *name = ns_name((enum ns_kind)i);
		char link[32], wanted[64], target[64];
		ssize_t n;

		if (doctor->state.namespaces[i].inode == 0)
			continue;
		if (!ns_equal(&found[i], &doctor->state.namespaces[i]))
			doctor_find(doctor, "namespace", DOCTOR_NOTHING, NULL,
				"its outer container is in another %s namespace than the record "
				"says: "
				"stop the pod and start it",
				name);
		snprintf(link, sizeof(link), "ns/%s", name);
		snprintf(wanted, sizeof(wanted), "/proc/%d/ns/%s", (int)doctor->state.outer.pid,
			name);
		n = readlinkat(doctor->podfd, link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strcmp(target, wanted) != 0)
			doctor_find(doctor, "namespace", DOCTOR_LINK, name,
				"%s does not lead to its namespace: bundles that name it cannot "
				"start",
				link);
	}
}

/* ---- sockets ---- */

static void check_socket(
	struct doctor *doctor, const char *name, enum doctor_action action, const char *meaning)
{
	struct stat st;

	if (fstatat(doctor->podfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
		return;
	doctor_find(doctor, "socket", action, NULL, "%s is not there: %s", name, meaning);
}

/* A socket file of a container that nobody can listen on. */
static void check_shim_socket(struct doctor *doctor, const struct doctor_child *child)
{
	autofree char *file = NULL;

	if (child->fd < 0 || !has_file(child->fd, CONTAINER_SOCKET) ||
		doctor_is_locked(child->fd, CONTAINER_LOCK) ||
		(child->has_state && proc_alive(&child->state.shim)))
		return;
	file = text_format("children/%s/" CONTAINER_SOCKET, child->name);
	doctor_find(doctor, "socket", DOCTOR_REMOVE_FILE, file, "%s is left of a shim that is gone",
		file);
}

void doctor_check_sockets(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_children; i++)
		check_shim_socket(doctor, &doctor->children[i]);
	if (!doctor->runs)
		return;
	if (doctor->podd_alive)
		check_socket(doctor, "control.sock", DOCTOR_REPLACE_PODD,
			"nobody reaches its supervisor");
	check_socket(doctor, "outer.sock", DOCTOR_NOTHING,
		"no other supervisor can take the pod over; stop it and start it when it can be "
		"spared");
	if (doctor->state.uplink.pid > 0)
		check_socket(doctor, "uplink.sock", DOCTOR_NOTHING,
			"the next supervisor starts another podd-uplink, which ends connections");
}

/* ---- locks ---- */

void doctor_check_locks(struct doctor *doctor)
{
	autoclose int locks = -1;
	autostrv names = NULL;

	if (doctor->podfd < 0 || file_open_dir(doctor->podfd, "locks", &locks, NULL) < 0 ||
		file_list(locks, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		const char *child = names[i] + strlen("child-");
		autoclose int childfd = -1;

		if (!text_starts_with(names[i], "child-") || doctor_is_locked(locks, names[i]) ||
			hierarchy_open_child(doctor->podfd, child, false, &childfd, NULL) !=
				-ENOENT)
			continue;
		doctor_find(doctor, "lock", DOCTOR_REMOVE_LOCK, child,
			"locks/%s is left of a container that is gone", names[i]);
	}
	if (doctor->has_state && !doctor->podd_alive && has_file(doctor->podfd, "lock") &&
		doctor_is_locked(doctor->podfd, "lock") &&
		!doctor_is_locked(doctor->podfd, "start.lock"))
		doctor_find(doctor, "lock", DOCTOR_NOTHING, NULL,
			"somebody holds its lock who is not its supervisor, so that none can start "
			"(see "
			"lslocks)");
}
