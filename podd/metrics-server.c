/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Metrics by HTTP: see metrics-server.h.
 *
 *   reading ──whole──▶ asking: podd-uplink counts ──▶ writing ──▶ closed
 *      └── too long, wrong, too late ──────────────────▶┘
 *
 * What a client can hold is METRICS_CONNECTIONS_MAX connections, each with HTTP_REQUEST_MAX bytes
 * and one answer, for so long as the deadlines let it.
 */

#include "metrics-server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "http-request.h"
#include "methods-internal.h"
#include "metrics.h"
#include "pod.h"
#include "server.h"
#include "totals.h"

#define READ_DEADLINE_US (5 * UINT64_C(1000000))
#define WRITE_DEADLINE_US (30 * UINT64_C(1000000))
#define ACCEPT_PAUSE_US 200000
#define PLAIN "text/plain; charset=utf-8"

struct client {
	struct metrics_server *server;
	struct client *next;
	uint64_t serial;
	int fd;
	sd_event_source *source;
	sd_event_source *deadline;
	bool head; /* no body is wanted */
	bool is_asking;
	size_t length; /* of the request so far */
	char request[HTTP_REQUEST_MAX];
	char *answer;
	size_t answer_length;
	size_t sent;
};

struct metrics_server {
	struct pod *pod;
	int fd;
	sd_event_source *source;
	sd_event_source *pause; /* without fds, before the next accept(2) */
	struct client *first;
	unsigned n;
	uint64_t serials;
};

static void client_free(struct client *client)
{
	struct client **link = &client->server->first;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	client->server->n--;
	sd_event_source_disable_unref(client->source);
	sd_event_source_disable_unref(client->deadline);
	cleanup_close(&client->fd);
	free(client->answer);
	free(client);
}

/* ---- answers ---- */

/* Return: false when the client is gone. */
static bool send_answer(struct client *client)
{
	while (client->sent < client->answer_length) {
		ssize_t n = send(client->fd, client->answer + client->sent,
			client->answer_length - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			break;
		client->sent += (size_t)n;
	}
	client_free(client);
	return false;
}

/* Frees the client when that is all. */
static void answer(
	struct client *client, int status, const char *type, const char *body, size_t length)
{
	char head[HTTP_ANSWER_HEAD_MAX];
	size_t n = http_answer_head(status, type, length, head);
	size_t of_body = client->head ? 0 : length;

	client->is_asking = false;
	client->answer = malloc(n + of_body);
	if (!client->answer) {
		client_free(client);
		return;
	}
	memcpy(client->answer, head, n);
	if (of_body > 0)
		memcpy(client->answer + n, body, of_body);
	client->answer_length = n + of_body;
	sd_event_source_set_time_relative(client->deadline, WRITE_DEADLINE_US);
	if (send_answer(client))
		sd_event_source_set_io_events(client->source, EPOLLOUT);
}

static void refuse(struct client *client, int status)
{
	const char *reason = http_reason(status);

	answer(client, status, PLAIN, reason, strlen(reason));
}

static void answer_metrics(struct client *client, struct json *stats)
{
	struct pod *pod = client->server->pod;
	autoptr(json) inspection = methods_inspection(pod, stats);
	autoptr(metrics) metrics = NULL;
	autofree char *text = NULL;
	size_t length = 0;
	int r;

	r = metrics_new(&metrics, NULL);
	if (r == 0)
		r = metrics_add_pod(metrics, pod->podfd, pod->path, inspection, NULL);
	if (r == 0)
		r = metrics_write(metrics, &text, &length);
	if (r < 0)
		refuse(client, 500);
	else
		answer(client, 200, METRICS_CONTENT_TYPE, text, length);
}

static void on_stats(struct pod *pod, uint64_t serial, struct json *stats)
{
	struct client *client = pod->metrics ? pod->metrics->first : NULL;

	while (client && client->serial != serial)
		client = client->next;
	if (client)
		answer_metrics(client, stats ? stats : totals_last(pod));
	else
		json_free(stats);
}

/* ---- requests ---- */

static void ask(struct client *client)
{
	struct pod *pod = client->server->pod;

	client->is_asking = true;
	/* A client that goes is seen then; the deadline stays. */
	sd_event_source_set_io_events(client->source, 0);
	if (methods_ask_stats(pod, client->serial, on_stats) < 0)
		answer_metrics(client, totals_last(pod));
}

static void read_request(struct client *client)
{
	ssize_t n = recv(client->fd, client->request + client->length,
		sizeof(client->request) - client->length, MSG_DONTWAIT);
	int status;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(client);
		return;
	}
	client->length += (size_t)n;
	status = http_request_judge(client->request, client->length, "/metrics", &client->head);
	if (status == 200)
		ask(client);
	else if (status != 0)
		refuse(client, status);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct client *client = userdata;

	if (client->answer)
		send_answer(client);
	else if (client->is_asking || !(events & EPOLLIN))
		client_free(client);
	else
		read_request(client);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t now, void *userdata)
{
	struct client *client = userdata;

	if (client->answer || client->is_asking)
		client_free(client);
	else
		refuse(client, 408);
	return 0;
}

