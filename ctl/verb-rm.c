/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl rm: removes containers and pods that do not run, and what a failed attachment left of a
 * container that another program made.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "hierarchy.h"
#include "record.h"
#include "text.h"

#include "lifecycle.h"
#include "lost.h"
#include "make.h"
#include "options.h"
#include "pod.h"
#include "stop.h"
#include "verbs.h"

/* How long a hook may go on with the container. */
#define LOCK_TIMEOUT_MS 2000

struct rm_options {
	bool force;
	uint32_t seconds;
};

/* A child without attachment.json is a left-over; one with it is the hook's and podd's. With
 * @force, what they could not detach from a container that has ended is given up. */
static int check_detached(int childfd, const char *path, bool force, struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	int r = attachment_load(childfd, &attachment, NULL);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && proc_alive(&attachment.init))
		return err_set(err, -EBUSY, "container %s is attached; end it with its runtime",
			path);
	if (force)
		return 0;
	return err_set(err, -EBUSY, "container %s %s; rm -f gives it up", path,
		r < 0 ? "has a record that cannot be read" : "has ended and is not detached yet");
}

static int remove_left_over(int podfd, const char *path, const char *leaf, bool force,
	struct err *err)
{
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_child(podfd, leaf, false, &childfd, err);
	if (r == 0)
		r = check_detached(childfd, path, force, err);
	return r < 0 ? r : hierarchy_remove_child(podfd, leaf, err);
}

/* Under the child's lock: a hook may be about to attach it. */
static int remove_container(const struct ctl *ctl, const char *path, bool force, struct err *err)
{
	char parent[NAME_PATH_SIZE];
	char leaf[NAME_COMPONENT_MAX + 1];
	autoclose int podfd = -1;
	autoclose int lock = -1;
	int r;

	name_split(path, parent, leaf);
	r = ctl_open_pod(ctl, parent, &podfd, err);
	if (r == 0)
		r = hierarchy_lock_child(podfd, leaf, LOCK_TIMEOUT_MS, &lock, err);
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "container %s is being attached or detached", path);
	if (r == 0)
		r = remove_left_over(podfd, path, leaf, force, err);
	if (r == 0 || r == -ENOENT)
		hierarchy_drop_child_lock(podfd, leaf);
	if (r == -ENOENT)
		return err_set(err, -ENOENT, "there is no pod or container '%s'", path);
	return r;
}

/* The containers that podctl made in a pod that does not run. With the last one, a pod that was made
 * for it goes as well. */
