/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a log, see log-files.h. One file is open at a time. Which comes next is found by
 * looking where the open one is now: rotation moves files to greater numbers, the oldest first, so
 * that there may be a gap for a moment, and a look upwards misses none. What was found is believed
 * when it is found again after the next file was opened.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

#include "log-files.h"

/* More than two entries, so that a whole one fits behind the rest of another. */
#define BUFFER_SIZE (256 * 1024)
_Static_assert(BUFFER_SIZE > 2 * LOG_ENTRY_MAX, "an entry must fit");
/* How often the next file is looked for when it is rotated away meanwhile. */
#define TRIES 64
#define NONE (-1)

struct log_files {
	int dirfd;
	char *name;
	int max;             /* numbers of rotated files are below it */
	enum container_log form;
	int fd;              /* of the file being read; -1: none yet */
	struct stat id;      /* of it */
	bool is_complete;    /* nothing is written to it any more */
	uint64_t skipped;
	size_t start, end;   /* of what is in the buffer */
	char buffer[BUFFER_SIZE];
};

void log_files_free(struct log_files *files)
{
	if (!files)
		return;
	cleanup_close(&files->fd);
	cleanup_close(&files->dirfd);
	free(files->name);
	free(files);
}

int log_files_dir(const struct log_files *files)
{
	return files->dirfd;
}

uint64_t log_files_skipped(const struct log_files *files)
{
	return files->skipped;
}

/* ---- finding files ---- */

static void file_name(const struct log_files *files, int number, char *name, size_t size)
{
	if (number == 0)
		snprintf(name, size, "%s", files->name);
	else
		snprintf(name, size, "%s.%d", files->name, number);
}

