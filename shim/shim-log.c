/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The container's log: see shim-log.h. What one read gives is cut into lines, formatted into one buffer
 * and written at once. A line that is not whole yet is written as partial: nothing waits in here,
 * so that nothing is lost with the shim.
 *
 *   writing ──write fails──▶ stopped: one message; what comes is counted, not kept
 *      ▲                        │ every few seconds one entry is tried
 *      └──────it is written─────┘
 *
 * Rotation happens between two entries: log.(N-1) becomes log.N, log becomes log.1.
 */

#include "shim-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log-journal.h"
#include "log.h"
#include "text.h"

/* Entries that are written at once: room for the largest, and for many of the usual size. */
#define BUFFER_SIZE (LOG_ENTRY_MAX + 64 * 1024)
#define RETRY_SECONDS 5

struct shim_log {
	enum container_log form;
	int dirfd;
	int fd;
	char *name;            /* in dirfd */
	uint64_t max_size;
	uint32_t max_files;
	uint64_t size;         /* of the file, without what is buffered */
	size_t used;
	char *buffer;
	bool open_line[2];     /* the stream's last entry was a partial one */
	bool is_stopped;
	time_t stopped_at;
	uint64_t lost;         /* bytes of output since then */
	struct log_journal *journal;
};

static int open_file(struct shim_log *log)
{
	struct stat st;
	int fd = openat(log->dirfd, log->name,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	log->size = (uint64_t)st.st_size;
	return 0;
}

/* Where the log is: in the container's directory, or where a person wants it. */
static int find_place(struct shim_log *log, const struct container_spec *spec, int childfd)
{
	const char *slash = spec->log_path ? strrchr(spec->log_path, '/') : NULL;
	autofree char *directory = NULL;

	if (!slash) {
		log->dirfd = fcntl(childfd, F_DUPFD_CLOEXEC, 3);
		log->name = strdup(CONTAINER_LOG);
	} else {
		directory = strndup(spec->log_path, (size_t)(slash - spec->log_path) + 1);
		if (!directory)
			return -ENOMEM;
		log->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		log->name = strdup(slash + 1);
	}
	if (log->dirfd < 0)
		return -errno;
	return log->name ? 0 : -ENOMEM;
}

static int open_log(struct shim_log *log, const struct container_spec *spec, int childfd,
	struct err *err)
{
	int r;

	if (log->form == LOG_NONE)
		return 0;
	if (log->form == LOG_JOURNALD)
		return log_journal_new(spec, &log->journal, err);
	log->buffer = malloc(BUFFER_SIZE);
	r = log->buffer ? find_place(log, spec, childfd) : -ENOMEM;
	if (r == 0)
		r = open_file(log);
	return r < 0 ? err_set(err, r, "opening the log %s: %s",
			       spec->log_path ? spec->log_path : CONTAINER_LOG, strerror(-r))
		     : 0;
}

int shim_log_open(const struct container_spec *spec, int childfd, struct shim_log **ret,
	struct err *err)
{
	autoptr(shim_log) log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return err_oom(err);
	log->form = spec->log;
	log->dirfd = -1;
	log->fd = -1;
	log->max_size = spec->log_max_size;
	log->max_files = spec->log_max_files ? spec->log_max_files : 1;
	r = open_log(log, spec, childfd, err);
	if (r == 0)
		*ret = take_ptr(log);
	return r;
}

void shim_log_free(struct shim_log *log)
{
	if (!log)
		return;
	cleanup_close(&log->fd);
	cleanup_close(&log->dirfd);
	log_journal_free(log->journal);
	free(log->name);
	free(log->buffer);
	free(log);
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

static void stop(struct shim_log *log, int error)
{
	if (!log->is_stopped)
		fprintf(stderr, "podd-shim: the log %s cannot be written: %s; output is not kept until "
				"it can be\n", log->name, strerror(-error));
	log->is_stopped = true;
	log->stopped_at = now_s();
}

static int write_some(int fd, const char *data, size_t length, size_t *ret_written)
{
	*ret_written = 0;
	while (*ret_written < length) {
		ssize_t n = write(fd, data + *ret_written, length - *ret_written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*ret_written += (size_t)n;
	}
	return 0;
}

/* Bytes at the front of the buffer that are whole entries. */
static size_t whole_entries(const char *buffer, size_t length)
{
	const char *end = memrchr(buffer, '\n', length);

	return end ? (size_t)(end - buffer) + 1 : 0;
}

/* Writes the buffered entries; of one that does not fit whole on the disk nothing stays. */
static void flush(struct shim_log *log)
{
	size_t written;
	int r;

	if (log->used == 0)
		return;
	r = write_some(log->fd, log->buffer, log->used, &written);
	if (r < 0) {
		size_t whole = whole_entries(log->buffer, written);

		if (whole < written && ftruncate(log->fd, (off_t)(log->size + whole)) < 0)
			whole = written;
		written = whole;
		stop(log, r);
	} else if (log->is_stopped) {
		log->is_stopped = false;
		fprintf(stderr, "podd-shim: the log %s is written again; about %llu bytes of output "
				"are not in it\n", log->name, (unsigned long long)log->lost);
		log->lost = 0;
	}
	log->size += written;
	log->used = 0;
}

/* The name of the n-th rotated file; 0 is the log itself. */
static char *rotated_name(const struct shim_log *log, uint32_t n)
{
	return n == 0 ? strdup(log->name) : text_format("%s.%u", log->name, n);
}

static void rotate(struct shim_log *log)
{
	int r;

	flush(log);
	for (uint32_t n = log->max_files - 1; n > 0; n--) {
		autofree char *from = rotated_name(log, n - 1);
		autofree char *to = rotated_name(log, n);

		if (from && to)
			renameat(log->dirfd, from, log->dirfd, to);
	}
	if (log->max_files == 1)
		unlinkat(log->dirfd, log->name, 0);
	r = open_file(log);
	if (r < 0)
		stop(log, r);
}

/* Return: true when there is no use in formatting an entry of @length bytes now. */
static bool is_off(struct shim_log *log, size_t length)
{
	if (!log->is_stopped)
		return false;
	if (now_s() - log->stopped_at >= RETRY_SECONDS)
		return false;
	log->lost += length + 1;
	return true;
}

static void add_entry(struct shim_log *log, const struct log_entry *entry)
{
	size_t n;

	if (is_off(log, entry->length))
		return;
	if (BUFFER_SIZE - log->used < LOG_ENTRY_MAX)
		flush(log);
	if (is_off(log, entry->length))
		return;
	n = log_format(log->form, entry, log->buffer + log->used);
	if (log->max_size && log->size + log->used > 0 &&
		log->size + log->used + n > log->max_size) {
		size_t at = log->used;

		rotate(log);
		memmove(log->buffer, log->buffer + at, n);
	}
	log->used += n;
	if (log->is_stopped)
		flush(log);
}

static void add_text(struct shim_log *log, struct log_entry *entry)
{
	log->open_line[entry->is_stderr] = entry->is_partial;
	if (log->journal)
		log_journal_send(log->journal, entry);
	else
		add_entry(log, entry);
}

/* One line, or the part of it that has come; longer ones than an entry may be are cut. */
static void add_line(struct shim_log *log, struct log_entry *entry, const char *text, size_t length,
	bool is_whole)
{
	while (length > LOG_TEXT_MAX) {
		entry->text = text;
		entry->length = LOG_TEXT_MAX;
		entry->is_partial = true;
		add_text(log, entry);
		text += LOG_TEXT_MAX;
		length -= LOG_TEXT_MAX;
	}
	entry->text = text;
	entry->length = length;
	entry->is_partial = !is_whole;
	add_text(log, entry);
}

void shim_log_write(struct shim_log *log, bool is_stderr, const char *data, size_t length)
{
	struct log_entry entry = {.is_stderr = is_stderr};
	const char *end = data + length;

	if (log->form == LOG_NONE || length == 0)
		return;
	clock_gettime(CLOCK_REALTIME, &entry.time);
	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		const char *stop_at = newline ? newline : end;

		add_line(log, &entry, data, (size_t)(stop_at - data), newline);
		data = newline ? newline + 1 : end;
	}
	if (!log->journal)
		flush(log);
}

void shim_log_flush(struct shim_log *log)
{
	/* Who reads the log takes a partial entry at its end as a line without an end. */
	if (log->form != LOG_NONE && !log->journal)
		flush(log);
}
