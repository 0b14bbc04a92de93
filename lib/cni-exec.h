/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside the CNI client: one plugin's file, and one call of it.
 */

#include <stdint.h>

#include "cni.h"

struct cni_plugin {
	const char *type; /* the caller's */
	char *path;
	int fd; /* to execute it by; -1 for a script, which needs its path */
	int root; /* its root directory, in which @path is; 0: the caller's */
};

/* Finds and opens the plugin in the runtime's directories, in order, and checks its mode. Return:
 * 0, -ENOENT, -EACCES (it is there, but is not fit to be executed), -errno. */
int cni_plugin_open(const char *type, const struct cni_runtime *runtime, struct cni_plugin *ret,
	struct err *err);
void cni_plugin_done(struct cni_plugin *plugin);

struct cni_call {
	const char *command; /* CNI_COMMAND */
	const char *args;    /* CNI_ARGS; or NULL */
	const struct cni_runtime *runtime;
	const struct json *request;
	bool has_result; /* else what it prints on success is ignored */
};

/* Runs the plugin. *ret_output is what it printed, NULL when that was nothing. *ret_code is the
 * code in its error object, 0 without one.
 * Return: 0, -EREMOTEIO (it failed: the message has its code, msg, details, the end of stderr),
 * -EPROTO (it should have printed JSON and did not, or printed without end), -ETIMEDOUT, -errno.
 * The message names plugin and command. */
int cni_plugin_call(const struct cni_plugin *plugin, const struct cni_call *call,
	struct json **ret_output, int64_t *ret_code, struct err *err);
