/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What UPLINK_REPORT writes. */

#include "err.h"
#include "uplink-requests.h"

/* Writes struct uplink_report, the counters of all scopes, and all connections to @fd, a file of
 * podd's. Return: 0 or -errno. */
int uplink_report_write(struct uplink *uplink, int fd, struct err *err);
