/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Messages to the log that the pod can cause: so many at most within some time. */

#include <stdint.h>

struct uplink_log {
	int64_t since_ms;
	unsigned written;
	unsigned held_back;
};

/* @message may have anything in it. */
void uplink_log_write(struct uplink_log *log, const char *from, const char *message);
