/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Requests: see requests.h, and lib/shim.h for the messages. A connection is attached to the
 * container, or it belongs to a process beside it, or it asks and waits.
 *
 * Input that does not fit, or comes between two runs, waits in the one message that it came with; its
 * connection is not listened to until it is written.
 */

#include "requests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "place.h"
#include "shim.h"

#define STATUS_FAILED 125

struct peer {
	struct requests *owner;
	struct client *client;
	bool starter;              /* waits to hear of the start */
	bool waits;                /* for the end of the run */
	bool stops;                /* for the end of everything */
	uint32_t streams;          /* SHIM_STREAM_*, of the container */
	struct exec *exec;
	bool has_size;
	uint32_t rows, columns;
	uint64_t turn;             /* who sized the terminal last has the highest */
	uint8_t *input;            /* not written yet; of no length: the end of the input */
	size_t input_length;
	size_t input_done;
	bool input_ended;          /* it has said so: for this run and those to come */
};

struct requests {
	sd_event *event;
	struct clients *clients;
	struct lifecycle *lifecycle;
	struct execs *execs;
	uint64_t turn;
};

/* What all clients are told at once. */
struct news {
	uint32_t type, a, b;
	const void *data;
	size_t length;
	uint32_t stream;
};

static void fail(struct client *client, uint32_t status, const char *reason)
{
	size_t length = strlen(reason);

	client_send(client, SHIM_ERROR, status, 0, reason,
		length > SHIM_DATA_MAX ? SHIM_DATA_MAX : length);
}

static struct peer *peer_of(struct client *client)
{
	struct peer *peer = client_data(client);

	if (peer)
		return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->owner = client_owner(client);
	peer->client = client;
	client_set_data(client, peer);
	return peer;
}

/* ---- input ---- */

/* Where its input goes; NULL between two runs. */
static struct streams *input_of(const struct peer *peer)
{
	const struct lifecycle *lifecycle = peer->owner->lifecycle;

	if (peer->exec)
		return exec_streams(peer->exec);
	return lifecycle_takes_input(lifecycle) ? lifecycle_streams(lifecycle) : NULL;
}

/* Return: bytes that were taken. */
static size_t write_input(const struct peer *peer, const uint8_t *data, size_t length)
{
	struct streams *streams = input_of(peer);

	if (streams && length > 0)
		return streams_write(streams, data, length);
	if (streams)
		streams_close_input(streams);
	return 0;
}

static void keep_input(struct peer *peer, const uint8_t *data, size_t length)
{
	peer->input = malloc(length ? length : 1);
	if (!peer->input)
		return;
	memcpy(peer->input, data, length);
	peer->input_length = length;
	peer->input_done = 0;
	client_listen(peer->client, false);
}

static void drop_input(struct peer *peer)
{
	if (!peer->input)
		return;
	free(take_ptr(peer->input));
	client_listen(peer->client, true);
}

static void continue_input(struct peer *peer)
{
	if (!peer->input || !input_of(peer))
		return;
	peer->input_done += write_input(
		peer, peer->input + peer->input_done, peer->input_length - peer->input_done);
	if (peer->input_done == peer->input_length)
		drop_input(peer);
}

static void handle_input(struct peer *peer, const struct shim_message *message)
{
	size_t n;

	if (!peer->exec && !(peer->streams & SHIM_STREAM_STDIN))
		return;
	peer->input_ended |= message->length == 0;
	n = write_input(peer, message->data, message->length);
	if (!input_of(peer) || n < message->length)
		keep_input(peer, message->data + n, message->length - n);
}

/* ---- the terminal's size ---- */

static void handle_resize(struct peer *peer, const struct shim_message *message)
{
	struct requests *requests = peer->owner;

	if (peer->exec) {
		if (exec_streams(peer->exec))
			streams_resize(exec_streams(peer->exec), message->header.a,
				message->header.b);
		return;
	}
	peer->has_size = true;
	peer->rows = message->header.a;
	peer->columns = message->header.b;
	peer->turn = ++requests->turn;
	if (peer->streams & SHIM_STREAM_STDIN)
		lifecycle_resize(requests->lifecycle, peer->rows, peer->columns);
}

static void find_sizer(struct client *client, void *argument)
{
	struct peer *peer = client_data(client);
	struct peer **best = argument;

	if (peer && peer->has_size && (peer->streams & SHIM_STREAM_STDIN) && !peer->exec &&
		(!*best || peer->turn > (*best)->turn))
		*best = peer;
}

static void resize_to_latest(struct requests *requests)
{
	struct peer *best = NULL;

	clients_each(requests->clients, find_sizer, &best);
	if (best)
		lifecycle_resize(requests->lifecycle, best->rows, best->columns);
}

/* ---- processes beside the first ---- */

static void on_exec_started(void *userdata, pid_t pid)
{
	struct peer *peer = userdata;

	client_send(peer->client, SHIM_STARTED, (uint32_t)pid, 0, NULL, 0);
	if (exec_streams(peer->exec))
		return;
	exec_disown(take_ptr(peer->exec));
	client_end(peer->client);
}

