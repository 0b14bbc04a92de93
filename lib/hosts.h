/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pod's etc/hosts: localhost, the pod itself, and every attached child with its names. Built
 * from the records alone, so that whoever calls it last makes it right.
 */

#include "err.h"

/* Rewrites <podfd>/etc/hosts in place (children have it bind-mounted). Return: 0 or -errno. */
int hosts_update(int podfd, struct err *err);
