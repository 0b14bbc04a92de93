/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals, sizes, times and CPUs of the command line: what is taken is within its bounds. */

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct timespec now = {.tv_sec = 1706702400};
	struct timespec time;
	uint64_t bytes;
	uint32_t number;
	int64_t ns;
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (quantity_parse_signal(text, &number) == 0 && (number < 1 || number >= NSIG))
		abort();
	if (quantity_parse_bytes(text, &bytes) == 0 && bytes > INT64_MAX)
		abort();
	if (quantity_parse_duration(text, &ns) == 0 && ns < 0)
		abort();
	if (quantity_parse_time(text, &now, &time) == 0 &&
		(time.tv_nsec < 0 || time.tv_nsec >= 1000000000))
		abort();
	quantity_parse_milli(text, &number);
	quantity_parse_seconds(text, &number);
	free(text);
	return 0;
}
