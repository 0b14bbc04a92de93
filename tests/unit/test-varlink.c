/* SPDX-License-Identifier: GPL-2.0-or-later */
/* varlink: framing, calls, answers, and the client against a peer that follows a script. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cleanup.h"
#include "fd.h"
#include "text.h"
#include "varlink.h"

#define SOCKET "s"

/* ---- messages ---- */

static void test_frame(void **state)
{
	autofree char *large = malloc(VARLINK_MESSAGE_MAX + 1);
	size_t message = 4711;

	assert_int_equal(varlink_frame("", 0, &message), -EAGAIN);
	assert_int_equal(varlink_frame("{}", 2, &message), -EAGAIN);
	assert_int_equal(message, 4711);
	assert_int_equal(varlink_frame("{}\0{", 4, &message), 0);
	assert_int_equal(message, 2);
	assert_int_equal(varlink_frame("\0", 1, &message), 0);
	assert_int_equal(message, 0);

	memset(large, ' ', VARLINK_MESSAGE_MAX + 1);
	assert_int_equal(varlink_frame(large, VARLINK_MESSAGE_MAX - 1, &message), -EAGAIN);
	assert_int_equal(varlink_frame(large, VARLINK_MESSAGE_MAX, &message), -EMSGSIZE);
	large[VARLINK_MESSAGE_MAX] = '\0';
	assert_int_equal(varlink_frame(large, VARLINK_MESSAGE_MAX + 1, &message), -EMSGSIZE);
	large[VARLINK_MESSAGE_MAX - 1] = '\0';
	assert_int_equal(varlink_frame(large, VARLINK_MESSAGE_MAX, &message), 0);
	assert_int_equal(message, VARLINK_MESSAGE_MAX - 1);
}

static void test_call(void **state)
{
	const char *text =
		"{\"method\":\"io.podd.Pod.Stop\",\"parameters\":{\"timeout\":5},"
		"\"more\":true,\"unknown\":1}";
	cleanup(varlink_call_done) struct varlink_call call = {0};
	int64_t timeout = 0;

	assert_int_equal(varlink_call_parse(text, strlen(text), &call, NULL), 0);
	assert_string_equal(call.method, "io.podd.Pod.Stop");
	assert_int_equal(json_int(json_get(call.parameters, "timeout"), &timeout), 0);
	assert_int_equal(timeout, 5);
	assert_true(call.more);
	assert_false(call.oneway);
}

static void test_call_refused(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{"", "varlink call is empty"},
		{"{", "varlink call:1:2: premature EOF"},
		{"[]", "varlink call: must be an object, found array"},
		{"{}", "varlink call: \"method\" is missing"},
		{"{\"method\":1}", "varlink call: \"method\" must be a string, found number"},
		{"{\"method\":\"a\",\"parameters\":[]}",
			"varlink call: \"parameters\" must be an object, found array"},
		{"{\"method\":\"a\",\"more\":1}",
			"varlink call: \"more\" must be a boolean, found number"},
		{"{\"method\":\"a\",\"more\":true,\"oneway\":true}",
			"varlink call: \"more\" and \"oneway\" exclude each other"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct varlink_call call = {0};
		struct err err = {0};

		assert_int_equal(
			varlink_call_parse(cases[i].text, strlen(cases[i].text), &call, &err),
			-EINVAL);
		assert_string_equal(err.msg, cases[i].message);
		assert_null(call.message);
	}
}

static void assert_message(int result, char *text, size_t length, const char *expected)
{
	assert_int_equal(result, 0);
	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected) + 1);
	free(text);
}

static void test_write(void **state)
{
	struct json *parameters = json_new_object();
	size_t length;
	char *text;
	int r;

	json_set_int(parameters, "n", 1);
	r = varlink_write_call("a.B", parameters, true, &text, &length);
	assert_message(
		r, text, length, "{\"method\":\"a.B\",\"parameters\":{\"n\":1},\"more\":true}");
	r = varlink_write_call("a.B", NULL, false, &text, &length);
	assert_message(r, text, length, "{\"method\":\"a.B\"}");
	r = varlink_write_reply(NULL, true, &text, &length);
	assert_message(r, text, length, "{\"parameters\":{},\"continues\":true}");
	r = varlink_write_error("a.E", NULL, &text, &length);
	assert_message(r, text, length, "{\"error\":\"a.E\",\"parameters\":{}}");
}

static void test_write_too_large(void **state)
{
	autofree char *large = calloc(1, VARLINK_MESSAGE_MAX + 1);
	struct json *parameters = json_new_object();
	size_t length;
	char *text;

	memset(large, 'x', VARLINK_MESSAGE_MAX);
	json_set_string(parameters, "s", large);
	assert_int_equal(varlink_write_reply(parameters, false, &text, &length), -EMSGSIZE);
}

