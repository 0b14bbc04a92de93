/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Pairs of real TCP connections over the loopback, on the uplink's real loop: the test is the
 * program at either end.
 *
 *   program  <-- TCP -->  pair  <-- TCP -->  outside
 */

#include "uplink-splice.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "uplink-fixture.h"

#define PIPES 8

struct splicing {
	struct looped looped;
	struct uplink_splice *splice;
};

struct joined {
	struct splice_pair pair;
	int ends[2]; /* the programs': SPLICE_POD, SPLICE_HOST */
	unsigned done;
};

static void splicing_init(struct splicing *splicing, unsigned pipes)
{
	*splicing = (struct splicing){};
	looped_init(&splicing->looped);
	assert_int_equal(uplink_splice_new(splicing->looped.loop, pipes,
				 &splicing->splice, NULL), 0);
}

static void splicing_done(struct splicing *splicing)
{
	assert_null(splicing->splice->first_waiting);
	assert_null(splicing->splice->due);
	assert_null(splicing->splice->young);
	uplink_splice_trim(splicing->splice);
	assert_int_equal(splicing->splice->n_pipes, 0);
	uplink_splice_free(splicing->splice);
	looped_done(&splicing->looped);
}

static void on_joined_done(struct splice_pair *pair)
{
	container_of(pair, struct joined, pair)->done++;
}

/* One that has been joined for a while, so that resets are not put off. */
static void join(struct splicing *splicing, struct joined *joined)
{
	int fds[2];

	*joined = (struct joined){};
	for (int i = 0; i < 2; i++) {
		int ends[2];

		connect_tcp(ends);
		fds[i] = ends[0];
		joined->ends[i] = ends[1];
		assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
		assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	}
	assert_int_equal(uplink_splice_join(splicing->splice, &joined->pair, fds[SPLICE_POD],
				 fds[SPLICE_HOST], on_joined_done), 0);
	joined->pair.born_ms -= 1000;
}

static void close_ends(struct joined *joined)
{
	for (int i = 0; i < 2; i++)
		if (joined->ends[i] >= 0)
			close(take_fd(&joined->ends[i]));
}

