/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The data path of the uplink: libslirp between the pod's tap and the host's sockets.
 *
 * A turn of the loop:
 *
 *   1. take up to BATCH_FRAMES from the tap, one read(2) each; those that uplink-gate.c lets pass
 *      go straight into libslirp, which sends the payload on at once; the acknowledgements follow
 *      when the tap is empty (uplink-acks.c). They make the pod's kernel put the next segments
 *      into the tap before write(2) returns;
 *   2. if libslirp has done anything since, let it say which sockets it waits for and until when;
 *   3. wait for these and for everything else (uplink-loop.c); a pod whose TCP goes past libslirp
 *      has none of these, and one epoll_wait(2) is all;
 *   4. let libslirp read and write the sockets that are ready.
 *
 * The tap is read only when poll(2) said so or when frames were written to it since it was last
 * empty: otherwise nothing new can be there that is worth a system call.
 *
 * A frame that the tap does not take is dropped and counted. Holding one back would only help
 * when the tap is full, and a tap is not: the kernel handles a written frame before write(2)
 * returns. What fails is memory or an interface that is down, and TCP sends again anyway.
 *
 * Everything from the tap is hostile: it is the pod's root who writes it. This file looks at
 * addresses only (uplink-frame.c); parsing is libslirp's business. It owns the tap's fd.
 * It must not allocate for a packet, block outside poll(2), or touch files.
 *
 * System calls: read, write, close, fcntl[1 == F_GETFL],
 *   fcntl[1 == F_SETFL].
 */

#include "uplink-slirp.h"

#include <errno.h>
#include <glib.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <slirp/libslirp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>

#include "fd.h"
#include "text.h"
#include "trim.h"
#include "uplink-acks.h"
#include "uplink-frame.h"
#include "uplink-log.h"
#include "uplink-neighbour.h"
#include "uplink-polls.h"

#define MTU_MIN 1280
#define MTU_MAX 65520

/* libslirp's windows are 65535 bytes and Linux sends no more than half a window in one segment.
 * This is the segment size of which a window holds two with nothing to speak of left over: with
 * the 32768 that libslirp would use for itself, every fifth segment carries two bytes. */
#define TCP_SEGMENT_MAX 32767
#define TCP_HEADERS 40

/* Frames that are taken from the tap before the sockets get their turn: enough to make polling
 * free, few enough that a bulk sender delays the others by no more than a few milliseconds. */
#define BATCH_FRAMES 32
/* With an 802.1Q tag. libslirp drops those, but they must not be truncated into something else. */
#define FRAME_MAX (MTU_MAX + ETH_HLEN + 4)

/* libslirp is called this often. After so many calls without a packet, the memory that the last
 * ones needed is given back, and the calls end. */
#define TICK_MS 1000
#define QUIET_TICKS 5

#define TIMER_ACCURACY_US 10000


struct uplink_slirp {
	Slirp *slirp;
	sd_event *event;
	struct uplink_loop *loop;
	struct uplink_gate *gate;
	struct uplink_watch tap_watch;
	int tap;
	bool gone;	      /* the tap went with its netns */
	bool tap_ready;	      /* the tap may have a frame */
	bool taking;	      /* frames are being taken from the tap: acknowledgements wait */
	bool neighbour_seen;  /* since packets were last sent that wait for an address */
	bool stale;	      /* libslirp has to be asked for its sockets again */
	bool nothing_due;     /* as far as libslirp is concerned */
	int64_t due_ns;	      /* libslirp wants to be called then */
	unsigned quiet_ticks; /* since the last packet, up to QUIET_TICKS */
	struct uplink_polls polls; /* the loop, and libslirp's sockets */
	uint8_t mac[ETH_ALEN]; /* the tap's */
	struct uplink_neighbours questions;
	struct uplink_log log;
	struct uplink_acks acks;
	uint8_t frame[FRAME_MAX];
};

struct timer {
	struct uplink_slirp *uplink;
	sd_event_source *source;
	SlirpTimerId id;
	SlirpTimerCb callback; /* NULL: slirp_handle_timer() with @id */
	void *opaque;
};

