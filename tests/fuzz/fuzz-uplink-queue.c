/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Messages of the kernel's packet queue, with packets of the pod's in them: whatever it is, the
 * handler gets addresses that can be connected to or looked up, and nothing else is read. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "uplink-queue.h"

/* As much as uplink-queue.c reads at once. */
#define MESSAGE_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(const struct uplink_address *address)
{
	struct uplink_address back = {};
	struct sockaddr_storage storage;

	assert(uplink_sockaddr(address, &storage) <= sizeof(storage));
	assert(uplink_from_sockaddr(&storage, &back));
	assert(back.port == address->port && !memcmp(&back.ip, &address->ip, sizeof(back.ip)));
}

static void on_packet(void *opaque, uint32_t id, const struct uplink_packet *packet)
{
	unsigned *n = opaque;

	assert(++*n <= MESSAGE_MAX / 16);
	if (packet->family == 0) {
		assert(packet->protocol == 0 && packet->transport_length == 0);
		return;
	}
	assert(packet->family == AF_INET || packet->family == AF_INET6);
	assert(!packet->fragment || (packet->source.port == 0 && packet->destination.port == 0));
	assert(packet->protocol != IPPROTO_TCP || packet->fragment ||
		packet->transport_length >= 20);
	check_address(&packet->source);
	check_address(&packet->destination);
	(void)uplink_is_loopback(packet->family, &packet->destination.ip);
	(void)uplink_is_group(&packet->destination.ip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* libmnl may look at the three bytes that pad the last message. */
	autofree uint8_t *copy = calloc(1, size / 4 * 4 + 4);
	unsigned n = 0;

	if (!copy || size > MESSAGE_MAX)
		return 0;
	memcpy(copy, data, size);
	(void)uplink_queue_parse(copy, size, on_packet, &n);
	return 0;
}
