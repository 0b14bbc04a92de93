/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Where the blocks of a pcapng stream end, so that what is kept of one that is cut off ends with a
 * whole block. In the host's byte order: podd writes on the same machine. Reference:
 * draft-ietf-opsawg-pcapng, "General Block Structure".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest block that is taken: the longest packet and what is around it. */
#define PCAPNG_BLOCK_MAX (512 * 1024)

struct pcapng {
	bool begun;       /* the first block, which says what it is, has been seen */
	uint64_t packets; /* in the blocks so far */
};

/* Looks at what follows the last whole block. *ret is how many bytes of it are whole blocks, 0 when
 * not even the first one is. Return: 0, or -EINVAL when it is no pcapng. */
int pcapng_take(struct pcapng *pcapng, const void *data, size_t length, size_t *ret);
