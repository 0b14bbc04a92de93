/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a runtime asks of the hook: arguments, and the OCI state on stdin with its annotations. */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "name.h"
#include "oci.h"
#include "record.h"

/* How long the hook takes at most, from its start on: less than the time-out that its entry in
 * config.json has (podctl bundle), with which a runtime would kill it in the middle. */
#define HOOK_TIME_MS 100000

enum hook_phase {
	HOOK_PRESTART,
	HOOK_CREATE_RUNTIME,
	HOOK_CREATE_CONTAINER,
	HOOK_POSTSTOP,
	HOOK_ATTACH, /* podd's own: a pod goes out by a network of the pod around it, or of the host */
	HOOK_DETACH, /* podd's own: a container or such a pod ended */
	HOOK_CHECK,  /* podctl doctor's: all of a pod */
	HOOK_GC,
};

const char *hook_phase_name(enum hook_phase phase);

struct request {
	enum hook_phase phase;
	int64_t deadline;             /* of all that the hook does, see deadline.h */
	char *root;                   /* of the hierarchy */
	char pod[NAME_PATH_SIZE];     /* "": the host; @child is a pod then */
	char child[NAME_COMPONENT_MAX + 1];
	const char *generation;       /* HOOK_DETACH only */
	struct oci_state state;       /* with HOOK_ATTACH the id only; empty with HOOK_DETACH */
	size_t n_networks;
	struct oci_network networks[RECORD_NETWORKS_MAX];
	char *hostname;
	char **aliases;
	char **publish;
	struct json *capability_args; /* object, or NULL */
};

/* Reads the arguments and, unless it is podd or podctl that asks, stdin. Return: 0, 1 when the help was printed,
 * -EINVAL (with HOOK_USAGE set in *ret_usage when the arguments are at fault), -errno. */
int request_read(int argc, char **argv, struct request *ret, bool *ret_usage, struct err *err);
void request_done(struct request *request);
