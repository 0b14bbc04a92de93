/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running one helper program to its end.
 *
 * The child is made by clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD): no page table is copied, the
 * caller stands still until the program has been executed, and a failure before that is handed
 * back in shared memory. So code that runs in the child must neither allocate nor return into
 * the caller's frames; it is the three functions child_*() and nothing else.
 *
 * The program reads its input from a memfd, so nobody has to feed it, and writes into two
 * pipes. Both are left alone once the program itself has ended: what it wrote is in the pipe's
 * buffer by then, and what a forgotten grandchild may write later is not waited for.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"
#include "fd.h"
#include "spawn.h"
#include "text.h"

/* The child's stack until it executes the program. */
#define CHILD_STACK_SIZE (64 * 1024)
/* Read from a pipe at once; also a pipe's usual capacity. */
#define CHUNK_SIZE (64 * 1024)
/* How long a killed process may take to go: it may hang in the kernel. */
#define KILL_WAIT_MS 5000

/* The child shares the address space, with it AddressSanitizer's notes on the stack, and leaves
 * it in the middle of a function: its frames must not be noted there. */
#define CHILD_CODE __attribute__((no_sanitize("address"), noinline))

struct child {
	const struct spawn *spawn;
	int stdio[3];
	int error; /* errno of what failed before the program ran, else 0 */
};

struct stream {
	int fd; /* -1 after its end */
	char *data;
	size_t length;
	size_t size;
	size_t max;
	bool tail; /* keep the last bytes, drop the others; else too many are an error */
};

struct run {
	pid_t pid;
	int pidfd;
	struct stream output;
	struct stream errors;
	bool has_deadline;
	struct timespec deadline;
};

/* ---- in the child ---- */

CHILD_CODE static void child_reset_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	/* Ignored signals would stay ignored across exec, and the mask stays as it is. */
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

CHILD_CODE static int child_prepare(const struct child *child)
{
	if (setpgid(0, 0) < 0)
		return -1;
	/* A helper must not go on when the program that acts on its outcome is gone. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	for (int fd = 0; fd < 3; fd++) {
		if (dup2(child->stdio[fd], fd) < 0)
			return -1;
	}
	/* Not closed but marked: the program may be executed by its fd. */
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	if (child->spawn->root_fd > 2 &&
		(fchdir(child->spawn->root_fd) < 0 || chroot(".") < 0))
		return -1;
	if (chdir("/") < 0)
		return -1;
	umask(022);
	child_reset_signals();
	return 0;
}

CHILD_CODE static int child_main(void *argument)
{
	static char *const no_environment[] = {NULL};
	struct child *child = argument;
	const struct spawn *spawn = child->spawn;
	char *const *envp = spawn->envp ? spawn->envp : no_environment;

	if (child_prepare(child) == 0) {
		if (spawn->program_fd > 2)
			syscall(SYS_execveat, spawn->program_fd, "", spawn->argv, envp,
				AT_EMPTY_PATH);
		else
			execve(spawn->path, spawn->argv, envp);
	}
	child->error = errno;
	return 127;
}

/* ---- the streams ---- */

static int stream_reserve(struct stream *stream, size_t more)
{
	size_t needed = stream->length + more + 1;
	size_t size = stream->size ? stream->size : 4096;
	char *data;

	if (needed <= stream->size)
		return 0;
	while (size < needed)
		size *= 2;
	data = realloc(stream->data, size);
	if (!data)
		return -ENOMEM;
	stream->data = data;
	stream->size = size;
	return 0;
}

static void stream_drop_front(struct stream *stream, size_t count)
{
	stream->length -= count;
	memmove(stream->data, stream->data + count, stream->length);
}

static int stream_take(struct stream *stream, const char *data, size_t length)
{
	size_t free_bytes = stream->max - stream->length;
	int r;

	if (length > free_bytes && !stream->tail)
		return -EFBIG;
	if (length > stream->max) {
		data += length - stream->max;
		length = stream->max;
	}
	if (length > stream->max - stream->length)
		stream_drop_front(stream, length - (stream->max - stream->length));
	r = stream_reserve(stream, length);
	if (r < 0)
		return r;
	memcpy(stream->data + stream->length, data, length);
	stream->length += length;
	stream->data[stream->length] = '\0';
	return 0;
}

