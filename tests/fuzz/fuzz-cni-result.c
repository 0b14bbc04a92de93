/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What plugins print. A result that is accepted must convert to every version and back, and its
 * addresses must be fit for the hosts file.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cni-result.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_addresses(const struct json *result)
{
	autostrv addresses = NULL;
	int r = cni_result_addresses(result, "eth0", &addresses, NULL);

	assert(r == 0);
	assert(strv_length(addresses) <= CNI_ADDRESSES_MAX);
	for (size_t i = 0; addresses[i]; i++)
		assert(addresses[i][strspn(addresses[i], "0123456789abcdefABCDEF.:/")] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoptr(json) output = NULL;
	struct err err = {0};
	int64_t code = 0;

	if (json_parse("fuzz", (const char *)data, size, &output, NULL) < 0)
		return 0;
	if (cni_result_is_error(output, &code, &err))
		assert(code != 0 && *err.msg);
	if (cni_result_convert(output, CNI_1_1_0, &err) < 0)
		return 0;
	check_addresses(output);
	for (int version = CNI_VERSIONS - 1; version >= 0; version--) {
		enum cni_version found;

		assert(cni_result_convert(output, version, NULL) == 0);
		assert(cni_result_version(output, &found) == 0 && (int)found == version);
		check_addresses(output);
	}
	return 0;
}