/* ---- what libslirp calls ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int64_t on_clock_get_ns(void *opaque)
{
	return now_ns();
}

void uplink_slirp_write(struct uplink_slirp *uplink, const void *data, size_t length)
{
	ssize_t n;

	do {
		n = write(uplink->tap, data, length);
	} while (n < 0 && errno == EINTR);
	uplink_gate_sent(uplink->gate, data, length, n >= 0);
	uplink->tap_ready |= n >= 0;
}

void uplink_slirp_input(struct uplink_slirp *uplink, const void *data, size_t length)
{
	slirp_input(uplink->slirp, data, (int)length);
	uplink->stale = true;
}

static void write_acks(struct uplink_slirp *uplink)
{
	for (size_t i = 0; i < uplink->acks.n; i++)
		uplink_slirp_write(uplink, uplink->acks.held[i].frame, uplink->acks.held[i].length);
	uplink->acks.n = 0;
}

/* libslirp logs every error that it is told, so it is told none: dropping is no error to it. */
static ssize_t on_send_packet(const void *data, size_t length, void *opaque)
{
	struct uplink_slirp *uplink = opaque;

	/* The answer waits until libslirp has returned. */
	if (uplink_neighbours_ask(&uplink->questions, data, length, uplink->mac))
		return (ssize_t)length;
	if (uplink->taking && uplink_acks_hold(&uplink->acks, data, length))
		return (ssize_t)length;
	write_acks(uplink);
	uplink_slirp_write(uplink, data, length);
	return (ssize_t)length;
}

static void log_message(struct uplink_slirp *uplink, const char *message)
{
	uplink_log_write(&uplink->log, "libslirp", message);
}

static void on_guest_error(const char *message, void *opaque)
{
	log_message(opaque, message);
}

/* What libslirp says by itself goes through glib, some of it for each packet of a kind. */
static void on_glib_message(
	const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer opaque)
{
	log_message(opaque, message);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *opaque)
{
	struct timer *timer = opaque;

	timer->uplink->stale = true;
	uplink_loop_timers_changed(timer->uplink->loop);
	if (timer->callback)
		timer->callback(timer->opaque);
	else
		slirp_handle_timer(timer->uplink->slirp, timer->id, timer->opaque);
	return 0;
}

static void *timer_new(
	struct uplink_slirp *uplink, SlirpTimerId id, SlirpTimerCb callback, void *callback_opaque)
{
	struct timer *timer = calloc(1, sizeof(*timer));

	/* libslirp has no way to hear of this, and does not check; there is one timer a pod. */
	if (!timer)
		abort();
	timer->uplink = uplink;
	timer->id = id;
	timer->callback = callback;
	timer->opaque = callback_opaque;
	if (sd_event_add_time(uplink->event, &timer->source, CLOCK_MONOTONIC, UINT64_MAX,
		    TIMER_ACCURACY_US, on_timer, timer) < 0 ||
		sd_event_source_set_enabled(timer->source, SD_EVENT_OFF) < 0)
		abort();
	return timer;
}

static void *on_timer_new(SlirpTimerCb callback, void *callback_opaque, void *opaque)
{
	return timer_new(opaque, SLIRP_TIMER_NUM, callback, callback_opaque);
}

static void *on_timer_new_opaque(SlirpTimerId id, void *callback_opaque, void *opaque)
{
	return timer_new(opaque, id, NULL, callback_opaque);
}

static void on_timer_free(void *pointer, void *opaque)
{
	struct timer *timer = pointer;

	if (!timer)
		return;
	sd_event_source_disable_unref(timer->source);
	free(timer);
}

static void on_timer_mod(void *pointer, int64_t expire_ms, void *opaque)
{
	struct uplink_slirp *uplink = opaque;
	struct timer *timer = pointer;
	uint64_t expire_us = expire_ms > 0 ? (uint64_t)expire_ms * 1000 : 0;

	if (sd_event_source_set_time(timer->source, expire_us) < 0 ||
		sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT) < 0)
		fprintf(stderr, "podd-uplink: could not set a timer of libslirp's\n");
	uplink_loop_timers_changed(uplink->loop);
}

