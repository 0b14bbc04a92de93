/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A session: the test is podd-shim on one end of a socket pair, a child is podctl with pipes or a
 * terminal as its standard descriptors.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "fixture.h"

#include "detach.c"
#include "output.c"
#include "terminal.c"
#include "session.c"

#define ROOM (1024 * 1024)

struct client {
	pid_t pid;
	int socket;   /* the shim's end */
	int input;    /* what is written there, is typed */
	int output;
	int errors;
};

static int take_part(const struct session_options *options, int socket)
{
	struct session_result result = {};
	struct session *session;
	struct err err = {};
	int r;

	if (session_new(options, &session, &err) < 0 || session_prepare(session, socket, &err) < 0)
		return 99;
	r = session_run(session, socket, &result, &err);
	r = session_status(options, r, &result, &err);
	session_free(session);
	return r;
}

static const struct session_options plain = {.what = "net0/a",
	.input = true,
	.proxy = true,
	.answer = SHIM_STARTED,
	.answer_seconds = 60};

static void start_client(struct client *client, const struct session_options *options, int fds[3])
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	client->pid = fork();
	assert_true(client->pid >= 0);
	if (client->pid == 0) {
		close(sockets[0]);
		for (int fd = 0; fd < 3; fd++)
			dup2(fds[fd], fd);
		dup2(sockets[1], 3);
		close_range(4, ~0U, 0);
		_exit(take_part(options, 3));
	}
	close(sockets[1]);
	client->socket = sockets[0];
}

