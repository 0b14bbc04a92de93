/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Joining a container that runs, for the verbs attach and start. */

#include <stdbool.h>
#include <stdint.h>

#include "start.h"
#include "target.h"

struct attach {
	bool input;      /* stdin goes there, when the container keeps one open */
	bool sig_proxy;
	const char *detach_keys;
};

/* What attaching to it means: @ret_streams of SHIM_STREAM_*, for a start as well. */
int attach_prepare(const struct target *target, const struct attach *attach,
	struct session_options *ret, uint32_t *ret_streams, struct err *err);

/* Return: podctl's exit status. */
int attach_container(const struct target *target, const struct attach *attach);

/* Starts a container and joins it from its first byte on; one that runs is joined as it is.
 * Return: podctl's exit status. */
int attach_and_start(const struct ctl *ctl, const struct target *target,
	const struct attach *attach);