static int add_client(struct metrics_server *server, int *fd)
{
	struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	client->server = server;
	client->serial = ++server->serials;
	client->fd = take_fd(fd);
	client->next = server->first;
	server->first = client;
	server->n++;
	r = sd_event_add_io(
		server->pod->event, &client->source, client->fd, EPOLLIN, on_client, client);
	if (r >= 0)
		r = sd_event_add_time_relative(server->pod->event, &client->deadline,
			CLOCK_MONOTONIC, READ_DEADLINE_US, 0, on_deadline, client);
	if (r < 0)
		client_free(client);
	return r;
}

static int on_pause_end(sd_event_source *source, uint64_t now, void *userdata)
{
	struct metrics_server *server = userdata;

	server->pause = sd_event_source_disable_unref(source);
	sd_event_source_set_enabled(server->source, SD_EVENT_ON);
	return 0;
}

/* Not to be called again at once, but when something was given back. */
static void pause_accepting(struct metrics_server *server)
{
	if (sd_event_add_time_relative(server->pod->event, &server->pause, CLOCK_MONOTONIC,
		    ACCEPT_PAUSE_US, 0, on_pause_end, server) >= 0)
		sd_event_source_set_enabled(server->source, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct metrics_server *server = userdata;
	autoclose int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t uid;

	if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		pause_accepting(server);
	if (peer < 0 || fd_peer(peer, NULL, &uid) < 0 || !server_serves(server->pod, uid))
		return 0;
	if (server->n >= METRICS_CONNECTIONS_MAX) {
		char head[HTTP_ANSWER_HEAD_MAX];

		send(peer, head, http_answer_head(503, PLAIN, 0, head),
			MSG_NOSIGNAL | MSG_DONTWAIT);
		return 0;
	}
	add_client(server, &peer);
	return 0;
}

int metrics_server_new(struct pod *pod, struct metrics_server **ret, struct err *err)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return err_oom(err);
	server->pod = pod;
	server->fd = -1;
	r = fd_listen_unix(pod->podfd, METRICS_SOCKET, SOCK_STREAM, &server->fd, err);
	if (r == 0) {
		r = sd_event_add_io(
			pod->event, &server->source, server->fd, EPOLLIN, on_accept, server);
		/* What is urgent goes first. */
		if (r >= 0)
			r = sd_event_source_set_priority(server->source, SD_EVENT_PRIORITY_IDLE);
		if (r < 0)
			err_set(err, r, "watching the metrics socket: %s", strerror(-r));
	}
	if (r < 0) {
		metrics_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void metrics_server_free(struct metrics_server *server)
{
	if (!server)
		return;
	while (server->first)
		client_free(server->first);
	sd_event_source_disable_unref(server->source);
	sd_event_source_disable_unref(server->pause);
	cleanup_close(&server->fd);
	free(server);
}