static void open_client(struct client *client, const struct session_options *options)
{
	int in[2], out[2], err[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	start_client(client, options, (int[3]){in[0], out[1], err[1]});
	close(in[0]);
	close(out[1]);
	close(err[1]);
	client->input = in[1];
	client->output = out[0];
	client->errors = err[0];
}

static int await_status(struct client *client)
{
	int status;

	assert_int_equal(waitpid(client->pid, &status, 0), client->pid);
	close(client->socket);
	/* A terminal is still to be looked at. */
	if (!isatty(client->input))
		close(client->input);
	close(client->output);
	close(client->errors);
	return status;
}

static void assert_exit(struct client *client, int expected)
{
	int status = await_status(client);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

static void say(struct client *client, uint32_t type, uint32_t a, uint32_t b, const char *text)
{
	assert_int_equal(
		shim_send(client->socket, type, a, b, text, text ? strlen(text) : 0, -1), 0);
}

static struct shim_message *hear(struct client *client, uint32_t type)
{
	static struct shim_message message;

	assert_int_equal(shim_receive(client->socket, &message, NULL), 1);
	assert_int_equal(message.header.type, type);
	return &message;
}

static void read_exactly(int fd, const char *expected)
{
	char text[256];
	size_t length = strlen(expected);

	for (size_t n = 0; n < length;) {
		ssize_t got = read(fd, text + n, length - n);

		assert_true(got > 0);
		n += (size_t)got;
	}
	assert_memory_equal(text, expected, length);
}

static void test_output_and_status(void **state)
{
	struct client client;

	(void)state;
	open_client(&client, &plain);
	say(&client, SHIM_STDOUT, 0, 0, "early ");
	say(&client, SHIM_STARTED, 1, 0, NULL);
	say(&client, SHIM_STDOUT, 0, 0, "out");
	say(&client, SHIM_STDERR, 0, 0, "err");
	say(&client, SHIM_EXIT, 3, SHIM_EXIT_RESTARTS, NULL);
	say(&client, SHIM_STDOUT, 0, 0, " again");
	say(&client, SHIM_EXIT, 7, 0, NULL);
	read_exactly(client.output, "early out again");
	read_exactly(client.errors, "err");
	assert_exit(&client, 7);
}

/* The shim goes with messages of the client unread: what it said must arrive nevertheless. */
static void test_end_with_unread_messages(void **state)
{
	struct client client;

	(void)state;
	open_client(&client, &plain);
	say(&client, SHIM_STARTED, 1, 0, NULL);
	assert_int_equal(write(client.input, "x", 1), 1);
	assert_int_equal(poll(&(struct pollfd){.fd = client.socket, .events = POLLIN}, 1, -1), 1);
	say(&client, SHIM_STDOUT, 0, 0, "last");
	say(&client, SHIM_EXIT, 5, 0, NULL);
	close(client.socket);
	client.socket = -1;
	read_exactly(client.output, "last");
	assert_exit(&client, 5);
}

static void test_input(void **state)
{
	struct client client;

	(void)state;
	open_client(&client, &plain);
	assert_int_equal(write(client.input, "one\x10\x11", 5), 5);
	say(&client, SHIM_STARTED, 1, 0, NULL);
	/* No terminal: detach keys are data. */
	assert_string_equal((char *)hear(&client, SHIM_STDIN)->data, "one\x10\x11");
	close(client.input);
	client.input = -1;
	assert_int_equal(hear(&client, SHIM_STDIN)->length, 0);
	say(&client, SHIM_EXIT, 0, 0, NULL);
	assert_exit(&client, 0);
}

/* More than fits anywhere, against a reader that comes late; a signal gets through meanwhile. */
static void test_full_output(void **state)
{
	static const char piece[SHIM_DATA_MAX];
	struct client client;
	size_t sent = 0, got = 0;
	pid_t writer;

	(void)state;
	open_client(&client, &plain);
	say(&client, SHIM_STARTED, 1, 0, NULL);
	writer = fork();
	if (writer == 0) {
		for (; sent < ROOM; sent += sizeof(piece))
			if (shim_send(client.socket, SHIM_STDOUT, 0, 0, piece, sizeof(piece), -1))
				_exit(1);
		_exit(shim_send(client.socket, SHIM_EXIT, 0, 0, NULL, 0, -1) ? 1 : 0);
	}
	/* The pipe is full. */
	assert_int_equal(poll(&(struct pollfd){.fd = client.output, .events = POLLIN}, 1, -1), 1);
	kill(client.pid, SIGUSR1);
	assert_int_equal(hear(&client, SHIM_SIGNAL)->header.a, SIGUSR1);
	while (got < ROOM) {
		char buffer[65536];
		ssize_t n = read(client.output, buffer, sizeof(buffer));

		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_int_equal(got, ROOM);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	assert_exit(&client, 0);
}

static void test_own_signal(void **state)
{
	struct session_options options = plain;
	struct client client;
	int status;

	(void)state;
	options.proxy = false;
	open_client(&client, &options);
	say(&client, SHIM_STARTED, 1, 0, NULL);
	say(&client, SHIM_STDOUT, 0, 0, "up");
	read_exactly(client.output, "up");
	kill(client.pid, SIGTERM);
	status = await_status(&client);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void test_reader_gone(void **state)
{
	struct client client;
	int status;

	(void)state;
	open_client(&client, &plain);
	close(client.output);
	client.output = -1;
	say(&client, SHIM_STARTED, 1, 0, NULL);
	say(&client, SHIM_STDOUT, 0, 0, "nobody hears");
	status = await_status(&client);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGPIPE);
}

static void test_failures(void **state)
{
	struct session_options options = plain;
	struct client client;

	(void)state;
	open_client(&client, &plain);
	say(&client, SHIM_ERROR, 127, 0, "no such command");
	read_exactly(client.errors, "podctl: error: net0/a: no such command\n");
	assert_exit(&client, 127);

	open_client(&client, &plain);
	close(client.socket);
	client.socket = -1;
	assert_exit(&client, CTL_FAILED);

	open_client(&client, &plain);
	say(&client, SHIM_STARTED, 1, 0, NULL);
	/* An error that comes now is the answer to a signal. */
	say(&client, SHIM_ERROR, 125, 0, "late");
	close(client.socket);
	client.socket = -1;
	assert_exit(&client, CTL_UNKNOWN);

	options.answer_seconds = 0;
	open_client(&client, &options);
	assert_exit(&client, CTL_FAILED);

	options = plain;
	options.only_start = true;
	open_client(&client, &options);
	say(&client, SHIM_STARTED, 1, 0, NULL);
	assert_exit(&client, 0);
}

/* ---- with a terminal ---- */

static int open_terminal(int *ret_held)
{
	const struct winsize size = {.ws_row = 33, .ws_col = 99};
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(grantpt(fd), 0);
	assert_int_equal(unlockpt(fd), 0);
	*ret_held = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_held >= 0);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	return fd;
}

static bool is_raw(int held)
{
	struct termios now;

	assert_int_equal(tcgetattr(held, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG));
}

/* A client whose terminal is raw by the time that this returns. */
static int open_terminal_client(struct client *client, struct termios *ret_before)
{
	struct session_options options = plain;
	struct shim_message *message;
	int held;

	options.proxy = false;
	options.terminal = true;
	client->input = open_terminal(&held);
	client->output = client->errors = -1;
	assert_int_equal(tcgetattr(held, ret_before), 0);
	start_client(client, &options, (int[3]){held, held, held});
	message = hear(client, SHIM_RESIZE);
	assert_int_equal(message->header.a, 33);
	assert_int_equal(message->header.b, 99);
	say(client, SHIM_STARTED, 1, 0, NULL);
	say(client, SHIM_STDOUT, 0, 0, "up");
	read_exactly(client->input, "up");
	assert_true(is_raw(held));
	return held;
}

static void assert_modes(int held, const struct termios *before)
{
	struct termios now;

	assert_int_equal(tcgetattr(held, &now), 0);
	assert_int_equal(now.c_iflag, before->c_iflag);
	assert_int_equal(now.c_oflag, before->c_oflag);
	assert_int_equal(now.c_cflag, before->c_cflag);
	assert_int_equal(now.c_lflag, before->c_lflag);
	assert_memory_equal(now.c_cc, before->c_cc, VEOL2);
}

static void assert_restored(struct client *client, int held, const struct termios *before)
{
	assert_modes(held, before);
	close(held);
	close(client->input);
}

static void test_detach(void **state)
{
	struct client client;
	struct termios before;
	int held;

	(void)state;
	held = open_terminal_client(&client, &before);
	assert_int_equal(write(client.input, "x\x10\x11", 3), 3);
	assert_string_equal((char *)hear(&client, SHIM_STDIN)->data, "x");
	assert_exit(&client, 0);
	assert_restored(&client, held, &before);
}

static void test_resize(void **state)
{
	const struct winsize size = {.ws_row = 5, .ws_col = 6};
	struct shim_message *message;
	struct client client;
	struct termios before;
	int held;

	(void)state;
	held = open_terminal_client(&client, &before);
	assert_int_equal(ioctl(client.input, TIOCSWINSZ, &size), 0);
	kill(client.pid, SIGWINCH);
	message = hear(&client, SHIM_RESIZE);
	assert_int_equal(message->header.a, 5);
	assert_int_equal(message->header.b, 6);
	say(&client, SHIM_EXIT, 0, 0, NULL);
	assert_exit(&client, 0);
	assert_restored(&client, held, &before);
}

static void test_pause(void **state)
{
	struct client client;
	struct termios before;
	int held, status;

	(void)state;
	held = open_terminal_client(&client, &before);
	/* In an orphaned process group nothing is stopped by SIGTSTP: this one has its parent in another
	 * one of the session, whoever has started the test. */
	assert_int_equal(setpgid(client.pid, client.pid), 0);
	kill(client.pid, SIGTSTP);
	assert_int_equal(waitpid(client.pid, &status, WUNTRACED), client.pid);
	assert_true(WIFSTOPPED(status));
	assert_modes(held, &before);
	kill(client.pid, SIGCONT);
	hear(&client, SHIM_RESIZE);
	assert_true(is_raw(held));
	say(&client, SHIM_EXIT, 0, 0, NULL);
	assert_exit(&client, 0);
	assert_restored(&client, held, &before);
}

/* The guard becomes the test's child; when it has ended, the terminal is as it was. */
static void test_killed(void **state)
{
	struct client client;
	struct termios before;
	int held, status;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	held = open_terminal_client(&client, &before);
	kill(client.pid, SIGKILL);
	status = await_status(&client);
	assert_true(WIFSIGNALED(status));
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(waitpid(-1, &status, 0), -1);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	assert_restored(&client, held, &before);
}

/* Somebody else has taken the terminal over before the guard came to it. */
static void test_killed_and_taken_over(void **state)
{
	struct client client;
	struct termios before, other;
	int held, status;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	held = open_terminal_client(&client, &before);
	other = before;
	other.c_lflag &= ~(tcflag_t)ECHO;
	assert_int_equal(tcsetattr(held, TCSANOW, &other), 0);
	kill(client.pid, SIGKILL);
	await_status(&client);
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	assert_restored(&client, held, &other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_status),
		cmocka_unit_test(test_end_with_unread_messages),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_full_output),
		cmocka_unit_test(test_own_signal),
		cmocka_unit_test(test_reader_gone),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_and_taken_over),
	};

	/* A client that hangs shall end the test. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