/* Reads once, at most @limit bytes. Return: bytes, 0 at the end or when there is nothing, or
 * -errno. */
static ssize_t stream_read(struct stream *stream, size_t limit)
{
	char chunk[CHUNK_SIZE];
	ssize_t n;
	int r;

	n = read(stream->fd, chunk, limit < sizeof(chunk) ? limit : sizeof(chunk));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0) {
		close(take_fd(&stream->fd));
		return 0;
	}
	r = stream_take(stream, chunk, n);
	return r < 0 ? r : n;
}

/* Takes what is in the pipe now, and no more: somebody may still be writing. */
static int stream_drain(struct stream *stream)
{
	int waiting = 0;

	if (stream->fd < 0 || ioctl(stream->fd, FIONREAD, &waiting) < 0)
		return 0;
	while (waiting > 0 && stream->fd >= 0) {
		ssize_t n = stream_read(stream, waiting);

		if (n <= 0)
			return n;
		waiting -= n;
	}
	return 0;
}

/* Hands the text over; an empty one is an allocated "". */
static int stream_finish(struct stream *stream, char **ret_text, size_t *ret_length)
{
	int r = stream_take(stream, "", 0);

	if (r < 0)
		return r;
	*ret_length = stream->length;
	*ret_text = take_ptr(stream->data);
	return 0;
}

/* ---- the run ---- */

static void run_done(struct run *run)
{
	cleanup_close(&run->pidfd);
	cleanup_close(&run->output.fd);
	cleanup_close(&run->errors.fd);
	free(run->output.data);
	free(run->errors.data);
}

static void run_set_deadline(struct run *run, unsigned timeout_ms)
{
	run->has_deadline = timeout_ms > 0;
	clock_gettime(CLOCK_MONOTONIC, &run->deadline);
	run->deadline.tv_sec += timeout_ms / 1000;
	run->deadline.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (run->deadline.tv_nsec >= 1000000000L) {
		run->deadline.tv_nsec -= 1000000000L;
		run->deadline.tv_sec++;
	}
}

/* Return: for ppoll(2): the time until the deadline, NULL without one; 0 at or after it. */
static const struct timespec *run_time_left(const struct run *run, struct timespec *left)
{
	struct timespec now;

	if (!run->has_deadline)
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left->tv_sec = run->deadline.tv_sec - now.tv_sec;
	left->tv_nsec = run->deadline.tv_nsec - now.tv_nsec;
	if (left->tv_nsec < 0) {
		left->tv_nsec += 1000000000L;
		left->tv_sec--;
	}
	if (left->tv_sec < 0)
		*left = (struct timespec){0};
	return left;
}

/* Return: 0 after the program's end, -ETIMEDOUT, -EFBIG, -errno. */
static int run_until_end(struct run *run)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = run->pidfd, .events = POLLIN},
			{.fd = run->output.fd, .events = POLLIN},
			{.fd = run->errors.fd, .events = POLLIN},
		};
		struct timespec left;
		ssize_t n = 0;
		int ready = ppoll(fds, 3, run_time_left(run, &left), NULL);

		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0)
			continue;
		if (fds[0].revents)
			return 0;
		if (fds[1].revents)
			n = stream_read(&run->output, CHUNK_SIZE);
		if (n >= 0 && fds[2].revents)
			n = stream_read(&run->errors, CHUNK_SIZE);
		if (n < 0)
			return n;
	}
}

static void run_kill(struct run *run)
{
	struct pollfd fd = {.fd = run->pidfd, .events = POLLIN};
	int r;

	/* Not reaped yet, so that the number cannot have become another group's. */
	kill(-run->pid, SIGKILL);
	do {
		r = poll(&fd, 1, KILL_WAIT_MS);
	} while (r < 0 && errno == EINTR);
}

static int run_reap(struct run *run, int flags)
{
	int status = SIGKILL; /* what it will be, should it still hang in the kernel */
	pid_t pid;

	do {
		pid = waitpid(run->pid, &status, flags);
	} while (pid < 0 && errno == EINTR);
	return status;
}

