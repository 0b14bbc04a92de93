/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The pod's /dev/shm in a container that another program than podctl made. */

#include "common.h"

/* In createContainer, for a container that is in the pod's ipc namespace: mounts the pod's /dev/shm
 * onto the container's, if that has the directory. In the other phases, where the container's
 * mounts cannot be reached, and for other containers it does nothing. Return: 0 or -errno. */
int shm_share(const struct place *place, const struct request *request, struct err *err);
