/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The uplink's side of uplink.h: one connection to podd at a time, one reply a request.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "err.h"
#include "uplink.h"

struct uplink_control;

/* Carries out one request, whose shape was checked. @fds are the UPLINK_REQUEST_FDS_MAX that may have
 * come with it, or -1; whoever keeps one sets it to -1. Return: 0 or -errno with the message. */
typedef int (*uplink_control_serve)(struct uplink_control *control,
	const struct uplink_request *request, int *fds, void *opaque, struct err *err);

/* Serves @connection now, and one after the other those that @listener (-1: none) accepts once it
 * ended, if they come from the uid that this process runs as. Both are taken over. */
int uplink_control_new(sd_event *event, int connection, int listener,
	uplink_control_serve serve, void *opaque, struct uplink_control **ret, struct err *err);
/* Sends a reply before the last one. Return: 0 or -errno. */
int uplink_control_reply(struct uplink_control *control, const struct uplink_reply *reply,
	const int *fds);
/* What the replies say of takes_tcp. */
void uplink_control_note_tcp(struct uplink_control *control, bool takes_tcp);
/* False between two podds. */
bool uplink_control_connected(const struct uplink_control *control);
void uplink_control_free(struct uplink_control *control);
CLEANUP_DEFINE(uplink_control, uplink_control_free)
