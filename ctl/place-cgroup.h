/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where the cgroup of a container is made. */

#include "container.h"
#include "pod.h"

/* The cgroup to make it in: that of the pod's unit while the pod runs in one, else the nearest that
 * is delegated to the caller; and the controllers that the ones made there have. Return: 0,
 * -ENOENT, -errno. */
int place_find(const char *pod, const struct pod_state *state, char **ret,
	unsigned *ret_controllers, struct err *err);

/* A name there that no other container has, of another hierarchy either. Return: allocated, or
 * NULL. */
char *place_choose(const char *parent, const char *id);

/* Before a start: the container may have been made when its pod was elsewhere. Changes its
 * specification, its record and its bundle where that is so. Return: 0 or -errno. */
int place_container(
	const struct pod_running *pod, int childfd, struct container_spec *spec, struct err *err);
