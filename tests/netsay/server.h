/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* Serves every scenario on the port and those beside it (scenario.h), on all addresses ("::") or on
 * one. What each connection's side saw is kept in files below @directory until the client asks.
 * Says "ready" on standard output when it listens. Return: only when it cannot. */
int server_run(const char *address, uint16_t port, const char *directory);
