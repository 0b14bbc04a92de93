/* SPDX-License-Identifier: GPL-2.0-or-later */

/* seccomp profiles: any document is refused, or gives one with a default action. */

#include <assert.h>
#include <stdint.h>

#include "json.h"
#include "seccomp-profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *capabilities[] = {(char *)"CAP_CHOWN", NULL};
	autoptr(json) profile = NULL;
	autoptr(json) converted = NULL;

	if (json_parse("profile", (const char *)data, size, &profile, NULL) < 0)
		return 0;
	if (seccomp_profile_convert(profile, capabilities, &converted, NULL) == 0)
		assert(json_string(json_get(converted, "defaultAction")));
	return 0;
}