/* ---- the peer ---- */

struct peer {
	char dir[32];
	int dirfd;
	int listener;
	pid_t pid;
};

/* What the peer does once it has the call; it returns 0 when all went as planned. */
typedef int script_function(int connection);

static int receive_call(int connection)
{
	char c;

	do {
		if (read(connection, &c, 1) != 1)
			return -1;
	} while (c != '\0');
	return 0;
}

static int say(int connection, const char *text)
{
	return fd_write_all(connection, text, strlen(text) + 1);
}

static int wait_for_end(int connection)
{
	char c;

	return read(connection, &c, 1) == 0 ? 0 : -1;
}

static struct varlink_client *start(struct peer *peer, script_function *script, unsigned timeout_ms)
{
	struct varlink_client *client = NULL;

	*peer = (struct peer){.dir = "/tmp/test-varlink-XXXXXX"};
	assert_non_null(mkdtemp(peer->dir));
	peer->dirfd = open(peer->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(peer->dirfd >= 0);
	assert_int_equal(
		fd_listen_unix(peer->dirfd, SOCKET, SOCK_STREAM, &peer->listener, NULL), 0);
	assert_int_equal(varlink_connect(peer->dirfd, SOCKET, timeout_ms, &client, NULL), 0);
	peer->pid = fork();
	assert_true(peer->pid >= 0);
	if (peer->pid == 0) {
		int connection = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);

		varlink_client_free(client);
		_exit(connection >= 0 && receive_call(connection) == 0 && script(connection) == 0
				? 0
				: 1);
	}
	return client;
}

/* Ends the connection and sees that the script went to its end. */
static void finish(struct peer *peer, struct varlink_client *client)
{
	int status;

	varlink_client_free(client);
	assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(peer->listener);
	assert_int_equal(unlinkat(peer->dirfd, SOCKET, 0), 0);
	close(peer->dirfd);
	assert_int_equal(rmdir(peer->dir), 0);
}

/* ---- the client ---- */

static void test_no_socket(void **state)
{
	struct varlink_client *client = NULL;
	struct err err;

	assert_int_equal(varlink_connect(AT_FDCWD, "no-such-socket", 0, &client, &err), -ENOENT);
	assert_null(client);
	assert_string_equal(err.msg, "cannot connect to no-such-socket: No such file or directory");
}

static int script_reply(int connection)
{
	return say(connection, "{\"parameters\":{\"n\":1}}") || wait_for_end(connection);
}

static void test_client_call(void **state)
{
	struct peer peer;
	struct varlink_client *client = start(&peer, script_reply, 0);
	autoptr(json) reply = NULL;
	int fds[FD_PASS_MAX];

	assert_int_equal(
		varlink_client_call(client, "a.B", json_new_object(), &reply, fds, NULL), 0);
	assert_non_null(json_get(reply, "n"));
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		assert_int_equal(fds[i], -1);
	finish(&peer, client);
}

/* Two answers in one piece, then a third in several. */
static int script_pieces(int connection)
{
	static const char two[] =
		"{\"parameters\":{\"n\":1},\"continues\":true}\0"
		"{\"parameters\":{\"n\":2},\"continues\":true}\0{\"param";

	return fd_write_all(connection, two, sizeof(two) - 1) || say(connection, "eters\":{}}") ||
	       wait_for_end(connection);
}

static void test_client_more(void **state)
{
	struct peer peer;
	struct varlink_client *client = start(&peer, script_pieces, 0);
	struct json *reply = NULL;

	assert_int_equal(varlink_client_next(client, &reply, NULL), -ENODATA);
	assert_int_equal(varlink_client_more(client, "a.Events", NULL, NULL), 0);
	assert_int_equal(varlink_client_call(client, "a.B", NULL, &reply, NULL, NULL), -EBUSY);
	for (int i = 1; i <= 2; i++) {
		int64_t number = 0;

		assert_int_equal(varlink_client_next(client, &reply, NULL), 1);
		assert_int_equal(json_int(json_get(reply, "n"), &number), 0);
		assert_int_equal(number, i);
		json_free(reply);
	}
	assert_int_equal(varlink_client_next(client, &reply, NULL), 0);
	json_free(reply);
	reply = NULL;
	assert_int_equal(varlink_client_next(client, &reply, NULL), -ENODATA);
	assert_null(reply);
	finish(&peer, client);
}