static void on_register_poll_fd(int fd, void *opaque)
{
	struct uplink_slirp *uplink = opaque;

	uplink_polls_born(&uplink->polls);
}

static void on_unregister_poll_fd(int fd, void *opaque)
{
	struct uplink_slirp *uplink = opaque;

	uplink_polls_died(&uplink->polls);
}

/* A buffer has room again. libslirp is asked for its sockets before every wait, which sees it;
 * a turn that is under way must only not sleep on an older answer, and none does. */
static void on_notify(void *opaque)
{
}

static void on_init_completed(Slirp *slirp, void *opaque)
{
	struct uplink_slirp *uplink = opaque;

	uplink->slirp = slirp;
}

static const SlirpCb callbacks = {
	.send_packet = on_send_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = on_clock_get_ns,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_register_poll_fd,
	.unregister_poll_fd = on_unregister_poll_fd,
	.notify = on_notify,
	.init_completed = on_init_completed,
	.timer_new_opaque = on_timer_new_opaque,
};

/* ---- start and end ---- */

static int check_config(const struct uplink_config *config, struct err *err)
{
	if (config->mtu < MTU_MIN || config->mtu > MTU_MAX)
		return err_set(err, -EINVAL, "the tap's MTU is %u: it must be %d to %d",
			config->mtu, MTU_MIN, MTU_MAX);
	if (config->prefix4 < 8 || config->prefix4 > 30)
		return err_set(err, -EINVAL, "the IPv4 prefix length is %u: it must be 8 to 30",
			config->prefix4);
	if (config->ipv6 && config->prefix6 != 64)
		return err_set(err, -EINVAL, "the IPv6 prefix length is %u: libslirp needs 64",
			config->prefix6);
	return 0;
}

static SlirpConfig make_config(const struct uplink_config *config)
{
	const unsigned segment = TCP_SEGMENT_MAX + TCP_HEADERS;

	return (SlirpConfig){
		.version = 4,
		.in_enabled = true,
		.vnetwork = config->network4,
		.vnetmask.s_addr = htonl(UINT32_MAX << (32 - config->prefix4)),
		.vhost = config->gateway4,
		.vdhcp_start = config->self4,
		.vnameserver = config->dns4,
		.in6_enabled = config->ipv6,
		.vprefix_addr6 = config->network6,
		.vprefix_len = (uint8_t)config->prefix6,
		.vhost6 = config->gateway6,
		.vnameserver6 = config->dns6,
		.if_mtu = config->mtu,
		/* libslirp uses it for the size of TCP segments only. */
		.if_mru = config->mtu < segment ? config->mtu : segment,
		.disable_host_loopback = !config->host_loopback,
	};
}

