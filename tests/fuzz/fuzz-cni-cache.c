/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration in an entry of the cache of results, which plugins can write to: one that is
 * accepted is a whole configuration.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoptr(cni_config) config = NULL;
	autofree char *text = strndup((const char *)data, size);
	autoptr(json) entry = json_new_object();

	if (!text)
		return 0;
	json_set_string(entry, "config", text);
	if (cni_cache_config(entry, &config, NULL) == 0) {
		assert(cni_config_plugins(config) > 0);
		assert(*cni_config_name(config));
	}
	return 0;
}
