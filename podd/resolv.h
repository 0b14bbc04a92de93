/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Follows the host's /etc/resolv.conf, which may be a link and may be replaced. */

#include <systemd/sd-event.h>

#include "err.h"

struct resolv;

/* Calls @changed from the loop after the file changed. */
int resolv_watch(sd_event *event, void (*changed)(void *userdata), void *userdata,
	struct resolv **ret, struct err *err);
void resolv_free(struct resolv *resolv);

/* The nameserver lines of the host's file, for libslirp. Allocated, at most @max bytes. A file
 * that is missing or empty gives "". */
int resolv_nameservers(size_t max, char **ret, struct err *err);

/* What children get as /etc/resolv.conf: the host's search and options, @nameservers (NULL
 * terminated) in place of its nameservers; or, with NULL, the host's own. */
int resolv_for_children(const char *const *nameservers, char **ret, struct err *err);
