/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Identities of podd's messages in the journal (MESSAGE_ID in systemd.journal-fields(7)): events that
 * podd.catalog explains. A test compares the two.
 */

#include <stddef.h>

static const struct {
	const char *event;      /* as in podctl events */
	const char *id;
	int priority;           /* syslog(3) */
} messages[] = {
	{"started", "5e856b6f663541aa81394cbfc41b315a", 6},
	{"stopping", "521b0e451efb4b5ebbbeb5318c70aa0e", 6},
	{"stopped", "61d867873884416281f24464ae60d341", 6},
	{"failed", "02b424ccdd1c41f9b8a8f6c31a419365", 3},
	{"uplink-restarted", "426bea8f18e649249d0e6893bb4bbea0", 4},
	{"died", "efaad3e965b24cdfb30c6c5513f8055b", 6},
	{"oom", "a80f4e97aa1349329cbea1a0dcaae8b3", 4},
	{"health_status", "67fecb7db7e24dc695ff6382c0996deb", 5},
	{"detach-failed", "9c76e3bd6c2b4bb699e7d5fb8a71f379", 3},
};
