/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The uplink's sandbox, in two stages; and the one file in it.
 */

#include <stddef.h>

#include "err.h"

/* At the start, before anything is read from anywhere: fds 0 to @last_fd remain, and nobody can
 * look into the process. Return: 0 or -errno. */
int uplink_sandbox_prepare(int last_fd, struct err *err);

/* Stage 1, before anything of the pod's is read: nothing of the host but its network, the log and
 * the open fds remains. @userns is the pod's user namespace. The caller must have one thread.
 * Needs: CAP_SYS_ADMIN in @userns, as who owns it has. Return: 0 or -errno. */
int uplink_sandbox_enter(int userns, struct err *err);

/* Stage 2, once libslirp runs: no more files or system calls than packets take.
 * Return: 0 or -errno. */
int uplink_sandbox_seal(struct err *err);

/* Replaces /etc/resolv.conf, in which libslirp looks up where to send name server queries. After
 * uplink_sandbox_enter() only. Return: 0 or -errno. */
int uplink_sandbox_write_resolv(const char *text, size_t length, struct err *err);
