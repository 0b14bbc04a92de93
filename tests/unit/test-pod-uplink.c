/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What podd asks of podd-uplink, which the test is: in which order, how much at once, and what
 * becomes of an uplink that hangs or never ends its answer. */

#include "pod-uplink.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "fixture.h"

static unsigned killed;

void pod_kill_uplink(struct pod *pod)
{
	killed++;
}

int pod_ask_outer(struct pod *pod, enum outer_operation operation,
	const struct outer_setup *setup, int fds[OUTER_REPLY_FDS_MAX], struct err *err)
{
	return -ENOTCONN;
}

struct asking {
	struct pod pod;
	int uplink; /* the other end */
	unsigned n_done;
	int results[256];
};

static void asking_init(struct asking *asking)
{
	int ends[2];

	*asking = (struct asking){};
	killed = 0;
	assert_true(sd_event_new(&asking->pod.event) >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	asking->pod.uplink = ends[0];
	asking->uplink = ends[1];
	asking->pod.uplink_async = true;
}

static void asking_done(struct asking *asking)
{
	pod_uplink_done_queue(&asking->pod);
	if (asking->pod.uplink >= 0)
		close(asking->pod.uplink);
	if (asking->uplink >= 0)
		close(asking->uplink);
	sd_event_unref(asking->pod.event);
}

static void on_done(struct pod *pod, void *opaque, int result, const char *text)
{
	struct asking *asking = opaque;

	asking->results[asking->n_done++] = result;
}

static void ask(struct asking *asking, uint32_t id, const int *fds, size_t n_fds)
{
	const struct uplink_request request = {
		.operation = UPLINK_PORT_REMOVE,
		.length = sizeof(request.port),
		.port = {.id = id},
	};

	assert_int_equal(pod_ask_uplink(&asking->pod, &request, fds, n_fds, on_done, asking, NULL),
		0);
}

/* Return: how many requests have come; they are numbered on from @first. */
static unsigned receive_requests(struct asking *asking, uint32_t first)
{
	struct uplink_request request;
	unsigned n = 0;

	while (recv(asking->uplink, &request, sizeof(request), MSG_DONTWAIT) > 0)
		assert_int_equal(request.port.id, first + n++);
	return n;
}

static void few_are_under_way_at_once(void **state)
{
	struct asking asking;

	asking_init(&asking);
	for (uint32_t i = 0; i < 100; i++)
		ask(&asking, i, NULL, 0);
	assert_int_equal(receive_requests(&asking, 0), UNANSWERED_MAX);
	pod_uplink_answered(&asking.pod, UPLINK_PORT_REMOVE, 0, "");
	pod_uplink_answered(&asking.pod, UPLINK_PORT_REMOVE, -ENOENT, "none");
	assert_int_equal(receive_requests(&asking, UNANSWERED_MAX), 2);
	/* An answer to something else is none. */
	pod_uplink_answered(&asking.pod, UPLINK_PORT, 0, "");
	assert_int_equal(asking.n_done, 2);
	assert_int_equal(asking.results[1], -ENOENT);
	pod_uplink_forget(&asking.pod);
	assert_int_equal(asking.n_done, 100);
	assert_int_equal(asking.results[99], -ECONNRESET);
	asking_done(&asking);
}

static void fds_are_sent_as_copies(void **state)
{
	struct asking asking;
	int ends[2], fds[2] = {-1, -1};
	struct uplink_request request;

	asking_init(&asking);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	ask(&asking, 1, &ends[1], 1);
	close(ends[1]);
	assert_true(fd_receive(asking.uplink, &request, sizeof(request), fds, 2, NULL) > 0);
	assert_int_equal(write(fds[0], "x", 1), 1);
	close(fds[0]);
	/* No other copy is left open. */
	assert_int_equal(read(ends[0], &request, 1), 1);
	assert_int_equal(read(ends[0], &request, 1), 0);
	close(ends[0]);
	asking_done(&asking);
}

static uint64_t timer_of(const struct asking *asking)
{
	uint64_t time = 0;

	assert_true(sd_event_source_get_time(asking->pod.uplink_queue->timer, &time) >= 0);
	return time;
}

/* However much it is asked meanwhile. */
static void one_that_does_not_answer_is_ended(void **state)
{
	struct asking asking;

	asking_init(&asking);
	ask(&asking, 1, NULL, 0);
	assert_true(sd_event_source_set_time(asking.pod.uplink_queue->timer, 1) >= 0);
	ask(&asking, 2, NULL, 0);
	assert_int_equal(timer_of(&asking), 1);
	/* An answer gives it time for the next one. */
	pod_uplink_answered(&asking.pod, UPLINK_PORT_REMOVE, 0, "");
	assert_true(timer_of(&asking) > 1);
	assert_true(sd_event_source_set_time(asking.pod.uplink_queue->timer, 1) >= 0);
	assert_true(sd_event_run(asking.pod.event, UINT64_MAX) > 0);
	assert_int_equal(killed, 1);
	asking_done(&asking);
}

static void without_questions_nobody_is_ended(void **state)
{
	struct asking asking;
	int enabled;

	asking_init(&asking);
	ask(&asking, 1, NULL, 0);
	pod_uplink_answered(&asking.pod, UPLINK_PORT_REMOVE, 0, "");
	assert_true(sd_event_source_get_enabled(asking.pod.uplink_queue->timer, &enabled) >= 0);
	assert_int_equal(enabled, SD_EVENT_OFF);
	ask(&asking, 2, NULL, 0);
	assert_true(sd_event_source_get_enabled(asking.pod.uplink_queue->timer, &enabled) >= 0);
	assert_int_not_equal(enabled, SD_EVENT_OFF);
	asking_done(&asking);
}

/* ---- adoption ---- */

static void on_has(void *opaque, const struct uplink_reply *reply, int fds[2])
{
	unsigned *n = opaque;

	assert_int_equal(reply->child.id, *n);
	(*n)++;
}

/* Tells of so many children, then ends; as many as somebody hears of, if it does not. */
static pid_t start_telling(struct asking *asking, unsigned n)
{
	struct uplink_reply reply = {.operation = UPLINK_ADOPT, .result = UPLINK_MORE};
	struct uplink_request request;
	pid_t pid = child_fork();

	if (pid > 0) {
		close(asking->uplink);
		asking->uplink = -1;
		return pid;
	}
	close(asking->pod.uplink);
	assert_true(recv(asking->uplink, &request, sizeof(request), 0) > 0);
	for (unsigned i = 0; i < n; i++) {
		reply.child.id = i;
		if (send(asking->uplink, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			_exit(0);
	}
	reply.result = 0;
	send(asking->uplink, &reply, sizeof(reply), MSG_NOSIGNAL);
	_exit(0);
}

static void all_that_it_has_is_told(void **state)
{
	struct asking asking;
	unsigned n = 0;
	pid_t pid;

	asking_init(&asking);
	pid = start_telling(&asking, 1000);
	assert_int_equal(pod_adopt_uplink(&asking.pod, on_has, &n, NULL), 0);
	assert_int_equal(n, 1000);
	child_wait(pid);
	asking_done(&asking);
}

static void one_that_tells_for_ever_is_not_listened_to(void **state)
{
	struct asking asking;
	struct err err = {};
	unsigned n = 0;
	pid_t pid;

	asking_init(&asking);
	pid = start_telling(&asking, UINT32_MAX);
	assert_int_equal(pod_adopt_uplink(&asking.pod, on_has, &n, &err), -EPROTO);
	assert_int_equal(n, ADOPTED_MAX);
	assert_contains(err.msg, "podd-uplink");
	close(take_fd(&asking.pod.uplink));
	child_wait(pid);
	asking_done(&asking);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_under_way_at_once),
		cmocka_unit_test(fds_are_sent_as_copies),
		cmocka_unit_test(one_that_does_not_answer_is_ended),
		cmocka_unit_test(without_questions_nobody_is_ended),
		cmocka_unit_test(all_that_it_has_is_told),
		cmocka_unit_test(one_that_tells_for_ever_is_not_listened_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
