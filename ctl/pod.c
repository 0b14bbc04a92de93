/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pods for containers, see pod.h. Several podctl may want the same pod at once, and podd ends and
 * removes a pod of its own accord when it was made for a container: so whoever finds it going
 * waits, looks again and makes it anew.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cni.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "proc.h"
#include "text.h"

#include "lifecycle.h"
#include "pod.h"
#include "target.h"
#include "trees.h"

/* How often a pod may go away between two looks at it. */
#define ATTEMPTS_MAX 5
/* For a pod that stops because podd or somebody else wants it to. */
#define STOPPING_TIMEOUT_MS 60000
#define END_TIMEOUT_MS 10000
#define MAKING_TIMEOUT_MS 10000
/* podman's way to have a pod made. */
#define NEW_POD_PREFIX "new:"
#define RANDOM_BYTES 6

/* ---- making ---- */

/* A directory that the caller named gets a warning when it cannot be used; one of the usual ones
 * that this machine does not have goes without saying. */
static void warn_of_untrusted(const char *variable)
{
	autostrv named = NULL;
	autostrv trusted = NULL;
	autostrv problems = NULL;

	if (!variable || strv_split(variable, ':', &named) < 0)
		return;
	if (cni_trusted_dirs(named, &trusted, &problems) < 0)
		return;
	for (size_t i = 0; problems && problems[i]; i++)
		ctl_warning("CNI_PATH: %s", problems[i]);
}

static int keep_trusted_dirs(struct pod_spec *spec, struct err *err)
{
	autostrv trusted = NULL;
	autostrv problems = NULL;
	int r;

	r = cni_trusted_dirs(spec->cni_plugin_dirs, &trusted, &problems);
	if (r < 0)
		return err_set(err, r, "checking the directories of CNI plugins: %s", strerror(-r));
	warn_of_untrusted(getenv("CNI_PATH"));
	strv_free(spec->cni_plugin_dirs);
	spec->cni_plugin_dirs = take_ptr(trusted);
	return 0;
}

/* The record as text, read once more the way that podd will read it: its size has a limit. */
static int record_text(const struct pod_spec *spec, char **ret, size_t *ret_length, struct err *err)
{
	autoptr(json) document = pod_spec_to_json(spec);
	autoptr(json) again = NULL;
	autofree char *text = NULL;
	size_t length;
	int r;

	r = json_write(document, true, &text, &length);
	if (r < 0)
		return err_set(err, r, "writing %s: %s", RECORD_POD, strerror(-r));
	r = json_parse(RECORD_POD, text, length, &again, err);
	if (r < 0)
		return err_wrap(err, r, "the pod's labels are too long");
	*ret = take_ptr(text);
	*ret_length = length;
	return 0;
}

int pod_make(const struct ctl *ctl, struct pod_spec *spec, struct err *err)
{
	autofree char *text = NULL;
	autoclose int rootfd = -1;
	autoclose int podfd = -1;
	size_t length = 0;
	int r;

	r = keep_trusted_dirs(spec, err);
	if (r == 0)
		r = trees_plugin_dirs(ctl, spec, err);
	if (r == 0)
		r = record_text(spec, &text, &length, err);
	if (r == 0)
		r = hierarchy_open_root(ctl->root, true, &rootfd, err);
	if (r == 0)
		r = hierarchy_make_pod(rootfd, spec->path, &podfd, err);
	if (r < 0)
		return r;
	r = file_write(podfd, RECORD_POD, text, length, 0600, err);
	if (r < 0)
		hierarchy_remove_pod(rootfd, spec->path, NULL);
	return r;
}

/* ---- where a container goes ---- */

static int generate_name(char target[NAME_COMPONENT_MAX + 1], struct err *err)
{
	unsigned char bytes[RANDOM_BYTES];
	size_t n = 0;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_errno(err, "choosing a name");
	for (size_t i = 0; i < sizeof(bytes); i++)
		n += (size_t)snprintf(target + n, NAME_COMPONENT_MAX + 1 - n, "%02x", bytes[i]);
	return 0;
}