static int run_to_result(struct run *run, struct spawn_result *ret)
{
	int code = run_until_end(run);
	int drained;
	int r;

	if (code < 0)
		run_kill(run);
	ret->status = run_reap(run, code < 0 ? WNOHANG : 0);
	drained = stream_drain(&run->output);
	stream_drain(&run->errors);
	r = stream_finish(&run->output, &ret->output, &ret->output_length);
	if (r == 0)
		r = stream_finish(&run->errors, &ret->errors, &ret->errors_length);
	if (code < 0)
		return code;
	return drained < 0 ? drained : r;
}

/* ---- starting it ---- */

/* Moves a descriptor out of the way of the child's own 0, 1 and 2, which the caller may have
 * closed. */
static int raise_fd(int *fd)
{
	int raised;

	if (*fd > 2)
		return 0;
	raised = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	if (raised < 0)
		return -errno;
	close(*fd);
	*fd = raised;
	return 0;
}

static int open_input(const struct spawn *spawn, int *ret_fd)
{
	autoclose int fd = -1;
	int r;

	if (!spawn->input) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} else {
		fd = memfd_create("input", MFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = fd_write_all(fd, spawn->input, spawn->input_length);
		if (r < 0)
			return r;
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
	}
	r = raise_fd(&fd);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int open_pipe(int *ret_read, int *ret_write)
{
	int fds[2];
	int r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = raise_fd(&fds[1]);
	if (r == 0)
		r = fd_set_nonblock(fds[0]);
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

static int open_stdio(const struct spawn *spawn, struct child *child, struct run *run)
{
	int r = open_input(spawn, &child->stdio[0]);

	if (r == 0)
		r = open_pipe(&run->output.fd, &child->stdio[1]);
	if (r == 0)
		r = open_pipe(&run->errors.fd, &child->stdio[2]);
	return r;
}

/* Return: 0, or -errno of what kept the program from being executed. */
static int start(struct child *child, struct run *run)
{
	char stack[CHILD_STACK_SIZE] __attribute__((aligned(16)));
	sigset_t all;
	sigset_t before;
	int saved;

	/* No handler of ours may run in the child, on memory that is ours. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	run->pid = clone(child_main, stack + sizeof(stack),
		CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, child, &run->pidfd);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (run->pid < 0)
		return -saved;
	if (child->error) {
		run_reap(run, 0);
		return -child->error;
	}
	return 0;
}

int spawn_run(const struct spawn *spawn, struct spawn_result *ret, struct err *err)
{
	struct child child = {.spawn = spawn, .stdio = {-1, -1, -1}};
	cleanup(run_done) struct run run = {
		.pidfd = -1,
		.output = {.fd = -1, .max = spawn->output_max},
		.errors = {.fd = -1, .max = spawn->stderr_max, .tail = true},
	};
	int r;

	*ret = (struct spawn_result){0};
	r = open_stdio(spawn, &child, &run);
	if (r == 0) {
		run_set_deadline(&run, spawn->timeout_ms);
		r = start(&child, &run);
	}
	for (int i = 0; i < 3; i++)
		cleanup_close(&child.stdio[i]);
	if (r < 0)
		return err_set(err, r, "cannot run %s: %s", spawn->path, strerror(-r));

	r = run_to_result(&run, ret);
	if (r == -ETIMEDOUT)
		return err_set(err, r, "%s did not end within %u ms and was killed", spawn->path,
			spawn->timeout_ms);
	if (r == -EFBIG)
		return err_set(err, r, "%s wrote more than %zu bytes and was killed", spawn->path,
			spawn->output_max);
	if (r < 0)
		return err_set(err, r, "cannot watch %s: %s", spawn->path, strerror(-r));
	return 0;
}

void spawn_result_done(struct spawn_result *result)
{
	free(take_ptr(result->output));
	free(take_ptr(result->errors));
}

int spawn_describe(int status, char *ret, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(ret, size, "was killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(ret, size, "exited with status %d", WEXITSTATUS(status));
	return status == 0 ? 0 : 1;
}
