/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Messages that wait: see spool.h. The file is a queue of records, each a struct record and its
 * data; it is read from the front and appended to at the end, and emptied when all of it was sent.
 */

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define FREE_EVERY (4 * 1024 * 1024)

struct record {
	struct shim_header header;
	uint32_t length;
};

struct spool {
	int dirfd; /* not owned */
	int fd;    /* -1: nothing ever waited */
	off_t freed;
	off_t start;
	off_t end;
};

struct spool *spool_new(int dirfd)
{
	struct spool *spool = calloc(1, sizeof(*spool));

	if (spool) {
		spool->dirfd = dirfd;
		spool->fd = -1;
	}
	return spool;
}

void spool_free(struct spool *spool)
{
	if (!spool)
		return;
	cleanup_close(&spool->fd);
	free(spool);
}

bool spool_is_empty(const struct spool *spool)
{
	return spool->start == spool->end;
}

size_t spool_length(const struct spool *spool)
{
	return (size_t)(spool->end - spool->start);
}

static int write_at(int fd, const void *data, size_t length, off_t at)
{
	const char *bytes = data;

	while (length > 0) {
		ssize_t n = pwrite(fd, bytes, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_at(int fd, void *data, size_t length, off_t at)
{
	char *bytes = data;

	while (length > 0) {
		ssize_t n = pread(fd, bytes, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

int spool_add(struct spool *spool, const struct shim_header *header, const void *data,
	size_t length)
{
	struct record record = {.header = *header, .length = (uint32_t)length};
	int r;

	if (length > SHIM_DATA_MAX || spool_length(spool) + sizeof(record) + length > SPOOL_MAX)
		return -E2BIG;
	if (spool->fd < 0) {
		spool->fd = openat(spool->dirfd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (spool->fd < 0)
			return -errno;
	}
	r = write_at(spool->fd, &record, sizeof(record), spool->end);
	if (r == 0 && length > 0)
		r = write_at(spool->fd, data, length, spool->end + (off_t)sizeof(record));
	if (r == 0)
		spool->end += (off_t)(sizeof(record) + length);
	return r;
}

/* Gives back the space of what was sent, now and then. */
static void give_back(struct spool *spool)
{
	if (spool->start - spool->freed < FREE_EVERY)
		return;
	if (fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, spool->freed,
		    spool->start - spool->freed) == 0)
		spool->freed = spool->start;
}

/* Sends the first record. Return: 0, -EAGAIN, -errno. */
static int send_first(struct spool *spool, int socket)
{
	static uint8_t data[SHIM_DATA_MAX];
	struct record record;
	int r;

	r = read_at(spool->fd, &record, sizeof(record), spool->start);
	if (r == 0 && record.length > sizeof(data))
		r = -EBADMSG;
	if (r == 0)
		r = read_at(spool->fd, data, record.length, spool->start + (off_t)sizeof(record));
	if (r == 0)
		r = shim_send(socket, record.header.type, record.header.a, record.header.b, data,
			record.length, -1);
	if (r == 0) {
		spool->start += (off_t)(sizeof(record) + record.length);
		give_back(spool);
	}
	return r;
}

int spool_send(struct spool *spool, int socket)
{
	while (!spool_is_empty(spool)) {
		int r = send_first(spool, socket);

		if (r < 0)
			return r == -EAGAIN ? 0 : r;
	}
	if (spool->end > 0) {
		spool->start = spool->end = spool->freed = 0;
		if (ftruncate(spool->fd, 0) < 0)
			return -errno;
	}
	return 1;
}
