/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The blocks of a pcapng stream, see pcapng.h. */

#include <errno.h>
#include <string.h>

#include "pcapng.h"

/* Type, length, and the length once more at the end. */
#define BLOCK_MIN 12

enum block_type {
	SIMPLE_PACKET = 3,
	ENHANCED_PACKET = 6,
	SECTION_HEADER = 0x0a0d0d0a, /* the same in either byte order */
};

static int take_block(struct pcapng *pcapng, const uint8_t *data, size_t length, size_t *ret)
{
	uint32_t type, total, again;

	*ret = 0;
	if (length < sizeof(type) + sizeof(total))
		return 0;
	memcpy(&type, data, sizeof(type));
	memcpy(&total, data + sizeof(type), sizeof(total));
	if (total < BLOCK_MIN || total > PCAPNG_BLOCK_MAX || total % 4 != 0 ||
		(!pcapng->begun && type != SECTION_HEADER))
		return -EINVAL;
	if (length < total)
		return 0;
	memcpy(&again, data + total - sizeof(again), sizeof(again));
	if (again != total)
		return -EINVAL;
	pcapng->begun = true;
	pcapng->packets += type == SIMPLE_PACKET || type == ENHANCED_PACKET;
	*ret = total;
	return 0;
}

int pcapng_take(struct pcapng *pcapng, const void *data, size_t length, size_t *ret)
{
	size_t taken = 0, block;
	int r;

	do {
		r = take_block(pcapng, (const uint8_t *)data + taken, length - taken, &block);
		if (r < 0)
			return r;
		taken += block;
	} while (block > 0);
	*ret = taken;
	return 0;
}
