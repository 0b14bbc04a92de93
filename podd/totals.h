/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the pod's uplinks have counted in all: a new uplink begins with zeros, and what is shown
 * must not go backwards. traffic.json has what those that have ended had counted when they were
 * last asked; writer: podd.
 */

#include "err.h"
#include "json.h"

#define RECORD_TRAFFIC "traffic.json"

struct pod;
struct totals;

/* Once the pod runs: an adopted one goes on counting, a new one begins. */
int totals_new(struct pod *pod, struct totals **ret, struct err *err);
void totals_free(struct totals *totals);

/* Adds what ended uplinks had to what this one reports. */
void totals_add(struct pod *pod, struct json *stats);
/* What was last known, for the time in which there is no uplink; a copy, or NULL. */
struct json *totals_last(const struct pod *pod);
/* The uplink has ended: what it had is added from now on. Not to be called while the pod stops. */
void totals_uplink_ended(struct pod *pod);
/* The child was removed. */
void totals_forget(struct pod *pod, const char *child);