/* --pod and perhaps a name without '/'. */
static int place_in_pod(const char *name, const char *pod, struct pod_place *place, struct err *err)
{
	int r;

	if (text_starts_with(pod, NEW_POD_PREFIX))
		pod += strlen(NEW_POD_PREFIX);
	r = name_check_path(pod, err);
	if (r < 0)
		return err_wrap(err, r, "--pod");
	memcpy(place->pod, pod, strlen(pod) + 1);
	if (!name)
		return generate_name(place->name, err);
	if (strchr(name, '/'))
		return err_set(err, -EINVAL, "with --pod, --name is a name without '/', not \"%s\"",
			name);
	r = name_check_component(name, err);
	if (r == 0)
		memcpy(place->name, name, strlen(name) + 1);
	return r;
}

/* No --pod: the name says it all, or there is none. */
static int place_by_name(const char *name, struct pod_place *place, struct err *err)
{
	int r;

	if (!name) {
		r = generate_name(place->name, err);
	} else {
		r = name_check_path(name, err);
		if (r == 0)
			name_split(name, place->pod, place->name);
	}
	if (r == 0 && !place->pod[0]) {
		place->is_own = true;
		memcpy(place->pod, place->name, sizeof(place->name));
	}
	return r;
}

int pod_place(const char *name, const char *pod, struct pod_place *ret, struct err *err)
{
	struct pod_place place = {};
	char path[NAME_PATH_SIZE + NAME_COMPONENT_MAX + 2];
	int r;

	r = pod ? place_in_pod(name, pod, &place, err) : place_by_name(name, &place, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s", place.pod, place.name);
	r = text_copy(place.path, sizeof(place.path), path);
	if (r < 0)
		return err_set(err, -EINVAL, "\"%s\" is too long", path);
	*ret = place;
	return 0;
}

/* ---- having it run ---- */

void pod_running_done(struct pod_running *pod)
{
	cleanup_close(&pod->podfd);
	pod->podfd = -1;
	pod_state_done(&pod->state);
}

int pod_open(const struct ctl *ctl, const char *path, struct pod_running *ret, struct err *err)
{
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, err);
	if (r == 0)
		r = pod_state_load(podfd, &ret->state, err);
	if (r == 0)
		ret->podfd = take_fd(&podfd);
	return r;
}

bool pod_is_running(const struct pod_running *pod)
{
	return pod_state_phase_now(&pod->state) == POD_RUNNING && proc_alive(&pod->state.podd);
}

int pod_is_auto_removed(int podfd, struct err *err)
{
	struct pod_spec spec;
	int r;

	r = pod_spec_load(podfd, &spec, err);
	if (r < 0)
		return r;
	r = spec.auto_remove;
	pod_spec_done(&spec);
	return r;
}

static int await_podd(const struct pod_running *pod, int timeout_ms)
{
	autoclose int pidfd = -1;

	return proc_open(&pod->state.podd, &pidfd) < 0 ? 0 : proc_wait(pidfd, timeout_ms);
}

static bool is_stopping(const struct pod_running *pod)
{
	return pod_state_phase_now(&pod->state) == POD_STOPPING && proc_alive(&pod->state.podd);
}

/* Return: 1 when it runs, 0 when it is to be looked at again, -errno. */
static int try_to_run(const struct ctl *ctl, const char *path, struct pod_running *pod,
	struct err *err)
{
	int r;

	r = pod_open(ctl, path, pod, err);
	if (r < 0)
		return r;
	if (pod_is_running(pod))
		return 1;
	if (is_stopping(pod) && await_podd(pod, STOPPING_TIMEOUT_MS) < 0)
		return err_set(err, -EBUSY, "pod %s is being stopped, and does not end", path);
	r = lifecycle_start(ctl, path, NULL, err);
	return r == -EBUSY ? 0 : r;
}

int pod_run(const struct ctl *ctl, const char *path, struct pod_running *ret, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ATTEMPTS_MAX; i++) {
		struct pod_running pod = POD_RUNNING_NONE;

		r = try_to_run(ctl, path, &pod, err);
		if (r == 1)
			*ret = pod;
		else
			pod_running_done(&pod);
	}
	if (r == 0)
		return err_set(err, -EBUSY, "pod %s is started and stopped by others all the time",
			path);
	return r < 0 ? r : 0;
}

/* ---- a pod for one container ---- */

