/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The varlink server on control.sock: connections, framing, quotas. What the methods do is in
 * methods.c. Only the uid that podd runs as, root, and the pod's root are
 * served.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"
#include "varlink.h"

struct pod;
struct server;
struct connection;

/* Quotas on what one user can make podd hold. */
#define SERVER_CONNECTIONS_MAX 128
#define SERVER_OUTPUT_MAX (1024 * 1024)
#define SERVER_LONG_OUTPUT_MAX (16 * 1024 * 1024)

int server_new(struct pod *pod, struct server **ret, struct err *err);
void server_free(struct server *server);

/* Is that uid served: the pod's owner, root, or the pod's root? */
bool server_serves(const struct pod *pod, uid_t uid);

/* Does it come from another user namespace than podd's: from a pod, as a hook does? */
bool connection_is_inside(const struct connection *connection);

/* Replies to the connection's present call; the parameters are taken over. @fds are passed along
 * (and closed by the caller). With @continues more replies follow. Return: 0, or -errno when the
 * connection was closed. */
int connection_reply(struct connection *connection, struct json *parameters, const int *fds,
	size_t n_fds, bool continues);
int connection_error(struct connection *connection, const char *name, struct json *parameters);
/* io.podd.Pod.Failed with the reason. */
int connection_fail(struct connection *connection, const char *reason);

/* The reply comes later; until then no further call of this connection is read. */
void connection_hold(struct connection *connection);

/* For a reply that comes later: the connection may be gone by then (NULL). */
uint64_t connection_serial(const struct connection *connection);
struct connection *server_find(struct server *server, uint64_t serial);

/* The fd that came with the present call, for the caller; -1: none. */
int connection_take_fd(struct connection *connection);

/* A long list is to come: the larger quota holds. */
void connection_expect_much(struct connection *connection);
/* Did the present call allow several replies? */
bool connection_wants_more(const struct connection *connection);

/* The connection gets every event from now on. */
void connection_subscribe(struct connection *connection);

/* Sends the parameters (not taken over) to every subscriber. */
void server_broadcast(struct server *server, const struct json *parameters);

/* Replies to every held Stop call. */
void server_finish_stops(struct server *server, int result);
void connection_wait_for_stop(struct connection *connection);

/* Writes out what is queued, waiting a little: before podd ends. NULL is accepted. */
void server_flush(struct server *server);
