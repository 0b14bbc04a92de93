/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs journalctl with the container's id as the match and reads its JSON
 * (systemd.journal-fields(7) and the journal's "JSON Format"). The cursor of the last entry is
 * where another run goes on.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "idmap.h"
#include "json.h"
#include "quantity.h"
#include "record.h"
#include "text.h"

#include "journal.h"

/* One entry as JSON: bytes that are no text come as numbers, and other fields beside them. */
#define ENTRY_MAX JSON_BYTES_MAX
#define BUFFER_STEP 65536
#define PRIORITY_ERROR 3
#define ARGUMENTS_MAX 16
#define STATUS_NO_PROGRAM 127

struct journal {
	char *match;   /* CONTAINER_ID=... */
	char **users;  /* _UID=..., which journald has from the kernel; one of them */
	char *since; /* not what an earlier container of that id has written; NULL with lines, which
		      * journalctl would count from there */
	time_t created; /* the same, for what comes nevertheless */
	char *lines;   /* or NULL */
	char *cursor;  /* of the last entry that was read, or NULL */
	bool follow;
	pid_t pid;     /* of journalctl; 0: it does not run */
	int fd;        /* what it writes */
	char *buffer;
	size_t length, size;
};

static void end_program(struct journal *journal)
{
	if (journal->pid > 0) {
		kill(journal->pid, SIGKILL);
		while (waitpid(journal->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	journal->pid = 0;
	cleanup_close(&journal->fd);
	journal->fd = -1;
	journal->length = 0;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	end_program(journal);
	free(journal->match);
	strv_free(journal->users);
	free(journal->since);
	free(journal->lines);
	free(journal->cursor);
	free(journal->buffer);
	free(journal);
}

int journal_fd(const struct journal *journal)
{
	return journal->fd;
}

/* ---- one entry ---- */

/* MESSAGE is a text, or its bytes as numbers. Return: an allocated copy, or NULL. */
static char *read_message(const struct json *value, size_t *ret_length)
{
	const char *text = json_string(value);
	size_t n = text ? strlen(text) : json_length(value);
	char *copy = malloc(n + 1);

	for (size_t i = 0; copy && i < n; i++) {
		int64_t byte = 0;

		if (!text)
			json_int(json_at(value, i), &byte);
		copy[i] = text ? text[i] : (char)byte;
	}
	*ret_length = n;
	return copy;
}

static void read_time(const struct json *entry, struct timespec *ret)
{
	const char *text = json_string(json_get(entry, "__REALTIME_TIMESTAMP"));
	uint64_t us = 0;

	text_to_uint64(text, 0, INT64_MAX, &us);
	*ret = (struct timespec){
		.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
}

static int put_entry(struct journal *journal, const struct json *document, struct log_sink *sink)
{
	const char *cursor = json_string(json_get(document, "__CURSOR"));
	const char *priority = json_string(json_get(document, "PRIORITY"));
	struct log_entry entry = {};
	autofree char *message = NULL;
	uint32_t level = 0;

	message = read_message(json_get(document, "MESSAGE"), &entry.length);
	if (!message)
		return -ENOMEM;
	if (cursor) {
		free(journal->cursor);
		journal->cursor = strdup(cursor);
	}
	entry.text = message;
	entry.is_stderr = text_to_uint32(priority, 0, 7, &level) == 0 && level <= PRIORITY_ERROR;
	entry.is_partial = json_get(document, "CONTAINER_PARTIAL_MESSAGE") != NULL;
	read_time(document, &entry.time);
	if (entry.time.tv_sec < journal->created)
		return 0;
	return log_sink_put(sink, &entry);
}

/* Handles every whole line in the buffer and removes it. */
static int put_lines(struct journal *journal, struct log_sink *sink, struct err *err)
{
	char *start = journal->buffer, *stop = journal->buffer + journal->length, *end;
	int r = 0;

	while (r == 0 && (end = memchr(start, '\n', (size_t)(stop - start)))) {
		autoptr(json) document = NULL;

		r = json_parse("journalctl", start, (size_t)(end - start), &document, err);
		if (r == 0)
			r = put_entry(journal, document, sink);
		start = end + 1;
	}
	journal->length = (size_t)(stop - start);
	memmove(journal->buffer, start, journal->length);
	return r;
}

/* ---- the program ---- */

static void __attribute__((noreturn)) child_exec(char *const *argv, int output)
{
	static char *const environment[] = {NULL};

	if (dup2(output, STDOUT_FILENO) >= 0)
		execve(PODD_JOURNALCTL, argv, environment);
	_exit(STATUS_NO_PROGRAM);
}

static int start_program(struct journal *journal, char *const *argv, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	journal->fd = fds[0];
	journal->pid = fork();
	if (journal->pid == 0)
		child_exec(argv, fds[1]);
	close(fds[1]);
	if (journal->pid < 0)
		return err_errno(err, "running journalctl");
	return journal->follow ? fd_set_nonblock(journal->fd) : 0;
}

static int start_journalctl(struct journal *journal, struct err *err)
{
	const char *argv[ARGUMENTS_MAX] = {"journalctl", "--quiet", "--no-pager", "--all",
		"--output=json", "--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE"};
	autofree char *cursor = NULL;
	size_t n = 6;

	if (journal->cursor && !(cursor = text_format("--after-cursor=%s", journal->cursor)))
		return err_oom(err);
	if (cursor || journal->since)
		argv[n++] = cursor ? cursor : journal->since;
	if (!cursor && journal->lines)
		argv[n++] = journal->lines;
	if (journal->follow)
		argv[n++] = "--follow";
	argv[n++] = journal->match;
	/* Matches of one field are alternatives, those of different fields must all match. */
	for (size_t i = 0; journal->users[i] && n + 1 < ARGUMENTS_MAX; i++)
		argv[n++] = journal->users[i];
	return start_program(journal, (char *const *)argv, err);
}

/* The program has closed its output. Return: 0, or -errno for how it ended. */
static int reap(struct journal *journal, struct err *err)
{
	int status = 0;

	while (waitpid(journal->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, "waiting for journalctl");
	journal->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_NO_PROGRAM)
		return err_set(err, -ENOENT, "cannot execute %s, which reads the journal",
			PODD_JOURNALCTL);
	/* 1: nothing was found. */
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		return err_set(err, -EIO, "%s failed", PODD_JOURNALCTL);
	return 0;
}

static int add_user(struct journal *journal, uint32_t uid)
{
	autofree char *match = text_format("_UID=%u", uid);

	return match && strv_add(&journal->users, match) == 0 ? 0 : -ENOMEM;
}

/* podd-shim is the pod's root: by default the owner of the pod, with other maps perhaps somebody
 * else of the owner's. */
static int find_users(struct journal *journal, int podfd, struct err *err)
{
	struct pod_state state;
	uint32_t root;
	struct stat st;
	int r;

	if (fstat(podfd, &st) < 0)
		return err_errno(err, "looking at the pod's directory");
	r = add_user(journal, st.st_uid);
	if (r == 0 && pod_state_load(podfd, &state, NULL) == 0) {
		if (idmap_to_host(&state.uids, 0, &root) == 0 && root != st.st_uid)
			r = add_user(journal, root);
		pod_state_done(&state);
	}
	return r < 0 ? err_oom(err) : 0;
}

int journal_new(int podfd, const struct container_spec *spec, uint64_t lines, bool follow,
	struct journal **ret, struct err *err)
{
	autoptr(journal) journal = calloc(1, sizeof(*journal));
	static const struct timespec never;
	struct timespec created = {};
	int r;

	if (!journal)
		return err_oom(err);
	journal->fd = -1;
	journal->follow = follow;
	quantity_parse_time(spec->created, &never, &created);
	journal->match = text_format("CONTAINER_ID=%s", spec->id);
	journal->created = created.tv_sec;
	if (lines == UINT64_MAX)
		journal->since = text_format("--since=@%lld", (long long)created.tv_sec);
	/* To follow means the last ten lines only, unless it is said otherwise. */
	if (lines != UINT64_MAX)
		journal->lines = text_format("--lines=%" PRIu64, lines);
	else if (follow)
		journal->lines = strdup("--lines=all");
	if (!journal->match || (lines == UINT64_MAX && !journal->since))
		return err_oom(err);
	r = find_users(journal, podfd, err);
	if (r == 0)
		r = start_journalctl(journal, err);
	if (r < 0)
		return r;
	*ret = take_ptr(journal);
	return 0;
}

static int make_room(struct journal *journal, struct err *err)
{
	size_t size = journal->size ? journal->size * 2 : BUFFER_STEP;
	char *grown;

	if (journal->length < journal->size)
		return 0;
	if (journal->length >= ENTRY_MAX)
		return err_set(err, -EFBIG, "an entry of the journal is too large");
	grown = realloc(journal->buffer, size);
	if (!grown)
		return err_oom(err);
	journal->buffer = grown;
	journal->size = size;
	return 0;
}

int journal_copy(struct journal *journal, struct log_sink *sink, struct err *err)
{
	while (journal->fd >= 0) {
		ssize_t n;
		int r = make_room(journal, err);

		if (r < 0)
			return r;
		n = read(journal->fd, journal->buffer + journal->length,
			journal->size - journal->length);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_errno(err, "reading what journalctl writes");
		if (n == 0) {
			cleanup_close(&journal->fd);
			journal->fd = -1;
			return reap(journal, err);
		}
		journal->length += n > 0 ? (size_t)n : 0;
		r = put_lines(journal, sink, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int journal_finish(struct journal *journal, struct log_sink *sink, struct err *err)
{
	int r;

	end_program(journal);
	journal->follow = false;
	r = start_journalctl(journal, err);
	return r < 0 ? r : journal_copy(journal, sink, err);
}
