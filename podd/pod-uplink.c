/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What podd asks of podd-uplink: see uplink.h. Answers come in the order of the requests, so a
 * queue of who waits for them is all that is kept.
 *
 *   while the pod starts    podd waits for each answer (but for the configuration's, meanwhile it
 *                           does other things)
 *   afterwards              requests are sent as long as few are unanswered, the rest waits here;
 *                           answers come by the event loop
 *
 * An uplink that does not answer hangs, and is killed: another one will start.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "outer.h"
#include "pod.h"
#include "text.h"
#include "uplink.h"

/* Less than what the sockets' buffers hold. */
#define UNANSWERED_MAX 32
#define ANSWER_TIMEOUT_US 20000000
/* For an uplink to tell a new podd all that it has. */
#define ADOPTION_MS 20000
/* More than all children and ports that an uplink can have. */
#define ADOPTED_MAX 16384

struct question {
	struct question *next;
	pod_uplink_done done; /* may be NULL */
	void *opaque;
	bool sent;
	bool waits_only; /* asks nothing: it is answered with the one before it */
	int fds[UPLINK_REQUEST_FDS_MAX]; /* own copies, until it is sent */
	size_t n_fds;
	size_t size;
	struct uplink_request request; /* allocated only as far as it is sent */
};

struct uplink_queue {
	struct question *first;
	struct question **last;
	unsigned unanswered;
	sd_event_source *timer;
};

static void question_free(struct question *question)
{
	while (question->n_fds > 0)
		cleanup_close(&question->fds[--question->n_fds]);
	free(question);
}

static int send_request(struct pod *pod, const struct uplink_request *request, size_t size,
	const int *fds, size_t n_fds, struct err *err)
{
	int r = fd_send(pod->uplink, request, size, fds, n_fds);

	if (r < 0)
		return err_set(err, r,
			"asking podd-uplink: %s (if it ended, its last words are in podd.log)",
			strerror(-r));
	return 0;
}

static size_t size_of(const struct uplink_request *request)
{
	return offsetof(struct uplink_request, text) + request->length;
}

static int on_silence(sd_event_source *source, uint64_t now, void *userdata)
{
	struct pod *pod = userdata;

	fprintf(stderr, "podd: pod %s: podd-uplink does not answer: ending it\n", pod->path);
	pod_kill_uplink(pod);
	return 0;
}

/* Its time begins with a question and with each answer, but not with more questions. */
static void watch_answers(struct pod *pod, bool answered)
{
	struct uplink_queue *queue = pod->uplink_queue;
	int enabled = SD_EVENT_OFF;

	if (queue->unanswered == 0) {
		if (queue->timer)
			sd_event_source_set_enabled(queue->timer, SD_EVENT_OFF);
		return;
	}
	if (queue->timer)
		sd_event_source_get_enabled(queue->timer, &enabled);
	if (enabled != SD_EVENT_OFF && !answered)
		return;
	if (!queue->timer)
		sd_event_add_time_relative(pod->event, &queue->timer, CLOCK_MONOTONIC,
			ANSWER_TIMEOUT_US, 0, on_silence, pod);
	sd_event_source_set_time_relative(queue->timer, ANSWER_TIMEOUT_US);
	sd_event_source_set_enabled(queue->timer, SD_EVENT_ONESHOT);
}

/* Sends what may be sent now. */
static void pump(struct pod *pod, bool answered)
{
	struct uplink_queue *queue = pod->uplink_queue;
	struct question *question = queue->first;
	int r;

	for (; question && queue->unanswered < UNANSWERED_MAX; question = question->next) {
		if (question->sent || question->waits_only)
			continue;
		r = send_request(pod, &question->request, question->size, question->fds,
			question->n_fds, NULL);
		if (r == -EAGAIN && queue->unanswered > 0)
			break;
		/* Its end is told by its pidfd, and takes the queue along. */
		if (r < 0) {
			pod_kill_uplink(pod);
			return;
		}
		question->sent = true;
		while (question->n_fds > 0)
			cleanup_close(&question->fds[--question->n_fds]);
		queue->unanswered++;
	}
	watch_answers(pod, answered);
}

static struct question *question_new(const struct uplink_request *request, const int *fds,
	size_t n_fds, pod_uplink_done done, void *opaque)
{
	size_t size = size_of(request);
	struct question *question = malloc(offsetof(struct question, request) + size);

	if (!question)
		return NULL;
	question->next = NULL;
	question->done = done;
	question->opaque = opaque;
	question->sent = question->waits_only = false;
	question->size = size;
	memcpy(&question->request, request, size);
	for (question->n_fds = 0; question->n_fds < n_fds; question->n_fds++) {
		int copy = fcntl(fds[question->n_fds], F_DUPFD_CLOEXEC, 0);

		if (copy < 0) {
			question_free(question);
			return NULL;
		}
		question->fds[question->n_fds] = copy;
	}
	return question;
}

