/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside the CNI client: what is asked for one attachment, as CNI_ARGS and as capability
 * arguments.
 */

#include "cni-config.h"

struct cni_args {
	struct json *pairs;	   /* [["IP", "10.88.0.9"], ...], as libcni keeps them */
	char *text;		   /* the same as CNI_ARGS; empty without any */
	struct json *capabilities; /* object */
};

/* From what the caller asks for; where the caller leaves something out, from the cache entry of
 * the attachment (which may be NULL), so that DEL and CHECK get what ADD got. Return: 0, -EINVAL,
 * -ENOMEM. */
int cni_args_init(struct cni_args *args, const struct cni_config *config,
	const struct cni_runtime *runtime, const struct json *cached, struct err *err);
void cni_args_done(struct cni_args *args);
