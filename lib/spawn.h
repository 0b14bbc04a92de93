/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Runs one helper program to its end: absolute path, own environment, own process group, every
 * other fd closed, output bounded, and the whole group killed at the deadline. The program's
 * descendants cannot hold the caller up by keeping the output open. Blocks: for short-lived
 * processes only.
 */

#include <stddef.h>

#include "err.h"

struct spawn {
	const char *path;         /* absolute; not looked up */
	char *const *argv;
	char *const *envp;        /* NULL: empty environment */
	const char *input;        /* for its stdin; NULL: /dev/null */
	size_t input_length;
	int program_fd;           /* above 2: an open fd to execute instead of path; else none */
	int root_fd;              /* above 2: a directory that becomes its root; else none. Needs
				   * CAP_SYS_CHROOT */
	unsigned timeout_ms;      /* 0: none */
	size_t output_max;        /* bytes of stdout; more is an error (-EFBIG) and ends it */
	size_t stderr_max;        /* bytes of stderr that are kept: the last ones */
};

struct spawn_result {
	int status;               /* as waitpid(2) gives it */
	char *output;             /* NUL-terminated, never NULL after success */
	size_t output_length;
	char *errors;             /* what came on stderr, NUL-terminated */
	size_t errors_length;
};

/* The program starts in "/" with umask 022 and every signal at its default, and is killed when
 * the caller dies. SIGCHLD must not be ignored.
 * Return: 0 once it ended by itself, with any status; -ENOENT, -EACCES, -ENOEXEC (could not be
 * executed), -ETIMEDOUT (killed at the deadline), -EFBIG (wrote too much, killed), -errno.
 * *ret is filled also after -ETIMEDOUT and -EFBIG, and can be given to spawn_result_done() after
 * any outcome. */
int spawn_run(const struct spawn *spawn, struct spawn_result *ret, struct err *err);
void spawn_result_done(struct spawn_result *result);

/* "exited with status 3" or "was killed by signal 9 (Killed)". Return: 0 when it exited with 0,
 * else 1. */
int spawn_describe(int status, char *ret, size_t size);
