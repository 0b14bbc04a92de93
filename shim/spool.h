/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Messages for one connection whose socket is full: they wait in an unlinked file, in order, until
 * it takes them.
 */

#include "shim.h"

/* Bytes that wait for one connection at most. */
#define SPOOL_MAX (64 * 1024 * 1024)

struct spool;

/* @dirfd: a directory on the file system that shall hold the file; it is made when it is needed
 * first. */
struct spool *spool_new(int dirfd);
void spool_free(struct spool *spool);

/* Adds one message at the end. Return: 0, -E2BIG beyond SPOOL_MAX, -errno (-ENOSPC). */
int spool_add(struct spool *spool, const struct shim_header *header, const void *data,
	size_t length);

/* Sends what waits as far as the non-blocking socket takes it. Return: 1 when nothing waits any more
 * (the file's space is given back), 0 when the socket is full, -errno. */
int spool_send(struct spool *spool, int socket);

bool spool_is_empty(const struct spool *spool);
/* Bytes that wait. */
size_t spool_length(const struct spool *spool);
