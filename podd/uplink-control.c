/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The uplink's control connection.
 *
 *   connected --end, error or nonsense--> listening --accept, right uid--> connected
 *
 * While there is a connection the listening socket is left alone: a new podd waits in its
 * backlog until the old one's connection is gone, which the kernel sees to when the old one died.
 * The peer is trusted (it is podd, of the same user), so a message that is no request is a bug:
 * the connection is dropped, and podd connects again. It owns both sockets.
 *
 * System calls: recvmsg, sendmsg, accept4, getsockopt (the peer), getuid, poll, ppoll,
 *   fcntl[1 == F_GETFL], fcntl[1 == F_SETFL], close.
 */

#include "uplink-control.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fd.h"
#include "text.h"

#define ACCEPT_PAUSE_US 500000
#define REPLY_WAIT_MS 5000

struct uplink_control {
	int connection; /* -1: listening */
	int listener;
	sd_event *event;
	sd_event_source *connection_source;
	sd_event_source *listener_source;
	sd_event_source *pause; /* without fds, before the next accept(2) */
	uplink_control_serve serve;
	void *opaque;
	bool takes_tcp;
	struct uplink_request request;
};

/* Only the wait for the next one changes: an error here leaves the old state. */
static int listen_again(struct uplink_control *control)
{
	control->connection_source = sd_event_source_disable_unref(control->connection_source);
	if (control->connection >= 0)
		close(take_fd(&control->connection));
	if (control->listener < 0)
		return 0;
	return sd_event_source_set_enabled(control->listener_source, SD_EVENT_ON);
}

/* What an operation's request has at least. */
static size_t least_length(uint32_t operation)
{
	switch (operation) {
	case UPLINK_CONFIGURE:
	case UPLINK_NET:
		return sizeof(struct uplink_config);
	case UPLINK_CHILD:
		return sizeof(struct uplink_child);
	case UPLINK_EGRESS:
		return offsetof(struct uplink_egress, rules);
	case UPLINK_PORT:
	case UPLINK_PORT_REMOVE:
		return sizeof(struct uplink_port);
	case UPLINK_CAPTURE:
		return sizeof(uint32_t);
	case UPLINK_TENANT:
		return 1;
	default:
		return 0;
	}
}

static bool is_whole(const struct uplink_request *request, size_t size)
{
	const size_t head = offsetof(struct uplink_request, text);

	if (size < head || request->length > UPLINK_TEXT_MAX || size != head + request->length ||
		request->length < least_length(request->operation))
		return false;
	if (request->operation == UPLINK_EGRESS)
		return request->egress.n <= EGRESS_RULES_MAX &&
		       request->length >= offsetof(struct uplink_egress, rules) +
						  request->egress.n * sizeof(struct egress_rule);
	return (request->operation != UPLINK_RESOLV && request->operation != UPLINK_TENANT) ||
	       !memchr(request->text, '\0', request->length);
}

/* Return: 1 with a request, 0 at the end, -EAGAIN, -EBADMSG, -errno. */
static int receive_request(struct uplink_control *control, int fds[UPLINK_REQUEST_FDS_MAX])
{
	ssize_t n;

	n = fd_receive(control->connection, &control->request, sizeof(control->request), fds,
		UPLINK_REQUEST_FDS_MAX, NULL);
	if (n <= 0)
		return (int)n;
	return is_whole(&control->request, (size_t)n) ? 1 : -EBADMSG;
}

struct request_fds {
	int fds[UPLINK_REQUEST_FDS_MAX];
};
_Static_assert(UPLINK_REQUEST_FDS_MAX == 4, "as many are set to -1 below");

static void close_fds(struct request_fds *fds)
{
	for (size_t i = 0; i < UPLINK_REQUEST_FDS_MAX; i++)
		cleanup_close(&fds->fds[i]);
}

int uplink_control_reply(struct uplink_control *control, const struct uplink_reply *reply,
	const int *fds)
{
	struct pollfd room = {.fd = control->connection, .events = POLLOUT};
	int r;

	/* A podd that asked for these reads them, or is gone. */
	do {
		r = fd_send(control->connection, reply, sizeof(*reply), fds, reply->n_fds);
	} while (r == -EAGAIN && poll(&room, 1, REPLY_WAIT_MS) > 0);
	return r;
}

