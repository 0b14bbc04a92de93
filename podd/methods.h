/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The methods of io.podd.Pod and org.varlink.service. */

#include "server.h"
#include "varlink.h"

/* Carries out one call and replies, now or later. */
void methods_dispatch(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
