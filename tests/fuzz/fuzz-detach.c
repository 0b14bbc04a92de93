/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Detach keys: any text is refused or gives keys; what is typed comes out as it was, up to them. */

#include <assert.h>
#include <stdint.h>

#include "cleanup.h"

#include "detach.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : size;
	autofree char *text = strndup((const char *)data, length);
	autofree unsigned char *output = malloc(size + DETACH_KEYS_MAX);
	const uint8_t *typed = end ? end + 1 : data;
	size_t n = end ? size - length - 1 : 0;
	struct detach detach;
	size_t out;
	int r;

	if (!text || !output || detach_parse(text, &detach, NULL) < 0)
		return 0;
	assert(detach.n <= DETACH_KEYS_MAX);
	r = detach_filter(&detach, typed, n, output, &out);
	assert(out <= n && memcmp(output, typed, out) == 0);
	if (r == 1)
		assert(out + detach.n <= n && memcmp(typed + out, detach.keys, detach.n) == 0);
	else
		assert(out + detach.matched == n);
	return 0;
}
