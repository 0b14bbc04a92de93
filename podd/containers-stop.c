/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Stopping containers: see containers.h. It goes in waves, by the order in which they were started,
 * backwards. A wave that does not end in its share of the time is not waited for any more: the next
 * one is asked too.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "containers-internal.h"
#include "fd.h"
#include "hierarchy.h"
#include "pod.h"
#include "shim.h"

#define SECOND_US UINT64_C(1000000)

/* Rounded up: a container's own signal shall have its time. */
static uint32_t seconds_left(const struct containers *containers, uint64_t now)
{
	if (containers->stop_deadline <= now)
		return 0;
	return (uint32_t)((containers->stop_deadline - now + SECOND_US - 1) / SECOND_US);
}

static void ask_to_stop(struct container *container, uint64_t now)
{
	struct containers *containers = container->owner;
	autoclose int childfd = -1;
	int r;

	container->is_asked = true;
	r = hierarchy_open_child(containers->pod->podfd, container->name, false, &childfd, NULL);
	if (r == 0)
		r = fd_connect_unix_now(
			childfd, CONTAINER_SOCKET, SOCK_SEQPACKET, &container->stop_socket);
	if (r == 0)
		r = shim_send(container->stop_socket, SHIM_STOP, SHIM_DEFAULT,
			seconds_left(containers, now), NULL, 0, -1);
	if (r < 0 && container->has_shim)
		fprintf(stderr, "podd: pod %s: asking container %s to stop: %s\n",
			containers->pod->path, container->name, strerror(-r));
}

/* What of the containers that were not asked yet comes first, and how many waves there are still.
 * Return: false when all were asked. */
static bool find_wave(const struct containers *containers, uint64_t *ret_order, unsigned *ret_waves)
{
	uint64_t last = UINT64_MAX;
	unsigned waves = 0;

	for (;;) {
		uint64_t best = 0;
		bool found = false;

		for (size_t i = 0; i < BUCKETS; i++)
			for (struct container *c = containers->buckets[i]; c; c = c->next)
				if (!c->is_asked && c->order < last && c->order >= best) {
					best = c->order;
					found = true;
				}
		if (!found)
			break;
		if (waves++ == 0)
			*ret_order = best;
		last = best;
	}
	*ret_waves = waves;
	return waves > 0;
}

static bool somebody_is_asked(const struct containers *containers)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct container *c = containers->buckets[i]; c; c = c->next)
			if (c->is_asked)
				return true;
	return false;
}

static int on_wave_timeout(sd_event_source *source, uint64_t now, void *userdata);

/* Asks the next ones, and gives them their share of the time that is left. */
static void ask_wave(struct containers *containers)
{
	struct pod *pod = containers->pod;
	uint64_t now = 0, order = 0, left;
	unsigned waves;

	containers->wave_timer = sd_event_source_disable_unref(containers->wave_timer);
	if (!find_wave(containers, &order, &waves))
		return;
	sd_event_now(pod->event, CLOCK_MONOTONIC, &now);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct container *c = containers->buckets[i]; c; c = c->next)
			if (!c->is_asked && c->order == order)
				ask_to_stop(c, now);
	left = containers->stop_deadline > now ? containers->stop_deadline - now : 0;
	sd_event_add_time(pod->event, &containers->wave_timer, CLOCK_MONOTONIC, now + left / waves,
		1000, on_wave_timeout, containers);
}

static int on_wave_timeout(sd_event_source *source, uint64_t now, void *userdata)
{
	ask_wave(userdata);
	return 0;
}

void containers_ask_to_stop(struct container *container)
{
	uint64_t now = 0;

	sd_event_now(container->owner->pod->event, CLOCK_MONOTONIC, &now);
	ask_to_stop(container, now);
}

void containers_next_wave(struct containers *containers)
{
	if (!somebody_is_asked(containers))
		ask_wave(containers);
}

void containers_stop(struct containers *containers, unsigned timeout_s)
{
	uint64_t now = 0;

	sd_event_now(containers->pod->event, CLOCK_MONOTONIC, &now);
	containers->is_stopping = true;
	containers->stop_deadline = now + timeout_s * SECOND_US;
	if (timeout_s > 0) {
		ask_wave(containers);
		return;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct container *c = containers->buckets[i]; c; c = c->next)
			ask_to_stop(c, now);
}

void containers_kill_init(const struct container_state *state)
{
	autoclose int pidfd = -1;

	if (state->init.pid > 0 && proc_open(&state->init, &pidfd) == 0)
		proc_signal(pidfd, SIGKILL);
}

void containers_kill(struct containers *containers)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct container *c = containers->buckets[i]; c; c = c->next) {
			cleanup(container_state_done) struct container_state state = {};
			autoclose int childfd = -1;

			if (hierarchy_open_child(containers->pod->podfd, c->name, false, &childfd,
				    NULL) == 0 &&
				container_state_load(childfd, &state, NULL) == 0)
				containers_kill_init(&state);
		}
	}
}
