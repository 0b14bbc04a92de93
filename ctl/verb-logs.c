/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl logs: prints what a container has written, and with --follow what it goes on to write. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quantity.h"
#include "text.h"

#include "journal.h"
#include "log-files.h"
#include "log-sink.h"
#include "options.h"
#include "target.h"
#include "verbs.h"
#include "watch.h"

struct logs {
	const struct target *target;
	bool follow;
	uint64_t lines; /* UINT64_MAX: all */
	struct log_sink sink;
	struct log_files *files;     /* one of these two */
	struct journal *journal;
	struct watch watch;
};

static void logs_done(struct logs *logs)
{
	log_files_free(logs->files);
	journal_free(logs->journal);
	watch_done(&logs->watch);
}

/* Return: 0, -EPIPE, -errno. */
static int copy(struct logs *logs, struct err *err)
{
	struct log_entry entry;
	int r = 0;

	if (logs->journal) {
		r = journal_copy(logs->journal, &logs->sink, err);
	} else {
		while ((r = log_files_next(logs->files, &entry)) > 0)
			if (log_sink_put(&logs->sink, &entry) < 0)
				break;
		if (r < 0)
			return err_set(err, r, "reading the log: %s", strerror(-r));
	}
	if (log_sink_flush(&logs->sink) < 0)
		return err_set(err, logs->sink.error, "writing: %s", strerror(-logs->sink.error));
	return r < 0 ? r : 0;
}

/* True when nothing more will be written: it has ended, or is gone. Has its processes watched. */
static bool has_ended(struct logs *logs)
{
	int childfd = logs->target->childfd;
	struct container_state state;
	enum container_phase phase;

	if (!container_is_made(childfd) || container_state_load(childfd, &state, NULL) < 0)
		return true;
	phase = container_phase_now(&state);
	watch_set_processes(&logs->watch, &state);
	container_state_done(&state);
	return phase == CONTAINER_EXITED;
}

/* Milliseconds that there is to wait; -1: without end, 0: no more. */
static int time_left(const struct logs *logs)
{
	struct timespec now;
	int64_t left;

	if (!logs->sink.has_until)
		return -1;
	clock_gettime(CLOCK_REALTIME, &now);
	left = (logs->sink.until.tv_sec - now.tv_sec) * INT64_C(1000) +
	       (logs->sink.until.tv_nsec - now.tv_nsec) / 1000000;
	if (left <= 0)
		return 0;
	return left < INT32_MAX ? (int)left + 1 : INT32_MAX;
}

static int finish_journal(struct logs *logs, struct err *err)
{
	int r = journal_finish(logs->journal, &logs->sink, err);

	return r < 0 ? r : log_sink_flush(&logs->sink);
}

/* What was written before the end was seen is copied after it: so nothing is missed. */
static int follow(struct logs *logs, struct err *err)
{
	for (;;) {
		int left = time_left(logs);
		bool ended = left == 0 || has_ended(logs);
		int r = copy(logs, err);

		if (r == 0 && ended && logs->journal)
			r = finish_journal(logs, err);
		if (r < 0 || ended)
			return r;
		r = watch_wait(&logs->watch, logs->journal ? journal_fd(logs->journal) : -1,
			STDOUT_FILENO, left);
		if (r == -EPIPE)
			return 0;
		if (r < 0)
			return err_set(err, r, "waiting for output: %s", strerror(-r));
	}
}

static int watch_files(struct logs *logs, struct err *err)
{
	int r;

	r = watch_init(&logs->watch, err);
	if (r == 0)
		r = watch_add_dir(&logs->watch, logs->target->childfd, err);
	if (r == 0 && logs->files)
		r = watch_add_dir(&logs->watch, log_files_dir(logs->files), err);
	return r;
}

