/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The system calls that the uplink may make.
 */

#include "err.h"

/* Installs the filter, for good. Needs: no_new_privs. Return: 0 or -errno. */
int uplink_filter_install(struct err *err);