static int check_tap(int tap, uint8_t ret_mac[ETH_ALEN], struct err *err)
{
	struct ifreq request = {};
	int r;

	if (ioctl(tap, TUNGETIFF, &request) < 0)
		return err_errno(err, "what came with the configuration is no tap");
	if ((request.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) != (IFF_TAP | IFF_NO_PI))
		return err_set(err, -EBADFD, "the tap must have plain Ethernet frames");
	if (ioctl(tap, SIOCGIFHWADDR, &request) < 0)
		return err_errno(err, "cannot read the tap's hardware address");
	memcpy(ret_mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	r = fd_set_nonblock(tap);
	if (r < 0)
		return err_set(err, r, "cannot make the tap non-blocking: %s", strerror(-r));
	return 0;
}

static void on_tap(struct uplink_watch *watch, uint32_t events)
{
	struct uplink_slirp *uplink = container_of(watch, struct uplink_slirp, tap_watch);

	uplink->gone |= (events & (EPOLLERR | EPOLLHUP)) != 0;
	uplink->tap_ready = true;
	uplink->quiet_ticks = 0;
}

int uplink_slirp_new(sd_event *event, struct uplink_loop *loop, struct uplink_gate *gate, int tap,
	const struct uplink_config *config, struct uplink_slirp **ret, struct err *err)
{
	autoptr(uplink_slirp) uplink = NULL;
	SlirpConfig slirp_config;
	uint8_t mac[ETH_ALEN];
	int r;

	r = check_config(config, err);
	if (r < 0)
		return r;
	r = check_tap(tap, mac, err);
	if (r < 0)
		return r;
	uplink = calloc(1, sizeof(*uplink));
	if (!uplink)
		return err_oom(err);
	uplink->tap = -1;
	uplink->event = sd_event_ref(event);
	uplink->loop = loop;
	uplink->gate = gate;
	memcpy(uplink->mac, mac, sizeof(uplink->mac));
	if (uplink_polls_init(&uplink->polls, uplink_loop_fd(loop)) < 0)
		return err_oom(err);
	g_log_set_default_handler(on_glib_message, uplink);
	slirp_config = make_config(config);
	uplink->slirp = slirp_new(&slirp_config, &callbacks, uplink);
	if (!uplink->slirp)
		return err_set(err, -EINVAL, "libslirp %s refuses the configuration",
			slirp_version_string());
	uplink->tap_watch.ready = on_tap;
	r = uplink_loop_add(loop, tap, EPOLLIN | EPOLLET, &uplink->tap_watch);
	if (r < 0)
		return err_set(err, r, "cannot watch the tap: %s", strerror(-r));
	uplink->tap = tap;
	uplink->tap_ready = true;
	uplink->stale = true;
	*ret = take_ptr(uplink);
	return 0;
}

void uplink_slirp_free(struct uplink_slirp *uplink)
{
	if (!uplink)
		return;
	if (uplink->slirp)
		slirp_cleanup(uplink->slirp);
	g_log_set_default_handler(g_log_default_handler, NULL);
	if (uplink->tap >= 0) {
		uplink_loop_remove(uplink->loop, uplink->tap, &uplink->tap_watch);
		close(uplink->tap);
	}
	sd_event_unref(uplink->event);
	uplink_polls_done(&uplink->polls);
	free(uplink);
}

/* ---- the loop ---- */

/* Return: 0, UPLINK_SLIRP_GONE, -errno. */
static int read_frames(struct uplink_slirp *uplink)
{
	for (unsigned i = 0; i < BATCH_FRAMES; i++) {
		ssize_t n = read(uplink->tap, uplink->frame, sizeof(uplink->frame));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			uplink->tap_ready = false;
			return 0;
		}
		if (n < 0)
			return errno == EBADFD ? UPLINK_SLIRP_GONE : -errno;
		if (uplink_gate_pass(uplink->gate, uplink->frame, (size_t)n))
			slirp_input(uplink->slirp, uplink->frame, (int)n);
		uplink->neighbour_seen |= uplink_frame_is_of_neighbour(uplink->frame, (size_t)n);
	}
	return 0;
}

static int on_no_revents(int index, void *opaque)
{
	return 0;
}

/* What libslirp could not send for want of a hardware address waits, for a second at most, until
 * it looks at its sockets; that may be later than a second. */
static void send_waiting(struct uplink_slirp *uplink)
{
	uplink->neighbour_seen = false;
	slirp_pollfds_poll(uplink->slirp, 0, on_no_revents, uplink);
}

static void answer_questions(struct uplink_slirp *uplink)
{
	for (unsigned i = 0; i < uplink->questions.n; i++)
		slirp_input(uplink->slirp, uplink->questions.answers[i].frame,
			(int)uplink->questions.answers[i].length);
	uplink->questions.n = 0;
}

/* What waits for an answer is sent, which may ask for the next one. */
static void settle(struct uplink_slirp *uplink)
{
	for (unsigned i = 0; uplink->questions.n > 0 && i < UPLINK_QUESTIONS_MAX; i++) {
		answer_questions(uplink);
		send_waiting(uplink);
	}
	if (uplink->neighbour_seen)
		send_waiting(uplink);
}