static int make_queue(struct pod *pod)
{
	if (pod->uplink_queue)
		return 0;
	pod->uplink_queue = calloc(1, sizeof(*pod->uplink_queue));
	if (!pod->uplink_queue)
		return -ENOMEM;
	pod->uplink_queue->last = &pod->uplink_queue->first;
	return 0;
}

static void append(struct uplink_queue *queue, struct question *question)
{
	*queue->last = question;
	queue->last = &question->next;
}

int pod_ask_uplink(struct pod *pod, const struct uplink_request *request, const int *fds,
	size_t n_fds, pod_uplink_done done, void *opaque, struct err *err)
{
	struct question *question;
	int r;

	if (pod->uplink < 0)
		return err_set(err, -ENOTCONN, "podd-uplink is being started");
	if (!pod->uplink_async) {
		r = send_request(pod, request, size_of(request), fds, n_fds, err);
		return r < 0 ? r : pod_await_uplink(pod, NULL, err);
	}
	question = make_queue(pod) == 0 ? question_new(request, fds, n_fds, done, opaque) : NULL;
	if (!question)
		return err_oom(err);
	append(pod->uplink_queue, question);
	pump(pod, false);
	return 0;
}

int pod_await_answers(struct pod *pod, pod_uplink_done done, void *opaque, struct err *err)
{
	const struct uplink_request nothing = {};
	struct question *question;

	if (!pod->uplink_queue || !pod->uplink_queue->first) {
		done(pod, opaque, 0, "");
		return 0;
	}
	question = question_new(&nothing, NULL, 0, done, opaque);
	if (!question)
		return err_oom(err);
	question->waits_only = true;
	append(pod->uplink_queue, question);
	return 0;
}

static void answer(struct pod *pod, struct question *question, int result, const char *text)
{
	struct uplink_queue *queue = pod->uplink_queue;

	queue->first = question->next;
	if (!queue->first)
		queue->last = &queue->first;
	if (question->sent)
		queue->unanswered--;
	if (question->done)
		question->done(pod, question->opaque, result, text);
	question_free(question);
}

bool pod_uplink_is_asked(const struct pod *pod, uint32_t operation)
{
	const struct question *question = pod->uplink_queue ? pod->uplink_queue->first : NULL;

	return question && question->sent && question->request.operation == operation;
}

void pod_uplink_answered(struct pod *pod, uint32_t operation, int result, const char *text)
{
	struct question *question = pod->uplink_queue ? pod->uplink_queue->first : NULL;

	if (!question || !question->sent || question->request.operation != operation)
		return;
	answer(pod, question, result, text);
	while (pod->uplink_queue->first && pod->uplink_queue->first->waits_only)
		answer(pod, pod->uplink_queue->first, 0, "");
	pump(pod, true);
}

void pod_uplink_forget(struct pod *pod)
{
	while (pod->uplink_queue && pod->uplink_queue->first)
		answer(pod, pod->uplink_queue->first, -ECONNRESET, "podd-uplink ended");
	if (pod->uplink_queue)
		watch_answers(pod, true);
}

void pod_uplink_done_queue(struct pod *pod)
{
	if (!pod->uplink_queue)
		return;
	while (pod->uplink_queue->first) {
		struct question *question = pod->uplink_queue->first;

		pod->uplink_queue->first = question->next;
		question_free(question);
	}
	sd_event_source_disable_unref(pod->uplink_queue->timer);
	free(pod->uplink_queue);
	pod->uplink_queue = NULL;
}

/* ---- what it starts with ---- */

/* While the pod starts, the answer is waited for later. */
static int send_first(struct pod *pod, const struct uplink_request *request, const int *fds,
	size_t n_fds, struct err *err)
{
	if (pod->uplink_async)
		return pod_ask_uplink(pod, request, fds, n_fds, NULL, NULL, err);
	return send_request(pod, request, size_of(request), fds, n_fds, err);
}

static int open_userns(const struct pod *pod, int *ret_fd, struct err *err)
{
	autoclose int dir = -1;
	int r = proc_open_dir(&pod->state.outer, &dir);

	if (r < 0)
		return err_set(err, r, "podd-outer ended");
	*ret_fd = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_errno(err, "opening the pod's user namespace");
	return 0;
}

