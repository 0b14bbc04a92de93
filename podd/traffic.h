/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What podd-uplink reports: counters and connections, as JSON. */

#include "err.h"
#include "json.h"

struct pod;

/* @report is what UPLINK_REPORT has written, checked here: podd-uplink may be in somebody else's
 * hands. Return: 0, -EBADMSG, -errno. */
int traffic_read(const struct pod *pod, int report, struct json **ret_stats,
	struct json **ret_flows, struct err *err);

/* A file for the next report. Return: 0 or -errno. */
int traffic_make_file(int *ret_fd);
