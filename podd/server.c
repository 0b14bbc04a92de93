/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The varlink server: see server.h. A connection reads one call at a time; while its reply is
 * still owed nothing more is read from it, so that a peer can queue no work. What cannot be
 * written at once is kept up to a quota; a peer that does not read is cut off.
 */

#include "server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "manager.h"
#include "methods.h"
#include "pod.h"

#define READ_STEP 4096
#define FLUSH_WAIT_MS 1000
#define ACCEPT_PAUSE_US 200000

struct buffer {
	char *data;
	size_t length;
	size_t size;
};

struct connection {
	struct server *server;
	struct connection *next;
	uint64_t serial;
	size_t output_max;
	int fd;
	int passed;       /* came with the call that is read; -1: none */
	sd_event_source *source;
	struct buffer input;
	struct buffer output;
	bool more;        /* the present call accepts several replies */
	bool oneway;      /* ... or none */
	bool inside;
	bool held;
	bool subscribed;
	bool wants_stop;
	bool broken;      /* closed as soon as nobody uses it */
};

struct server {
	struct pod *pod;
	int fd;
	sd_event_source *source;
	sd_event_source *pause; /* without fds, before the next accept(2) */
	struct connection *first;
	unsigned n;
	uint64_t serials;
};

static void buffer_drop(struct buffer *buffer, size_t n)
{
	memmove(buffer->data, buffer->data + n, buffer->length - n);
	buffer->length -= n;
	/* An idle connection keeps no memory. */
	if (buffer->length == 0) {
		free(buffer->data);
		*buffer = (struct buffer){};
	}
}

static int buffer_reserve(struct buffer *buffer, size_t n, size_t max)
{
	size_t size = buffer->length + n;
	char *grown;

	if (size > max)
		return -ENOBUFS;
	if (size <= buffer->size)
		return 0;
	size = size * 2 > max ? max : size * 2;
	grown = realloc(buffer->data, size);
	if (!grown)
		return -ENOMEM;
	buffer->data = grown;
	buffer->size = size;
	return 0;
}

static void connection_free(struct connection *connection)
{
	struct connection **link = &connection->server->first;

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	connection->server->n--;
	sd_event_source_disable_unref(connection->source);
	cleanup_close(&connection->fd);
	cleanup_close(&connection->passed);
	free(connection->input.data);
	free(connection->output.data);
	free(connection);
}

/* Writes what can be written; the rest waits for EPOLLOUT. */
static int flush_output(struct connection *connection)
{
	struct buffer *output = &connection->output;

	while (output->length > 0) {
		ssize_t n = send(connection->fd, output->data, output->length,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		buffer_drop(output, (size_t)n);
	}
	return 0;
}

static void update_interest(struct connection *connection)
{
	uint32_t events = connection->output.length > 0 ? EPOLLOUT : 0;

	if (!connection->held)
		events |= EPOLLIN;
	sd_event_source_set_io_events(connection->source, events);
}

/* Marks it; whoever is in the middle of using it is not surprised. */
static int break_connection(struct connection *connection, int r)
{
	connection->broken = true;
	sd_event_source_set_io_events(connection->source, 0);
	shutdown(connection->fd, SHUT_RDWR);
	return r;
}

static int queue(struct connection *connection, const char *text, size_t length, const int *fds,
	size_t n_fds)
{
	int r;

	if (connection->broken)
		return -ECONNRESET;
	/* fds go with their reply, at once: a socket that is full of unread replies gets none. */
	if (n_fds > 0) {
		if (connection->output.length > 0)
			return break_connection(connection, -ENOBUFS);
		r = fd_send(connection->fd, text, length, fds, n_fds);
		return r < 0 ? break_connection(connection, r) : 0;
	}
	r = buffer_reserve(&connection->output, length, connection->output_max);
	if (r < 0)
		return break_connection(connection, r);
	memcpy(connection->output.data + connection->output.length, text, length);
	connection->output.length += length;
	r = flush_output(connection);
	if (r < 0)
		return break_connection(connection, r);
	update_interest(connection);
	return 0;
}

int connection_reply(struct connection *connection, struct json *parameters, const int *fds,
	size_t n_fds, bool continues)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	if (!continues)
		connection->held = false;
	if (connection->oneway) {
		json_free(parameters);
		update_interest(connection);
		return 0;
	}
	r = varlink_write_reply(parameters, continues, &text, &length);
	if (r < 0)
		return break_connection(connection, r);
	return queue(connection, text, length, fds, n_fds);
}

