/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the pod sees beside the host's file system: a /run and a /dev/shm of its own, and
 * /var/lib/cni. */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "outer-root.h"

/* Mounts them; with @own_resolv the pod's etc/resolv.conf covers the host's. @shm_size is that of the
 * pod's /dev/shm, in bytes. Stages and the root directory are those of @trees. The caller is root of a new mount namespace, with the pod's directory as
 * its working directory. Needs CAP_SYS_ADMIN in the user namespace. Return: 0 or -errno. */
int outer_mounts_setup(bool own_resolv, uint64_t shm_size, const struct outer_trees *trees,
	struct err *err);
