/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A pair is two TCP connections that shall look like one to the programs at its ends. Each end's
 * data goes socket -> pipe -> other socket, by splice(2); what moves are references to the
 * kernel's pages.
 *
 * States of an end, seen as the source of its data:
 *
 *   open      --read gives 0 (FIN)-->                drained
 *   open      --read or write gives an error-->      dead; read on until that fails as well, since
 *                                                    what came before a reset is the receiver's
 *   drained   --reset-->                             dead
 *   drained   --pipe is empty-->                     finished: shutdown(2) of the other end, unless
 *                                                    this one is dead
 *
 * and of the pair:
 *
 *   a dead end is drained and its pipe empty   -->   both sockets are closed with a reset
 *   both ends are finished                     -->   both sockets are closed
 *
 * So a half-closed connection stays as long as the open direction does, in either direction, and
 * an end that is closed altogether is told by a reset when there is more data for it, as it
 * would be without a pair in between.
 *
 * Back-pressure: an end is read only while the other one takes data, and at most one pipe full of
 * it is under way. A pipe belongs to an end only while there is something in it: idle pairs have
 * none. What has no pipe, because all are in use, waits in a queue for one.
 *
 * Events are edge-triggered, and registered once. A flag says that an end may be readable or
 * writable until a call says that it is not. splice(2) of a socket into an empty pipe takes all
 * that there is, or fills the pipe; if it moved fewer bytes than the pipe has slots, it cannot
 * have filled it, and the call that would only give EAGAIN is spared.
 *
 * Urgent data: splice stops in front of the urgent byte. The byte is then taken out by
 * recv(MSG_OOB), what follows it is read and written by hand once, which leads past the mark.
 *
 * System calls: splice, pipe2, fcntl[1 == F_SETPIPE_SZ], fcntl[1 == F_GETPIPE_SZ],
 *   recvfrom, sendto, ioctl[1 == SIOCATMARK], shutdown, setsockopt, close.
 */

#include "uplink-splice.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <unistd.h>

/* Larger pipes save turns of the loop; half a megabyte is where they stop to. An unprivileged
 * user has 64 MiB in all (pipe(7), pipe-user-pages-soft), then pipes have two slots. */
#define PIPE_SIZE (512 * 1024)
#define IDLE_PIPES_MAX 16
/* Bytes that an end may pass on before others have their turn. */
#define TURN_BYTES (1024 * 1024)
#define AFTER_URGENT_SIZE 1024
/* So young a pair is not reset at once, but so much later. */
#define YOUNG_MS 20
#define RESET_DELAY_US 5000

struct splice_pipe {
	struct splice_pipe *next;
	int out; /* read from here */
	int in;
	uint32_t size;
	uint32_t slots;
};

struct uplink_splice {
	struct uplink_loop *loop;
	sd_event_source *timer; /* on while there are any of these */
	struct splice_pair *due;   /* to be reset when it rings */
	struct splice_pair *young; /* ... when it rings once more */
	struct splice_pipe *idle;
	unsigned n_idle;
	unsigned n_pipes;
	unsigned pipes_max;
	struct splice_pair *first_waiting;
	struct splice_pair **last_waiting;
};

/* ---- pipes ---- */

static void pipe_close(struct uplink_splice *splice, struct splice_pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	splice->n_pipes--;
}

static struct splice_pipe *pipe_make(struct uplink_splice *splice)
{
	struct splice_pipe *pipe;
	int fds[2], size;

	if (splice->n_pipes >= splice->pipes_max)
		return NULL;
	pipe = calloc(1, sizeof(*pipe));
	if (!pipe)
		return NULL;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		free(pipe);
		return NULL;
	}
	size = fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	if (size < 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	pipe->out = fds[0];
	pipe->in = fds[1];
	pipe->size = size > 0 ? (uint32_t)size : 4096;
	pipe->slots = pipe->size / 4096;
	splice->n_pipes++;
	return pipe;
}

static struct splice_pipe *pipe_take(struct uplink_splice *splice)
{
	struct splice_pipe *pipe = splice->idle;

	if (!pipe)
		return pipe_make(splice);
	splice->idle = pipe->next;
	splice->n_idle--;
	return pipe;
}

