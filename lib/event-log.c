/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The log of a pod's events: see event-log.h. */

#include "event-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "name.h"
#include "record.h"
#include "text.h"

/* How often a file may be rotated away while it is opened. */
#define OPEN_TRIES 10

/* ---- events ---- */

struct json *event_new(const char *pod, const char *child, const char *type, const char *time)
{
	struct json *event = json_new_object();
	char now[RECORD_TIME_SIZE];

	if (!time)
		record_time_now(now);
	json_set_string(event, "type", type);
	json_set_string(event, "time", time ? time : now);
	json_set_string(event, "pod", pod);
	json_set_string(event, "child", child);
	return event;
}

/* "2024-01-31T12:00:00.000000Z": times are compared as texts. */
static bool is_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return true;
}

static bool is_event(const struct json *event)
{
	const char *type = NULL, *time = NULL, *pod = NULL, *child = NULL, *record = NULL;
	const struct json *attributes = NULL;
	bool late = false;
	int64_t seq = 0;

	return json_read_string(event, "type", true, &type, NULL) == 0 && *type &&
	       strlen(type) <= EVENT_TYPE_MAX &&
	       json_read_string(event, "time", true, &time, NULL) == 0 && is_time(time) &&
	       json_read_string(event, "pod", true, &pod, NULL) == 0 &&
	       name_check_path(pod, NULL) == 0 &&
	       json_read_string(event, "child", false, &child, NULL) == 0 &&
	       (!child || name_check_component(child, NULL) == 0) &&
	       json_read_int(event, "seq", true, 1, INT64_MAX, &seq, NULL) == 0 &&
	       json_read_string(event, "record", false, &record, NULL) == 0 &&
	       json_read_bool(event, "late", false, &late, NULL) == 0 &&
	       json_read_object(event, "attributes", false, &attributes, NULL) == 0;
}

/* ---- reading ---- */

size_t event_log_parse(const char *text, size_t length, struct json *array)
{
	size_t whole = 0;
	const char *end;

	while ((end = memchr(text + whole, '\n', length - whole))) {
		size_t line = (size_t)(end - text) - whole;
		struct json *event = NULL;

		if (line <= EVENT_LINE_MAX &&
			json_parse(EVENT_LOG, text + whole, line, &event, NULL) == 0 &&
			is_event(event))
			json_append(array, event);
		else
			json_free(event);
		whole += line + 1;
	}
	return whole;
}

static int open_file(int podfd, const char *name, int flags, int *ret)
{
	struct stat st;
	autoclose int fd = openat(podfd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = take_fd(&fd);
	return 0;
}

/* Both files as they are at one time: podd may rename the one to the other meanwhile. */
static int open_both(int podfd, int fds[2])
{
	for (int i = 0; i < OPEN_TRIES; i++) {
		autoclose int old = -1, young = -1, again = -1;
		int r = open_file(podfd, EVENT_LOG_OLD, O_RDONLY, &old);

		if (r < 0 && r != -ENOENT)
			return r;
		r = open_file(podfd, EVENT_LOG, O_RDONLY, &young);
		if (r < 0 && r != -ENOENT)
			return r;
		r = open_file(podfd, EVENT_LOG_OLD, O_RDONLY, &again);
		if (r < 0 && r != -ENOENT)
			return r;
		if ((old < 0 && again < 0) ||
			(old >= 0 && again >= 0 && fd_same_file(old, again) > 0)) {
			fds[0] = take_fd(&old);
			fds[1] = take_fd(&young);
			return 0;
		}
	}
	return -EAGAIN;
}

/* *ret_whole: bytes of whole lines. */
static int read_file(int fd, struct json *array, size_t *ret_whole)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	*ret_whole = 0;
	if (fd < 0)
		return 0;
	r = fd_read_all(fd, EVENT_LOG_BYTES_MAX + EVENT_LINE_MAX, &text, &length);
	if (r == 0)
		*ret_whole = event_log_parse(text, length, array);
	return r;
}

static int fail(struct err *err, int r)
{
	return err_set(err, r, "reading %s: %s", EVENT_LOG, strerror(-r));
}

int event_log_read(int podfd, struct json **ret_events, bool *ret_cut, struct err *err)
{
	autoptr(json) array = json_new_array();
	int fds[2] = {-1, -1};
	size_t whole;
	int r;

	r = open_both(podfd, fds);
	for (int i = 0; i < 2; i++) {
		autoclose int fd = fds[i];

		if (r == 0)
			r = read_file(fd, array, &whole);
	}
	if (r < 0)
		return fail(err, r);
	if (ret_cut)
		*ret_cut = fds[0] >= 0;
	*ret_events = take_ptr(array);
	return 0;
}

