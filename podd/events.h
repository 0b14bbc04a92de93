/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What happens to a pod and its children: written to the pod's events.jsonl, then told to those who
 * asked for it by Events. What happened while there was no podd is told by the next one, as far as
 * the records show it.
 */

#include <stdint.h>

#include "err.h"
#include "json.h"

struct events;
struct pod;

/* Opens the log, before the pod is started: its record still says how it was left. A log that
 * cannot be used is told of, and costs only the past. Return: 0 or -ENOMEM. */
int events_new(struct pod *pod, struct events **ret, struct err *err);
void events_free(struct events *events);

/* Tells what records say and nobody was told. */
void events_catch_up(struct pod *pod);

/* Tells every subscriber. @child may be NULL. */
void events_send(struct pod *pod, const char *type, const char *child);
/* The same with more about it, which is not taken over; or NULL. */
void events_send_with(
	struct pod *pod, const char *type, const char *child, const struct json *attributes);
/* The same for what has that name in a record; one of that name that was told before is passed
 * over. */
void events_send_once(struct pod *pod, const char *type, const char *child,
	const struct json *attributes, const char *record);

/* What answers a new subscriber at once: the number of the last event. */
struct json *events_now(const struct pod *pod);