static void finish(struct splicing *splicing, struct joined *joined)
{
	close_ends(joined);
	turn_until(&splicing->looped, joined->done);
	assert_int_equal(joined->done, 1);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_text(struct splicing *splicing, int fd, const char *text)
{
	char bytes[256];
	size_t n = 0, length = strlen(text);

	while (n < length) {
		ssize_t r;

		turn_until(&splicing->looped, is_readable(fd));
		r = recv(fd, bytes + n, length - n, MSG_DONTWAIT);
		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(bytes, text, length);
}

static void expect_end(struct splicing *splicing, int fd)
{
	char byte;

	turn_until(&splicing->looped, is_readable(fd));
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static void expect_reset(struct splicing *splicing, int fd)
{
	char byte;

	turn_until(&splicing->looped, is_readable(fd));
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
}

/* ---- data ---- */

static void data_goes_both_ways(void **state)
{
	struct splicing splicing;
	struct joined joined;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	send_text(joined.ends[SPLICE_POD], "question");
	expect_text(&splicing, joined.ends[SPLICE_HOST], "question");
	send_text(joined.ends[SPLICE_HOST], "the answer");
	expect_text(&splicing, joined.ends[SPLICE_POD], "the answer");
	assert_int_equal(joined.pair.ends[SPLICE_POD].bytes, 8);
	assert_int_equal(joined.pair.ends[SPLICE_HOST].bytes, 10);
	/* While nothing is under way it has no pipe. */
	assert_null(joined.pair.ends[SPLICE_POD].pipe);
	assert_null(joined.pair.ends[SPLICE_HOST].pipe);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

static void what_was_sent_before_they_were_joined_arrives(void **state)
{
	struct splicing splicing;
	struct joined joined = {};
	int pod[2], host[2];

	splicing_init(&splicing, PIPES);
	connect_tcp(pod);
	connect_tcp(host);
	send_text(host[1], "banner");
	shutdown(host[1], SHUT_WR);
	assert_int_equal(fcntl(pod[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(host[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(uplink_splice_join(splicing.splice, &joined.pair, pod[0], host[0],
				 on_joined_done), 0);
	expect_text(&splicing, pod[1], "banner");
	expect_end(&splicing, pod[1]);
	joined.ends[SPLICE_POD] = pod[1];
	joined.ends[SPLICE_HOST] = host[1];
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

/* Sends and checks a pattern from one end to the other until @size bytes have arrived. */
struct stream {
	int from, to;
	size_t size, sent, received;
};

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

/* Return: true when all was sent. */
static bool stream_send(struct stream *stream)
{
	static uint8_t bytes[100000];

	while (stream->sent < stream->size) {
		size_t n = stream->size - stream->sent;
		ssize_t r;

		if (n > sizeof(bytes))
			n = sizeof(bytes);
		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(stream->sent + i);
		r = send(stream->from, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0) {
			assert_int_equal(errno, EAGAIN);
			return false;
		}
		stream->sent += (size_t)r;
	}
	return true;
}

/* Return: true when all was received. */
static bool stream_receive(struct stream *stream)
{
	static uint8_t bytes[70000];
	ssize_t n;

	while ((n = recv(stream->to, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		for (size_t i = 0; i < (size_t)n; i++)
			if (bytes[i] != pattern(stream->received + i))
				fail_msg("byte %zu is wrong", stream->received + i);
		stream->received += (size_t)n;
	}
	assert_true(n < 0 && errno == EAGAIN);
	return stream->received == stream->size;
}

/* Return: true when all of both was received. */
static bool exchange(struct stream *a, struct stream *b)
{
	bool all;

	stream_send(a);
	stream_send(b);
	all = stream_receive(a);
	return stream_receive(b) && all;
}

static void much_data_arrives_in_order(void **state)
{
	struct splicing splicing;
	struct joined joined;
	struct stream out, in;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	out = (struct stream){joined.ends[SPLICE_POD], joined.ends[SPLICE_HOST], 20 << 20, 0, 0};
	in = (struct stream){joined.ends[SPLICE_HOST], joined.ends[SPLICE_POD], 9 << 20, 0, 0};
	turn_until(&splicing.looped, exchange(&out, &in));
	assert_int_equal(joined.pair.ends[SPLICE_POD].bytes, out.size);
	assert_int_equal(joined.pair.ends[SPLICE_HOST].bytes, in.size);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

/* ---- ends ---- */

static void half_closed_either_way(void **state)
{
	for (int from = SPLICE_POD; from <= SPLICE_HOST; from++) {
		int to = !from;
		struct splicing splicing;
		struct joined joined;

		splicing_init(&splicing, PIPES);
		join(&splicing, &joined);
		send_text(joined.ends[from], "all that I have");
		shutdown(joined.ends[from], SHUT_WR);
		expect_text(&splicing, joined.ends[to], "all that I have");
		expect_end(&splicing, joined.ends[to]);
		/* The other direction stays, for as long as it takes. */
		for (int i = 0; i < 3; i++) {
			send_text(joined.ends[to], "still here");
			expect_text(&splicing, joined.ends[from], "still here");
		}
		assert_int_equal(joined.done, 0);
		shutdown(joined.ends[to], SHUT_WR);
		expect_end(&splicing, joined.ends[from]);
		turn_until(&splicing.looped, joined.done);
		close_ends(&joined);
		splicing_done(&splicing);
	}
}

static void a_reset_comes_after_the_data_before_it(void **state)
{
	for (int from = SPLICE_POD; from <= SPLICE_HOST; from++) {
		struct splicing splicing;
		struct joined joined;

		splicing_init(&splicing, PIPES);
		join(&splicing, &joined);
		send_text(joined.ends[from], "last words");
		splice_reset(take_fd(&joined.ends[from]));
		expect_text(&splicing, joined.ends[!from], "last words");
		expect_reset(&splicing, joined.ends[!from]);
		turn_until(&splicing.looped, joined.done);
		close_ends(&joined);
		splicing_done(&splicing);
	}
}

static void a_reset_of_a_half_closed_one_is_told(void **state)
{
	for (int from = SPLICE_POD; from <= SPLICE_HOST; from++) {
		struct splicing splicing;
		struct joined joined;

		splicing_init(&splicing, PIPES);
		join(&splicing, &joined);
		shutdown(joined.ends[from], SHUT_WR);
		expect_end(&splicing, joined.ends[!from]);
		splice_reset(take_fd(&joined.ends[from]));
		turn_until(&splicing.looped, joined.done);
		assert_int_equal(send(joined.ends[!from], "x", 1, MSG_NOSIGNAL), -1);
		close_ends(&joined);
		splicing_done(&splicing);
	}
}

/* As without a pair in between: who writes to what is closed altogether hears of it. */
static void data_for_a_closed_end_is_answered_by_a_reset(void **state)
{
	for (int closed = SPLICE_POD; closed <= SPLICE_HOST; closed++) {
		struct splicing splicing;
		struct joined joined;

		splicing_init(&splicing, PIPES);
		join(&splicing, &joined);
		close(take_fd(&joined.ends[closed]));
		expect_end(&splicing, joined.ends[!closed]);
		send_text(joined.ends[!closed], "anybody there?");
		turn_until(&splicing.looped, joined.done);
		assert_int_equal(send(joined.ends[!closed], "?", 1, MSG_NOSIGNAL), -1);
		assert_int_equal(errno, EPIPE);
		close_ends(&joined);
		splicing_done(&splicing);
	}
}

static void one_that_was_reset_before_it_was_joined_gives_its_data(void **state)
{
	struct splicing splicing;
	struct joined joined = {};
	int pod[2], host[2];

	splicing_init(&splicing, PIPES);
	connect_tcp(pod);
	connect_tcp(host);
	send_text(host[1], "refused: too many");
	splice_reset(host[1]);
	turn_until(&splicing.looped, is_readable(host[0]));
	assert_int_equal(fcntl(pod[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(host[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(uplink_splice_join(splicing.splice, &joined.pair, pod[0], host[0],
				 on_joined_done), 0);
	uplink_splice_mark_reset(&joined.pair, SPLICE_HOST);
	joined.ends[SPLICE_POD] = pod[1];
	joined.ends[SPLICE_HOST] = -1;
	expect_text(&splicing, pod[1], "refused: too many");
	expect_reset(&splicing, pod[1]);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

static void cut_ends_both_at_once(void **state)
{
	struct splicing splicing;
	struct joined joined;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	send_text(joined.ends[SPLICE_POD], "never read");
	uplink_splice_cut(&joined.pair);
	uplink_splice_cut(&joined.pair);
	assert_int_equal(joined.done, 0);
	expect_reset(&splicing, joined.ends[SPLICE_POD]);
	expect_reset(&splicing, joined.ends[SPLICE_HOST]);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

/* ---- those that are reset when they are young ---- */

static void a_young_pair_is_reset_a_little_later(void **state)
{
	struct splicing splicing;
	struct joined joined;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	joined.pair.born_ms = uplink_loop_now_ms() + 1000;
	splice_reset(take_fd(&joined.ends[SPLICE_HOST]));
	turn_until(&splicing.looped, joined.pair.delayed);
	assert_false(is_readable(joined.ends[SPLICE_POD]));
	expect_reset(&splicing, joined.ends[SPLICE_POD]);
	turn_until(&splicing.looped, joined.done);
	close_ends(&joined);
	splicing_done(&splicing);
}

static void one_that_waits_for_its_reset_can_be_cut(void **state)
{
	struct splicing splicing;
	struct joined joined[3];

	splicing_init(&splicing, PIPES);
	for (int i = 0; i < 3; i++) {
		join(&splicing, &joined[i]);
		joined[i].pair.born_ms = uplink_loop_now_ms() + 1000;
		splice_reset(take_fd(&joined[i].ends[SPLICE_HOST]));
	}
	turn_until(&splicing.looped, joined[0].pair.delayed && joined[1].pair.delayed &&
					     joined[2].pair.delayed);
	uplink_splice_cut(&joined[1].pair);
	for (int i = 0; i < 3; i++)
		finish(&splicing, &joined[i]);
	splicing_done(&splicing);
}

/* However many are reset meanwhile, none waits for ever. */
static void resets_do_not_put_off_each_other(void **state)
{
	enum { N = 100 };
	struct splicing splicing;
	struct joined joined[N];
	int n = 0;

	splicing_init(&splicing, PIPES);
	while (n == 0 || (n < N && !joined[0].done)) {
		join(&splicing, &joined[n]);
		joined[n].pair.born_ms = uplink_loop_now_ms() + 1000;
		splice_reset(take_fd(&joined[n++].ends[SPLICE_HOST]));
		for (int turns = 0; turns < 3; turns++)
			assert_true(uplink_loop_turn(splicing.looped.loop, 1) >= 0);
	}
	assert_int_equal(joined[0].done, 1);
	for (int i = 0; i < n; i++)
		finish(&splicing, &joined[i]);
	splicing_done(&splicing);
}

/* ---- back-pressure ---- */

/* Sends until nothing more is taken, whatever is turned. Return: how much that was. */
static size_t send_until_full(struct splicing *splicing, struct joined *joined, int from)
{
	struct stream stream = {joined->ends[from], joined->ends[!from], SIZE_MAX, 0, 0};
	size_t before;

	do {
		before = stream.sent;
		stream_send(&stream);
		turn_while_busy(&splicing->looped);
		/* What is under way in the kernel has an event still to come. */
		uplink_loop_turn(splicing->looped.loop, 20);
	} while (stream.sent > before);
	return stream.sent;
}

static void a_reader_that_stops_stops_the_sender(void **state)
{
	for (int from = SPLICE_POD; from <= SPLICE_HOST; from++) {
		struct splicing splicing;
		struct joined joined;
		struct stream stream;
		size_t held;

		splicing_init(&splicing, PIPES);
		join(&splicing, &joined);
		held = send_until_full(&splicing, &joined, from);
		/* In the other direction everything goes on. */
		send_text(joined.ends[!from], "busy");
		expect_text(&splicing, joined.ends[from], "busy");
		assert_false(uplink_loop_busy(splicing.looped.loop));
		stream = (struct stream){joined.ends[from], joined.ends[!from],
			held + (8 << 20), held, 0};
		turn_until(&splicing.looped, (stream_send(&stream), stream_receive(&stream)));
		finish(&splicing, &joined);
		splicing_done(&splicing);
	}
}

static void what_was_held_comes_before_the_end(void **state)
{
	struct splicing splicing;
	struct joined joined;
	struct stream stream;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	stream = (struct stream){joined.ends[SPLICE_POD], joined.ends[SPLICE_HOST],
		send_until_full(&splicing, &joined, SPLICE_POD), 0, 0};
	close(take_fd(&joined.ends[SPLICE_POD]));
	turn_while_busy(&splicing.looped);
	assert_int_equal(joined.done, 0);
	while (stream.received < stream.size) {
		char bytes[4096];
		ssize_t n;

		turn_until(&splicing.looped, is_readable(stream.to));
		n = recv(stream.to, bytes, sizeof(bytes), MSG_DONTWAIT);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal((uint8_t)bytes[i], pattern(stream.received + (size_t)i));
		stream.received += (size_t)n;
	}
	expect_end(&splicing, joined.ends[SPLICE_HOST]);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

static void a_cut_loses_what_is_held(void **state)
{
	struct splicing splicing;
	struct joined joined;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	send_until_full(&splicing, &joined, SPLICE_POD);
	assert_int_equal(splicing.splice->n_pipes, 1);
	uplink_splice_cut(&joined.pair);
	/* A pipe with something in it is nothing for another one. */
	assert_int_equal(splicing.splice->n_pipes, 0);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

/* ---- pipes ---- */

static void more_pairs_than_pipes_take_turns(void **state)
{
	enum { N = 12 };
	struct splicing splicing;
	struct joined joined[N];
	struct stream streams[N];
	unsigned left = N;

	splicing_init(&splicing, 3);
	for (int i = 0; i < N; i++) {
		join(&splicing, &joined[i]);
		streams[i] = (struct stream){joined[i].ends[i % 2], joined[i].ends[!(i % 2)],
			3 << 20, 0, 0};
	}
	while (left > 0) {
		left = 0;
		for (int i = 0; i < N; i++) {
			stream_send(&streams[i]);
			left += !stream_receive(&streams[i]);
		}
		assert_true(uplink_loop_turn(splicing.looped.loop, 5) >= 0);
		assert_true(splicing.splice->n_pipes <= 3);
	}
	for (int i = 0; i < N; i++)
		finish(&splicing, &joined[i]);
	splicing_done(&splicing);
}

/* Two that do not read have all pipes; a third one waits until one of them reads, or ends. */
static void without_a_pipe_it_waits_for_one(void **state)
{
	struct splicing splicing;
	struct joined stuck[2], waiting;
	struct stream stream;

	splicing_init(&splicing, 2);
	for (int i = 0; i < 2; i++)
		join(&splicing, &stuck[i]);
	stream = (struct stream){stuck[0].ends[SPLICE_POD], stuck[0].ends[SPLICE_HOST],
		send_until_full(&splicing, &stuck[0], SPLICE_POD), 0, 0};
	send_until_full(&splicing, &stuck[1], SPLICE_HOST);
	join(&splicing, &waiting);
	send_text(waiting.ends[SPLICE_POD], "question");
	turn_until(&splicing.looped, waiting.pair.waiting);
	send_text(waiting.ends[SPLICE_HOST], "from the other side");
	turn_while_busy(&splicing.looped);
	assert_false(is_readable(waiting.ends[SPLICE_HOST]));
	stream.sent = stream.size;
	turn_until(&splicing.looped, stream_receive(&stream));
	expect_text(&splicing, waiting.ends[SPLICE_HOST], "question");
	expect_text(&splicing, waiting.ends[SPLICE_POD], "from the other side");
	for (int i = 0; i < 2; i++)
		finish(&splicing, &stuck[i]);
	finish(&splicing, &waiting);
	splicing_done(&splicing);
}

static void those_that_wait_can_be_cut_in_any_order(void **state)
{
	struct splicing splicing;
	struct joined stuck, waiting[4];

	splicing_init(&splicing, 1);
	join(&splicing, &stuck);
	send_until_full(&splicing, &stuck, SPLICE_POD);
	for (int i = 0; i < 4; i++) {
		join(&splicing, &waiting[i]);
		send_text(waiting[i].ends[SPLICE_POD], "question");
		turn_until(&splicing.looped, waiting[i].pair.waiting);
	}
	uplink_splice_cut(&waiting[1].pair);
	uplink_splice_cut(&waiting[3].pair);
	uplink_splice_cut(&stuck.pair);
	expect_text(&splicing, waiting[0].ends[SPLICE_HOST], "question");
	expect_text(&splicing, waiting[2].ends[SPLICE_HOST], "question");
	for (int i = 0; i < 4; i++)
		finish(&splicing, &waiting[i]);
	finish(&splicing, &stuck);
	splicing_done(&splicing);
}

/* The first one in the queue ends before its turn: its place is the next one's. */
static void one_that_has_no_use_for_its_pipe_lets_others_have_it(void **state)
{
	struct splicing splicing;
	struct joined stuck, waiting[2];

	splicing_init(&splicing, 1);
	join(&splicing, &stuck);
	send_until_full(&splicing, &stuck, SPLICE_POD);
	for (int i = 0; i < 2; i++) {
		join(&splicing, &waiting[i]);
		send_text(waiting[i].ends[SPLICE_POD], "question");
		turn_until(&splicing.looped, waiting[i].pair.waiting);
	}
	uplink_splice_cut(&stuck.pair);
	assert_false(waiting[0].pair.waiting);
	uplink_splice_cut(&waiting[0].pair);
	expect_text(&splicing, waiting[1].ends[SPLICE_HOST], "question");
	for (int i = 0; i < 2; i++)
		finish(&splicing, &waiting[i]);
	finish(&splicing, &stuck);
	splicing_done(&splicing);
}

/* No fd was left for the only pipe: nobody gives one back. */
static void without_an_fd_it_tries_again(void **state)
{
	struct rlimit limit, none;
	struct splicing splicing;
	struct joined joined;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	turn_while_busy(&splicing.looped);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){0, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	send_text(joined.ends[SPLICE_POD], "question");
	turn_until(&splicing.looped, joined.pair.waiting);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	uplink_splice_trim(splicing.splice);
	expect_text(&splicing, joined.ends[SPLICE_HOST], "question");
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

static void idle_pipes_are_kept_but_not_many_and_not_for_long(void **state)
{
	enum { N = IDLE_PIPES_MAX + 4 };
	struct splicing splicing;
	struct joined joined[N];
	struct stream streams[N];

	splicing_init(&splicing, N);
	for (int i = 0; i < N; i++) {
		join(&splicing, &joined[i]);
		streams[i] = (struct stream){joined[i].ends[SPLICE_POD], joined[i].ends[SPLICE_HOST],
			send_until_full(&splicing, &joined[i], SPLICE_POD), 0, 0};
	}
	assert_int_equal(splicing.splice->n_pipes, N);
	for (int i = 0; i < N; i++)
		turn_until(&splicing.looped, stream_receive(&streams[i]));
	turn_while_busy(&splicing.looped);
	assert_true(splicing.splice->n_pipes <= IDLE_PIPES_MAX);
	assert_int_equal(splicing.splice->n_pipes, splicing.splice->n_idle);
	uplink_splice_trim(splicing.splice);
	assert_int_equal(splicing.splice->n_pipes, 0);
	for (int i = 0; i < N; i++)
		finish(&splicing, &joined[i]);
	splicing_done(&splicing);
}

/* ---- urgent data ---- */

static void urgent_data_arrives_as_such(void **state)
{
	for (int from = SPLICE_POD; from <= SPLICE_HOST; from++) {
		struct splicing splicing;
		struct joined joined;
		int at_mark = 0;
		char byte;

		splicing_init(&splicing, PIPES);
		join(&splicing, &joined);
		send_text(joined.ends[from], "before");
		assert_int_equal(send(joined.ends[from], "!", 1, MSG_OOB), 1);
		send_text(joined.ends[from], "after");
		expect_text(&splicing, joined.ends[!from], "before");
		turn_until(&splicing.looped,
			ioctl(joined.ends[!from], SIOCATMARK, &at_mark) == 0 && at_mark);
		turn_until(&splicing.looped,
			recv(joined.ends[!from], &byte, 1, MSG_OOB | MSG_DONTWAIT) == 1);
		assert_int_equal(byte, '!');
		expect_text(&splicing, joined.ends[!from], "after");
		send_text(joined.ends[!from], "answer");
		expect_text(&splicing, joined.ends[from], "answer");
		assert_int_equal(joined.pair.ends[from].bytes, 12);
		finish(&splicing, &joined);
		splicing_done(&splicing);
	}
}

static void urgent_data_may_be_the_last(void **state)
{
	struct splicing splicing;
	struct joined joined;
	char byte;

	splicing_init(&splicing, PIPES);
	join(&splicing, &joined);
	assert_int_equal(send(joined.ends[SPLICE_POD], "!", 1, MSG_OOB), 1);
	shutdown(joined.ends[SPLICE_POD], SHUT_WR);
	turn_until(&splicing.looped,
		recv(joined.ends[SPLICE_HOST], &byte, 1, MSG_OOB | MSG_DONTWAIT) == 1);
	expect_end(&splicing, joined.ends[SPLICE_HOST]);
	finish(&splicing, &joined);
	splicing_done(&splicing);
}

/* ---- */

static void a_socket_that_cannot_be_watched_is_given_back(void **state)
{
	struct splicing splicing;
	struct splice_pair pair = {};
	int ends[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	splicing_init(&splicing, PIPES);
	connect_tcp(ends);
	/* epoll knows neither files nor the same socket twice. */
	assert_int_equal(uplink_splice_join(splicing.splice, &pair, file, ends[0], on_joined_done),
		-EPERM);
	assert_int_equal(uplink_splice_join(splicing.splice, &pair, ends[0], file, on_joined_done),
		-EPERM);
	assert_int_equal(uplink_loop_add(splicing.looped.loop, ends[0], EPOLLIN,
				 &pair.ends[0].watch), 0);
	uplink_loop_remove(splicing.looped.loop, ends[0], &pair.ends[0].watch);
	close(file);
	close(ends[0]);
	close(ends[1]);
	splicing_done(&splicing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_goes_both_ways),
		cmocka_unit_test(what_was_sent_before_they_were_joined_arrives),
		cmocka_unit_test(much_data_arrives_in_order),
		cmocka_unit_test(half_closed_either_way),
		cmocka_unit_test(a_reset_comes_after_the_data_before_it),
		cmocka_unit_test(a_reset_of_a_half_closed_one_is_told),
		cmocka_unit_test(data_for_a_closed_end_is_answered_by_a_reset),
		cmocka_unit_test(one_that_was_reset_before_it_was_joined_gives_its_data),
		cmocka_unit_test(cut_ends_both_at_once),
		cmocka_unit_test(a_young_pair_is_reset_a_little_later),
		cmocka_unit_test(one_that_waits_for_its_reset_can_be_cut),
		cmocka_unit_test(resets_do_not_put_off_each_other),
		cmocka_unit_test(a_reader_that_stops_stops_the_sender),
		cmocka_unit_test(what_was_held_comes_before_the_end),
		cmocka_unit_test(a_cut_loses_what_is_held),
		cmocka_unit_test(more_pairs_than_pipes_take_turns),
		cmocka_unit_test(without_a_pipe_it_waits_for_one),
		cmocka_unit_test(those_that_wait_can_be_cut_in_any_order),
		cmocka_unit_test(one_that_has_no_use_for_its_pipe_lets_others_have_it),
		cmocka_unit_test(without_an_fd_it_tries_again),
		cmocka_unit_test(idle_pipes_are_kept_but_not_many_and_not_for_long),
		cmocka_unit_test(urgent_data_arrives_as_such),
		cmocka_unit_test(urgent_data_may_be_the_last),
		cmocka_unit_test(a_socket_that_cannot_be_watched_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
