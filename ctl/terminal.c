/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw mode and its guard, see terminal.h. The guard is a copy of podctl in a session of its own
 * that holds nothing but the terminal and the read end of a pipe. The pipe's end tells it that
 * podctl is gone; a byte from it, that podctl has restored the terminal itself. The kernel closes
 * the pipe before podctl's parent is told of the end, so that the guard is as early as it can be; a
 * terminal that somebody has given other modes by then (the shell, which goes on) is left alone.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"

#include "terminal.h"

#define GUARD_TTY 0
#define GUARD_PIPE 1

struct terminal {
	int fd;                /* the caller's, not owned */
	int pipe;              /* to the guard */
	pid_t guard;
	struct termios before;
	struct termios raw;    /* as the terminal has it since, so that the guard knows it again */
};

/* Of the control modes the kernel changes some by itself. */
static bool same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_lflag == b->c_lflag;
}

/* Never returns. In the forked child, with all signals blocked. */
static void __attribute__((noreturn)) guard(const struct terminal *terminal, int pipe_fd)
{
	struct termios now;
	ssize_t n;
	char byte;

	setsid();
	/* The numbers that follow must not be in the way of one another. */
	pipe_fd = fcntl(pipe_fd, F_DUPFD_CLOEXEC, GUARD_PIPE + 1);
	if (pipe_fd < 0 || dup2(terminal->fd, GUARD_TTY) < 0 || dup2(pipe_fd, GUARD_PIPE) < 0 ||
		chdir("/") < 0)
		_exit(EXIT_FAILURE);
	close_range(GUARD_PIPE + 1, ~0U, 0);
	do {
		n = read(GUARD_PIPE, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n <= 0 && tcgetattr(GUARD_TTY, &now) == 0 && same_modes(&now, &terminal->raw))
		tcsetattr(GUARD_TTY, TCSANOW, &terminal->before);
	_exit(EXIT_SUCCESS);
}

static int start_guard(struct terminal *terminal, struct err *err)
{
	int pipe_fds[2];
	sigset_t all, old;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	autoclose int read_end = pipe_fds[0];
	terminal->pipe = pipe_fds[1];
	/* No moment in which a signal could end the guard. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	terminal->guard = fork();
	if (terminal->guard == 0)
		guard(terminal, read_end);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return terminal->guard < 0 ? err_errno(err, "starting the terminal's guard") : 0;
}

static void send_byte(int fd)
{
	ssize_t n = write(fd, "", 1);

	(void)n;
}

static void end_guard(struct terminal *terminal)
{
	/* Who has ended needs no word. */
	if (terminal->pipe >= 0)
		send_byte(terminal->pipe);
	cleanup_close(&terminal->pipe);
	while (terminal->guard > 0 && waitpid(terminal->guard, NULL, 0) < 0 && errno == EINTR)
		;
}

int terminal_new(int fd, struct terminal **ret, struct err *err)
{
	autofree struct terminal *terminal = calloc(1, sizeof(*terminal));
	int r;

	if (!terminal)
		return err_oom(err);
	terminal->fd = fd;
	terminal->pipe = -1;
	if (tcgetattr(fd, &terminal->before) < 0)
		return err_errno(err, "reading the terminal's modes");
	terminal->raw = terminal->before;
	cfmakeraw(&terminal->raw);
	r = start_guard(terminal, err);
	if (r < 0) {
		cleanup_close(&terminal->pipe);
		return r;
	}
	if (tcsetattr(fd, TCSANOW, &terminal->raw) < 0) {
		r = err_errno(err, "setting the terminal's modes");
		end_guard(terminal);
		return r;
	}
	*ret = take_ptr(terminal);
	return 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal)
		tcsetattr(terminal->fd, TCSANOW, &terminal->before);
}

void terminal_make_raw(struct terminal *terminal)
{
	if (terminal)
		tcsetattr(terminal->fd, TCSANOW, &terminal->raw);
}

void terminal_free(struct terminal *terminal)
{
	if (!terminal)
		return;
	terminal_restore(terminal);
	end_guard(terminal);
	free(terminal);
}

int terminal_size(uint32_t *ret_rows, uint32_t *ret_columns)
{
	struct winsize size;

	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &size) < 0)
			continue;
		*ret_rows = size.ws_row;
		*ret_columns = size.ws_col;
		return 0;
	}
	return -ENOTTY;
}
