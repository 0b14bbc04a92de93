/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a hook reads on stdin: whatever is accepted is whole and safe to use. */

#include <stdint.h>
#include <stdlib.h>

#include "oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(oci_state_done) struct oci_state state = {0};
	struct err err;

	if (oci_state_parse((const char *)data, size, &state, &err) < 0)
		return 0;
	if (oci_check_id(state.id, NULL) < 0 || state.pid < 0)
		abort();
	for (size_t i = 0; i < json_length(state.annotations); i++)
		if (!oci_annotation(&state, json_key_at(state.annotations, i)))
			abort();
	return 0;
}
