/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Asking a pod's podd on its control socket, see schemas/io.podd.Pod.varlink, about the pod or one
 * of its children; and going through the pods that run.
 */

#include <stdbool.h>
#include <stdint.h>

#include "name.h"
#include "varlink.h"

#include "ctl.h"

/* A podd, and whom it is asked about. */
struct supervisor {
	char path[NAME_PATH_SIZE];          /* as it was found: POD or POD/CHILD */
	char pod[NAME_PATH_SIZE];
	char child[NAME_COMPONENT_MAX + 1]; /* "": the pod */
	int podfd;
	struct varlink_client *client;
};
#define SUPERVISOR_NONE                                                                            \
	{                                                                                          \
		.podfd = -1                                                                        \
	}
void supervisor_done(struct supervisor *supervisor);

/* @text names a pod, or a container in one (by path or OCI id), whoever started that. Return: 0;
 * -ENOENT when there is no such thing; -ESRCH when the pod does not run; -errno. */
int supervisor_open(const struct ctl *ctl, const char *text, struct supervisor *ret,
	struct err *err);
/* The one that rules what @text sends: for a pod in a pod, whose way out is a network of that, it
 * is the supervisor of that, and the pod is its child. */
int supervisor_open_ruling(const struct ctl *ctl, const char *text, struct supervisor *ret,
	struct err *err);
/* The same for a pod whose directory is open (it stays the caller's). */
int supervisor_connect(const char *pod, int podfd, struct supervisor *ret, struct err *err);
/* The same, after a supervisor was started where there is none. */
int supervisor_reach(const struct ctl *ctl, const char *pod, int podfd, struct supervisor *ret,
	struct err *err);

/* Calls @method, without the interface's name; takes @parameters over. *ret (may be NULL) is the
 * answer. Return: 0; -EREMOTEIO with podd's reason; -errno. */
int supervisor_call(const struct supervisor *supervisor, const char *method,
	struct json *parameters, struct json **ret, struct err *err);
/* One whose answer brings one descriptor. */
int supervisor_call_for_fd(const struct supervisor *supervisor, const char *method,
	struct json *parameters, int *ret_fd, struct err *err);

/* A new object of parameters; "child" is in it where there is one. */
struct json *supervisor_parameters(const struct supervisor *supervisor);

/* Appends to @array what @method lists in its member @key, in one answer or several: of the child
 * alone, where there is one. Each gets one more member: the path of whose it is. */
#define SUPERVISOR_TARGET "target"
int supervisor_list(const struct supervisor *supervisor, const char *method, const char *key,
	struct json *array, struct err *err);

/* Members of what a list has: "" and 0 where there is none of that type. */
const char *supervisor_text(const struct json *object, const char *key);
int64_t supervisor_number(const struct json *object, const char *key);

/* Calls @method, takes @parameters over, and has in *ret what its answer lists in @key, as
 * supervisor_list() has it. Return: -1, or the exit status of a failure. */
int supervisor_change(const struct supervisor *supervisor, const char *method,
	struct json *parameters, const char *key, struct json **ret);

/* supervisor_list() for @text, or with NULL for every pod that runs: what fails for one of them is
 * told, and the others are listed all the same. Return: -1, or the exit status of a failure; in
 * *ret is what could be listed. */
typedef int (*supervisor_opener)(const struct ctl *ctl, const char *text, struct supervisor *ret,
	struct err *err);
int supervisor_list_all(const struct ctl *ctl, const char *text, supervisor_opener open,
	const char *method, const char *key, struct json **ret);