static bool look(const struct log_files *files, int number, struct stat *ret)
{
	char name[NAME_MAX + 16];

	file_name(files, number, name, sizeof(name));
	return fstatat(files->dirfd, name, ret, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(ret->st_mode);
}

static int open_number(const struct log_files *files, int number, int *ret)
{
	char name[NAME_MAX + 16];
	int fd;

	file_name(files, number, name, sizeof(name));
	fd = openat(files->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

/* The number of the next younger file than the open one; without one, of the oldest. NONE: there is
 * none. */
static int find_younger(const struct log_files *files)
{
	int below = NONE, oldest = NONE;
	struct stat st;

	for (int i = 0; i < files->max; i++) {
		if (!look(files, i, &st))
			continue;
		if (files->fd >= 0 && st.st_ino == files->id.st_ino &&
			st.st_dev == files->id.st_dev)
			return below;
		below = oldest = i;
	}
	return oldest;
}

/* The number of the next older file than the open one; without one, of the youngest. */
static int find_older(const struct log_files *files)
{
	bool found = files->fd < 0;
	struct stat st;

	for (int i = 0; i < files->max; i++) {
		if (!look(files, i, &st))
			continue;
		if (found)
			return i;
		found = st.st_ino == files->id.st_ino && st.st_dev == files->id.st_dev;
	}
	return NONE;
}

static int take_file(struct log_files *files, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		close(fd);
		return -errno;
	}
	cleanup_close(&files->fd);
	files->fd = fd;
	files->id = st;
	files->is_complete = false;
	files->start = files->end = 0;
	return 1;
}

/* Goes on to another file. Return: 1, 0 when there is none, -errno. */
static int change_file(struct log_files *files, int (*find)(const struct log_files *files))
{
	for (int i = 0; i < TRIES; i++) {
		int number = find(files);
		int fd = -1;
		int r;

		if (number == NONE)
			return 0;
		r = open_number(files, number, &fd);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0 && find(files) == number)
			return take_file(files, fd);
		cleanup_close(&fd);
	}
	return 0;
}

/* A path of one's own may lead anywhere; its directory must be there. */
static int open_dir(struct log_files *files, const char *path, int childfd, struct err *err)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	autofree char *dir = NULL;

	files->name = strdup(slash ? slash + 1 : CONTAINER_LOG);
	dir = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	if (!files->name || !dir)
		return err_oom(err);
	files->dirfd = openat(slash ? AT_FDCWD : childfd, *dir ? dir : "/",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return files->dirfd < 0 ? err_errno(err, "opening the log's directory %s", dir) : 0;
}

int log_files_open(const struct container_spec *spec, int childfd, struct log_files **ret,
	struct err *err)
{
	autoptr(log_files) files = calloc(1, sizeof(*files));
	int r;

	if (!files)
		return err_oom(err);
	files->fd = files->dirfd = -1;
	files->form = spec->log;
	files->max = (int)spec->log_max_files + 1;
	r = open_dir(files, spec->log_path, childfd, err);
	if (r < 0)
		return r;
	*ret = take_ptr(files);
	return 0;
}

/* ---- reading forward ---- */

/* Return: bytes, 0 at the end of what there is, -errno. */
static ssize_t fill(struct log_files *files)
{
	ssize_t n;

	if (files->start > 0) {
		memmove(files->buffer, files->buffer + files->start, files->end - files->start);
		files->end -= files->start;
		files->start = 0;
	}
	/* A line that is too long for any entry is none. */
	if (files->end == BUFFER_SIZE) {
		files->end = 0;
		files->skipped++;
	}
	do {
		n = read(files->fd, files->buffer + files->end, BUFFER_SIZE - files->end);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	files->end += (size_t)n;
	return n;
}

/* After the last whole entry in the buffer. Return: 1 when there is more, 0, -errno. */
static int read_more(struct log_files *files)
{
	ssize_t n;

	if (files->fd < 0)
		return change_file(files, find_younger);
	n = fill(files);
	if (n != 0)
		return n < 0 ? (int)n : 1;
	/* What was written between this end and the rotation is still to be read. */
	if (!files->is_complete) {
		files->is_complete = find_younger(files) != NONE;
		return files->is_complete;
	}
	return change_file(files, find_younger);
}

int log_files_next(struct log_files *files, struct log_entry *ret)
{
	for (;;) {
		size_t skip = 0;
		ssize_t n = log_parse(files->form, files->buffer + files->start,
			files->end - files->start, ret, &skip);
		int r;

		if (n > 0) {
			files->start += (size_t)n;
			return 1;
		}
		if (n < 0) {
			files->start += skip;
			files->skipped++;
			continue;
		}
		r = read_more(files);
		if (r <= 0)
			return r;
	}
}

/* ---- finding the last lines ---- */

struct tail {
	uint64_t wanted;
	uint64_t lines; /* seen so far */
};

/* Entries come from the last one backwards. A line ends with an entry that is whole; the last one
 * may have no end. Return: true when the lines that are wanted begin after this entry. */
static bool tail_count(struct tail *tail, bool is_partial)
{
	if (tail->lines == 0 || !is_partial)
		tail->lines++;
	return tail->lines > tail->wanted;
}

/* Goes backwards over the lines in buffer[0, end), which begins at @offset of the file. Return: the
 * end of the entry before the wanted ones, or NONE; *end: what is still to be looked at, which
 * begins before the buffer. */
static off_t tail_in_buffer(struct log_files *files, struct tail *tail, off_t offset, size_t *end)
{
	while (*end > 0) {
		char *newline = memrchr(files->buffer, '\n', *end - 1);
		size_t start = newline ? (size_t)(newline - files->buffer) + 1 : 0;
		struct log_entry entry;
		size_t skip;

		if (!newline && offset > 0)
			break;
		if (log_parse(files->form, files->buffer + start, *end - start, &entry, &skip) >
				0 &&
			tail_count(tail, entry.is_partial))
			return offset + (off_t)*end;
		*end = start;
	}
	return NONE;
}

/* Return: where the wanted lines begin in the open file, NONE when they begin before it. */
static off_t tail_in_file(struct log_files *files, struct tail *tail)
{
	off_t position = files->id.st_size;

	while (position > 0) {
		off_t offset = position > BUFFER_SIZE ? position - BUFFER_SIZE : 0;
		ssize_t n = pread(files->fd, files->buffer, (size_t)(position - offset), offset);
		size_t end = n > 0 ? (size_t)n : 0;
		const char *last = end ? memrchr(files->buffer, '\n', end) : NULL;
		off_t found;

		/* What follows the last newline is not written in full yet. */
		end = last ? (size_t)(last - files->buffer) + 1 : 0;
		found = tail_in_buffer(files, tail, offset, &end);
		if (found != NONE)
			return found;
		/* Without a newline in all of it, it is nothing that we wrote. */
		position = end > 0 && offset + (off_t)end < position ? offset + (off_t)end : offset;
	}
	return NONE;
}

int log_files_seek_tail(struct log_files *files, uint64_t lines)
{
	struct tail tail = {.wanted = lines};
	off_t found = 0;
	int r;

	do {
		r = change_file(files, find_older);
		if (r > 0)
			found = tail_in_file(files, &tail);
	} while (r > 0 && found == NONE);
	if (r < 0 || files->fd < 0)
		return r;
	if (lseek(files->fd, found == NONE ? 0 : found, SEEK_SET) < 0)
		return -errno;
	files->start = files->end = 0;
	return 0;
}
