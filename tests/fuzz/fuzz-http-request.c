/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What somebody sends who asks for metrics, whole and byte by byte: once it is judged, more of it
 * changes nothing before the next request would begin.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http-request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char answer[HTTP_ANSWER_HEAD_MAX];
	int status, before = 0;
	bool head;

	if (size > 1024)
		size = 1024;
	for (size_t n = 0; n <= size; n++) {
		/* A copy of just that size: what is read beyond it is found. */
		char *text = malloc(n + 1);

		memcpy(text, data, n);
		text = realloc(text, n > 0 ? n : 1);
		status = http_request_judge(text, n, "/metrics", &head);
		free(text);
		assert(before == 0 || status == before);
		before = status;
	}
	assert(status == 0 || status == 200 || (status >= 400 && status <= 505));
	assert(http_answer_head(status, "text/plain", size, answer) < HTTP_ANSWER_HEAD_MAX);
	return 0;
}
