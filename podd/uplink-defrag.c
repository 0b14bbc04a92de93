/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Putting datagrams together: see uplink-defrag.h (RFC 791, 3.2; RFC 8200, 4.5). */

#include "uplink-defrag.h"

#include <net/ethernet.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX (65535 - UDP_HEADER_SIZE)

struct defrag_slot {
	struct in6_addr source, destination;
	uint32_t id;
	size_t length; /* of what is there: the UDP header and what follows; 0: free */
	uint8_t frame[UPLINK_FRAME_UDP_HEADERS + PAYLOAD_MAX];
};

/* Where the UDP header lies in a slot's frame. */
#define UDP_AT (UPLINK_FRAME_UDP_HEADERS - UDP_HEADER_SIZE)

static struct defrag_slot *find(struct uplink_defrag *defrag, const struct uplink_packet *packet)
{
	for (unsigned i = 0; i < UPLINK_DEFRAG_MAX; i++) {
		struct defrag_slot *slot = defrag->slots[i];

		if (slot && slot->length > 0 && slot->id == packet->fragment_id &&
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
	slot->length = 0;
	return slot;
}

static const uint8_t *finish(struct defrag_slot *slot, const uint8_t *last, size_t *ret_length)
{
	struct uplink_address source = {.ip = slot->source}, destination = {.ip = slot->destination};
	const uint8_t *udp = slot->frame + UDP_AT;
	uint8_t *payload = slot->frame + UPLINK_FRAME_UDP_HEADERS;
	size_t length = (size_t)udp[4] << 8 | udp[5];
	uint8_t *frame;

	if (length != slot->length)
		return NULL;
	memcpy(&source.port, udp, 2);
	memcpy(&destination.port, udp + 2, 2);
	length -= UDP_HEADER_SIZE;
	frame = uplink_frame_put_udp(payload, length, &source, &destination, last, 0);
	/* Both hardware addresses are those of the fragments. */
	memcpy(frame, last, 2 * ETH_ALEN);
	*ret_length = (size_t)(payload - frame) + length;
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
		slot->length + length > UDP_HEADER_SIZE + PAYLOAD_MAX) {
		slot->length = 0;
		return NULL;
	}
	memcpy(slot->frame + UDP_AT + slot->length, packet->transport, length);
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
