/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One loop over four things: the socket, stdin, signals (signalfd(2)), and those standard
 * descriptors that have no room for output.
 *
 *   in    stdin -> chunk -> SHIM_STDIN. One chunk at a time: stdin is read again when it was sent.
 *         Signals and the terminal's size go before it.
 *   out   SHIM_STDOUT, SHIM_STDERR -> descriptor. One message at a time: the socket is read again
 *         when it was written. podd-shim keeps what is not read.
 *
 * Until the answer came that it works, stdin is not read and signals are kept; for that time there
 * is a deadline, later there is none. The terminal becomes raw with the answer, so that what goes
 * wrong before is printed as usual.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "deadline.h"
#include "fd.h"
#include "shim.h"

#include "ctl.h"
#include "detach.h"
#include "output.h"
#include "session.h"
#include "terminal.h"

#define CHUNK_MAX (SHIM_DATA_MAX - DETACH_KEYS_MAX)
#define SIGNALS_MAX 64

enum { POLL_SOCKET, POLL_INPUT, POLL_SIGNALS, POLL_STDOUT, POLL_STDERR, POLLS };

struct session {
	struct session_options options;
	struct detach detach;
	struct terminal *terminal;     /* while it is raw */
	int signals;                   /* signalfd, or -1 */
	sigset_t old_mask;
	int socket;                    /* not owned */
	bool answered;
	bool finished;
	struct session_result result;

	/* to be sent */
	uint64_t pending_signals;      /* bit N: signal N */
	bool pending_resize;
	bool pending_end;              /* of stdin */
	bool input_open;
	bool detaching;                /* as soon as the chunk is sent */
	size_t chunk_length;
	unsigned char chunk[SHIM_DATA_MAX];

	struct output output;
	struct output errors;
	struct shim_message message;   /* what is written, points into it */
};

bool session_is_raw(bool input, bool terminal)
{
	return input && terminal && isatty(STDIN_FILENO);
}

/* Signals that are for podctl itself when they are not passed on. */
static const int own_signals[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH};

/* Never passed on: what says something about podctl itself, and what stops it for touching a
 * terminal in the background. */
static const int left_signals[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
	SIGABRT, SIGSYS, SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU, SIGURG, SIGXFSZ, SIGXCPU};

/* What the caller ignores (nohup, a job in the background of a script) stays ignored. */
static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) < 0 || action.sa_handler == SIG_IGN;
}

static void choose_signals(bool proxy, sigset_t *ret)
{
	sigemptyset(ret);
	for (size_t i = 0; !proxy && i < sizeof(own_signals) / sizeof(int); i++)
		sigaddset(ret, own_signals[i]);
	if (proxy)
		sigfillset(ret);
	for (size_t i = 0; i < sizeof(left_signals) / sizeof(int); i++)
		sigdelset(ret, left_signals[i]);
	for (int number = 1; number < SIGNALS_MAX; number++)
		if (sigismember(ret, number) == 1 && is_ignored(number))
			sigdelset(ret, number);
}

static int catch_signals(struct session *session, struct err *err)
{
	sigset_t caught;

	choose_signals(session->options.proxy, &caught);
	if (sigprocmask(SIG_BLOCK, &caught, &session->old_mask) < 0)
		return err_errno(err, "blocking signals");
	session->signals = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
	return session->signals < 0 ? err_errno(err, "making a signalfd") : 0;
}

int session_new(const struct session_options *options, struct session **ret, struct err *err)
{
	autoptr(session) session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return err_oom(err);
	session->options = *options;
	session->signals = -1;
	session->socket = -1;
	session->input_open = options->input;
	sigprocmask(SIG_BLOCK, NULL, &session->old_mask);
	output_init(&session->output, STDOUT_FILENO);
	output_init(&session->errors, STDERR_FILENO);
	r = detach_parse(options->detach_keys, &session->detach, err);
	/* Data may have any bytes in it; keys are typed. */
	if (!isatty(STDIN_FILENO))
		session->detach.n = 0;
	if (r == 0 && !options->only_start)
		r = catch_signals(session, err);
	if (r < 0)
		return r;
	*ret = take_ptr(session);
	return 0;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	terminal_free(session->terminal);
	output_done(&session->output);
	output_done(&session->errors);
	cleanup_close(&session->signals);
	sigprocmask(SIG_SETMASK, &session->old_mask, NULL);
	free(session);
}

static void finish(struct session *session, enum session_end end)
{
	session->result.end = end;
	session->finished = true;
}

/* ---- to podd-shim ---- */

/* Return: true when it was sent, or nobody is there to have it: what podd-shim said before it went
 * is still to be read. */
static bool send_to_shim(const struct session *session, uint32_t type, uint32_t a, uint32_t b,
	const void *data, size_t length)
{
	return shim_send(session->socket, type, a, b, data, length, -1) != -EAGAIN;
}

