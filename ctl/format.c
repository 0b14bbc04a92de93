/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Quantities for tables, see format.h. */

#include <inttypes.h>
#include <stdio.h>

#include "format.h"

const char *format_bytes(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	uint64_t unit = 1;
	size_t i = 0;

	while (bytes / unit >= 1000 && i + 1 < sizeof(units) / sizeof(units[0])) {
		unit *= 1000;
		i++;
	}
	if (i == 0)
		snprintf(text, size, "%" PRIu64 "B", bytes);
	else
		snprintf(text, size, "%" PRIu64 ".%02" PRIu64 "%s", bytes / unit,
			bytes % unit * 100 / unit, units[i]);
	return text;
}

const char *format_duration(uint64_t milliseconds, char *text, size_t size)
{
	uint64_t seconds = milliseconds / 1000;

	if (seconds == 0)
		snprintf(text, size, "%" PRIu64 "ms", milliseconds);
	else if (seconds < 60)
		snprintf(text, size, "%" PRIu64 "s", seconds);
	else if (seconds < 3600)
		snprintf(text, size, "%" PRIu64 "m%02" PRIu64 "s", seconds / 60, seconds % 60);
	else if (seconds < 86400)
		snprintf(text, size, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600,
			seconds % 3600 / 60);
	else
		snprintf(text, size, "%" PRIu64 "d%02" PRIu64 "h", seconds / 86400,
			seconds % 86400 / 3600);
	return text;
}