static int make_for_container(const struct ctl *ctl, const char *path, struct err *err)
{
	struct pod_spec spec;
	int r;

	r = pod_spec_init(&spec, err);
	if (r < 0)
		return r;
	spec.auto_remove = true;
	memcpy(spec.path, path, strlen(path) + 1);
	if (pod_spec_is_nested(&spec))
		r = pod_spec_set_cni(&spec, NULL, err);
	if (r == 0)
		r = pod_make(ctl, &spec, err);
	pod_spec_done(&spec);
	return r;
}

/* Only one at a time makes pods: who waited finds the pod finished. The lock is on the root's
 * directory itself. */
static int lock_root(const struct ctl *ctl, int *ret, struct err *err)
{
	autoclose int rootfd = -1;
	int r;

	r = hierarchy_open_root(ctl->root, true, &rootfd, err);
	if (r < 0)
		return r;
	r = fd_lock(rootfd, MAKING_TIMEOUT_MS);
	if (r < 0)
		return err_set(err, r, "locking %s: %s", ctl->root, strerror(-r));
	*ret = take_fd(&rootfd);
	return 0;
}

/* A pod that is there already: may the container go there? Return: 0; -EAGAIN when it is about to
 * go away (it has by now); -errno. */
static int check_existing(const struct pod_running *pod, const struct pod_place *place,
	struct err *err)
{
	int r;

	/* Somebody else's pod, named as such: it is only looked at when it has to be started. */
	if (!place->is_own && !is_stopping(pod))
		return 0;
	r = pod_is_auto_removed(pod->podfd, err);
	if (r < 0)
		return r;
	if (place->is_own && r == 0)
		return err_set(err, -EEXIST,
			"the name '%s' is in use by a pod; for a container in it give its path "
			"(--name %s/NAME) or --pod %s",
			place->pod, place->pod, place->pod);
	if (!is_stopping(pod))
		return 0;
	return await_podd(pod, STOPPING_TIMEOUT_MS) < 0
		       ? err_set(err, -EBUSY, "pod %s is being stopped, and does not end",
				 place->pod)
		       : -EAGAIN;
}

/* Return: 0, -ENOENT when there is no pod, -EAGAIN to look again, -errno. */
static int look_at_existing(const struct ctl *ctl, const struct pod_place *place, struct err *err)
{
	struct pod_running pod = POD_RUNNING_NONE;
	int r;

	r = pod_open(ctl, place->pod, &pod, err);
	if (r == 0)
		r = check_existing(&pod, place, err);
	pod_running_done(&pod);
	return r;
}

/* Return: 1 when the pod was made, 0 when it was there, -EAGAIN to look again, -errno. */
static int try_to_provide(const struct ctl *ctl, const struct pod_place *place, struct err *err)
{
	autoclose int lock = -1;
	int r;

	r = look_at_existing(ctl, place, err);
	if (r != -ENOENT)
		return r;
	r = lock_root(ctl, &lock, err);
	if (r == 0)
		r = look_at_existing(ctl, place, err);
	if (r != -ENOENT)
		return r;
	r = make_for_container(ctl, place->pod, err);
	return r < 0 ? r : 1;
}

int pod_provide(const struct ctl *ctl, const struct pod_place *place, bool *ret_made,
	struct err *err)
{
	int r = -EAGAIN;

	for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS_MAX; i++)
		r = try_to_provide(ctl, place, err);
	if (r == -EAGAIN)
		return err_set(err, -EBUSY, "pod %s is started and stopped by others all the time",
			place->pod);
	*ret_made = r == 1;
	return r < 0 ? r : 0;
}

static bool is_empty(int podfd)
{
	autostrv names = NULL;

	return target_containers(podfd, &names, NULL) == 0 && !names[0];
}

void pod_await_end(const struct pod_running *pod)
{
	if (is_empty(pod->podfd))
		await_podd(pod, END_TIMEOUT_MS);
}

void pod_take_back(const struct ctl *ctl, const char *path)
{
	autoclose int podfd = -1;

	if (ctl_open_pod(ctl, path, &podfd, NULL) < 0 || !is_empty(podfd))
		return;
	/* podd may be doing the same. */
	lifecycle_stop(ctl, path, 0, NULL);
	lifecycle_remove(ctl, path, NULL);
}
