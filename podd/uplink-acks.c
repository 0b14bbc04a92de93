/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Why acknowledgements are held back: libslirp offers a window of 64 KiB, so that a bulk sender
 * in the pod has two or three frames under way, and it acknowledges each. Writing one to the tap
 * runs the pod's TCP up to sending the next frame, all within the uplink's write(2). One
 * acknowledgement for the whole window says the same and costs a third; measured with iperf3,
 * this nearly doubles what a pod can send.
 *
 * Rules: only a segment that acknowledges and does nothing else is held (no payload, no options,
 * no flag but ACK), and only a higher acknowledgement of the same connection replaces it. The
 * same number twice tells the sender of a loss: then both are sent. The order of what remains is
 * kept. The frames come from libslirp, and are ones that it would send; no other is made.
 */

#include "uplink-acks.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#define IPV4_SIZE 20
#define IPV6_SIZE 40
#define TCP_SIZE 20

/* Offsets in the headers: RFC 791, 8200, 9293. */
#define IPV4_SOURCE 12
#define IPV6_SOURCE 8
#define TCP_NUMBER 8
#define TCP_DATA_OFFSET 12
#define TCP_FLAGS 13

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Finds the TCP header of a frame that is an acknowledgement only, and from where on the
 * connection's addresses and ports lie, up to four bytes into the TCP header. Return: 0, if it
 * is none, else the header's offset. */
static size_t find_tcp(const uint8_t *frame, size_t length, size_t *ret_connection)
{
	const uint8_t *ip = frame + ETH_HLEN;
	size_t offset;

	if (length == ETH_HLEN + IPV4_SIZE + TCP_SIZE) {
		/* No options, and not a fragment. */
		if (get16(frame + 12) != ETHERTYPE_IP || ip[0] != 0x45 || ip[9] != IPPROTO_TCP ||
			get16(ip + 2) != IPV4_SIZE + TCP_SIZE || (get16(ip + 6) & 0x3fff) != 0)
			return 0;
		*ret_connection = ETH_HLEN + IPV4_SOURCE;
		offset = ETH_HLEN + IPV4_SIZE;
	} else if (length == ETH_HLEN + IPV6_SIZE + TCP_SIZE) {
		if (get16(frame + 12) != ETHERTYPE_IPV6 || ip[0] >> 4 != 6 ||
			ip[6] != IPPROTO_TCP || get16(ip + 4) != TCP_SIZE)
			return 0;
		*ret_connection = ETH_HLEN + IPV6_SOURCE;
		offset = ETH_HLEN + IPV6_SIZE;
	} else {
		return 0;
	}
	if (frame[offset + TCP_DATA_OFFSET] >> 4 != TCP_SIZE / 4 ||
		frame[offset + TCP_FLAGS] != TH_ACK)
		return 0;
	return offset;
}

/* In the sequence space, which wraps (RFC 9293, section 3.4). */
static bool is_higher(const uint8_t *a, const uint8_t *b)
{
	uint32_t first, second;

	memcpy(&first, a, sizeof(first));
	memcpy(&second, b, sizeof(second));
	return (int32_t)(ntohl(first) - ntohl(second)) > 0;
}

bool uplink_acks_hold(struct uplink_acks *acks, const uint8_t *frame, size_t length)
{
	size_t connection, tcp = find_tcp(frame, length, &connection);
	struct uplink_ack *place = NULL;

	if (tcp == 0)
		return false;
	for (size_t i = acks->n; i > 0 && !place; i--) {
		struct uplink_ack *held = &acks->held[i - 1];

		if (held->length != length ||
			memcmp(held->frame + connection, frame + connection, tcp + 4 - connection))
			continue;
		if (!is_higher(frame + tcp + TCP_NUMBER, held->frame + tcp + TCP_NUMBER))
			break;
		place = held;
	}
	if (!place) {
		if (acks->n == UPLINK_ACKS_MAX)
			return false;
		place = &acks->held[acks->n++];
	}
	place->length = length;
	memcpy(place->frame, frame, length);
	return true;
}