static bool send_size(const struct session *session)
{
	uint32_t rows, columns;

	if (!session->options.terminal || terminal_size(&rows, &columns) < 0)
		return true;
	return send_to_shim(session, SHIM_RESIZE, rows, columns, NULL, 0);
}

static void send_signals(struct session *session)
{
	for (unsigned number = 1; number < SIGNALS_MAX; number++) {
		uint64_t bit = UINT64_C(1) << number;

		if (!(session->pending_signals & bit))
			continue;
		if (!send_to_shim(session, SHIM_SIGNAL, number, 0, NULL, 0))
			return;
		session->pending_signals &= ~bit;
	}
}

static bool has_pending(const struct session *session)
{
	return session->answered && (session->pending_signals || session->pending_resize ||
					    session->chunk_length || session->pending_end);
}

/* Sends what waits, as far as there is room. */
static void send_pending(struct session *session)
{
	if (!session->answered)
		return;
	send_signals(session);
	if (session->pending_resize)
		session->pending_resize = !send_size(session);
	if (session->chunk_length > 0 &&
		send_to_shim(session, SHIM_STDIN, 0, 0, session->chunk, session->chunk_length))
		session->chunk_length = 0;
	if (session->pending_end && session->chunk_length == 0)
		session->pending_end = !send_to_shim(session, SHIM_STDIN, 0, 0, NULL, 0);
	if (session->detaching && session->chunk_length == 0)
		finish(session, SESSION_DETACHED);
}

int session_prepare(struct session *session, int socket, struct err *err)
{
	session->socket = socket;
	if (!send_size(session))
		return err_set(err, -EAGAIN, "the socket for podd-shim has no room");
	return 0;
}

static void read_input(struct session *session)
{
	unsigned char typed[CHUNK_MAX];
	ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		session->input_open = false;
		session->pending_end = true;
		return;
	}
	if (detach_filter(&session->detach, typed, (size_t)n, session->chunk,
		    &session->chunk_length) > 0) {
		session->detaching = true;
		session->input_open = false;
	}
}

/* ---- signals ---- */

