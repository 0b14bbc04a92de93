/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Calling the OCI runtime (OCI runtime specification, runtime.md, "Operations"; the command line is
 * that of runc(8)), without waiting for it. What it prints is kept for people and never parsed; where
 * the program that it starts has its stderr, the reason of a failure is taken from its --log, whose
 * lines are JSON objects.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "err.h"
#include "place.h"
#include "reaper.h"

/* Bytes of what a runtime says on stderr that are kept: the last ones. */
#define RUNTIME_ERRORS_MAX 1024

struct runtime;
int runtime_new(sd_event *event, struct reaper *reaper, const struct place *place,
	struct runtime **ret, struct err *err);
/* Calls that are under way end with it. */
void runtime_free(struct runtime *runtime);

struct runtime_result {
	bool succeeded;
	bool timed_out;
	char errors[RUNTIME_ERRORS_MAX + 256]; /* for a person: never empty after a failure */
};

/* Everything is borrowed for the time of runtime_call() only, but @errors until done() is called. */
struct runtime_call {
	const char *const *arguments; /* "create", ...; NULL terminated */
	int stdio[3];                 /* -1: /dev/null; for stderr: a pipe for this call, but with
				       * @log /dev/null */
	int errors;                   /* with stdio[2]: where that can be read, non-blocking */
	const char *log;              /* a name in the run directory for its log: stderr is not read */
	unsigned timeout_s;
	void (*done)(void *userdata, const struct runtime_result *result);
	void *userdata;
};
#define RUNTIME_CALL_INIT {.stdio = {-1, -1, -1}, .errors = -1}

/* Return: 0: done() will be called, from the loop; -errno. */
int runtime_call(struct runtime *runtime, const struct runtime_call *call, struct err *err);

/* Calls of @verb that are under way are killed when they take so much longer. */
void runtime_hurry(struct runtime *runtime, const char *verb, unsigned timeout_ms);
