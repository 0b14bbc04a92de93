/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * File descriptors: whole reads and writes, passing over unix sockets, unix sockets by
 * directory fd (so that long paths do not meet the 108 bytes of sun_path), locks.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* Most fds in one message of fd_send()/fd_receive(). */
#define FD_PASS_MAX 16

/* Reads to the end, at most @max bytes; the result is NUL-terminated (the NUL not counted).
 * Return: 0, -EFBIG when there is more than @max, or -errno. */
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_length);

/* Return: 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t length);

int fd_set_nonblock(int fd);
/* Clears FD_CLOEXEC: only in a child, just before exec. */
int fd_set_inherit(int fd);

/* Makes @fd the descriptor @target with FD_CLOEXEC cleared, also when they are the same. */
int fd_move_to(int fd, int target);

/* As openat2(2), with O_CLOEXEC. A ".." or a link that is met while anything on the machine is renamed
 * or mounted is looked up again, some hundred times at most. Return: an fd, -EAGAIN, -errno. */
int fd_openat2(int dirfd, const char *path, int flags, uint64_t resolve);

/* Sends one message with fds, MSG_NOSIGNAL. Return: 0 or -errno. */
int fd_send(int socket, const void *data, size_t length, const int *fds, size_t n_fds);

/* Receives one message. The fds have O_CLOEXEC and belong to the caller; missing ones are -1.
 * Return: bytes (0 at the end), or -errno; -EBADMSG if more than @max_fds came (all closed) or
 * the message was truncated. */
ssize_t fd_receive(
	int socket, void *data, size_t size, int *fds, size_t max_fds, size_t *ret_n_fds);

/* Binds and listens on <dirfd>/<name>, mode 0600, replacing what was there. @type is
 * SOCK_STREAM or SOCK_SEQPACKET; the socket is non-blocking and close-on-exec. */
int fd_listen_unix(int dirfd, const char *name, int type, int *ret_fd, struct err *err);

/* Connects to <dirfd>/<name>, waiting at most two seconds; the fd blocks, sending for at most that
 * long. Return: 0, -ENOENT, -ECONNREFUSED, -ETIMEDOUT or -errno. */
int fd_connect_unix(int dirfd, const char *name, int type, int *ret_fd);

/* As fd_connect_unix(), but waits for nothing: the fd does not block. Return: 0, -EAGAIN when the
 * listener's backlog is full, -errno. */
int fd_connect_unix_now(int dirfd, const char *name, int type, int *ret_fd);

/* The peer's credentials as of connect (unix(7), SO_PEERCRED). */
int fd_peer(int socket, pid_t *ret_pid, uid_t *ret_uid);

/* Takes an exclusive flock(2), waiting at most @timeout_ms (0: do not wait). Uses
 * ITIMER_REAL and SIGALRM when it has to wait: for single-purpose processes only.
 * Return: 0, -EWOULDBLOCK when somebody else has it, or -errno. */
int fd_lock(int fd, unsigned timeout_ms);

/* True when both refer to the same inode of the same device. */
int fd_same_file(int a, int b);
