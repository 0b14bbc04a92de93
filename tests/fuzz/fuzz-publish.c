/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Port specifications: any text is refused, or gives ports that there are. */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "publish.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = strndup((const char *)data, size);
	struct publish publish;

	if (!text || publish_parse(text, &publish, NULL) < 0)
		return 0;
	assert(publish.n > 0 && publish.container_port > 0);
	assert(publish.container_port + publish.n - 1 <= UINT16_MAX);
	assert(publish.host_port == 0 || publish.host_port + publish.n - 1 <= UINT16_MAX);
	return 0;
}
