/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Processes beside the container's first one: RUNTIME exec starts them and ends, then they are the
 * shim's children (see reaper.h), which waits for them and serves their streams.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "err.h"
#include "json.h"
#include "place.h"
#include "reaper.h"
#include "runtime.h"
#include "streams.h"

/* Processes at once, health checks included. */
#define EXECS_MAX 128

struct execs;
struct exec;

int execs_new(sd_event *event, const struct place *place, struct reaper *reaper,
	struct runtime *runtime, struct execs **ret, struct err *err);
void execs_free(struct execs *execs);

/* After failed() or ended() the struct exec is gone. */
struct exec_handler {
	void (*started)(void *userdata, pid_t pid);
	/* 125: the runtime failed, 126: not runnable, 127: not found. */
	void (*failed)(void *userdata, int status, const char *reason);
	void (*output)(void *userdata, bool is_stderr, const char *data, size_t length);
	void (*writable)(void *userdata);
	/* All output was handed on. @status as a shell has it. */
	void (*ended)(void *userdata, int status);
};

struct exec_request {
	int process;       /* a file with the "process"; owned from exec_start() on */
	pid_t init;        /* the container's first process */
	bool terminal;
	bool interactive;
	bool detached;     /* no streams */
};

int exec_start(struct execs *execs, const struct exec_request *request,
	const struct exec_handler *handler, void *userdata, struct exec **ret, struct err *err);

/* NULL when it is detached. */
struct streams *exec_streams(const struct exec *exec);
/* Return: 0, -ESRCH when it does not run yet, -errno. */
int exec_signal(const struct exec *exec, int number);
/* Nobody listens any more: its input ends, a terminal hangs up, and output is thrown away. */
void exec_disown(struct exec *exec);

/* A file with a "process" made from that of the bundle, with other arguments and without a
 * terminal. */
int exec_process_file(const struct place *place, char *const *arguments, int *ret, struct err *err);
