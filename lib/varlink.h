/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * varlink's framing (JSON messages that end with a NUL byte) and a small blocking client.
 * Reference: the varlink protocol, "Message format" and "Service interface".
 */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "json.h"

#define VARLINK_MESSAGE_MAX (256 * 1024)
#define VARLINK_INTERFACE "io.podd.Pod"

/* Return: the length of the first message in the buffer without its NUL; -EAGAIN when it is not
 * whole yet, -EMSGSIZE when it can no longer become a valid one. */
int varlink_frame(const char *data, size_t length, size_t *ret_message);

/* A call as the server sees it. */
struct varlink_call {
	struct json *message;           /* owner of the rest */
	const char *method;             /* "io.podd.Pod.Stop" */
	const struct json *parameters;  /* object; NULL when absent */
	bool more;
	bool oneway;
};
int varlink_call_parse(const char *text, size_t length, struct varlink_call *ret, struct err *err);
void varlink_call_done(struct varlink_call *call);

/* Builds messages, NUL included in *ret_length; @parameters are taken over. */
int varlink_write_call(const char *method, struct json *parameters, bool more, char **ret,
	size_t *ret_length);
/* A call that is not answered. */
int varlink_write_oneway(const char *method, struct json *parameters, char **ret,
	size_t *ret_length);
int varlink_write_reply(struct json *parameters, bool continues, char **ret, size_t *ret_length);
int varlink_write_error(const char *name, struct json *parameters, char **ret, size_t *ret_length);

/* ---- client ---- */

struct varlink_client;

/* Connects to <dirfd>/<socket_name>; every later wait ends after @timeout_ms (0: never). */
int varlink_connect(int dirfd, const char *socket_name, unsigned timeout_ms,
	struct varlink_client **ret, struct err *err);
void varlink_client_free(struct varlink_client *client);
/* The next call brings a copy of this fd along, which stays the caller's. */
void varlink_client_pass_fd(struct varlink_client *client, int fd);
CLEANUP_DEFINE(varlink_client, varlink_client_free)

/* Calls and waits for the reply. *ret_fds (FD_PASS_MAX of them, -1 where none) may be NULL.
 * Return: 0, -EREMOTEIO when the service answered with an error (its text in the message, its name
 * to be had from varlink_client_error()), -ETIMEDOUT, -ECONNRESET, -errno. */
int varlink_client_call(struct varlink_client *client, const char *method,
	struct json *parameters, struct json **ret_parameters, int *ret_fds, struct err *err);

/* One call that wants no answer, to <dirfd>/<socket_name>: for who must not wait. Takes the
 * parameters (may be NULL) over. Return: 0 when it was sent, -ENOENT, -ECONNREFUSED, -EAGAIN,
 * -errno. */
int varlink_notify(int dirfd, const char *socket_name, const char *method,
	struct json *parameters);

/* Full name of the error that was the last answer ("io.podd.Pod.Stopping"), or NULL when that was
 * none; valid until the next call. */
const char *varlink_client_error(const struct varlink_client *client);

/* Sends a call with "more"; the replies come by varlink_client_next(). */
int varlink_client_more(struct varlink_client *client, const char *method,
	struct json *parameters, struct err *err);
/* Return: 1 with a reply and more to come, 0 with the last one, -errno. */
int varlink_client_next(struct varlink_client *client, struct json **ret_parameters,
	struct err *err);

/* For waiting on several: the connection's descriptor (-1 once it is given up), and whether a whole
 * reply is there already, so that varlink_client_next() does not wait. */
int varlink_client_fd(const struct varlink_client *client);
bool varlink_client_is_ready(struct varlink_client *client);