int connection_error(struct connection *connection, const char *name, struct json *parameters)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	connection->held = false;
	if (connection->oneway) {
		json_free(parameters);
		update_interest(connection);
		return 0;
	}
	r = varlink_write_error(name, parameters, &text, &length);
	if (r < 0)
		return break_connection(connection, r);
	return queue(connection, text, length, NULL, 0);
}

int connection_fail(struct connection *connection, const char *reason)
{
	struct json *parameters = json_new_object();

	json_set_string(parameters, "reason", reason);
	return connection_error(connection, VARLINK_INTERFACE ".Failed", parameters);
}

uint64_t connection_serial(const struct connection *connection)
{
	return connection->serial;
}

struct connection *server_find(struct server *server, uint64_t serial)
{
	struct connection *connection = server->first;

	while (connection && (connection->serial != serial || connection->broken))
		connection = connection->next;
	return connection;
}

int connection_take_fd(struct connection *connection)
{
	return take_fd(&connection->passed);
}

void connection_expect_much(struct connection *connection)
{
	connection->output_max = SERVER_LONG_OUTPUT_MAX;
}

bool connection_wants_more(const struct connection *connection)
{
	return connection->more;
}

void connection_hold(struct connection *connection)
{
	connection->held = true;
	update_interest(connection);
}

void connection_subscribe(struct connection *connection)
{
	connection->subscribed = true;
	connection_hold(connection);
}

void connection_wait_for_stop(struct connection *connection)
{
	connection->wants_stop = true;
	connection_hold(connection);
}

static void dispatch(struct connection *connection, const char *text, size_t length)
{
	struct varlink_call call = {};
	struct err err = {};

	if (varlink_call_parse(text, length, &call, &err) < 0) {
		fprintf(stderr, "podd: pod %s: control socket: %s\n", connection->server->pod->path,
			err.msg);
		break_connection(connection, -EBADMSG);
		return;
	}
	connection->more = call.more;
	connection->oneway = call.oneway;
	methods_dispatch(connection->server->pod, connection, &call);
	varlink_call_done(&call);
	cleanup_close(&connection->passed);
	connection->passed = -1;
}

/* Takes the calls that are there, as long as none is owed a reply. */
static void take_calls(struct connection *connection)
{
	while (!connection->held && !connection->broken) {
		struct buffer *input = &connection->input;
		size_t length;
		int r;

		r = varlink_frame(input->data, input->length, &length);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			break_connection(connection, r);
			return;
		}
		dispatch(connection, input->data, length);
		buffer_drop(input, length + 1);
	}
}

static int read_input(struct connection *connection)
{
	struct buffer *input = &connection->input;
	autoclose int passed = -1;
	ssize_t n;
	int r;

	r = buffer_reserve(input, READ_STEP, VARLINK_MESSAGE_MAX + READ_STEP);
	if (r < 0)
		return r;
	n = fd_receive(connection->fd, input->data + input->length, READ_STEP, &passed, 1, NULL);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n < 0 ? (int)n : -ECONNRESET;
	input->length += (size_t)n;
	/* One for each call: more are not kept. */
	if (passed >= 0) {
		cleanup_close(&connection->passed);
		connection->passed = take_fd(&passed);
	}
	return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct connection *connection = userdata;
	int r = 0;

	if (events & EPOLLOUT)
		r = flush_output(connection);
	if (r == 0 && (events & EPOLLIN) && !connection->held)
		r = read_input(connection);
	else if (r == 0 && (events & (EPOLLHUP | EPOLLERR)))
		r = -ECONNRESET;
	if (r == 0)
		take_calls(connection);
	if (r < 0 || connection->broken)
		connection_free(connection);
	else
		update_interest(connection);
	return 0;
}

bool connection_is_inside(const struct connection *connection)
{
	return connection->inside;
}

/* Only the same user namespace counts as podd's user: in a pod, and in one inside of it, there are
 * processes with the same uid. What /proc does not show is another one's. Of the host's root that is
 * not asked. */
static bool is_inside(pid_t pid, uid_t uid)
{
	struct stat own, its;
	char path[40];

	if (uid == 0 && geteuid() != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return pid <= 0 || stat(path, &its) < 0 || stat("/proc/self/ns/user", &own) < 0 ||
	       its.st_dev != own.st_dev || its.st_ino != own.st_ino;
}

static int add_connection(struct server *server, int fd, bool inside)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection)
		return -ENOMEM;
	r = sd_event_add_io(server->pod->event, &connection->source, fd, EPOLLIN, on_connection,
		connection);
	if (r < 0) {
		free(connection);
		return r;
	}
	connection->server = server;
	connection->serial = ++server->serials;
	connection->output_max = SERVER_OUTPUT_MAX;
	connection->fd = fd;
	connection->inside = inside;
	connection->passed = -1;
	connection->next = server->first;
	server->first = connection;
	server->n++;
	return 0;
}

