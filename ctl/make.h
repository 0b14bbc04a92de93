/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Making a container: what podctl create and podctl run have in common. From the options to the
 * records and the bundle in children/NAME; nothing runs yet.
 */

#include "container.h"
#include "ctl.h"
#include "options.h"

/* The values of the options; see the table in container-options.c. */
struct container_options;

#define CONTAINER_OPTIONS_MAX 80

int container_options_new(struct container_options **ret);
void container_options_free(struct container_options *options);
CLEANUP_DEFINE(container_options, container_options_free)

/* Appends the table's entries, which fill @options, to @table from *n on (at most
 * CONTAINER_OPTIONS_MAX), without an end mark. */
void container_options_table(struct container_options *options, struct option *table, size_t *n);

/* What verbs must know of them before a container is made. */
struct container_request {
	const char *name;     /* --name, or NULL */
	const char *pod;      /* --pod, or NULL */
	const char *cidfile;  /* as given, or NULL */
	bool makes_container; /* --rootfs or --bundle was given */
	bool auto_remove;     /* --rm */
	bool terminal;
	bool interactive;
};
struct container_request container_options_request(const struct container_options *options);

/* "KEY=VALUE" or "KEY" into an object of strings, of at most RECORD_LABELS_MAX. @what names the
 * option. Return: 0, -EINVAL, -ENOMEM. */
int make_add_pair(struct json *object, const char *text, const char *what, struct err *err);
int make_add_pairs(struct json *object, char *const *texts, const char *what, struct err *err);

/* True for a file directly in /run, which a pod has one of its own of: see make-spec.c. */
bool make_is_in_run(const char *path);

/* Makes children/@name of @pod with everything in it, and the cidfile. The pod need not run. On
 * failure nothing is left. @command may be empty only with --bundle. Warnings (no cgroup is
 * delegated for a limit) are printed. Return: 0; -EEXIST (the name is in use); -EINVAL, -ENOENT,
 * -errno with the reason. */
int make_container(const struct ctl *ctl, const char *pod, const char *name,
	const struct container_options *options, char *const *command, struct err *err);

/* What make_container() would write of it in a pod that is, or will be, so; nothing is made, and
 * nothing printed. Return: as make_container(). */
int make_describe(const struct ctl *ctl, const struct pod_spec *pod, const char *name,
	const struct container_options *options, char *const *command,
	struct container_spec *ret_spec, struct json **ret_config, struct err *err);

/* Removes children/@name of a container that does not run, as the pod's root where its files belong
 * to others than the caller; waits at most a little for a shim that is about to end. With the last
 * container of a pod that was made for it (pod_spec.auto_remove) and does not run, that pod.
 * Return: 0, -ENOENT, -EBUSY (it runs), -errno. */
int make_remove(const struct ctl *ctl, const char *pod, const char *name, struct err *err);
