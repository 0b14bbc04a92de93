/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network configurations. What is accepted must hold to what everything later relies on: a name
 * and types without a path, versions, at most so many plugins; and its document, parsed again,
 * must be the same configuration.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cni-config.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct cni_config *config, size_t index)
{
	autoptr(json) args = json_new_object();
	autoptr(json) request = NULL;

	json_set_string(args, "mac", "02:00:00:00:00:01");
	request = cni_config_request(config, index, CNI_1_0_0, args, args);
	assert(text_equal(json_string(json_get(request, "name")), cni_config_name(config)));
	assert(text_equal(json_string(json_get(request, "cniVersion")), "1.0.0"));
	assert(!json_get(request, "capabilities"));
	assert(json_equal(json_get(request, "prevResult"), args));
}

static void check_again(const struct cni_config *config)
{
	autoptr(cni_config) again = NULL;
	int r = cni_config_from_json("again", cni_config_document(config), &again, NULL);

	assert(r == 0);
	assert(cni_config_plugins(again) == cni_config_plugins(config));
	assert(text_equal(cni_config_version(again), cni_config_version(config)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoptr(cni_config) config = NULL;
	struct err err = {0};

	if (cni_config_parse("fuzz", (const char *)data, size, &config, &err) < 0) {
		assert(err.code < 0 && *err.msg);
		return 0;
	}
	assert(!strpbrk(cni_config_name(config), "/\n"));
	assert(cni_config_plugins(config) >= 1 && cni_config_plugins(config) <= CNI_PLUGINS_MAX);
	for (size_t i = 0; i < cni_config_plugins(config); i++) {
		assert(!strpbrk(cni_config_plugin_type(config, i), "/\n"));
		check_request(config, i);
	}
	check_again(config);
	return 0;
}
