/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Where podctl events has its events from: each pod's supervisor, its log, and while there is no
 * supervisor its records. Each event comes once.
 */

#include <stdbool.h>

#include "ctl.h"

struct event_sources;

typedef void (*event_sources_tell)(void *userdata, const struct json *event);

/* Of these pods and those in them; @pods NULL: of all. Return: 0 or -errno. */
int event_sources_new(const struct ctl *ctl, char *const *pods, event_sources_tell tell,
	void *userdata, struct event_sources **ret, struct err *err);
void event_sources_free(struct event_sources *sources);

/* Begins to listen; with @replay tells what has happened before, by its times. Return: 0 or -errno.
 */
int event_sources_begin(struct event_sources *sources, bool replay, struct err *err);

/* Waits, at most @timeout_ms (-1: without end), and tells what came. Return: 1 to go on, 0 when the
 * time is over or nobody reads the standard output, -errno. */
int event_sources_step(struct event_sources *sources, int timeout_ms, struct err *err);