static int take_frames(struct uplink_slirp *uplink)
{
	int r;

	uplink->stale = true;
	uplink->taking = true;
	r = read_frames(uplink);
	uplink->taking = false;
	uplink_gate_pause(uplink->gate);
	write_acks(uplink);
	settle(uplink);
	return r;
}

static int on_add_poll(int fd, int events, void *opaque)
{
	struct uplink_slirp *uplink = opaque;

	return uplink_polls_add(&uplink->polls, fd, events);
}

static int on_get_revents(int index, void *opaque)
{
	const struct uplink_slirp *uplink = opaque;

	return uplink_polls_events(&uplink->polls, index);
}

/* After a wait in which nothing came, and in which libslirp had nothing to do either. */
static void count_quiet(struct uplink_slirp *uplink)
{
	if (uplink->quiet_ticks < QUIET_TICKS && ++uplink->quiet_ticks == QUIET_TICKS)
		trim_memory();
}

/* libslirp is told that the wait is TICK_MS and shortens it when something is due sooner. If it
 * does not, and has no socket either, it only wants to be called now and then; a pod that has been
 * quiet for a while needs not even that, and sleeps until something comes. */
static void ask_slirp(struct uplink_slirp *uplink)
{
	uint32_t timeout = TICK_MS;

	uplink->stale = false;
	uplink_polls_clear(&uplink->polls);
	slirp_pollfds_fill(uplink->slirp, &timeout, on_add_poll, uplink);
	uplink->nothing_due = timeout >= TICK_MS && uplink_polls_are_empty(&uplink->polls);
	uplink->due_ns = now_ns() + timeout * 1000000LL;
}

static void run_slirp(struct uplink_slirp *uplink, bool error)
{
	slirp_pollfds_poll(uplink->slirp, error, on_get_revents, uplink);
	settle(uplink);
	uplink->stale = true;
}

static int milliseconds_left(const struct uplink_slirp *uplink)
{
	int64_t left = uplink->due_ns - now_ns();

	if (uplink->nothing_due && uplink->quiet_ticks == QUIET_TICKS)
		return -1;
	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* Only the loop is waited for: no socket of libslirp's is open. */
static int wait_for_loop(struct uplink_slirp *uplink, int timeout)
{
	int n = uplink_loop_turn(uplink->loop, timeout);

	if (n < 0)
		return n;
	if (timeout < 0 || now_ns() < uplink->due_ns)
		return 0;
	if (n == 0 && uplink->nothing_due)
		count_quiet(uplink);
	run_slirp(uplink, false);
	return 0;
}

static int wait_for_all(struct uplink_slirp *uplink, int timeout)
{
	int n = uplink_polls_wait(&uplink->polls, timeout);
	bool loop_ready = n > 0 && uplink_polls_own_is_ready(&uplink->polls);
	int r = 0;

	if (n < 0 && errno != EINTR)
		return -errno;
	if (n > 0)
		uplink->quiet_ticks = 0;
	if (n - loop_ready != 0 || now_ns() >= uplink->due_ns)
		run_slirp(uplink, n < 0);
	if (loop_ready || uplink_loop_busy(uplink->loop))
		r = uplink_loop_turn(uplink->loop, 0);
	return r < 0 ? r : 0;
}

int uplink_slirp_turn(struct uplink_slirp *uplink)
{
	int timeout, r;

	if (uplink->tap_ready) {
		r = take_frames(uplink);
		if (r != 0)
			return r;
	}
	if (uplink->stale)
		ask_slirp(uplink);
	timeout = uplink->tap_ready || uplink_loop_busy(uplink->loop) ? 0 :
									milliseconds_left(uplink);
	r = uplink_polls_are_empty(&uplink->polls) ? wait_for_loop(uplink, timeout)
						   : wait_for_all(uplink, timeout);
	return r < 0 ? r : uplink->gone ? UPLINK_SLIRP_GONE : 0;
}

const uint8_t *uplink_slirp_mac(const struct uplink_slirp *uplink)
{
	return uplink->mac;
}