static void wake_next(struct uplink_splice *splice)
{
	struct splice_pair *pair = splice->first_waiting;

	if (!pair)
		return;
	splice->first_waiting = pair->next_waiting;
	if (!splice->first_waiting)
		splice->last_waiting = &splice->first_waiting;
	pair->waiting = false;
	uplink_loop_defer(splice->loop, &pair->work);
}

/* An empty one is for whoever waits, then for the next; one with something in it is lost. */
static void pipe_give_back(struct uplink_splice *splice, struct splice_pipe *pipe, bool empty)
{
	if (!empty || (!splice->first_waiting && splice->n_idle >= IDLE_PIPES_MAX)) {
		pipe_close(splice, pipe);
	} else {
		pipe->next = splice->idle;
		splice->idle = pipe;
		splice->n_idle++;
	}
	wake_next(splice);
}

static void wait_for_pipe(struct splice_pair *pair)
{
	struct uplink_splice *splice = pair->splice;

	if (pair->waiting)
		return;
	pair->waiting = true;
	pair->next_waiting = NULL;
	*splice->last_waiting = pair;
	splice->last_waiting = &pair->next_waiting;
}

static void stop_waiting(struct splice_pair *pair)
{
	struct uplink_splice *splice = pair->splice;
	struct splice_pair **link = &splice->first_waiting;

	if (!pair->waiting)
		return;
	while (*link != pair)
		link = &(*link)->next_waiting;
	*link = pair->next_waiting;
	if (!*link)
		splice->last_waiting = link;
	pair->waiting = false;
}

/* ---- the end of a pair ---- */

static void close_pair(struct splice_pair *pair, bool reset);

void splice_forget(struct splice_end *end)
{
	end->watch.ready = NULL;
	end->watched = end->readable = end->writable = end->finishing = end->urgent = false;
}

void splice_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static void forget_young(struct splice_pair *pair)
{
	struct splice_pair **link = &pair->splice->due;

	if (!pair->delayed)
		return;
	while (*link && *link != pair)
		link = &(*link)->next_young;
	if (!*link)
		link = &pair->splice->young;
	while (*link != pair)
		link = &(*link)->next_young;
	*link = pair->next_young;
	pair->delayed = false;
}

static int on_timer(sd_event_source *source, uint64_t now, void *opaque)
{
	struct uplink_splice *splice = opaque;

	while (splice->due)
		close_pair(splice->due, true);
	splice->due = take_ptr(splice->young);
	return splice->due ? uplink_loop_start_timer(splice->loop, source, RESET_DELAY_US) : 0;
}

/* A program whose connection was reset when it had only just been made has seen it made, if there is
 * no pair in between: the answer to its SYN is a way ahead of the reset. Here both come from the
 * same machine, and the reset could overtake the program that is about to wake up. */
static bool reset_later(struct splice_pair *pair)
{
	struct uplink_splice *splice = pair->splice;
	bool first = !splice->due && !splice->young;
	struct splice_pair **list = first ? &splice->due : &splice->young;

	if (pair->delayed || uplink_loop_now_ms() - pair->born_ms > YOUNG_MS)
		return pair->delayed;
	/* One that is under way is left alone: others would put it off for ever. */
	if (first && uplink_loop_start_timer(splice->loop, splice->timer, RESET_DELAY_US) < 0)
		return false;
	pair->delayed = true;
	pair->next_young = *list;
	*list = pair;
	return true;
}

static void close_pair(struct splice_pair *pair, bool reset)
{
	if (pair->closed)
		return;
	pair->closed = true;
	forget_young(pair);
	stop_waiting(pair);
	for (int i = 0; i < 2; i++) {
		struct splice_end *end = &pair->ends[i];

		if (end->pipe)
			pipe_give_back(pair->splice, take_ptr(end->pipe), end->held == 0);
		/* The pod's socket may have another holder, and then close(2) leaves it in the
		 * loop. */
		if (i == SPLICE_POD)
			uplink_loop_remove(pair->splice->loop, end->fd, &end->watch);
		splice_forget(end);
		if (reset)
			splice_reset(take_fd(&end->fd));
		else
			close(take_fd(&end->fd));
	}
	uplink_loop_defer(pair->splice->loop, &pair->work);
}

/* ---- moving data ---- */