static int script_fds(int connection)
{
	const char *text = "{\"parameters\":{}}";
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	return fd_send(connection, text, strlen(text) + 1, pipe_fds, 2) || wait_for_end(connection);
}

static void test_client_fds(void **state)
{
	struct peer peer;
	struct varlink_client *client = start(&peer, script_fds, 0);
	int fds[FD_PASS_MAX];

	assert_int_equal(varlink_client_call(client, "a.B", NULL, NULL, fds, NULL), 0);
	assert_true(fds[0] >= 0 && fds[1] >= 0);
	assert_int_equal(fds[2], -1);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
	close(fds[1]);
	finish(&peer, client);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* fds that nobody asked for do not stay open. */
static void test_client_unwanted_fds(void **state)
{
	struct peer peer;
	struct varlink_client *client = start(&peer, script_fds, 0);
	int before = count_fds();

	assert_int_equal(varlink_client_call(client, "a.B", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(count_fds(), before);
	finish(&peer, client);
}

/* As many as one message may bring, and one more with its second half. */
static int script_too_many_fds(int connection)
{
	int fds[FD_PASS_MAX];

	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fds[i] = connection;
	return fd_send(connection, "{\"parameters\"", 13, fds, FD_PASS_MAX) ||
	       fd_send(connection, ":{}}", 5, fds, 1) || wait_for_end(connection);
}

static void test_client_too_many_fds(void **state)
{
	struct peer peer;
	struct varlink_client *client = start(&peer, script_too_many_fds, 0);
	int before = count_fds();

	assert_int_equal(varlink_client_call(client, "a.B", NULL, NULL, NULL, NULL), -EBADMSG);
	assert_int_equal(count_fds(), before - 1);
	finish(&peer, client);
}

static int script_failed(int connection)
{
	return say(connection,
		       "{\"error\":\"io.podd.Pod.Failed\",\"parameters\":"
		       "{\"reason\":\"the disk is full\"}}") ||
	       receive_call(connection) ||
	       say(connection,
		       "{\"error\":\"io.podd.Pod.NoSuchChild\",\"parameters\":"
		       "{\"child\":\"web\",\"n\":[1]}}") ||
	       receive_call(connection) ||
	       say(connection, "{\"error\":\"io.podd.Pod.Stopping\"}") || receive_call(connection) ||
	       say(connection,
		       "{\"error\":\"io.podd.Pod.PortFailed\",\"parameters\":"
		       "{\"spec\":\"80:80\",\"reason\":\"it is in use\"}}") ||
	       receive_call(connection) ||
	       say(connection,
		       "{\"error\":\"io.podd.Pod.NoSuchPort\",\"parameters\":{\"spec\":\"80\"}}") ||
	       receive_call(connection) ||
	       say(connection,
		       "{\"error\":\"io.podd.Pod.NoSuchRule\",\"parameters\":{\"position\":7}}") ||
	       receive_call(connection) ||
	       say(connection,
		       "{\"error\":\"io.podd.Pod.NoUplink\",\"parameters\":"
		       "{\"reason\":\"the pod has none\"}}") ||
	       receive_call(connection) ||
	       say(connection, "{\"error\":\"io.podd.Pod.NoSuchPort\"}") ||
	       wait_for_end(connection);
}

static void test_client_errors(void **state)
{
	static const char *const expected[] = {
		"the disk is full",
		"podd says NoSuchChild (child: web, n: [1])",
		"podd says Stopping",
		"port \"80:80\": it is in use",
		"port \"80\" is not published",
		"there is no egress rule at position 7",
		"the pod has none",
		"podd says NoSuchPort",
	};
	static const char *const names[] = {
		"io.podd.Pod.Failed",
		"io.podd.Pod.NoSuchChild",
		"io.podd.Pod.Stopping",
		"io.podd.Pod.PortFailed",
		"io.podd.Pod.NoSuchPort",
		"io.podd.Pod.NoSuchRule",
		"io.podd.Pod.NoUplink",
		"io.podd.Pod.NoSuchPort",
	};
	struct peer peer;
	struct varlink_client *client = start(&peer, script_failed, 0);

	assert_null(varlink_client_error(client));
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		struct json *reply = NULL;
		struct err err;

		assert_int_equal(
			varlink_client_call(client, "a.B", NULL, &reply, NULL, &err), -EREMOTEIO);
		assert_string_equal(err.msg, expected[i]);
		assert_string_equal(varlink_client_error(client), names[i]);
		assert_null(reply);
	}
	finish(&peer, client);
}

static void test_client_timeout(void **state)
{
	struct peer peer;
	struct varlink_client *client = start(&peer, wait_for_end, 20);
	struct err err;

	assert_int_equal(varlink_client_call(client, "a.B", NULL, NULL, NULL, &err), -ETIMEDOUT);
	assert_string_equal(err.msg, "podd did not answer within 20 ms");
	assert_null(varlink_client_error(client));
	assert_int_equal(varlink_client_call(client, "a.B", NULL, NULL, NULL, &err), -ENOTCONN);
	finish(&peer, client);
}

/* A message without an end. */
static int script_endless(int connection)
{
	char spaces[1000];

	memset(spaces, ' ', sizeof(spaces));
	while (send(connection, spaces, sizeof(spaces), MSG_NOSIGNAL) > 0)
		;
	return 0;
}

static int script_close(int connection)
{
	return 0;
}

static int script_half(int connection)
{
	return fd_write_all(connection, "{\"par", 5);
}

static int script_garbage(int connection)
{
	return say(connection, "garbage") || wait_for_end(connection);
}

static int script_array(int connection)
{
	return say(connection, "[]") || wait_for_end(connection);
}

static int script_wrong_type(int connection)
{
	return say(connection, "{\"parameters\":7}") || wait_for_end(connection);
}

static int script_continues(int connection)
{
	return say(connection, "{\"continues\":true}") || wait_for_end(connection);
}

static void test_client_bad_peers(void **state)
{
	static const struct {
		script_function *script;
		int result;
	} cases[] = {
		{script_endless, -EMSGSIZE},
		{script_close, -ECONNRESET},
		{script_half, -ECONNRESET},
		{script_garbage, -EPROTO},
		{script_array, -EPROTO},
		{script_wrong_type, -EPROTO},
		{script_continues, -EPROTO},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct peer peer;
		struct varlink_client *client = start(&peer, cases[i].script, 60000);
		struct json *reply = NULL;

		assert_int_equal(varlink_client_call(client, "a.B", NULL, &reply, NULL, NULL),
			cases[i].result);
		assert_int_equal(
			varlink_client_call(client, "a.B", NULL, &reply, NULL, NULL), -ENOTCONN);
		assert_null(reply);
		finish(&peer, client);
	}
}

/* ---- calls that are not answered ---- */

static void test_notify(void **state)
{
	autoclose int dirfd = -1, listener = -1, connection = -1;
	cleanup(varlink_call_done) struct varlink_call call = {0};
	struct json *parameters = json_new_object();
	char dir[] = "/tmp/test-varlink-XXXXXX";
	autofree char *text = NULL;
	size_t length = 0;

	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(varlink_notify(dirfd, SOCKET, "a.B", NULL), -ENOENT);
	assert_int_equal(varlink_notify(dirfd, SOCKET, "a.B", json_new_object()), -ENOENT);
	assert_int_equal(fd_listen_unix(dirfd, SOCKET, SOCK_STREAM, &listener, NULL), 0);
	json_set_string(parameters, "child", "web");
	assert_int_equal(varlink_notify(dirfd, SOCKET, "a.B", parameters), 0);
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(connection >= 0);
	assert_int_equal(fd_read_all(connection, 4096, &text, &length), 0);
	assert_int_equal(text[length - 1], '\0');
	assert_int_equal(varlink_call_parse(text, length - 1, &call, NULL), 0);
	assert_string_equal(call.method, "a.B");
	assert_true(call.oneway);
	assert_false(call.more);
	assert_string_equal(json_string(json_get(call.parameters, "child")), "web");
	assert_int_equal(unlinkat(dirfd, SOCKET, 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A service that hangs takes no more connections at some point: the alarm is for a call that
 * waits for it. */
static void test_notify_never_blocks(void **state)
{
	autoclose int dirfd = -1, listener = -1;
	char dir[] = "/tmp/test-varlink-XXXXXX";
	int r = 0;

	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fd_listen_unix(dirfd, SOCKET, SOCK_STREAM, &listener, NULL), 0);
	assert_int_equal(listen(listener, 0), 0);
	alarm(30);
	for (int i = 0; i < 10 && r == 0; i++)
		r = varlink_notify(dirfd, SOCKET, "a.B", NULL);
	alarm(0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(unlinkat(dirfd, SOCKET, 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_call_refused),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_too_large),
		cmocka_unit_test(test_no_socket),
		cmocka_unit_test(test_client_call),
		cmocka_unit_test(test_client_more),
		cmocka_unit_test(test_client_fds),
		cmocka_unit_test(test_client_unwanted_fds),
		cmocka_unit_test(test_client_too_many_fds),
		cmocka_unit_test(test_client_errors),
		cmocka_unit_test(test_client_timeout),
		cmocka_unit_test(test_client_bad_peers),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_notify_never_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
