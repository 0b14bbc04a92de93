/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Messages to the log: see uplink-log.h. */

#include "uplink-log.h"

#include <stdio.h>

#include "text.h"
#include "uplink-loop.h"

#define MESSAGES_MAX 10
#define INTERVAL_MS 60000
#define MESSAGE_SIZE 256

void uplink_log_write(struct uplink_log *log, const char *from, const char *message)
{
	int64_t now = uplink_loop_now_ms();
	char text[MESSAGE_SIZE];

	if (log->since_ms == 0 || now - log->since_ms >= INTERVAL_MS) {
		if (log->held_back > 0)
			fprintf(stderr, "podd-uplink: %u more messages from %s\n", log->held_back,
				from);
		log->since_ms = now;
		log->written = log->held_back = 0;
	}
	if (log->written >= MESSAGES_MAX) {
		log->held_back++;
		return;
	}
	log->written++;
	fprintf(stderr, "podd-uplink: %s: %s\n", from, text_sanitize(text, sizeof(text), message));
}
