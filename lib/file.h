/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Durable files and owned directories. A record is written to a temporary file in its
 * directory, synced, renamed, and the directory synced. Everything is relative to a directory
 * fd and follows no symbolic link. What is written belongs to the directory's owner, so that
 * the pod's root and the pod's owner can both write records that podd can read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

/* Replaces <dirfd>/<name> by way of the temporary file ".<name>.new", whose name is fixed so that
 * the next write removes what a killed writer left. Every file has one writer at a time: the
 * program that owns it, or who holds its lock. Return: 0 or -errno (-ENOSPC, -EDQUOT ...), the old
 * file untouched and no temporary file left then. */
int file_write(int dirfd, const char *name, const void *data, size_t length, mode_t mode,
	struct err *err);

/* Overwrites in place, keeping the inode (for files that are bind-mounted somewhere), or
 * creates it. Not atomic. */
int file_overwrite(int dirfd, const char *name, const void *data, size_t length, mode_t mode,
	struct err *err);

/* Reads a regular file. Return: 0, -ENOENT, -EFBIG beyond @max, -ELOOP for a link, -errno. */
int file_read(int dirfd, const char *name, size_t max, char **ret_data, size_t *ret_length,
	struct err *err);

/* Removes a file; one that is not there is fine. */
int file_remove(int dirfd, const char *name, struct err *err);

/* Opens a directory below @dirfd, whose owner must be the caller's effective user or the
 * creator of the caller's user namespace, and which group and others must not be able to write.
 * Return: 0, -ENOENT, -ENOTDIR, -ELOOP, -EPERM (wrong owner or mode), -errno. */
int file_open_dir(int dirfd, const char *name, int *ret_fd, struct err *err);

/* As file_open_dir(), after creating it (mode 0700) where it is missing. */
int file_make_dir(int dirfd, const char *name, int *ret_fd, struct err *err);

/* The check that both do, on an open directory. @what names it in the message. */
int file_check_owned(int fd, const char *what, struct err *err);

/* Removes a tree without following links or entering what is mounted in it (-EXDEV). Missing is
 * fine. */
int file_remove_tree(int dirfd, const char *name, struct err *err);

/* Opens (and creates, 0600) a lock file and takes it exclusively, see fd_lock(). Who holds it may
 * remove the file before letting go. Return: 0, -EWOULDBLOCK when somebody else has it, -errno. */
int file_lock(int dirfd, const char *name, unsigned timeout_ms, int *ret_fd, struct err *err);

/* Names in a directory, without "." and "..", sorted; at most @max, else -E2BIG. */
int file_list(int dirfd, size_t max, char ***ret_names, struct err *err);