static int on_connection(sd_event_source *source, int socket, uint32_t revents, void *opaque)
{
	struct uplink_control *control = opaque;
	struct uplink_reply reply = {};
	cleanup(close_fds) struct request_fds fds = {{-1, -1, -1, -1}};
	struct err err = {};
	int r;

	r = receive_request(control, fds.fds);
	if (r == -EAGAIN)
		return 0;
	if (r == -EBADMSG)
		fprintf(stderr, "podd-uplink: podd sent a message that is no request\n");
	if (r <= 0)
		return listen_again(control);
	reply.operation = control->request.operation;
	reply.result = control->serve(control, &control->request, fds.fds, control->opaque, &err);
	reply.takes_tcp = control->takes_tcp;
	if (reply.result < 0) {
		(void)text_sanitize(reply.text, sizeof(reply.text), err.msg);
		fprintf(stderr, "podd-uplink: %s\n", err.msg);
	}
	/* A peer that does not read its replies is as good as gone. */
	if (fd_send(control->connection, &reply, sizeof(reply), NULL, 0) < 0)
		return listen_again(control);
	return 0;
}

static int serve_connection(struct uplink_control *control, int connection)
{
	int r;

	r = sd_event_add_io(control->event, &control->connection_source, connection, EPOLLIN,
		on_connection, control);
	if (r < 0)
		return r;
	control->connection = connection;
	return control->listener_source ?
		sd_event_source_set_enabled(control->listener_source, SD_EVENT_OFF) : 0;
}

static int on_pause_end(sd_event_source *source, uint64_t now, void *opaque)
{
	struct uplink_control *control = opaque;

	control->pause = sd_event_source_disable_unref(control->pause);
	return control->connection < 0 ?
		sd_event_source_set_enabled(control->listener_source, SD_EVENT_ON) : 0;
}

static int wait_before_accept(struct uplink_control *control)
{
	int r = sd_event_source_set_enabled(control->listener_source, SD_EVENT_OFF);

	if (r < 0)
		return r;
	return sd_event_add_time_relative(control->event, &control->pause, CLOCK_MONOTONIC,
		ACCEPT_PAUSE_US, 0, on_pause_end, control);
}

static int on_listener(sd_event_source *source, int socket, uint32_t revents, void *opaque)
{
	struct uplink_control *control = opaque;
	autoclose int connection = accept4(socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pid_t pid;
	uid_t uid;
	int r;

	if (connection < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
		/* Not to be called again at once: a flow's end gives an fd back. */
		fprintf(stderr, "podd-uplink: accepting a control connection: %s\n",
			strerror(errno));
		return wait_before_accept(control);
	}
	if (connection < 0)
		return 0;
	/* As this process's user namespace shows both. */
	if (fd_peer(connection, &pid, &uid) < 0 || uid != getuid()) {
		fprintf(stderr, "podd-uplink: refused a control connection of another user\n");
		return 0;
	}
	r = serve_connection(control, connection);
	if (r >= 0)
		(void)take_fd(&connection);
	return r;
}

int uplink_control_new(sd_event *event, int connection, int listener,
	uplink_control_serve serve, void *opaque, struct uplink_control **ret, struct err *err)
{
	autoptr(uplink_control) control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return err_oom(err);
	control->connection = -1;
	control->listener = -1;
	control->serve = serve;
	control->opaque = opaque;
	control->event = sd_event_ref(event);
	r = fd_set_nonblock(connection);
	if (r == 0 && listener >= 0)
		r = fd_set_nonblock(listener);
	if (r == 0 && listener >= 0)
		r = sd_event_add_io(event, &control->listener_source, listener, EPOLLIN,
			on_listener, control);
	if (r >= 0)
		r = serve_connection(control, connection);
	if (r < 0) {
		control->connection = -1;
		return err_set(err, r, "cannot serve the control socket: %s", strerror(-r));
	}
	control->listener = listener;
	*ret = take_ptr(control);
	return 0;
}

void uplink_control_note_tcp(struct uplink_control *control, bool takes_tcp)
{
	control->takes_tcp = takes_tcp;
}

bool uplink_control_connected(const struct uplink_control *control)
{
	return control->connection >= 0;
}

void uplink_control_free(struct uplink_control *control)
{
	if (!control)
		return;
	sd_event_source_disable_unref(control->connection_source);
	sd_event_source_disable_unref(control->listener_source);
	sd_event_source_disable_unref(control->pause);
	if (control->connection >= 0)
		close(control->connection);
	if (control->listener >= 0)
		close(control->listener);
	sd_event_unref(control->event);
	free(control);
}
