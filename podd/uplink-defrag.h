/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Packets that come in fragments, as those of children do whose network has a smaller MTU than the
 * tap: whose they are, and whether they may go, can be said of the whole only. Nor is libslirp given
 * any: what it does with those of a hostile sender is not to be relied on (4.7 writes where the
 * sender says, when the first one that comes is the last one).
 */

#include "uplink-frame.h"

/* Packets that are being put together at once; then the oldest is given up. */
#define UPLINK_DEFRAG_MAX 8

struct uplink_defrag {
	unsigned next; /* to be given up, or used */
	struct defrag_slot *slots[UPLINK_DEFRAG_MAX]; /* made when they are needed */
};

/* Takes a frame with a fragment. The pod's kernel sends them in order, so others are not waited for. Return: the
 * frame of the whole, *ret_length bytes, once the last one is there: valid until the next call; or
 * NULL. */
const uint8_t *uplink_defrag_add(struct uplink_defrag *defrag, const uint8_t *fragment,
	const struct uplink_packet *packet, size_t *ret_length);
void uplink_defrag_done(struct uplink_defrag *defrag);
