/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Connections: who is let in, receiving messages, and sending without ever waiting. What messages
 * mean is in requests.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "err.h"
#include "place.h"
#include "shim.h"

struct clients;
struct client;

struct clients_handler {
	/* @fd came with the message, or is -1; who keeps it sets it to -1. */
	void (*message)(struct client *client, const struct shim_message *message, int *fd);
	/* Everything that waited was sent. */
	void (*drained)(struct client *client);
	/* The connection ended; client_data() is the handler's to free. */
	void (*closed)(struct client *client);
	/* Output for all shall wait, or may come again. */
	void (*hold)(void *userdata, bool held);
};

int clients_new(sd_event *event, const struct place *place, const struct clients_handler *handler,
	void *userdata, struct clients **ret, struct err *err);
void clients_free(struct clients *clients);

/* Serves shim.sock from now on. */
int clients_listen(struct clients *clients, struct err *err);
/* No more connections; the socket is removed. */
void clients_unlisten(struct clients *clients);

/* Serves a connection that is there already; it is owned from then, also after a failure. */
int clients_add(struct clients *clients, int fd, struct client **ret, struct err *err);

/* To look at all of them: @function may close the one that it is given. */
void clients_each(struct clients *clients, void (*function)(struct client *client, void *argument),
	void *argument);
bool clients_is_empty(const struct clients *clients);

/* What belongs to the handler; and to whom the client belongs. */
void *client_data(const struct client *client);
void client_set_data(struct client *client, void *data);
void *client_owner(const struct client *client);

/* Sends, or keeps until there is room. What does not fit any more is dropped, and the client is told
 * with SHIM_LOST when it can be. */
void client_send(struct client *client, uint32_t type, uint32_t a, uint32_t b, const void *data,
	size_t length);
/* As client_send(), for output of the container that others see too. */
void client_send_output(struct client *client, uint32_t type, const void *data, size_t length);
/* True when something waits to be sent. */
bool client_is_behind(const struct client *client);

/* Whether messages are received from it. */
void client_listen(struct client *client, bool listen);

/* One that came when there were too many: it may ask for little. */
bool client_is_extra(const struct client *client);

/* From now on it is closed when it takes nothing for some seconds. */
void client_hurry(struct client *client);

/* Nothing more is said to it: it is closed when everything was sent, or when it takes nothing for
 * some seconds. */
void client_end(struct client *client);
