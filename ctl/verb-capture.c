/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl capture: podd-uplink writes what passes the pod's tap into a pipe, as pcapng, and this
 * passes it on until a signal, or the end of the pod. Only whole blocks are written, so that what
 * is there can be read whenever it ends. As with tcpdump -w, a file that is there is overwritten.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "text.h"

#include "options.h"
#include "output.h"
#include "pcapng.h"
#include "supervisor.h"
#include "verbs.h"

#define BUFFER_SIZE (2 * PCAPNG_BLOCK_MAX)
/* tcpdump's MAXIMUM_SNAPLEN. */
#define SNAPLEN_MAX 262144

struct capture {
	const char *pod;
	const char *file; /* NULL: the standard output */
	int pipe;
	int signals;
	int target;
	struct output output;
	struct pcapng pcapng;
	uint64_t bytes; /* given to the output */
	size_t length;	/* in the buffer */
	size_t taken;	/* of it, given to the output */
	uint8_t buffer[BUFFER_SIZE];
};

static struct capture *capture_new(void)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	if (capture)
		capture->pipe = capture->signals = capture->target = capture->output.own = -1;
	return capture;
}

static void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	output_done(&capture->output);
	cleanup_close(&capture->pipe);
	cleanup_close(&capture->signals);
	cleanup_close(&capture->target);
	free(capture);
}
CLEANUP_DEFINE(capture, capture_free)

/* ---- passing on ---- */

/* A reader that has enough is no failure. */
static int check_output(const struct capture *capture, struct err *err)
{
	int error = capture->output.error;

	return error && error != EPIPE
		       ? err_set(err, -error, "writing %s: %s",
				 capture->file ? capture->file : "the standard output",
				 strerror(error))
		       : 0;
}

/* What is written leaves the buffer. */
static void forget_written(struct capture *capture)
{
	if (capture->taken == 0 || output_wait_fd(&capture->output) >= 0)
		return;
	capture->length -= capture->taken;
	memmove(capture->buffer, capture->buffer + capture->taken, capture->length);
	capture->taken = 0;
}

/* Reads once and begins to write what is whole; nothing waits to be written. Return: 1, 0 at the
 * end, -EAGAIN, -errno. */
static int read_some(struct capture *capture, struct err *err)
{
	ssize_t n = read(
		capture->pipe, capture->buffer + capture->length, BUFFER_SIZE - capture->length);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n < 0)
		return err_errno(err, "reading the capture of pod %s", capture->pod);
	if (n == 0)
		return 0;
	capture->length += (size_t)n;
	if (pcapng_take(&capture->pcapng, capture->buffer, capture->length, &capture->taken) < 0)
		return err_set(err, -EPROTO, "what podd-uplink of pod %s sends is no pcapng",
			capture->pod);
	capture->bytes += capture->taken;
	if (capture->taken > 0)
		output_put(&capture->output, capture->buffer, capture->taken);
	forget_written(capture);
	return 1;
}

/* Return: 1 to go on, 0 when it is over, -errno. */
static int step(struct capture *capture, struct err *err)
{
	int waiting = output_wait_fd(&capture->output);
	struct pollfd fds[] = {
		{.fd = capture->signals, .events = POLLIN},
		{.fd = waiting < 0 ? capture->pipe : -1, .events = POLLIN},
		/* Who read the output may be gone. */
		{.fd = waiting < 0 ? capture->output.fd : waiting,
			.events = waiting < 0 ? 0 : POLLOUT},
	};
	int r = 1;

	if (poll(fds, 3, -1) < 0)
		return errno == EINTR ? 1 : err_errno(err, "waiting for the capture");
	if (fds[0].revents)
		return 0;
	if (fds[1].revents)
		r = read_some(capture, err);
	else if (fds[2].revents & POLLOUT)
		output_flush(&capture->output);
	else if (fds[2].revents)
		capture->output.error = EPIPE;
	forget_written(capture);
	if (r >= 0 && capture->output.error)
		return check_output(capture, err);
	return r == -EAGAIN ? 1 : r;
}

