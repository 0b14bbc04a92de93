/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What connected clients ask for, and what they are told: between clients.c, lifecycle.c and
 * exec.c. */

#include <systemd/sd-event.h>

#include "clients.h"
#include "exec.h"
#include "lifecycle.h"

struct requests;

extern const struct clients_handler requests_clients_handler;
extern const struct lifecycle_listener requests_lifecycle_listener;

/* The userdata for both. */
int requests_new(sd_event *event, struct requests **ret, struct err *err);
void requests_free(struct requests *requests);

/* Before anything can happen. @starter: who waits for the start, or NULL. */
void requests_connect(struct requests *requests, struct clients *clients,
	struct lifecycle *lifecycle, struct execs *execs);
int requests_set_starter(struct requests *requests, struct client *starter, struct err *err);
