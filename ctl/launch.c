/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podd runs on after podctl has ended: it gets a session of its own, "/" as its directory, the
 * pod's log as its output and nothing else of the caller's but the environment. What it has to
 * say until it is ready comes as lines on a pipe: "W <warning>", then "READY" or "E <message>".
 * A pipe that ends before means that podd died; then the log's new lines tell why.
 */

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "text.h"

#include "ctl.h"
#include "launch.h"

#define LOG_NAME "podd.log"
/* The first one behind the sockets that podctl was started with (sd_listen_fds(3)), which are for
 * ports that the pod publishes. */
#define PASSED_FIRST 3
#define PASSED_MAX 256
/* Most that podd may say before it is ready, and most of its log that is quoted. */
#define READY_BYTES_MAX (64 * 1024)
#define LOG_QUOTE_MAX 1024

/* A service manager's means that belong to podctl's own service, not to podd. */
static const char *const dropped_variables[] = {
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDNAMES", "INVOCATION_ID",
	"JOURNAL_STREAM", "FDSTORE", "MAINPID",
};

/* How many sockets podctl was started with. */
static unsigned count_passed(void)
{
	const char *pid_text = getenv("LISTEN_PID"), *n_text = getenv("LISTEN_FDS");
	uint32_t pid, n;

	if (!pid_text || !n_text || text_to_uint32(pid_text, 1, INT32_MAX, &pid) < 0 ||
		pid != (uint32_t)getpid() || text_to_uint32(n_text, 1, PASSED_MAX, &n) < 0)
		return 0;
	return n;
}

/* They go on to podd, under the same numbers. */
static int pass_on(unsigned n)
{
	char pid[16];

	if (n == 0)
		return unsetenv("LISTEN_PID") < 0 || unsetenv("LISTEN_FDS") < 0 ? -errno : 0;
	for (unsigned i = 0; i < n; i++)
		if (fd_set_inherit(PASSED_FIRST + (int)i) < 0)
			return -errno;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return setenv("LISTEN_PID", pid, 1) < 0 ? -errno : 0;
}

