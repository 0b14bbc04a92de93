/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stream of varlink messages, as podd reads it from a peer: calls survive being written. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "varlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct varlink_call *call)
{
	struct json *parameters = call->parameters ? json_copy(call->parameters) : NULL;
	cleanup(varlink_call_done) struct varlink_call again = {0};
	autofree char *text = NULL;
	size_t length, message;

	if (varlink_write_call(call->method, parameters, call->more, &text, &length) < 0)
		return; /* escapes made it too long */
	if (varlink_frame(text, length, &message) < 0 || message + 1 != length)
		abort();
	if (varlink_call_parse(text, message, &again, NULL) < 0)
		abort();
	if (strcmp(again.method, call->method) != 0 || again.more != call->more ||
		!json_equal(again.parameters, call->parameters))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	size_t message;
	struct err err;

	while (varlink_frame(at, size, &message) == 0) {
		cleanup(varlink_call_done) struct varlink_call call = {0};

		if (message >= size)
			abort();
		if (varlink_call_parse(at, message, &call, &err) == 0)
			write_again(&call);
		at += message + 1;
		size -= message + 1;
	}
	return 0;
}
