/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Pods for containers: which one a new container goes to, making it where there is none, and having
 * it run.
 */

#include <stdbool.h>

#include "make.h"
#include "record.h"

#include "ctl.h"

/* Checks the specification and makes the pod's directory with pod.json. Nothing is left on failure.
 * Return: 0, -EEXIST, -EINVAL, -ENOENT (the pod around it), -errno. */
int pod_make(const struct ctl *ctl, struct pod_spec *spec, struct err *err);

/* Where a new container goes. */
struct pod_place {
	char pod[NAME_PATH_SIZE];
	char name[NAME_COMPONENT_MAX + 1];
	char path[NAME_PATH_SIZE];         /* of the container */
	bool is_own;                       /* the pod is to be the container's own */
};

/* From --name (a path, or with --pod a name), --pod and what is chosen where they are missing. A
 * single name is that of the container and of its own pod. Return: 0 or -EINVAL, -errno. */
int pod_place(const char *name, const char *pod, struct pod_place *ret, struct err *err);

/* Makes the place's pod where there is none, to be removed with its last container. *ret_made tells
 * whether it did. Return: 0; -EEXIST when the container's own pod would be one that somebody has
 * created for other things; -errno. */
int pod_provide(const struct ctl *ctl, const struct pod_place *place, bool *ret_made,
	struct err *err);

/* A pod that runs. */
struct pod_running {
	int podfd;
	struct pod_state state;
};
#define POD_RUNNING_NONE                                                                           \
	{                                                                                          \
		.podfd = -1                                                                        \
	}
void pod_running_done(struct pod_running *pod);

/* Opens a pod that runs; starts it first where it does not, after it has stopped where it is about
 * to. What runs already is believed by its records and /proc. Return: 0, -ENOENT, -errno. */
int pod_run(const struct ctl *ctl, const char *path, struct pod_running *ret, struct err *err);

/* Opens a pod in whatever state. */
int pod_open(const struct ctl *ctl, const char *path, struct pod_running *ret, struct err *err);
/* True when its records and /proc say that it runs, with its supervisor. */
bool pod_is_running(const struct pod_running *pod);

/* Return: 1 for a pod that was made for a container, and is removed with the last one; 0; -errno. */
int pod_is_auto_removed(int podfd, struct err *err);

/* Waits, but not for long, until a pod that is no longer needed has ended: one that was made for a
 * container, when there is no other container in it. */
void pod_await_end(const struct pod_running *pod);

/* Takes back a pod that pod_provide() made, unless it has got other containers. */
void pod_take_back(const struct ctl *ctl, const char *path);
