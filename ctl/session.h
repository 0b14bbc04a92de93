/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The client's side of lib/shim.h: a person, or a pipe, on podctl's standard descriptors together
 * with a process in a container, until one of them ends it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"

struct session_options {
	const char *what;         /* the container's path, for messages */
	bool input;               /* stdin goes to the process */
	bool terminal; /* the process has one: its size follows the caller's; with input, the
			* caller's is raw as long as it runs */
	bool proxy;               /* signals go to the process; otherwise they end podctl */
	bool only_start;          /* until SHIM_STARTED, and without a look at signals */
	uint32_t answer;          /* what says that it works: SHIM_STARTED or SHIM_DONE */
	unsigned answer_seconds;  /* how long that may take */
	const char *detach_keys;  /* see detach_parse(); looked for where stdin is a terminal */
};

enum session_end {
	SESSION_EXITED,    /* status is the process's */
	SESSION_DETACHED,  /* by the keys; or it has started, with only_start */
	SESSION_FAILED,    /* the shim says so: status, message */
	SESSION_LOST,      /* the shim has ended without a word; see session_result.answered */
	SESSION_SIGNALLED, /* signal has come for podctl */
};

struct session_result {
	enum session_end end;
	bool answered;
	uint8_t status;
	int signal;
};

struct session;

/* True where the caller's terminal would become raw; then signals are for podctl, unless asked for
 * otherwise. */
bool session_is_raw(bool input, bool terminal);

/* From here on signals wait for session_run(). Return: 0, -EINVAL (the detach keys), -errno. */
int session_new(const struct session_options *options, struct session **ret, struct err *err);
void session_free(struct session *session);
CLEANUP_DEFINE(session, session_free)

/* Sends what shall be known before the process starts (the terminal's size), for a socket that
 * podd-shim is about to get. Return: 0 or -errno. */
int session_prepare(struct session *session, int socket, struct err *err);

/* Return: 0 with *ret, -ETIMEDOUT when no answer came, -errno. */
int session_run(struct session *session, int socket, struct session_result *ret, struct err *err);

/* Says what there is to say about the outcome and gives podctl's exit status; after a signal that
 * was for podctl, it dies by it. */
int session_status(const struct session_options *options, int result,
	const struct session_result *outcome, const struct err *err);
