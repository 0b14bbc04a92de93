/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Putting packets together: see uplink-defrag.h (RFC 791, 3.2; RFC 8200, 4.5). */

#include "uplink-defrag.h"

#include <stdlib.h>
#include <string.h>

/* What follows the IP header; with IPv4's it is no more than a packet may have. */
#define CONTENT_MAX (65535 - 20)

struct defrag_slot {
	struct in6_addr source, destination;
	uint32_t id;
	uint8_t protocol;
	size_t length; /* of what is there; 0: free */
	uint8_t frame[UPLINK_FRAME_IP_HEADERS + CONTENT_MAX];
};

static struct defrag_slot *find(struct uplink_defrag *defrag, const struct uplink_packet *packet)
{
	for (unsigned i = 0; i < UPLINK_DEFRAG_MAX; i++) {
		struct defrag_slot *slot = defrag->slots[i];

		if (slot && slot->length > 0 && slot->id == packet->fragment_id &&
			slot->protocol == packet->protocol &&
			!memcmp(&slot->source, &packet->source.ip, sizeof(slot->source)) &&
			!memcmp(&slot->destination, &packet->destination.ip,
				sizeof(slot->destination)))
			return slot;
	}
	return NULL;
}

static struct defrag_slot *begin(struct uplink_defrag *defrag, const struct uplink_packet *packet)
{
	struct defrag_slot *slot = find(defrag, packet);

	if (!slot) {
		unsigned i = defrag->next++ % UPLINK_DEFRAG_MAX;

		if (!defrag->slots[i])
			defrag->slots[i] = malloc(sizeof(*slot));
		slot = defrag->slots[i];
	}
	if (!slot)
		return NULL;
	slot->source = packet->source.ip;
	slot->destination = packet->destination.ip;
	slot->id = packet->fragment_id;
	slot->protocol = packet->protocol;
	slot->length = 0;
	return slot;
}

static const uint8_t *finish(struct defrag_slot *slot, const uint8_t *last, size_t *ret_length)
{
	uint8_t *content = slot->frame + UPLINK_FRAME_IP_HEADERS;
	/* Both hardware addresses are those of the fragments. */
	uint8_t *frame = uplink_frame_put_ip(content, slot->length, slot->protocol, &slot->source,
		&slot->destination, last);

	*ret_length = (size_t)(content - frame) + slot->length;
	return frame;
}

const uint8_t *uplink_defrag_add(struct uplink_defrag *defrag, const uint8_t *fragment,
	const struct uplink_packet *packet, size_t *ret_length)
{
	struct defrag_slot *slot =
		packet->fragment ? find(defrag, packet) : begin(defrag, packet);
	const uint8_t *frame = NULL;
	size_t length = packet->transport_length;

	if (!slot)
		return NULL;
	if (packet->fragment_offset != slot->length || length == 0 ||
		slot->length + length > CONTENT_MAX) {
		slot->length = 0;
		return NULL;
	}
	memcpy(slot->frame + UPLINK_FRAME_IP_HEADERS + slot->length, packet->transport, length);
	slot->length += length;
	if (packet->more_fragments)
		return NULL;
	frame = finish(slot, fragment, ret_length);
	slot->length = 0;
	return frame;
}

void uplink_defrag_done(struct uplink_defrag *defrag)
{
	for (unsigned i = 0; i < UPLINK_DEFRAG_MAX; i++)
		free(defrag->slots[i]);
}