/* What was in the pipe when a signal came: a packet that a person has seen pass shall be there. */
static int read_rest(struct capture *capture, struct err *err)
{
	int r = 1;

	fcntl(capture->pipe, F_SETFL, O_NONBLOCK);
	while (r > 0 && output_wait_fd(&capture->output) < 0 && !capture->output.error)
		r = read_some(capture, err);
	return r < 0 && r != -EAGAIN ? r : check_output(capture, err);
}

static int pass_on(struct capture *capture, struct err *err)
{
	int r = 1;

	while (r > 0)
		r = step(capture, err);
	return r < 0 ? r : read_rest(capture, err);
}

/* ---- the verb ---- */

static int catch_signals(struct capture *capture, struct err *err)
{
	sigset_t caught;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&caught);
	sigaddset(&caught, SIGINT);
	sigaddset(&caught, SIGTERM);
	sigaddset(&caught, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &caught, NULL) < 0)
		return err_errno(err, "blocking signals");
	capture->signals = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
	return capture->signals < 0 ? err_errno(err, "making a signalfd") : 0;
}

/* Only now, when there is something for it: what an earlier capture left is overwritten. */
static int open_target(struct capture *capture, struct err *err)
{
	int fd = STDOUT_FILENO;

	if (capture->file) {
		capture->target = open(capture->file,
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
		fd = capture->target;
	}
	if (fd < 0)
		return err_errno(err, "opening %s", capture->file);
	output_init(&capture->output, fd);
	return 0;
}

static int begin(const struct ctl *ctl, struct capture *capture, uint32_t snaplen, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	struct json *parameters;
	int r;

	r = supervisor_open(ctl, capture->pod, &supervisor, err);
	if (r < 0)
		return r;
	if (*supervisor.child)
		return err_set(err, -EINVAL,
			"a capture is of a whole pod: podctl capture %s, and let the reader filter",
			supervisor.pod);
	/* Before it begins: it would end one that is under way. */
	r = open_target(capture, err);
	if (r < 0)
		return r;
	parameters = json_new_object();
	if (snaplen)
		json_set_int(parameters, "snaplen", snaplen);
	return supervisor_call_for_fd(&supervisor, "Capture", parameters, &capture->pipe, err);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	autoptr(capture) capture = capture_new();
	const char *file = NULL;
	uint32_t snaplen = 0;
	const struct option options[] = {
		{.name = "write",
			.letter = 'w',
			.argument = "FILE",
			.text = &file,
			.help = "where to (default: -, the standard output)"},
		{.name = "snaplen",
			.letter = 's',
			.argument = "N",
			.number = &snaplen,
			.max = SNAPLEN_MAX,
			.help = "bytes of each packet; 0: all (default)"},
		{}};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_capture, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (!capture)
		return ctl_fail(err_oom(&err), &err);
	capture->pod = argv[0];
	capture->file = text_equal(file, "-") ? NULL : file;
	if (!capture->file && isatty(STDOUT_FILENO))
		return ctl_usage_error(&verb_capture,
			"a capture is not for a terminal: give -w FILE, or a pipe to what reads "
			"it");
	r = begin(ctl, capture, snaplen, &err);
	if (r == 0)
		r = catch_signals(capture, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	r = pass_on(capture, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	ctl_note("%" PRIu64 " packet%s, %" PRIu64 " bytes of pod %s written to %s",
		capture->pcapng.packets, capture->pcapng.packets == 1 ? "" : "s",
		capture->bytes - capture->output.length, capture->pod,
		capture->file ? capture->file : "the standard output");
	return CTL_OK;
}

const struct ctl_verb verb_capture = {
	.name = "capture",
	.operands = "POD",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Record what passes a pod's interface, for tcpdump or Wireshark",
	.details =
		"In the form pcapng, until a signal (Ctrl-C) or the end of the pod. A FILE that "
		"is\n"
		"there is overwritten. What was recorded is told at the end.",
	.example = "podctl capture net0 | tcpdump -n -r -",
	.run = run,
};