static bool would_block(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* What came before the failure is read on. */
static void die(struct splice_end *end)
{
	end->dead = true;
	end->readable = true;
	end->finishing = true;
}

static bool write_all_or_fail(struct splice_end *to, const void *data, size_t size, int flags)
{
	/* A few at most: if even these do not fit, the connection is given up rather than its
	 * order. */
	if (send(to->fd, data, size, flags | MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size)
		return true;
	die(to);
	return false;
}

/* The pipe is empty, and the socket stands in front of urgent data. Return: true, if something
 * moved. */
static bool pass_urgent(struct splice_end *from, struct splice_end *to)
{
	char byte, after[AFTER_URGENT_SIZE];
	int at_mark = 0;
	ssize_t n;

	if (ioctl(from->fd, SIOCATMARK, &at_mark) < 0 || !at_mark)
		return false;
	/* Only once: the second time there is none. */
	if (recv(from->fd, &byte, 1, MSG_OOB | MSG_DONTWAIT) == 1) {
		from->bytes++;
		if (!write_all_or_fail(to, &byte, 1, MSG_OOB))
			return false;
	}
	n = recv(from->fd, after, sizeof(after), MSG_DONTWAIT);
	if (would_block(n))
		return false;
	from->urgent = false;
	if (n > 0) {
		from->bytes += (uint64_t)n;
		return write_all_or_fail(to, after, (size_t)n, 0);
	}
	from->drained = n == 0;
	return n == 0;
}

/* Return: true, if there is something to pass on now. */
static bool fill(struct splice_pair *pair, struct splice_end *from, struct splice_end *to)
{
	bool blocked;
	ssize_t n;

	if (!from->readable || from->drained)
		return false;
	if (!from->pipe)
		from->pipe = pipe_take(pair->splice);
	if (!from->pipe) {
		wait_for_pipe(pair);
		return false;
	}
	n = splice(from->fd, NULL, from->pipe->in, NULL, from->pipe->size,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		from->held = (uint32_t)n;
		from->readable = from->finishing || from->urgent || n >= from->pipe->slots;
		return true;
	}
	blocked = would_block(n);
	/* In front of urgent data it is EAGAIN, or 0 when the end is there as well. */
	if ((n == 0 || blocked) && from->urgent && pass_urgent(from, to))
		return true;
	if (n == 0)
		from->drained = true;
	else if (!blocked)
		from->drained = from->dead = true;
	else
		from->readable = false;
	return false;
}

static bool drain(struct splice_end *from, struct splice_end *to)
{
	ssize_t n;

	if (!to->writable)
		return false;
	n = splice(from->pipe->out, NULL, to->fd, NULL, from->held,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		from->held -= (uint32_t)n;
		from->bytes += (uint64_t)n;
		return true;
	}
	if (would_block(n)) {
		to->writable = false;
		return false;
	}
	die(to);
	return false;
}

/* Moves what can be moved from one end to the other. Return: true, if there is more to do. */
static bool pump(struct splice_pair *pair, struct splice_end *from, struct splice_end *to)
{
	uint64_t stop_at = from->bytes + TURN_BYTES;

	while (!to->dead && from->bytes < stop_at) {
		if (from->held > 0 ? !drain(from, to) : !to->writable || !fill(pair, from, to))
			break;
	}
	if (from->pipe && (from->held == 0 || to->dead))
		pipe_give_back(pair->splice, take_ptr(from->pipe), from->held == 0);
	if (to->dead) {
		from->held = 0;
		from->finished = true;
	}
	if (from->drained && from->held == 0 && !from->finished && !from->dead) {
		from->finished = true;
		/* The second one's end is close(2). */
		if (!to->finished)
			(void)shutdown(to->fd, SHUT_WR);
	}
	return !to->dead && from->bytes >= stop_at;
}

/* A dead end that is to be read until its end: what it reports is an error, not its readiness. */
static bool is_over(const struct splice_end *end)
{
	return end->dead && end->held == 0 && (end->drained || !end->readable);
}

static void move(struct splice_pair *pair)
{
	struct splice_end *pod = &pair->ends[SPLICE_POD], *host = &pair->ends[SPLICE_HOST];
	bool more = pump(pair, pod, host), known = pod->dead;

	more |= pump(pair, host, pod);
	if (is_over(pod) || is_over(host) || (pod->dead && host->dead)) {
		if (!reset_later(pair))
			close_pair(pair, true);
		return;
	}
	if (pod->finished && host->finished && !pod->dead && !host->dead)
		close_pair(pair, false);
	else if (more || pod->dead != known)
		uplink_loop_defer(pair->splice->loop, &pair->work);
}

void splice_note(struct splice_end *end, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
		end->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		end->finishing = true;
	/* After its FIN there is nothing to read that would tell. */
	if ((events & EPOLLERR) && end->drained)
		end->dead = true;
	if (events & EPOLLPRI)
		end->urgent = true;
	if (events & EPOLLOUT)
		end->writable = true;
}

static void on_pod_ready(struct uplink_watch *watch, uint32_t events)
{
	struct splice_end *end = container_of(watch, struct splice_end, watch);
	struct splice_pair *pair;

	splice_note(end, events);
	pair = container_of(end, struct splice_pair, ends[SPLICE_POD]);
	if (!pair->delayed)
		move(pair);
}

static void on_host_ready(struct uplink_watch *watch, uint32_t events)
{
	struct splice_end *end = container_of(watch, struct splice_end, watch);
	struct splice_pair *pair;

	splice_note(end, events);
	pair = container_of(end, struct splice_pair, ends[SPLICE_HOST]);
	if (!pair->delayed)
		move(pair);
}

static void on_turn(struct uplink_work *work)
{
	struct splice_pair *pair = container_of(work, struct splice_pair, work);
	bool over = pair->closed;

	if (!over && !pair->delayed)
		move(pair);
	/* It may have been woken for a pipe that it has no use for by now. */
	if (!pair->waiting)
		wake_next(pair->splice);
	if (over)
		pair->done(pair);
}

int uplink_splice_watch(struct uplink_splice *splice, struct splice_end *end, int fd,
	void (*ready)(struct uplink_watch *watch, uint32_t events))
{
	const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
	int r = 0;

	if (!end->watched)
		r = uplink_loop_add(splice->loop, fd, events, &end->watch);
	if (r < 0)
		return r;
	end->watched = true;
	end->watch.ready = ready;
	end->fd = fd;
	return 0;
}

int uplink_splice_join(struct uplink_splice *splice, struct splice_pair *pair, int pod, int host,
	void (*done)(struct splice_pair *pair))
{
	int r;

	pair->splice = splice;
	pair->born_ms = uplink_loop_now_ms();
	pair->work.run = on_turn;
	pair->done = done;
	r = uplink_splice_watch(splice, &pair->ends[SPLICE_POD], pod, on_pod_ready);
	if (r < 0)
		return r;
	r = uplink_splice_watch(splice, &pair->ends[SPLICE_HOST], host, on_host_ready);
	if (r < 0) {
		uplink_loop_remove(splice->loop, pod, &pair->ends[SPLICE_POD].watch);
		splice_forget(&pair->ends[SPLICE_POD]);
		return r;
	}
	/* Events of the end that was watched before will not come again. */
	uplink_loop_defer(splice->loop, &pair->work);
	return 0;
}

void uplink_splice_mark_reset(struct splice_pair *pair, int end)
{
	die(&pair->ends[end]);
}

void uplink_splice_cut(struct splice_pair *pair)
{
	close_pair(pair, true);
}

int uplink_splice_new(struct uplink_loop *loop, unsigned pipes_max,
	struct uplink_splice **ret, struct err *err)
{
	struct uplink_splice *splice = calloc(1, sizeof(*splice));
	int r;

	if (!splice)
		return err_oom(err);
	r = uplink_loop_add_timer(loop, 1000, on_timer, splice, &splice->timer, err);
	if (r < 0) {
		free(splice);
		return r;
	}
	splice->loop = loop;
	splice->pipes_max = pipes_max;
	splice->last_waiting = &splice->first_waiting;
	*ret = splice;
	return 0;
}

static void close_idle(struct uplink_splice *splice)
{
	while (splice->idle) {
		struct splice_pipe *pipe = splice->idle;

		splice->idle = pipe->next;
		splice->n_idle--;
		pipe_close(splice, pipe);
	}
}

void uplink_splice_trim(struct uplink_splice *splice)
{
	close_idle(splice);
	/* Perhaps there was no fd or memory for a pipe, and none was in use that could come back. */
	wake_next(splice);
}

void uplink_splice_free(struct uplink_splice *splice)
{
	if (!splice)
		return;
	close_idle(splice);
	sd_event_source_disable_unref(splice->timer);
	free(splice);
}