static void on_exec_failed(void *userdata, int status, const char *reason)
{
	struct peer *peer = userdata;

	peer->exec = NULL;
	fail(peer->client, (uint32_t)status, reason);
	client_end(peer->client);
}

/* There is only this one to read it: what it does not read waits where it was written. */
static void on_exec_output(void *userdata, bool is_stderr, const char *data, size_t length)
{
	struct peer *peer = userdata;

	client_send(peer->client, is_stderr ? SHIM_STDERR : SHIM_STDOUT, 0, 0, data, length);
	if (peer->exec && client_is_behind(peer->client))
		streams_pause(exec_streams(peer->exec), true);
}

static void on_exec_writable(void *userdata)
{
	continue_input(userdata);
}

static void on_exec_ended(void *userdata, int status)
{
	struct peer *peer = userdata;

	peer->exec = NULL;
	client_send(peer->client, SHIM_EXIT, (uint32_t)status, 0, NULL, 0);
	client_end(peer->client);
}

static const struct exec_handler exec_handler = {.started = on_exec_started,
	.failed = on_exec_failed,
	.output = on_exec_output,
	.writable = on_exec_writable,
	.ended = on_exec_ended};

static void handle_exec(struct peer *peer, const struct shim_message *message, int *fd)
{
	struct requests *requests = peer->owner;
	uint32_t flags = message->header.a;
	struct exec_request request = {.process = *fd,
		.init = lifecycle_init(requests->lifecycle),
		.terminal = flags & SHIM_EXEC_TERMINAL,
		.interactive = flags & SHIM_EXEC_INTERACTIVE,
		.detached = flags & SHIM_EXEC_DETACHED};
	struct err err = {};

	if (peer->exec || peer->streams || *fd < 0) {
		fail(peer->client, STATUS_FAILED, "this is no way to ask for a process");
		return;
	}
	if (request.init == 0) {
		fail(peer->client, STATUS_FAILED, "the container does not run");
		return;
	}
	*fd = -1;
	if (exec_start(requests->execs, &request, &exec_handler, peer, &peer->exec, &err) < 0)
		fail(peer->client, STATUS_FAILED, err.msg);
}

/* ---- the others ---- */

static void handle_signal(struct peer *peer, const struct shim_message *message)
{
	uint32_t number = message->header.a;
	int r = peer->exec ? exec_signal(peer->exec, (int)number)
			   : lifecycle_signal(peer->owner->lifecycle, number);

	if (r == 0)
		client_send(peer->client, SHIM_DONE, 0, 0, NULL, 0);
	else
		fail(peer->client, STATUS_FAILED,
			r == -ESRCH ? "the container does not run" : strerror(-r));
}

/* What also one too many may ask for. */
static bool is_always_served(uint32_t type)
{
	return type == SHIM_STOP || type == SHIM_SIGNAL || type == SHIM_PING;
}

static void handle_message(struct client *client, const struct shim_message *message, int *fd)
{
	struct peer *peer = peer_of(client);

	if (!peer) {
		client_end(client);
		return;
	}
	if (client_is_extra(client) && !is_always_served(message->header.type)) {
		fail(client, STATUS_FAILED, "too many connections to this container");
		client_end(client);
		return;
	}
	switch (message->header.type) {
	case SHIM_ATTACH:
		peer->streams = message->header.a;
		peer->waits = true;
		if (peer->has_size)
			resize_to_latest(peer->owner);
		break;
	case SHIM_STDIN:
		handle_input(peer, message);
		break;
	case SHIM_RESIZE:
		handle_resize(peer, message);
		break;
	case SHIM_SIGNAL:
		handle_signal(peer, message);
		break;
	case SHIM_STOP:
		peer->stops = true;
		lifecycle_stop(peer->owner->lifecycle, message->header.a, message->header.b);
		break;
	case SHIM_WAIT:
		peer->waits = true;
		break;
	case SHIM_EXEC:
		handle_exec(peer, message, fd);
		break;
	case SHIM_PING:
		client_send(client, SHIM_DONE, 0, 0, NULL, 0);
		break;
	default:
		fail(client, STATUS_FAILED, "unknown message");
		client_end(client);
	}
}

static void handle_drained(struct client *client)
{
	const struct peer *peer = client_data(client);

	if (peer && peer->exec)
		streams_pause(exec_streams(peer->exec), false);
}

static void handle_closed(struct client *client)
{
	struct peer *peer = client_data(client);
	struct requests *requests = client_owner(client);

	if (peer) {
		if (peer->exec)
			exec_disown(peer->exec);
		free(peer->input);
		free(peer);
		client_set_data(client, NULL);
		resize_to_latest(requests);
	}
	if (lifecycle_is_over(requests->lifecycle) && clients_is_empty(requests->clients))
		sd_event_exit(requests->event, 0);
}

static void handle_hold(void *userdata, bool held)
{
	struct requests *requests = userdata;

	lifecycle_hold(requests->lifecycle, held);
}

