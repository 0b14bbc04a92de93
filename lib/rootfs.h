/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Looking into a container's root file system, which is hostile: nothing in it leads out of it
 * (openat2(2), RESOLVE_IN_ROOT), and nothing of it is opened that could block.
 */

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"

#define ROOTFS_GROUPS_MAX 64

struct rootfs_user {
	uint32_t uid;
	uint32_t gid;
	size_t n_groups;
	uint32_t groups[ROOTFS_GROUPS_MAX]; /* supplementary, from /etc/group */
	char *home;                         /* "/" where there is no entry */
};

/* Resolves "name|uid[:name|gid]" (NULL or "": root) by the /etc/passwd and /etc/group in @rootfd
 * (-1: nothing to look into, only numbers resolve). Return: 0, -ENOENT (no such user or group),
 * -EINVAL, -errno. */
int rootfs_find_user(int rootfd, const char *text, struct rootfs_user *ret, struct err *err);
void rootfs_user_done(struct rootfs_user *user);

/* The group of that name or number. Return: as rootfs_find_user(). */
int rootfs_find_group(int rootfd, const char *text, uint32_t *ret, struct err *err);

/* Why @process (the "process" of the OCI runtime specification) cannot be executed in @rootfd: 127
 * when there is no such command, 126 when it is there and no program (a directory, without
 * permission, of no known format), 125 when nothing speaks against it. For after a runtime
 * failed. */
int rootfs_judge_command(int rootfd, const struct json *process);

/* Return: 1 when the program in @fd needs no other to run it (no dynamic linker), 0 when it does,
 * -ENOEXEC when it is none. */
int rootfs_is_static(int fd);
