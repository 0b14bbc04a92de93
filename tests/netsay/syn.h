/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* A server that takes no connection in until a line comes, and the client that asks it twice: what
 * "netsay full" and "netsay patient" do (netsay.c). Return: an exit status. */
int syn_full(const char *address, uint16_t port);
int syn_patient(const char *address, uint16_t port);