/* The pod's owner, the host's root, and the pod's root, as whom a hook comes. */
bool server_serves(const struct pod *pod, uid_t uid)
{
	uint32_t pod_root;

	return uid == geteuid() || uid == 0 ||
	       (idmap_to_host(&pod->state.uids, 0, &pod_root) == 0 && uid == pod_root);
}

/* Closes the connection that has been there longest among those that wait for nothing. */
static bool drop_idle(struct server *server)
{
	struct connection *oldest = NULL;

	for (struct connection *c = server->first; c; c = c->next)
		if (!c->held && c->output.length == 0)
			oldest = c;
	if (oldest)
		connection_free(oldest);
	return oldest != NULL;
}

static int on_pause_end(sd_event_source *source, uint64_t now, void *userdata)
{
	struct server *server = userdata;

	sd_event_source_set_enabled(server->source, SD_EVENT_ON);
	return 0;
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct server *server = userdata;
	autoclose int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pid_t pid;
	uid_t uid;

	if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
		/* Not to be called again at once, but when something was given back. */
		sd_event_source_set_enabled(server->source, SD_EVENT_OFF);
		sd_event_source_set_time_relative(server->pause, ACCEPT_PAUSE_US);
		sd_event_source_set_enabled(server->pause, SD_EVENT_ONESHOT);
		return 0;
	}
	if (peer < 0 || fd_peer(peer, &pid, &uid) < 0 || !server_serves(server->pod, uid))
		return 0;
	if (server->n >= SERVER_CONNECTIONS_MAX && !drop_idle(server)) {
		static const char refusal[] = "{\"error\":\"" VARLINK_INTERFACE ".LimitExceeded\","
					      "\"parameters\":{\"limit\":\"connections\"}}";

		send(peer, refusal, sizeof(refusal), MSG_NOSIGNAL | MSG_DONTWAIT);
		return 0;
	}
	if (add_connection(server, peer, is_inside(pid, uid)) == 0)
		take_fd(&peer);
	return 0;
}

int server_new(struct pod *pod, struct server **ret, struct err *err)
{
	struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return err_oom(err);
	server->pod = pod;
	server->fd = -1;
	server->fd = manager_take_control(pod->manager);
	r = server->fd >= 0 ? fd_set_nonblock(server->fd)
			    : fd_listen_unix(pod->podfd, "control.sock", SOCK_STREAM, &server->fd, err);
	if (r == 0) {
		r = sd_event_add_io(pod->event, &server->source, server->fd, EPOLLIN, on_accept,
			server);
		if (r >= 0)
			r = sd_event_add_time_relative(pod->event, &server->pause, CLOCK_MONOTONIC,
				UINT64_MAX / 2, 0, on_pause_end, server);
		if (r >= 0)
			r = sd_event_source_set_enabled(server->pause, SD_EVENT_OFF);
		if (r < 0)
			err_set(err, r, "watching the control socket: %s", strerror(-r));
	}
	if (r < 0) {
		server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	while (server->first)
		connection_free(server->first);
	sd_event_source_disable_unref(server->source);
	sd_event_source_disable_unref(server->pause);
	cleanup_close(&server->fd);
	free(server);
}

void server_broadcast(struct server *server, const struct json *parameters)
{
	for (struct connection *c = server->first; c; c = c->next)
		if (c->subscribed && !c->broken)
			connection_reply(c, json_copy(parameters), NULL, 0, true);
}

void server_finish_stops(struct server *server, int result)
{
	for (struct connection *c = server->first; c; c = c->next) {
		if (!c->wants_stop || c->broken)
			continue;
		c->wants_stop = false;
		if (result < 0)
			connection_fail(c, strerror(-result));
		else
			connection_reply(c, json_new_object(), NULL, 0, false);
	}
}

void server_flush(struct server *server)
{
	if (!server)
		return;
	for (struct connection *c = server->first; c; c = c->next) {
		struct pollfd poll_fd = {.fd = c->fd, .events = POLLOUT};

		while (!c->broken && c->output.length > 0 && flush_output(c) == 0 &&
			c->output.length > 0 && poll(&poll_fd, 1, FLUSH_WAIT_MS) > 0)
			;
	}
}