const struct clients_handler requests_clients_handler = {.message = handle_message,
	.drained = handle_drained,
	.closed = handle_closed,
	.hold = handle_hold};

/* ---- what the container does ---- */

static void tell_starter(struct client *client, void *argument)
{
	struct peer *peer = client_data(client);
	const struct news *news = argument;

	if (!peer || !peer->starter)
		return;
	peer->starter = false;
	client_send(client, news->type, news->a, news->b, news->data, news->length);
}

static void tell_writable(struct client *client, void *argument)
{
	struct peer *peer = client_data(client);

	if (peer && !peer->exec)
		continue_input(peer);
}

/* The end may have come when the run before had lost its reader, but was not known to have ended. */
static void tell_end_of_input(struct client *client, void *argument)
{
	const struct peer *peer = client_data(client);

	if (peer && !peer->exec && peer->input_ended && !peer->input)
		write_input(peer, NULL, 0);
}

static void on_started(void *userdata, pid_t init)
{
	struct requests *requests = userdata;
	struct news news = {.type = SHIM_STARTED, .a = (uint32_t)init};

	clients_each(requests->clients, tell_starter, &news);
	clients_each(requests->clients, tell_writable, NULL);
	clients_each(requests->clients, tell_end_of_input, NULL);
}

static void tell_end(struct client *client, void *argument)
{
	const struct peer *peer = client_data(client);
	const struct news *news = argument;

	if (peer && peer->waits)
		client_send(client, news->type, news->a, news->b, NULL, 0);
}

static void on_failed(void *userdata, int status, const char *reason)
{
	struct requests *requests = userdata;
	struct news error = {.type = SHIM_ERROR,
		.a = (uint32_t)status,
		.data = reason,
		.length = strlen(reason)};
	struct news end = {.type = SHIM_EXIT, .a = (uint32_t)status};

	/* Others may have come meanwhile. The starter takes the first of both. */
	clients_each(requests->clients, tell_starter, &error);
	clients_each(requests->clients, tell_end, &end);
}

static void tell_output(struct client *client, void *argument)
{
	const struct peer *peer = client_data(client);
	const struct news *news = argument;

	if (peer && (peer->streams & news->stream))
		client_send_output(client, news->type, news->data, news->length);
}

static void on_output(void *userdata, bool is_stderr, const char *data, size_t length)
{
	struct requests *requests = userdata;
	struct news news = {.type = is_stderr ? SHIM_STDERR : SHIM_STDOUT,
		.stream = is_stderr ? SHIM_STREAM_STDERR : SHIM_STREAM_STDOUT,
		.data = data,
		.length = length};

	clients_each(requests->clients, tell_output, &news);
}

static void on_writable(void *userdata)
{
	struct requests *requests = userdata;

	clients_each(requests->clients, tell_writable, NULL);
}

/* Of a run that has ended: the next one has other streams. */
static void forget_input(struct client *client, void *argument)
{
	struct peer *peer = client_data(client);

	if (peer && !peer->exec)
		drop_input(peer);
}

static void on_ended(void *userdata, const struct container_exit *exit, bool restarts)
{
	struct requests *requests = userdata;
	struct news news = {.type = SHIM_EXIT,
		.a = exit->status,
		.b = (exit->oom ? SHIM_EXIT_OOM : 0) | (restarts ? SHIM_EXIT_RESTARTS : 0)};

	clients_each(requests->clients, tell_end, &news);
	clients_each(requests->clients, forget_input, NULL);
}

static void say_goodbye(struct client *client, void *argument)
{
	const struct peer *peer = client_data(client);

	if (peer && peer->stops)
		client_send(client, SHIM_DONE, 0, 0, NULL, 0);
	/* A process beside it has its own end still to tell, to who listens. */
	if (peer && peer->exec)
		client_hurry(client);
	else
		client_end(client);
}

static void on_finished(void *userdata)
{
	struct requests *requests = userdata;

	clients_unlisten(requests->clients);
	clients_each(requests->clients, say_goodbye, NULL);
	if (clients_is_empty(requests->clients))
		sd_event_exit(requests->event, 0);
}

const struct lifecycle_listener requests_lifecycle_listener = {.started = on_started,
	.failed = on_failed,
	.output = on_output,
	.writable = on_writable,
	.ended = on_ended,
	.finished = on_finished};

/* ---- making ---- */

int requests_new(sd_event *event, struct requests **ret, struct err *err)
{
	struct requests *requests = calloc(1, sizeof(*requests));

	if (!requests)
		return err_oom(err);
	requests->event = event;
	*ret = requests;
	return 0;
}

void requests_free(struct requests *requests)
{
	free(requests);
}

void requests_connect(struct requests *requests, struct clients *clients,
	struct lifecycle *lifecycle, struct execs *execs)
{
	requests->clients = clients;
	requests->lifecycle = lifecycle;
	requests->execs = execs;
}

int requests_set_starter(struct requests *requests, struct client *starter, struct err *err)
{
	struct peer *peer = peer_of(starter);

	if (!peer)
		return err_oom(err);
	peer->starter = true;
	return 0;
}
