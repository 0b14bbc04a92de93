/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What happens to a pod and its children, told to those who asked for it by Events. */

#include "err.h"
#include "json.h"

struct pod;

/* Tells every subscriber. @child may be NULL. */
void events_send(struct pod *pod, const char *type, const char *child);
/* The same with more about it, which is not taken over; or NULL. */
void events_send_with(struct pod *pod, const char *type, const char *child,
	const struct json *attributes);

/* The parameters of one event. */
struct json *events_new(const struct pod *pod, const char *type, const char *child);
