/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A blocking varlink client, for programs that do one thing and end: podctl and the hook. One
 * call at a time; each wait has one deadline for all of it, so that a peer which sends byte by
 * byte cannot stretch it. After a failure on the way the stream's state is unknown, and the
 * connection is given up.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "deadline.h"
#include "fd.h"
#include "text.h"
#include "varlink.h"

#define REPLY_SOURCE "varlink reply"

/* Bytes that are read at once. */
#define READ_SIZE 4096

struct varlink_client {
	int fd; /* -1 once the connection was given up */
	int passed; /* goes with the next call; -1: none */
	unsigned timeout_ms;
	bool more; /* replies to a call with "more" are still to come */
	char *buffer;
	size_t length;
	size_t allocated;
	int fds[FD_PASS_MAX]; /* that came since the last message */
	size_t n_fds;
	char *error; /* name of the one that was the last answer, or NULL */
};

static void close_fds(struct varlink_client *client)
{
	while (client->n_fds > 0)
		close(client->fds[--client->n_fds]);
}

int varlink_connect(int dirfd, const char *socket_name, unsigned timeout_ms,
	struct varlink_client **ret, struct err *err)
{
	autoptr(varlink_client) client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return err_oom(err);
	client->fd = client->passed = -1;
	client->timeout_ms = timeout_ms;
	r = fd_connect_unix(dirfd, socket_name, SOCK_STREAM, &client->fd);
	if (r >= 0)
		r = fd_set_nonblock(client->fd);
	if (r < 0)
		return err_set(err, r, "cannot connect to %s: %s", socket_name, strerror(-r));
	*ret = take_ptr(client);
	return 0;
}

void varlink_client_free(struct varlink_client *client)
{
	if (!client)
		return;
	close_fds(client);
	if (client->fd >= 0)
		close(client->fd);
	free(client->buffer);
	free(client->error);
	free(client);
}

void varlink_client_pass_fd(struct varlink_client *client, int fd)
{
	client->passed = fd;
}

/* ---- waiting ---- */

/* The deadline of a wait that begins now; -1: none. */
static int64_t deadline_of(const struct varlink_client *client)
{
	return client->timeout_ms ? deadline_now_ms() + client->timeout_ms : -1;
}

