/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the file system needs before a run: overlays whose changes are thrown away, and directories
 * that change their owner (-v ...:U). */

#include "err.h"
#include "place.h"

/* In a mount namespace of the shim's own, which is made at the first call; nothing happens without
 * overlays. Needs: CAP_SYS_ADMIN in the pod's user namespace. */
int overlay_mount(const struct place *place, struct err *err);
/* Unmounts them (where they are mounted here) and removes what was changed. */
void overlay_remove(const struct place *place);

/* Gives the trees to @uid and @gid; follows no link. Takes long: for a child process. */
int overlay_chown(char *const *paths, uid_t uid, gid_t gid, struct err *err);