int pod_send_config(struct pod *pod, const char *nameservers, struct err *err)
{
	const struct pod_spec *spec = &pod->spec;
	struct uplink_request request = {
		.operation = UPLINK_CONFIGURE,
		.length = sizeof(request.config),
		.config = {
			.ipv6 = spec->ipv6,
			.host_loopback = spec->host_loopback,
			.libslirp_only = spec->uplink_path == POD_PATH_LIBSLIRP,
			.mtu = spec->mtu,
			.prefix4 = spec->prefix4,
			.prefix6 = POD_PREFIX6,
			.network4 = spec->net4,
			.gateway4 = pod_address4(spec, POD_HOST_GATEWAY),
			.dns4 = pod_address4(spec, POD_HOST_DNS),
			.self4 = pod_address4(spec, POD_HOST_SELF),
			.network6 = pod_address6(0),
			.gateway6 = pod_address6(POD_HOST_GATEWAY),
			.dns6 = pod_address6(POD_HOST_DNS),
			.self6 = pod_address6(POD_HOST_SELF),
		},
	};
	autoclose int userns = -1;
	int fds[2], r;

	r = pod_send_resolv(pod, nameservers, err);
	if (r == 0)
		r = open_userns(pod, &userns, err);
	if (r < 0)
		return r;
	fds[0] = pod->tap;
	fds[1] = userns;
	return send_first(pod, &request, fds, 2, err);
}

int pod_send_start(struct pod *pod, struct err *err)
{
	const struct uplink_request request = {.operation = UPLINK_START};

	return pod_ask_uplink(pod, &request, NULL, 0, NULL, NULL, err);
}

int pod_send_net(struct pod *pod, struct err *err)
{
	struct uplink_request request = {
		.operation = UPLINK_NET,
		.length = sizeof(request.config),
	};
	int fds[OUTER_REPLY_FDS_MAX] = {-1, -1, -1, -1};
	size_t n = 0;
	int r;

	r = pod_ask_outer(pod, OUTER_NET, NULL, fds, err);
	while (n < OUTER_REPLY_FDS_MAX && fds[n] >= 0)
		n++;
	request.config.transparent = pod->uplink_net.transparent;
	if (r == 0)
		r = send_first(pod, &request, fds, n, err);
	while (n > 0)
		close(fds[--n]);
	return r;
}

int pod_send_resolv(struct pod *pod, const char *nameservers, struct err *err)
{
	struct uplink_request request = {
		.operation = UPLINK_RESOLV,
		.length = (uint32_t)strlen(nameservers),
	};

	assert(request.length < UPLINK_TEXT_MAX);
	memcpy(request.text, nameservers, request.length);
	return send_first(pod, &request, NULL, 0, err);
}

/* Return: bytes, or -errno. */
static int receive_reply(struct pod *pod, struct uplink_reply *reply, int *fds, size_t n_fds,
	struct err *err)
{
	ssize_t n = fd_receive(pod->uplink, reply, sizeof(*reply), fds, n_fds, NULL);
	char text[512];

	if (n == -EAGAIN)
		return err_set(err, -ETIMEDOUT, "podd-uplink does not answer");
	if (n != (ssize_t)sizeof(*reply))
		return err_set(err, -ECONNRESET, "podd-uplink ended; its last words are in podd.log");
	if (reply->result < 0) {
		reply->text[sizeof(reply->text) - 1] = '\0';
		(void)text_sanitize(text, sizeof(text), reply->text);
		err_set(err, reply->result, "podd-uplink: %s", text);
	}
	return 0;
}

int pod_await_uplink(struct pod *pod, uint32_t *ret_operation, struct err *err)
{
	struct uplink_reply reply = {};
	int r = receive_reply(pod, &reply, NULL, 0, err);

	if (r < 0)
		return r;
	if (ret_operation)
		*ret_operation = reply.operation;
	return reply.result < 0 ? reply.result : 0;
}

int pod_adopt_uplink(struct pod *pod, pod_uplink_has has, void *opaque, struct err *err)
{
	const struct uplink_request request = {.operation = UPLINK_ADOPT};
	int64_t deadline = deadline_now_ms() + ADOPTION_MS;
	struct uplink_reply reply = {};
	int r = send_request(pod, &request, size_of(&request), NULL, 0, err);

	for (unsigned n = 0; r == 0; n++) {
		int fds[2] = {-1, -1};

		if (deadline_now_ms() > deadline)
			return err_set(err, -ETIMEDOUT, "podd-uplink does not come to an end");
		r = receive_reply(pod, &reply, fds, 2, err);
		if (r == 0 && reply.result == UPLINK_MORE && n == ADOPTED_MAX)
			r = err_set(err, -EPROTO, "podd-uplink tells of more than it can have");
		if (r == 0 && reply.result == UPLINK_MORE)
			has(opaque, &reply, fds);
		cleanup_close(&fds[0]);
		cleanup_close(&fds[1]);
		if (r == 0 && reply.result != UPLINK_MORE) {
			pod->uplink_net.refused = !reply.takes_tcp;
			return reply.result;
		}
	}
	return r;
}