static int wait_for(const struct varlink_client *client, short events, int64_t deadline)
{
	struct pollfd pollfd = {.fd = client->fd, .events = events};
	int left = -1;
	int n;

	for (;;) {
		if (deadline >= 0) {
			left = (int)deadline_left_ms(deadline, INT32_MAX);
			if (left == 0)
				return -ETIMEDOUT;
		}
		n = poll(&pollfd, 1, left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* ---- moving bytes ---- */

static int send_all(struct varlink_client *client, const char *data, size_t length)
{
	int64_t deadline = deadline_of(client);
	ssize_t n;
	int r;

	while (length > 0) {
		n = send(client->fd, data, length, MSG_NOSIGNAL);
		if (n >= 0) {
			data += n;
			length -= (size_t)n;
			continue;
		}
		if (errno == EPIPE)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_for(client, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

/* With the fd where there is one: it goes with the first byte. */
static int send_message(struct varlink_client *client, const char *data, size_t length)
{
	int passed = take_fd(&client->passed);
	int r;

	if (passed < 0)
		return send_all(client, data, length);
	r = fd_send(client->fd, data, 1, &passed, 1);
	return r < 0 ? r : send_all(client, data + 1, length - 1);
}

static int make_room(struct varlink_client *client)
{
	size_t size = client->allocated ? client->allocated * 2 : READ_SIZE * 2;
	char *grown;

	if (client->allocated - client->length >= READ_SIZE)
		return 0;
	grown = realloc(client->buffer, size);
	if (!grown)
		return -ENOMEM;
	client->buffer = grown;
	client->allocated = size;
	return 0;
}

/* Takes every fd of a message over. Return: 0, or -EBADMSG when there are too many. */
static int take_fds(struct varlink_client *client, struct msghdr *message)
{
	int r = message->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (client->n_fds < FD_PASS_MAX) {
				client->fds[client->n_fds++] = fd;
			} else {
				close(fd);
				r = -EBADMSG;
			}
		}
	}
	return r;
}

/* Reads once. Return: 0, -EAGAIN, -ECONNRESET at the end, -EBADMSG, -errno. */
static int receive_some(struct varlink_client *client)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int r = make_room(client);

	if (r < 0)
		return r;
	iov.iov_base = client->buffer + client->length;
	iov.iov_len = client->allocated - client->length;
	n = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -ECONNRESET;
	client->length += (size_t)n;
	return take_fds(client, &message);
}

/* Waits until the buffer begins with a whole message. */
static int receive_message(struct varlink_client *client, size_t *ret_message)
{
	int64_t deadline = deadline_of(client);
	int r;

	for (;;) {
		r = client->length > 0 ? varlink_frame(client->buffer, client->length, ret_message)
				       : -EAGAIN;
		if (r != -EAGAIN)
			return r;
		r = receive_some(client);
		if (r == -EAGAIN)
			r = wait_for(client, POLLIN, deadline);
		if (r < 0)
			return r;
	}
}

/* ---- messages ---- */

/* Gives the connection up: what the peer sends later would be taken for the next answer. */
static void hang_up(struct varlink_client *client)
{
	close_fds(client);
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->more = false;
}

static int give_up(struct varlink_client *client, int code, const char *doing, struct err *err)
{
	hang_up(client);
	switch (code) {
	case -ETIMEDOUT:
		return err_set(err, code, "podd did not answer within %u ms", client->timeout_ms);
	case -ECONNRESET:
		return err_set(err, code, "podd closed the connection without an answer");
	case -EMSGSIZE:
		return err_set(err, code, "a message is longer than %d bytes", VARLINK_MESSAGE_MAX);
	case -EBADMSG:
		return err_set(
			err, code, "podd's answer brought more than %d descriptors", FD_PASS_MAX);
	default:
		return err_set(err, code, "cannot %s podd: %s", doing, strerror(-code));
	}
}

/* "child: web" for each parameter of an error. */
static void describe_parameters(const struct json *parameters, char *ret, size_t size)
{
	size_t used = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < json_length(parameters) && used < size; i++) {
		const struct json *value = json_at(parameters, i);
		autofree char *text = NULL;

		if (!json_string(value) && json_write(value, false, &text, NULL) < 0)
			continue;
		used += (size_t)snprintf(ret + used, size - used, "%s%s: %s", i > 0 ? ", " : "",
			json_key_at(parameters, i), text ? text : json_string(value));
	}
}

/* Errors whose parameters say it all. Return: true when it is one of these. */
static bool tell_reason(const char *name, const struct json *parameters, struct err *err)
{
	const char *reason = json_string(json_get(parameters, "reason"));
	const char *spec = json_string(json_get(parameters, "spec"));
	int64_t position = 0;

	if (reason && (text_equal(name, "Failed") || text_equal(name, "NoUplink")))
		err_set(err, -EREMOTEIO, "%s", reason);
	else if (reason && spec && text_equal(name, "PortFailed"))
		err_set(err, -EREMOTEIO, "port \"%s\": %s", spec, reason);
	else if (spec && text_equal(name, "NoSuchPort"))
		err_set(err, -EREMOTEIO, "port \"%s\" is not published", spec);
	else if (text_equal(name, "NoSuchRule") &&
		 json_int(json_get(parameters, "position"), &position) == 0)
		err_set(err, -EREMOTEIO, "there is no egress rule at position %" PRId64, position);
	else
		return false;
	return true;
}

static int remote_error(const char *name, const struct json *parameters, struct err *err)
{
	const char *dot = strrchr(name, '.');
	char text[512];

	if (text_starts_with(name, VARLINK_INTERFACE ".") && tell_reason(dot + 1, parameters, err))
		return -EREMOTEIO;
	describe_parameters(parameters, text, sizeof(text));
	return err_set(err, -EREMOTEIO, *text ? "podd says %s (%s)" : "podd says %s%s",
		dot ? dot + 1 : name, text);
}

/* Reads one answer. Return: 0; -EREMOTEIO for an error, its name in *ret_error; -EPROTO when it is
 * no answer. */
static int read_reply(const char *text, size_t length, struct json **ret_parameters,
	bool *ret_continues, char **ret_error, struct err *err)
{
	autoptr(json) message = NULL;
	const struct json *parameters = NULL;
	const char *error = NULL;
	bool continues = false;

	if (json_parse(REPLY_SOURCE, text, length, &message, err) < 0)
		return -EPROTO;
	if (json_read_string(message, "error", false, &error, err) < 0 ||
		json_read_object(message, "parameters", false, &parameters, err) < 0 ||
		json_read_bool(message, "continues", false, &continues, err) < 0)
		return err_wrap(err, -EPROTO, REPLY_SOURCE);
	if (json_type(message) != JSON_OBJECT)
		return err_set(err, -EPROTO, REPLY_SOURCE " must be an object");
	if (error) {
		*ret_error = strdup(error);
		return *ret_error ? remote_error(error, parameters, err) : err_oom(err);
	}
	*ret_parameters = parameters ? json_copy(parameters) : json_new_object();
	*ret_continues = continues;
	return *ret_parameters ? 0 : err_oom(err);
}

static int send_call(struct varlink_client *client, const char *method, struct json *parameters,
	bool more, struct err *err)
{
	autofree char *text = NULL;
	size_t length;
	int r = varlink_write_call(method, parameters, more, &text, &length);

	if (r == -EMSGSIZE)
		return err_set(err, r, "the call of %s is longer than %d bytes", method,
			VARLINK_MESSAGE_MAX);
	if (r < 0)
		return err_oom(err);
	if (client->fd < 0)
		return err_set(err, -ENOTCONN, "the connection to podd is closed");
	if (client->more)
		return err_set(err, -EBUSY, "another call is not answered yet");
	free(take_ptr(client->error));
	r = send_message(client, text, length);
	return r < 0 ? give_up(client, r, "write to", err) : 0;
}

/* Waits for the next answer; what came with it in fds stays in the client. */
static int next_reply(struct varlink_client *client, struct json **ret_parameters,
	bool *ret_continues, struct err *err)
{
	size_t message;
	int r;

	if (client->fd < 0)
		return err_set(err, -ENOTCONN, "the connection to podd is closed");
	r = receive_message(client, &message);
	if (r < 0)
		return give_up(client, r, "read from", err);
	r = read_reply(client->buffer, message, ret_parameters, ret_continues, &client->error,
		err);
	client->length -= message + 1;
	memmove(client->buffer, client->buffer + message + 1, client->length);
	if (r < 0 && r != -EREMOTEIO)
		hang_up(client);
	return r;
}

int varlink_client_call(struct varlink_client *client, const char *method, struct json *parameters,
	struct json **ret_parameters, int *ret_fds, struct err *err)
{
	autoptr(json) reply = NULL;
	bool continues = false;
	int r = send_call(client, method, parameters, false, err);

	if (r >= 0)
		r = next_reply(client, &reply, &continues, err);
	if (r >= 0 && continues) {
		hang_up(client);
		r = err_set(err, -EPROTO, "podd wants to answer %s more than once", method);
	}
	if (r < 0 || !ret_fds) {
		close_fds(client);
	} else {
		for (size_t i = 0; i < FD_PASS_MAX; i++)
			ret_fds[i] = i < client->n_fds ? client->fds[i] : -1;
		client->n_fds = 0;
	}
	if (r < 0)
		return r;
	if (ret_parameters)
		*ret_parameters = take_ptr(reply);
	return 0;
}

const char *varlink_client_error(const struct varlink_client *client)
{
	return client->error;
}

int varlink_client_more(
	struct varlink_client *client, const char *method, struct json *parameters, struct err *err)
{
	int r = send_call(client, method, parameters, true, err);

	if (r >= 0)
		client->more = true;
	return r;
}

int varlink_client_next(
	struct varlink_client *client, struct json **ret_parameters, struct err *err)
{
	autoptr(json) reply = NULL;
	bool continues = false;
	int r;

	if (!client->more)
		return err_set(err, -ENODATA, "no answer is to come");
	r = next_reply(client, &reply, &continues, err);
	close_fds(client);
	client->more = r >= 0 && continues;
	if (r < 0)
		return r;
	if (ret_parameters)
		*ret_parameters = take_ptr(reply);
	return client->more ? 1 : 0;
}

int varlink_notify(int dirfd, const char *socket_name, const char *method,
	struct json *parameters)
{
	autofree char *text = NULL;
	autoclose int fd = -1;
	size_t length;
	ssize_t n;
	int r;

	r = varlink_write_oneway(method, parameters, &text, &length);
	if (r == 0)
		r = fd_connect_unix_now(dirfd, socket_name, SOCK_STREAM, &fd);
	if (r < 0)
		return r;
	n = send(fd, text, length, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	/* What does not fit at once arrives cut, and is no message. */
	return (size_t)n == length ? 0 : -EAGAIN;
}

int varlink_client_fd(const struct varlink_client *client)
{
	return client->fd;
}

/* What cannot be read is for varlink_client_next() to tell. */
bool varlink_client_is_ready(struct varlink_client *client)
{
	size_t message;

	for (;;) {
		int r = client->length > 0
				? varlink_frame(client->buffer, client->length, &message)
				: -EAGAIN;

		if (r != -EAGAIN || client->fd < 0)
			return true;
		r = receive_some(client);
		if (r == -EAGAIN)
			return false;
		if (r < 0)
			return true;
	}
}