/* Never returns. Between fork and exec; what fails is said on the pipe like podd's own errors. */
static void __attribute__((noreturn)) child_exec(
	const struct launch *launch, int log, int ready, unsigned n_passed)
{
	const int ready_fd = PASSED_FIRST + (int)n_passed;
	char ready_text[16];
	char *argv[] = {(char *)"podd", (char *)"--root", (char *)launch->root,
		(char *)"--ready-fd", ready_text, (char *)launch->path,
		launch->no_start ? (char *)"--no-start" : NULL, NULL};
	int program = -1;
	int null;
	sigset_t none;

	snprintf(ready_text, sizeof(ready_text), "%d", ready_fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	for (size_t i = 0; i < sizeof(dropped_variables) / sizeof(dropped_variables[0]); i++)
		unsetenv(dropped_variables[i]);
	umask(022);
	setsid();
	/* The numbers that follow must not be in the way of one another. */
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	log = fcntl(log, F_DUPFD_CLOEXEC, ready_fd + 1);
	ready = fcntl(ready, F_DUPFD_CLOEXEC, ready_fd + 1);
	if (launch->program)
		program = fcntl(*launch->program, F_DUPFD_CLOEXEC, ready_fd + 1);
	if (null < 0 || log < 0 || ready < 0 || chdir("/") < 0 || fd_move_to(null, 0) < 0 ||
		fd_move_to(log, 1) < 0 || dup2(1, 2) < 0 || pass_on(n_passed) < 0 ||
		fd_move_to(ready, ready_fd) < 0) {
		dprintf(ready, "E cannot set up podd's descriptors: %s\n", strerror(errno));
		_exit(CTL_NOT_RUNNABLE);
	}
	close_range((unsigned)ready_fd + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	if (launch->program)
		fexecve(program, argv, environ);
	else
		execv(PODD_LIBEXECDIR "/podd", argv);
	dprintf(ready_fd, "E cannot execute %s: %s\n", PODD_LIBEXECDIR "/podd", strerror(errno));
	_exit(CTL_NOT_RUNNABLE);
}

/* What one line says. Return: 1 for a warning, 0 for READY, negative for an error. */
static int handle_line(const char *path, const char *line, struct err *err)
{
	if (strcmp(line, "READY") == 0)
		return 0;
	if (text_starts_with(line, "W ")) {
		ctl_warning("%s: %s", path, line + 2);
		return 1;
	}
	if (text_starts_with(line, "E "))
		return err_set(err, -EREMOTEIO, "starting pod %s: %s", path, line + 2);
	return err_set(err, -EPROTO, "starting pod %s: podd said \"%s\"", path, line);
}

/* Handles every whole line at the front of the buffer and removes it. Return: as
 * handle_line(), 1 when the buffer has no whole line any more. */
static int handle_lines(const char *path, char *buffer, size_t *length, struct err *err)
{
	char *start = buffer;
	char *end;
	int r = 1;

	while (r > 0 && (end = memchr(start, '\n', *length - (size_t)(start - buffer)))) {
		*end = '\0';
		r = handle_line(path, start, err);
		start = end + 1;
	}
	*length -= (size_t)(start - buffer);
	memmove(buffer, start, *length);
	return r;
}

/* Waits for the pipe. Return: 1 when there is something to read, -ETIMEDOUT, -errno. */
static int wait_readable(int fd, int64_t deadline)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int r;

	do {
		r = poll(&poll_fd, 1, (int)deadline_left_ms(deadline, LAUNCH_TIMEOUT_MS));
	} while (r < 0 && errno == EINTR);
	if (r == 0)
		return -ETIMEDOUT;
	return r < 0 ? -errno : 1;
}

int launch_await(const char *path, int pipe_fd, struct err *err)
{
	autofree char *buffer = malloc(READY_BYTES_MAX);
	int64_t deadline = deadline_now_ms() + LAUNCH_TIMEOUT_MS;
	size_t length = 0;
	int r = 1;

	if (!buffer)
		return err_oom(err);
	while (r > 0) {
		ssize_t n;

		r = wait_readable(pipe_fd, deadline);
		if (r < 0)
			return err_set(err, r, "pod %s is not ready after %d s", path,
				LAUNCH_TIMEOUT_MS / 1000);
		n = read(pipe_fd, buffer + length, READY_BYTES_MAX - length);
		if (n < 0)
			return err_errno(err, "reading what podd says about pod %s", path);
		if (n == 0)
			return -ENODATA;
		length += (size_t)n;
		r = handle_lines(path, buffer, &length, err);
	}
	return r;
}

/* Quotes the end of what podd has logged since @offset. */
static int died_error(const char *path, int podfd, off_t offset, struct err *err)
{
	autoclose int log = openat(podfd, LOG_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[LOG_QUOTE_MAX + 1] = "";
	off_t end = lseek(log, 0, SEEK_END);
	ssize_t n;

	if (end - offset > LOG_QUOTE_MAX)
		offset = end - LOG_QUOTE_MAX;
	n = pread(log, text, LOG_QUOTE_MAX, offset);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	return err_set(err, -EREMOTEIO, "starting pod %s: podd ended before the pod was ready%s%s",
		path, *text ? ":\n" : " and logged nothing", text);
}

/* podd is not kept when it did not get ready: it ends and is reaped. */
static void end_podd(pid_t pid, int signal_number)
{
	if (signal_number)
		kill(pid, signal_number);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* For writing only: podd hands it to podd-uplink, which shall not be able to read it. */
static int open_log(int podfd, int *ret_fd, off_t *ret_end, struct err *err)
{
	autoclose int fd = openat(
		podfd, LOG_NAME, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "opening the pod's %s", LOG_NAME);
	*ret_end = lseek(fd, 0, SEEK_END);
	*ret_fd = take_fd(&fd);
	return 0;
}

int launch_podd(const struct launch *launch, struct err *err)
{
	int pipe_fds[2];
	autoclose int log = -1;
	unsigned n_passed = count_passed();
	off_t log_end = 0;
	pid_t pid;
	int r;

	r = open_log(launch->podfd, &log, &log_end, err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	autoclose int read_end = pipe_fds[0];
	autoclose int write_end = pipe_fds[1];
	pid = fork();
	if (pid < 0)
		return err_errno(err, "starting podd");
	if (pid == 0)
		child_exec(launch, log, write_end, n_passed);
	close(take_fd(&write_end));
	r = launch_await(launch->path, read_end, err);
	if (r == 0)
		return 0;
	end_podd(pid, r == -ETIMEDOUT ? SIGKILL : r == -EREMOTEIO || r == -ENODATA ? 0 : SIGTERM);
	return r == -ENODATA ? died_error(launch->path, launch->podfd, log_end, err) : r;
}
