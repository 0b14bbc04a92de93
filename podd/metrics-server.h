/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * metrics.sock in the pod's directory: GET /metrics by HTTP, for those whom control.sock serves. A
 * connection is one request and one answer, and has a deadline for each.
 */

#include "err.h"

struct pod;
struct metrics_server;

#define METRICS_SOCKET "metrics.sock"
#define METRICS_CONNECTIONS_MAX 16

int metrics_server_new(struct pod *pod, struct metrics_server **ret, struct err *err);
void metrics_server_free(struct metrics_server *server);