static int open_log(struct logs *logs, const struct container_spec *spec, struct err *err)
{
	int r;

	if (spec->log == LOG_NONE)
		return err_set(err, -ENODATA, "it has the log driver none, which keeps no log");
	if (spec->log == LOG_JOURNALD)
		r = journal_new(logs->target->podfd, spec, logs->lines, logs->follow,
			&logs->journal, err);
	else
		r = log_files_open(spec, logs->target->childfd, &logs->files, err);
	if (r == 0 && logs->follow)
		r = watch_files(logs, err);
	if (r == 0 && logs->files && logs->lines != UINT64_MAX)
		r = log_files_seek_tail(logs->files, logs->lines);
	return r;
}

static int print_logs(struct logs *logs, struct err *err)
{
	struct container_spec spec;
	int r;

	r = container_spec_load(logs->target->childfd, &spec, err);
	if (r == 0) {
		r = open_log(logs, &spec, err);
		container_spec_done(&spec);
	}
	if (r == 0)
		r = logs->follow ? follow(logs, err) : copy(logs, err);
	if (logs->files && log_files_skipped(logs->files) > 0)
		ctl_warning("%s: %llu lines of the log cannot be read", logs->target->path,
			(unsigned long long)log_files_skipped(logs->files));
	return r;
}

/* Return: -1, or the exit status. */
static int read_time(const char *option, const char *text, bool *ret_given, struct timespec *ret)
{
	struct timespec now;

	if (!text)
		return -1;
	clock_gettime(CLOCK_REALTIME, &now);
	if (quantity_parse_time(text, &now, ret) < 0)
		return ctl_usage_error(&verb_logs,
			"--%s must be a time such as 2024-01-31T12:00:00Z, 1706702400 or 10m, not "
			"\"%s\"",
			option, text);
	*ret_given = true;
	return -1;
}

/* podman: a negative number is for all. */
static int read_tail(const char *text, uint64_t *ret)
{
	if (!text || strcmp(text, "all") == 0 || text[0] == '-')
		return -1;
	if (text_to_uint64(text, 0, UINT64_MAX - 1, ret) == 0)
		return -1;
	return ctl_usage_error(&verb_logs, "--tail must be a number, not \"%s\"", text);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	cleanup(logs_done) struct logs logs = {.target = &target, .lines = UINT64_MAX,
		.watch = WATCH_NONE};
	const char *since = NULL, *until = NULL, *tail = NULL;
	const struct option options[] = {
		{.name = "follow", .letter = 'f', .flag = &logs.follow,
			.help = "go on until the container has ended"},
		{.name = "since", .argument = "TIME", .text = &since,
			.help = "not what is older: 2024-01-31T12:00:00Z, or 10m"},
		{.name = "until", .argument = "TIME", .text = &until, .help = "not what is later"},
		{.name = "tail", .letter = 'n', .argument = "LINES", .text = &tail,
			.help = "the last lines only"},
		{.name = "timestamps", .letter = 't', .flag = &logs.sink.timestamps,
			.help = "each line with its time"},
		{}};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_logs, options, argc, argv, &n);
	int r;

	if (status < 0)
		status = read_time("since", since, &logs.sink.has_since, &logs.sink.since);
	if (status < 0)
		status = read_time("until", until, &logs.sink.has_until, &logs.sink.until);
	if (status < 0)
		status = read_tail(tail, &logs.lines);
	if (status >= 0)
		return status;
	r = target_open(ctl, argv[0], TARGET_CONTAINER, &target, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	r = print_logs(&logs, &err);
	return r < 0 ? ctl_fail(err_wrap(&err, r, "container %s", target.path), &err) : CTL_OK;
}

const struct ctl_verb verb_logs = {
	.name = "logs",
	.operands = "PATH",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Print what a container has written",
	.details = "What it wrote to its standard error goes to standard error. A pod that has just one\n"
		   "container stands for it. Rotated files are read in their order.",
	.example = "podctl logs -f --tail 20 net0/web",
	.run = run,
};
