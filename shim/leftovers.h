/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Processes of a container without a pid namespace of its own: those in its mount namespace. */

#include "ns.h"

/* SIGKILL to all of them. Return: how many there were. */
unsigned leftovers_kill(const struct ns_id *mounts);