/* ---- writing ---- */

void event_log_done(struct event_log *log)
{
	cleanup_close(&log->fd);
	log->fd = -1;
}

static int open_for_writing(struct event_log *log)
{
	struct stat st;
	int r = open_file(log->dirfd, EVENT_LOG, O_RDWR | O_APPEND | O_CREAT, &log->fd);

	if (r < 0)
		return r;
	if (fstat(log->fd, &st) < 0)
		return -errno;
	log->size = st.st_size;
	return 0;
}

/* A file that is too large, or no file at all, is none of ours: another one is begun. */
static int read_own(struct event_log *log, struct json *array)
{
	size_t whole = 0;
	int r = read_file(log->fd, array, &whole);

	if (r == -EFBIG) {
		whole = 0;
		r = 0;
	}
	if (r == 0 && log->size != (off_t)whole && ftruncate(log->fd, (off_t)whole) < 0)
		r = -errno;
	log->size = (off_t)whole;
	return r;
}

static int64_t last_seq(const struct json *array)
{
	int64_t last = 0, seq;

	for (size_t i = 0; i < json_length(array); i++)
		if (json_int(json_get(json_at(array, i), "seq"), &seq) == 0 && seq > last)
			last = seq;
	return last;
}

int event_log_open(int podfd, struct event_log *ret, struct json **ret_events, struct err *err)
{
	cleanup(event_log_done) struct event_log log = {.dirfd = podfd, .fd = -1};
	autoptr(json) array = json_new_array();
	autoclose int old = -1;
	size_t whole;
	int r;

	r = open_file(podfd, EVENT_LOG_OLD, O_RDONLY, &old);
	if (r == 0 && read_file(old, array, &whole) < 0)
		r = -EINVAL;
	if (r < 0 && r != -ENOENT)
		unlinkat(podfd, EVENT_LOG_OLD, 0);
	r = open_for_writing(&log);
	if (r == 0)
		r = read_own(&log, array);
	if (r < 0)
		return fail(err, r);
	log.seq = last_seq(array);
	*ret = log;
	log.fd = -1;
	*ret_events = take_ptr(array);
	return 0;
}

static int rotate(struct event_log *log)
{
	if (renameat(log->dirfd, EVENT_LOG, log->dirfd, EVENT_LOG_OLD) < 0)
		return -errno;
	cleanup_close(&log->fd);
	log->fd = -1;
	return open_for_writing(log);
}

/* In one write(2); of one that was cut short nothing stays. */
static int write_line(struct event_log *log, const char *line, size_t length)
{
	ssize_t n;
	int r;

	do {
		n = write(log->fd, line, length);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)length) {
		log->size += n;
		return 0;
	}
	r = n < 0 ? -errno : -ENOSPC;
	if (n > 0 && ftruncate(log->fd, log->size) < 0)
		return -errno;
	return r;
}

static int to_line(const struct json *event, char **ret, size_t *ret_length)
{
	autofree char *text = NULL;
	size_t length;
	char *line;
	int r = json_write(event, false, &text, &length);

	if (r < 0)
		return r;
	line = realloc(text, length + 2);
	if (!line)
		return -ENOMEM;
	text = NULL;
	line[length] = '\n';
	line[length + 1] = '\0';
	*ret = line;
	*ret_length = length + 1;
	return 0;
}

int event_log_append(struct event_log *log, struct json *event, struct err *err)
{
	autofree char *line = NULL;
	size_t length = 0;
	int r;

	json_set_int(event, "seq", ++log->seq);
	r = to_line(event, &line, &length);
	if (r == 0 && length > EVENT_LINE_MAX) {
		free(take_ptr(line));
		json_remove(event, "attributes");
		r = to_line(event, &line, &length);
	}
	if (r == 0 && log->fd >= 0 && log->size + (off_t)length > EVENT_LOG_BYTES_MAX)
		r = rotate(log);
	/* It could not be opened the last time. */
	if (r == 0 && log->fd < 0)
		r = open_for_writing(log);
	if (r == 0)
		r = write_line(log, line, length);
	return r < 0 ? err_set(err, r, "writing %s: %s", EVENT_LOG, strerror(-r)) : 0;
}
