/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What podctl, podd and podd-shim say to each other, over a SOCK_SEQPACKET socket: shim.sock in the
 * container's directory, or the socket pair whose one end podctl gives the shim that it starts.
 * Each message is a struct shim_header and at most SHIM_DATA_MAX bytes after it. Only the uid that
 * made the pod, root and the pod's root are served.
 *
 * The connection that podd-shim is started with gets SHIM_STARTED or SHIM_ERROR when that is
 * decided, and is served like any other from its first message on: one that wants all of the output
 * sends SHIM_ATTACH before it waits for SHIM_STARTED.
 *
 * A connection that sent SHIM_EXEC belongs to that process in the container: SHIM_STDIN,
 * SHIM_RESIZE, SHIM_SIGNAL are for it, the output and SHIM_EXIT are its.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "record.h"

/* podd-shim --root ROOT --pod PATH --name NAME --order N: fds that it starts with; 0 is /dev/null,
 * 1 and 2 are shim.log. With --reap it removes what a killed shim left, and ends. */
#define SHIM_FD_CLIENT 3

#define SHIM_DATA_MAX (32 * 1024)
#define SHIM_CLIENTS_MAX 64
/* For SHIM_STOP: what the container's specification says. */
#define SHIM_DEFAULT UINT32_MAX

enum shim_type {
	/* ---- to podd-shim ---- */
	SHIM_ATTACH = 1, /* a: SHIM_STREAM_*; from now on the output comes. Who has no stdin in a
			  * neither writes to the container nor sizes its terminal */
	SHIM_STDIN,      /* data; without data: the end of the input */
	SHIM_RESIZE,     /* a: rows, b: columns; of the terminal. The latest connection that sent one
			  * has the say while it lasts */
	SHIM_SIGNAL,     /* a: number. Answered by SHIM_DONE or SHIM_ERROR */
	SHIM_STOP,       /* a: signal, b: seconds until SIGKILL (both may be SHIM_DEFAULT). SHIM_DONE
			  * comes when the container has ended and everything of its run is gone */
	SHIM_WAIT,       /* SHIM_EXIT shall come at the end of this run; implied by SHIM_ATTACH */
	SHIM_EXEC,       /* a: SHIM_EXEC_*; with the message comes one fd: a file with the "process" of
			  * the OCI runtime specification. Answered by SHIM_STARTED or SHIM_ERROR, then as
			  * if attached with all streams, and SHIM_EXIT */
	SHIM_PING,       /* answered by SHIM_DONE */

	/* ---- from podd-shim ---- */
	SHIM_STARTED = 64, /* a: pid, as the host sees it */
	SHIM_STDOUT,	   /* data; with a terminal everything is this */
	SHIM_STDERR,	   /* data */
	SHIM_EXIT,  /* a: status 0 to 255, b: SHIM_EXIT_*. Comes after all output. Unless b has
		     * SHIM_EXIT_RESTARTS, everything of the run is gone by then, and nothing more
		     * comes */
	SHIM_ERROR, /* a: 125, 126 or 127; data: the reason, for a person. As the answer to
		     * SHIM_EXEC or a start, nothing more comes */
	SHIM_DONE,
	SHIM_LOST, /* data: why no more output comes to this connection (it did not read, and the
		    * disk is full) */
};

#define SHIM_STREAM_STDIN 1
#define SHIM_STREAM_STDOUT 2
#define SHIM_STREAM_STDERR 4

#define SHIM_EXEC_TERMINAL 1    /* as the "terminal" of the process says */
#define SHIM_EXEC_INTERACTIVE 2 /* stdin comes from here; otherwise it is /dev/null */
#define SHIM_EXEC_DETACHED 4    /* stdio is /dev/null; nothing comes after SHIM_STARTED */

#define SHIM_EXIT_OOM 1
#define SHIM_EXIT_UNKNOWN 2
#define SHIM_EXIT_RESTARTS 4

struct shim_header {
	uint32_t type;
	uint32_t a;
	uint32_t b;
};

struct shim_message {
	struct shim_header header;
	size_t length;
	uint8_t data[SHIM_DATA_MAX + 1]; /* followed by a NUL */
};

/* Sends one message; @fd (or -1) goes along. Return: 0, -EAGAIN (a non-blocking socket is full),
 * -EPIPE, -errno. */
int shim_send(int socket, uint32_t type, uint32_t a, uint32_t b, const void *data, size_t length,
	int fd);

/* Receives one message; *ret_fd (may be NULL: fds are closed) is the fd that came, or -1. Return:
 * 1, 0 at the end, -EBADMSG for what is no message (too short or cut), -EAGAIN, -errno. */
int shim_receive(int socket, struct shim_message *ret, int *ret_fd);

/* Starts podd-shim in the user and mount namespaces of a running pod, in a session of its own. */
struct shim_launch {
	const char *root;               /* of the hierarchy */
	const char *pod;
	const char *name;
	const struct pod_state *state;  /* of the pod */
	int podfd;
	uint64_t order;
	bool reap;
	int client;                     /* becomes SHIM_FD_CLIENT; -1: none. Stays open here */
};
/* The session keyring of shims that are launched when the user's quota of keys is nearly used up:
 * none of their caller's keys are theirs. */
#define SHIM_KEYRING "podd"

/* The shim is a child of the caller. What keeps it from being executed comes as SHIM_ERROR to the
 * client, and in shim.log. Return: 0 or -errno. */
int shim_launch(const struct shim_launch *launch, pid_t *ret_pid, struct err *err);

/* Connects to the shim of the container in @childfd; waits at most two seconds, also to send later.
 * Return: 0, -ESRCH when it has none, -errno. */
int shim_connect(int childfd, int *ret_socket, struct err *err);