static int remove_containers(const struct ctl *ctl, const char *path, struct err *err)
{
	cleanup(pod_running_done) struct pod_running pod = POD_RUNNING_NONE;
	autostrv names = NULL;
	int r;

	r = pod_open(ctl, path, &pod, err);
	/* What is wrong with the pod is said by who removes it; what runs must stay. */
	if (r < 0 || proc_alive(&pod.state.outer) || proc_alive(&pod.state.podd))
		return 0;
	r = target_containers(pod.podfd, &names, err);
	/* Without children/ there are none. */
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	for (size_t i = 0; r == 0 && names[i]; i++) {
		r = make_remove(ctl, path, names[i], err);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

/* Return: as ctl_open_pod(). */
static int look_for_pod(const struct ctl *ctl, const char *path)
{
	autoclose int podfd = -1;

	return ctl_open_pod(ctl, path, &podfd, NULL);
}

/* Ends a pod, also one whose records are gone or cannot be read. */
static int end_pod(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err)
{
	autoclose int podfd = -1;
	int r = lifecycle_stop(ctl, path, seconds, err);

	if (ctl_open_pod(ctl, path, &podfd, NULL) < 0 || !lost_state(podfd))
		return r;
	r = lost_give_up(podfd, seconds, err);
	return r < 0 ? err_wrap(err, r, "pod %s", path) : 0;
}

/* The same of a directory that has no pod.json, where it is one of those that podctl lists. */
static int end_unfinished(const struct ctl *ctl, const char *path, uint32_t seconds, struct err *err)
{
	autoclose int rootfd = -1;
	autoclose int fd = -1;
	int r;

	if (strchr(path, '/') || hierarchy_open_root(ctl->root, false, &rootfd, NULL) < 0 ||
		file_open_dir(rootfd, path, &fd, NULL) < 0)
		return 0;
	r = lost_runs(fd) ? lost_give_up(fd, seconds, err) : 0;
	return r < 0 ? err_wrap(err, r, "pod %s", path) : 0;
}

static int remove_pod(const struct ctl *ctl, const char *path, const struct rm_options *options,
	struct err *err)
{
	uint32_t seconds = options->seconds == STOP_DEFAULT ? LIFECYCLE_STOP_SECONDS
							    : options->seconds;
	int found = look_for_pod(ctl, path);
	int r = 0;

	/* Perhaps one that was never finished: most often there is nothing in it to stop. */
	if (found == -ENOENT) {
		r = options->force ? end_unfinished(ctl, path, seconds, err) : 0;
		return r < 0 ? r : lifecycle_remove(ctl, path, err);
	}
	if (options->force)
		r = end_pod(ctl, path, seconds, err);
	if (r == 0)
		r = remove_containers(ctl, path, err);
	if (r == 0)
		r = lifecycle_remove(ctl, path, err);
	return r == -ENOENT && found == 0 ? 0 : r;
}

/* With force, the pods inside go first. */
static int remove_nested(const struct ctl *ctl, const char *path, const struct rm_options *options,
	struct err *err)
{
	autostrv paths = NULL;
	int r;

	r = lifecycle_nested(ctl, path, &paths, err);
	for (size_t i = 0; r == 0 && paths[i]; i++)
		r = remove_pod(ctl, paths[i], options, err);
	return r;
}

static int remove_made(const struct ctl *ctl, const struct target *target,
	const struct rm_options *options, struct err *err)
{
	int r = 0;

	if (options->force)
		r = stop_container(ctl, target, options->seconds, err);
	if (r == 0 || r == -ENOENT)
		r = make_remove(ctl, target->pod, target->name, err);
	/* Its end has removed it (--rm). */
	return r == -ENOENT && options->force ? 0 : r;
}

/* A container that podctl made. Return: 0; 1 when it is none; -errno. */
static int try_to_remove_made(const struct ctl *ctl, const char *path,
	const struct rm_options *options, struct err *err)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct err reason = {};

	if (target_open(ctl, path, TARGET_ANY, &target, &reason) < 0 || target.is_pod)
		return 1;
	return remove_made(ctl, &target, options, err);
}

/* A path with several names may be a pod or a container. */
static int remove_path(const struct ctl *ctl, const char *path, const struct rm_options *options,
	struct err *err)
{
	int r;

	r = try_to_remove_made(ctl, path, options, err);
	if (r <= 0)
		return r;
	r = name_check_path(path, err);
	if (r == 0 && options->force)
		r = remove_nested(ctl, path, options, err);
	if (r == 0)
		r = remove_pod(ctl, path, options, err);
	if (r == -ENOENT && strchr(path, '/'))
		r = remove_container(ctl, path, options->force, err);
	return r;
}

static int remove_all(const struct ctl *ctl, char *const *paths, const struct rm_options *options,
	bool json)
{
	struct ctl_report report;

	ctl_report_begin(&report, json);
	for (size_t i = 0; paths[i]; i++) {
		struct err err = {};
		int r = remove_path(ctl, paths[i], options, &err);

		/* As podman: what is not there need not be forced away. */
		if (r == -ENOENT && options->force)
			continue;
		ctl_report_add(&report, paths[i], r, &err, r == -ENOENT ? CTL_MISSING : CTL_FAILED);
	}
	return ctl_report_end(&report);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct rm_options values = {.seconds = STOP_DEFAULT};
	const char *format = NULL;
	bool all = false;
	const struct option options[] = {
		{.name = "force", .letter = 'f', .flag = &values.force,
			.help = "stop what runs, and remove the pods inside as well"},
		{.name = "time", .letter = 't', .argument = "SECONDS", .number = &values.seconds,
			.max = LIFECYCLE_STOP_SECONDS_MAX,
			.help = "as in podctl stop, with --force"},
		{.name = "all", .letter = 'a', .flag = &all, .help = "remove every pod"},
		OPTION_FORMAT(&format), {}};
	autostrv paths = NULL;
	struct err err = {};
	bool json;
	size_t n;
	int status = options_parse(&verb_rm, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_rm, "--format must be json or table");
	if (all == (n > 0))
		return ctl_usage_error(&verb_rm, all ? "--all goes without POD" : "POD is missing");
	if (!all)
		return remove_all(ctl, argv, &values, json);
	r = lifecycle_all(ctl, true, &paths, &err);
	return r < 0 ? ctl_fail(r, &err) : remove_all(ctl, paths, &values, json);
}

const struct ctl_verb verb_rm = {
	.name = "rm",
	.operands = "POD|CONTAINER...",
	.operands_max = SIZE_MAX,
	.summary = "Remove containers, or pods with their containers, that do not run",
	.details = "Of a container that its runtime attached by the hook, what a failed attachment left\n"
		   "is removed; with --force also the record of one that has ended and could not be\n"
		   "detached. The exit status is 1 when there is no such pod or container.",
	.example = "podctl rm -f net0",
	.run = run,
};