/* Stops podctl as if it had not caught the signal; goes on here when it is continued. */
static void pause_session(struct session *session)
{
	sigset_t stop;

	terminal_restore(session->terminal);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	raise(SIGTSTP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
}

static void handle_signal(struct session *session, int number)
{
	switch (number) {
	case SIGTSTP:
		pause_session(session);
		break;
	case SIGCONT:
		terminal_make_raw(session->terminal);
		session->pending_resize = true;
		break;
	case SIGWINCH:
		session->pending_resize = true;
		break;
	default:
		if (session->options.proxy) {
			session->pending_signals |= UINT64_C(1) << number;
			break;
		}
		session->result.signal = number;
		finish(session, SESSION_SIGNALLED);
	}
}

static void read_signals(struct session *session)
{
	struct signalfd_siginfo info;

	while (!session->finished && read(session->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo < SIGNALS_MAX)
			handle_signal(session, (int)info.ssi_signo);
}

/* ---- from podd-shim ---- */

static int handle_answer(struct session *session, struct err *err)
{
	if (session->answered)
		return 0;
	session->answered = true;
	session->result.answered = true;
	if (session->options.only_start)
		finish(session, SESSION_DETACHED);
	else if (session_is_raw(session->options.input, session->options.terminal))
		return terminal_new(STDIN_FILENO, &session->terminal, err);
	return 0;
}

static void handle_exit(struct session *session)
{
	const struct shim_header *header = &session->message.header;

	if (header->b & SHIM_EXIT_RESTARTS)
		return;
	session->result.status = (uint8_t)header->a;
	if (header->b & SHIM_EXIT_UNKNOWN)
		ctl_error("%s: nobody saw how it ended", session->options.what);
	finish(session, SESSION_EXITED);
}

static int handle_message(struct session *session, struct err *err)
{
	const struct shim_message *message = &session->message;

	switch (message->header.type) {
	case SHIM_STDOUT:
		output_put(&session->output, message->data, message->length);
		return 0;
	case SHIM_STDERR:
		output_put(&session->errors, message->data, message->length);
		return 0;
	case SHIM_STARTED:
	case SHIM_DONE:
		return message->header.type == session->options.answer ? handle_answer(session, err)
								       : 0;
	case SHIM_EXIT:
		handle_exit(session);
		return 0;
	case SHIM_ERROR:
		/* Later ones are about signals for a process that has just ended. */
		if (session->answered)
			return 0;
		session->result.status = (uint8_t)message->header.a;
		err_set(err, -EREMOTEIO, "%s: %s", session->options.what,
			(const char *)message->data);
		finish(session, SESSION_FAILED);
		return 0;
	case SHIM_LOST:
		ctl_warning("%s: %s", session->options.what, (const char *)message->data);
		return 0;
	default:
		return 0;
	}
}

static int read_socket(struct session *session, struct err *err)
{
	int r = shim_receive(session->socket, &session->message, NULL);

	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return err_set(err, r, "%s: reading what its shim says: %s", session->options.what,
			strerror(-r));
	if (r > 0)
		return handle_message(session, err);
	finish(session, SESSION_LOST);
	return 0;
}

/* ---- the loop ---- */

/* A reader that went away ends podctl like any other writer. Other failures are said once. */
static void check_output(struct session *session, struct output *output, const char *name)
{
	if (output->error <= 0)
		return;
	if (output->error == EPIPE) {
		session->result.signal = SIGPIPE;
		finish(session, SESSION_SIGNALLED);
		return;
	}
	ctl_error("cannot write to the standard %s: %s", name, strerror(output->error));
	output->error = -output->error;
}

static void prepare_polls(const struct session *session, struct pollfd polls[POLLS])
{
	int output = output_wait_fd(&session->output);
	int errors = output_wait_fd(&session->errors);
	bool reads_input = session->answered && session->input_open && session->chunk_length == 0;

	polls[POLL_SOCKET] = (struct pollfd){.fd = session->socket,
		.events = (short)((output < 0 && errors < 0 ? POLLIN : 0) |
				  (has_pending(session) ? POLLOUT : 0))};
	if (!polls[POLL_SOCKET].events)
		polls[POLL_SOCKET].fd = -1;
	polls[POLL_INPUT] =
		(struct pollfd){.fd = reads_input ? STDIN_FILENO : -1, .events = POLLIN};
	polls[POLL_SIGNALS] = (struct pollfd){.fd = session->signals, .events = POLLIN};
	polls[POLL_STDOUT] = (struct pollfd){.fd = output, .events = POLLOUT};
	polls[POLL_STDERR] = (struct pollfd){.fd = errors, .events = POLLOUT};
}

static int wait_for_events(const struct session *session, struct pollfd polls[POLLS],
	int64_t deadline, struct err *err)
{
	int timeout = -1;
	int r;

	if (!session->answered)
		timeout = (int)deadline_left_ms(deadline, session->options.answer_seconds * 1000);
	r = poll(polls, POLLS, timeout);
	if (r == 0)
		return err_set(err, -ETIMEDOUT, "%s: its shim does not answer",
			session->options.what);
	if (r < 0 && errno != EINTR)
		return err_errno(err, "%s: waiting", session->options.what);
	return r < 0 ? 0 : 1;
}

static int handle_events(struct session *session, const struct pollfd polls[POLLS], struct err *err)
{
	int r = 0;

	if (polls[POLL_SIGNALS].revents)
		read_signals(session);
	if (polls[POLL_STDOUT].revents)
		output_flush(&session->output);
	if (polls[POLL_STDERR].revents)
		output_flush(&session->errors);
	if (polls[POLL_INPUT].revents && !session->finished)
		read_input(session);
	if (!session->finished)
		send_pending(session);
	/* While output waits, the socket may be polled for sending only. */
	if ((polls[POLL_SOCKET].events & POLLIN) &&
		(polls[POLL_SOCKET].revents & ~POLLOUT) && !session->finished)
		r = read_socket(session, err);
	return r;
}

int session_run(struct session *session, int socket, struct session_result *ret, struct err *err)
{
	int64_t deadline = deadline_now_ms() + session->options.answer_seconds * INT64_C(1000);
	struct pollfd polls[POLLS];
	int r;

	session->socket = socket;
	r = fd_set_nonblock(socket);
	if (r < 0)
		return err_set(err, r, "preparing the socket: %s", strerror(-r));
	signal(SIGPIPE, SIG_IGN);
	while (!session->finished) {
		prepare_polls(session, polls);
		r = wait_for_events(session, polls, deadline, err);
		if (r > 0)
			r = handle_events(session, polls, err);
		if (r < 0)
			break;
		check_output(session, &session->output, "output");
		check_output(session, &session->errors, "error");
	}
	terminal_free(take_ptr(session->terminal));
	if (session->output.error && session->result.status == 0)
		session->result.status = CTL_FAILED;
	*ret = session->result;
	return r < 0 ? r : 0;
}

static int end_by_signal(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	fflush(stdout);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + number;
}

int session_status(const struct session_options *options, int result,
	const struct session_result *outcome, const struct err *err)
{
	if (result < 0)
		return ctl_fail(result, err);
	switch (outcome->end) {
	case SESSION_EXITED:
		return outcome->status;
	case SESSION_FAILED:
		ctl_error("%s", err->msg);
		return outcome->status;
	case SESSION_LOST:
		ctl_error("%s: its shim was killed; how it ended is unknown", options->what);
		return outcome->answered ? CTL_UNKNOWN : CTL_FAILED;
	case SESSION_SIGNALLED:
		return end_by_signal(outcome->signal);
	default:
		return CTL_OK;
	}
}
