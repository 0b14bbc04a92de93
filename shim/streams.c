/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The standard streams of a process: see streams.h.
 *
 *   new ──begin──▶ reading ──finish──▶ draining ──all ends closed, or empty──▶ finished()
 *                    └pause(true)─▶ paused ─pause(false)─┘    (draining can be paused as well)
 *
 * When a container's processes are gone, everything that they wrote is in the pipes: those are read
 * until they are empty or closed, and nobody who keeps an end open is waited for. A terminal passes
 * its data on a little later (the kernel's flush_to_ldisc()), so there its closing is waited for, but
 * not for ever.
 *
 * stdout and stderr are read in the order in which they became readable: an epoll(7) of their own
 * hands them out that way, sd-event would not. What was written to both before either was read is the
 * only thing that can change places; no more can be known of two pipes.
 */

#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "console.h"
#include "fd.h"
#include "shim.h"

#define READ_SIZE (64 * 1024)
/* What one event reads at most, so that others have their turn. */
#define READS_MAX 8
#define PIPE_SIZE (1024 * 1024)
#define TERMINAL_DRAIN_US 1000000
#define IDLE_US 200000

enum { INPUT, OUTPUT, ERRORS };

struct source {
	struct streams *streams;
	int fd;
	bool is_stderr;
	bool open;
	bool grown;
};

struct streams {
	sd_event *event;
	struct streams_options options;
	const struct streams_handler *handler;
	void *userdata;
	struct console *console;
	struct source outputs[2];
	int epoll;                 /* the open outputs */
	sd_event_source *readable;
	sd_event_source *writable;
	sd_event_source *drain;    /* while draining: once more, or the end of patience */
	sd_event_source *patience;
	int child[3];
	int input;
	struct winsize size;
	bool has_size;
	bool paused;
	bool draining;
	bool finished;
};

/* One for all: what is read is handed on before anything else is read. */
static alignas(4096) char buffer[READ_SIZE];
static sd_event_source *idle;

static int on_idle(sd_event_source *source, uint64_t now, void *userdata)
{
	(void)madvise(buffer, sizeof(buffer), MADV_DONTNEED);
	return 0;
}

/* The buffer's pages are given back when nothing was read for a while. */
static void note_use(sd_event *event)
{
	uint64_t now;

	if (sd_event_now(event, CLOCK_MONOTONIC, &now) < 0)
		return;
	if (!idle)
		(void)sd_event_add_time(event, &idle, CLOCK_MONOTONIC, now + IDLE_US, IDLE_US,
			on_idle, NULL);
	else if (sd_event_source_set_time(idle, now + IDLE_US) >= 0)
		sd_event_source_set_enabled(idle, SD_EVENT_ONESHOT);
}

/* ---- output ---- */

static void source_close(struct source *source)
{
	if (source->open)
		epoll_ctl(source->streams->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->open = false;
}

static void hand_on(struct source *source, size_t length)
{
	struct streams *streams = source->streams;

	for (size_t at = 0; at < length; at += SHIM_DATA_MAX) {
		size_t n = length - at < SHIM_DATA_MAX ? length - at : SHIM_DATA_MAX;

		streams->handler->output(streams->userdata, source->is_stderr, buffer + at, n);
	}
}

/* A larger pipe for who writes much; not for all, since a user has a quota of pipe pages (pipe(7)). */
static void grow(struct source *source)
{
	source->grown = true;
	for (int size = PIPE_SIZE; size > READ_SIZE; size /= 2)
		if (fcntl(source->fd, F_SETPIPE_SZ, size) >= 0)
			break;
}

static void read_once(struct source *source)
{
	ssize_t n;

	n = read(source->fd, buffer, sizeof(buffer));
	if (n == sizeof(buffer) && !source->grown)
		grow(source);
	if (n > 0)
		hand_on(source, (size_t)n);
	/* A terminal whose other side was closed by all gives EIO. */
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		source_close(source);
}

/* Return: false when there was nothing to read. */
static bool read_ready(struct streams *streams)
{
	struct epoll_event events[2];
	int n = epoll_wait(streams->epoll, events, 2, 0);

	for (int i = 0; i < n && !streams->paused; i++) {
		struct source *source = events[i].data.ptr;

		if (source->open)
			read_once(source);
	}
	return n > 0;
}

static int on_readable(sd_event_source *io, int fd, uint32_t events, void *userdata)
{
	struct streams *streams = userdata;

	for (int i = 0; i < READS_MAX && !streams->paused; i++)
		if (!read_ready(streams))
			break;
	note_use(streams->event);
	return 0;
}

static int source_begin(struct streams *streams, struct source *source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};

	if (source->fd < 0)
		return 0;
	if (epoll_ctl(streams->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return -errno;
	source->open = true;
	return 0;
}

void streams_pause(struct streams *streams, bool paused)
{
	if (!streams || streams->paused == paused)
		return;
	streams->paused = paused;
	sd_event_source_set_enabled(streams->readable, paused ? SD_EVENT_OFF : SD_EVENT_ON);
	if (streams->draining && !streams->finished)
		sd_event_source_set_enabled(streams->drain, paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

/* ---- the end ---- */

static void finish(struct streams *streams)
{
	streams->finished = true;
	sd_event_source_set_enabled(streams->drain, SD_EVENT_OFF);
	streams->patience = sd_event_source_disable_unref(streams->patience);
	for (int i = 0; i < 2; i++)
		source_close(&streams->outputs[i]);
	streams->handler->finished(streams->userdata);
}

static bool is_closed(const struct streams *streams)
{
	return !streams->outputs[0].open && !streams->outputs[1].open;
}

static int on_patience(sd_event_source *source, uint64_t now, void *userdata)
{
	struct streams *streams = userdata;

	if (!streams->paused)
		finish(streams);
	return 0;
}

/* Called again and again from the loop until the pipes are empty. */
static int on_drain(sd_event_source *source, void *userdata)
{
	struct streams *streams = userdata;
	bool more = !streams->paused && read_ready(streams);

	if (streams->paused)
		return 0;
	if (is_closed(streams) || (!more && !streams->options.terminal))
		finish(streams);
	else if (!more)
		/* The terminal's own events go on. */
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

static int on_closing(sd_event_source *source, void *userdata)
{
	struct streams *streams = userdata;

	if (streams->draining && !streams->finished && is_closed(streams))
		finish(streams);
	return 0;
}

void streams_finish(struct streams *streams)
{
	int r;

	if (streams->draining)
		return;
	streams->draining = true;
	streams_close_input(streams);
	r = sd_event_add_defer(streams->event, &streams->drain, on_drain, streams);
	if (r >= 0)
		r = sd_event_source_set_enabled(
			streams->drain, streams->paused ? SD_EVENT_OFF : SD_EVENT_ON);
	if (r >= 0 && streams->options.terminal) {
		r = sd_event_add_post(streams->event, &streams->writable, on_closing, streams);
		if (r >= 0)
			r = sd_event_add_time_relative(streams->event, &streams->patience,
				CLOCK_MONOTONIC, TERMINAL_DRAIN_US, 0, on_patience, streams);
	}
	if (r < 0)
		finish(streams);
}

/* ---- input ---- */

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct streams *streams = userdata;

	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	streams->handler->writable(streams->userdata);
	return 0;
}

static int await_room(struct streams *streams)
{
	if (streams->writable)
		return sd_event_source_set_enabled(streams->writable, SD_EVENT_ON);
	return sd_event_add_io(streams->event, &streams->writable, streams->input, EPOLLOUT,
		on_writable, streams);
}

size_t streams_write(struct streams *streams, const void *data, size_t length)
{
	const char *bytes = data;
	size_t done = 0;

	while (streams->input >= 0 && done < length) {
		ssize_t n = write(streams->input, bytes + done, length - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN && await_room(streams) >= 0)
			return done;
		else if (errno != EINTR)
			streams_close_input(streams);
	}
	return length;
}

void streams_close_input(struct streams *streams)
{
	streams->writable = sd_event_source_disable_unref(streams->writable);
	cleanup_close(&streams->input);
	streams->input = -1;
}

/* ---- terminal ---- */

static void set_size(const struct streams *streams)
{
	if (streams->has_size && streams->options.terminal && streams->outputs[0].fd >= 0)
		(void)ioctl(streams->outputs[0].fd, TIOCSWINSZ, &streams->size);
}

void streams_resize(struct streams *streams, uint32_t rows, uint32_t columns)
{
	streams->size = (struct winsize){.ws_row = rows > UINT16_MAX ? UINT16_MAX : (uint16_t)rows,
		.ws_col = columns > UINT16_MAX ? UINT16_MAX : (uint16_t)columns};
	streams->has_size = true;
	set_size(streams);
}

static void on_master(void *userdata, int master)
{
	struct streams *streams = userdata;

	fd_set_nonblock(master);
	streams->outputs[0].fd = master;
	/* A descriptor of its own: epoll(7) takes each one only once. */
	if (streams->options.interactive)
		streams->input = fcntl(master, F_DUPFD_CLOEXEC, 3);
	set_size(streams);
}

void streams_hang_up(struct streams *streams)
{
	if (!streams->options.terminal)
		return;
	source_close(&streams->outputs[0]);
	cleanup_close(&streams->outputs[0].fd);
	streams->outputs[0].fd = -1;
}

/* ---- making ---- */

static int make_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = ends[0];
	*ret_write = ends[1];
	return 0;
}

static int make_pipes(struct streams *streams)
{
	int r = 0;

	if (streams->options.interactive) {
		r = make_pipe(&streams->child[INPUT], &streams->input);
		if (r == 0)
			r = fd_set_nonblock(streams->input);
	}
	for (int i = 0; i < 2 && r == 0; i++) {
		r = make_pipe(&streams->outputs[i].fd, &streams->child[OUTPUT + i]);
		if (r == 0)
			r = fd_set_nonblock(streams->outputs[i].fd);
	}
	return r;
}

int streams_new(sd_event *event, const struct place *place, const struct streams_options *options,
	const struct streams_handler *handler, void *userdata, struct streams **ret,
	struct err *err)
{
	autoptr(streams) streams = calloc(1, sizeof(*streams));
	int r;

	if (!streams)
		return err_oom(err);
	streams->event = event;
	streams->options = *options;
	streams->handler = handler;
	streams->userdata = userdata;
	streams->input = -1;
	for (int i = 0; i < 3; i++)
		streams->child[i] = -1;
	for (int i = 0; i < 2; i++)
		streams->outputs[i] =
			(struct source){.streams = streams, .fd = -1, .is_stderr = i == 1};
	streams->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (streams->epoll < 0)
		return err_errno(err, "making an epoll instance");
	if (options->terminal) {
		r = console_new(event, place, on_master, streams, &streams->console, err);
	} else {
		r = make_pipes(streams);
		if (r < 0)
			err_set(err, r, "making pipes: %s", strerror(-r));
	}
	if (r < 0)
		return r;
	*ret = take_ptr(streams);
	return 0;
}

static void close_child_ends(struct streams *streams)
{
	for (int i = 0; i < 3; i++) {
		cleanup_close(&streams->child[i]);
		streams->child[i] = -1;
	}
}

void streams_free(struct streams *streams)
{
	if (!streams)
		return;
	streams_close_input(streams);
	sd_event_source_disable_unref(streams->drain);
	sd_event_source_disable_unref(streams->patience);
	for (int i = 0; i < 2; i++) {
		source_close(&streams->outputs[i]);
		cleanup_close(&streams->outputs[i].fd);
	}
	sd_event_source_disable_unref(streams->readable);
	cleanup_close(&streams->epoll);
	close_child_ends(streams);
	console_free(streams->console);
	free(streams);
}

int streams_child_fd(const struct streams *streams, int number)
{
	return streams->child[number];
}

int streams_errors_fd(const struct streams *streams)
{
	return streams->outputs[1].fd;
}

const char *streams_console(const struct streams *streams)
{
	return streams->console ? console_path(streams->console) : NULL;
}

int streams_begin(struct streams *streams)
{
	int r;

	console_poll(streams->console);
	console_free(take_ptr(streams->console));
	close_child_ends(streams);
	if (streams->options.terminal && streams->outputs[0].fd < 0)
		return -ENOTTY;
	r = source_begin(streams, &streams->outputs[0]);
	if (r == 0)
		r = source_begin(streams, &streams->outputs[1]);
	if (r == 0)
		r = sd_event_add_io(streams->event, &streams->readable, streams->epoll, EPOLLIN,
			on_readable, streams);
	if (r >= 0 && streams->paused)
		r = sd_event_source_set_enabled(streams->readable, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}
