/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Signals, sizes, times and CPUs: see quantity.h. */

#include "quantity.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text.h"

#define NANO INT64_C(1000000000)
/* Digits after the point that are looked at; further ones change nothing that counts. */
#define FRACTION_DIGITS 9
/* Years that all forms of a time have in common. */
#define YEARS_MAX 9999

/* ---- signals ---- */

/* Offsets of real-time signals: the range depends on the C library. */
static int parse_realtime(const char *name, uint32_t *ret)
{
	int base = strncasecmp(name, "RTMIN", 5) == 0 ? SIGRTMIN : SIGRTMAX;
	uint32_t offset = 0;
	int number;

	if (strncasecmp(name, "RTMIN", 5) != 0 && strncasecmp(name, "RTMAX", 5) != 0)
		return -EINVAL;
	name += 5;
	if (*name && *name != (base == SIGRTMIN ? '+' : '-'))
		return -EINVAL;
	if (*name && text_to_uint32(name + 1, 0, NSIG, &offset) < 0)
		return -EINVAL;
	number = base == SIGRTMIN ? base + (int)offset : base - (int)offset;
	if (number < SIGRTMIN || number > SIGRTMAX)
		return -EINVAL;
	*ret = (uint32_t)number;
	return 0;
}

int quantity_parse_signal(const char *text, uint32_t *ret)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	uint32_t number;

	if (text_to_uint32(text, 1, NSIG - 1, &number) == 0) {
		*ret = number;
		return 0;
	}
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcasecmp(known, name) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	return parse_realtime(name, ret);
}

/* ---- numbers with a fraction and a unit ---- */

/* "1.5": whole part and billionths. Return: the rest of the text, or NULL when it is no number or
 * too large. */
static const char *take_decimal(const char *text, uint64_t *ret_whole, uint32_t *ret_nano)
{
	uint64_t whole = 0;
	uint32_t nano = 0;
	int digits = 0, after = 0;

	for (; *text >= '0' && *text <= '9'; text++, digits++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
			__builtin_add_overflow(whole, (uint64_t)(*text - '0'), &whole))
			return NULL;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++, digits++) {
			if (after < FRACTION_DIGITS) {
				nano = nano * 10 + (uint32_t)(*text - '0');
				after++;
			}
		}
	}
	for (; after < FRACTION_DIGITS; after++)
		nano *= 10;
	if (digits == 0)
		return NULL;
	*ret_whole = whole;
	*ret_nano = nano;
	return text;
}

/* whole.nano * unit. Return: 0 or -ERANGE. */
static int multiply(uint64_t whole, uint32_t nano, uint64_t unit, uint64_t *ret)
{
	unsigned __int128 product = (unsigned __int128)whole * unit +
				    (unsigned __int128)nano * unit / (uint64_t)NANO;

	if (product > INT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)product;
	return 0;
}

int quantity_parse_bytes(const char *text, uint64_t *ret)
{
	static const char units[] = "bkmgtp";
	const char *rest, *unit;
	uint64_t whole;
	uint32_t nano;
	unsigned shift = 0;

	rest = take_decimal(text, &whole, &nano);
	if (!rest)
		return text[0] >= '0' && text[0] <= '9' ? -ERANGE : -EINVAL;
	if (*rest) {
		unit = strchr(units, *rest | 0x20);
		if (!unit || !*unit)
			return -EINVAL;
		shift = (unsigned)(unit - units) * 10;
		rest++;
		if (shift > 0 && *rest)
			rest += strcasecmp(rest, "b") == 0    ? 1
				: strcasecmp(rest, "ib") == 0 ? 2
							      : 0;
	}
	if (*rest)
		return -EINVAL;
	return multiply(whole, nano, UINT64_C(1) << shift, ret);
}

int quantity_parse_milli(const char *text, uint32_t *ret)
{
	const char *rest;
	uint64_t whole, milli;
	uint32_t nano;
	int r;

	rest = take_decimal(text, &whole, &nano);
	if (!rest || *rest)
		return -EINVAL;
	r = multiply(whole, nano, 1000, &milli);
	if (r < 0 || milli > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)milli;
	return 0;
}

/* The unit at the front of @text, in nanoseconds. Return: its length, or 0. */
static size_t take_unit(const char *text, uint64_t *ret)
{
	/* Longer names before those that they begin with. */
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", 1000}, {"\xc2\xb5s", 1000}, {"ms", 1000000},
		{"s", NANO}, {"m", 60 * NANO}, {"h", 3600 * NANO}, {"d", 86400 * NANO}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (text_starts_with(text, units[i].name)) {
			*ret = units[i].ns;
			return strlen(units[i].name);
		}
	}
	return 0;
}

int quantity_parse_duration(const char *text, int64_t *ret_ns)
{
	const char *rest = text;
	uint64_t sum = 0;

	do {
		uint64_t whole, part, unit = (uint64_t)NANO;
		uint32_t nano;
		size_t length;

		rest = take_decimal(rest, &whole, &nano);
		if (!rest)
			return -EINVAL;
		length = take_unit(rest, &unit);
		/* A number alone is in seconds, and there is nothing beside it. */
		if (length == 0 && (*rest || sum > 0))
			return -EINVAL;
		rest += length;
		if (multiply(whole, nano, unit, &part) < 0 ||
			__builtin_add_overflow(sum, part, &sum) || sum > INT64_MAX)
			return -ERANGE;
	} while (*rest);
	*ret_ns = (int64_t)sum;
	return 0;
}

int quantity_parse_seconds(const char *text, uint32_t *ret)
{
	int64_t ns, seconds;
	int r = quantity_parse_duration(text, &ns);

	if (r < 0)
		return r;
	seconds = ns / NANO + (ns % NANO != 0);
	if (seconds > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)seconds;
	return 0;
}

/* ---- points of time ---- */

/* "Z", "+02:00", or nothing. Return: 1 with a zone, 0 without, -EINVAL. */
static int take_zone(const char *text, long *ret_offset)
{
	char hours[3] = "", minutes[3] = "";
	uint32_t h, m;

	*ret_offset = 0;
	if (!*text)
		return 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return 1;
	if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
		return -EINVAL;
	memcpy(hours, text + 1, 2);
	memcpy(minutes, text + 4, 2);
	if (text_to_uint32(hours, 0, 23, &h) < 0 || text_to_uint32(minutes, 0, 59, &m) < 0)
		return -EINVAL;
	*ret_offset = ((long)h * 3600 + (long)m * 60) * (text[0] == '-' ? -1 : 1);
	return 1;
}

static int parse_date(const char *text, struct timespec *ret)
{
	static const char *const forms[] = {
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
	const char *rest = NULL;
	struct tm tm = {};
	uint64_t whole;
	uint32_t nano = 0;
	long offset;
	int zone;

	for (size_t i = 0; !rest && i < sizeof(forms) / sizeof(forms[0]); i++) {
		tm = (struct tm){.tm_isdst = -1};
		rest = strptime(text, forms[i], &tm);
	}
	if (!rest || tm.tm_year + 1900 > YEARS_MAX)
		return -EINVAL;
	if (*rest == '.' && !(rest = take_decimal(rest, &whole, &nano)))
		return -EINVAL;
	zone = take_zone(rest, &offset);
	if (zone < 0)
		return zone;
	ret->tv_sec = zone ? timegm(&tm) - offset : mktime(&tm);
	ret->tv_nsec = (long)nano;
	return 0;
}

int quantity_parse_time(const char *text, const struct timespec *now, struct timespec *ret)
{
	uint64_t whole;
	uint32_t nano;
	int64_t ns;
	const char *rest = take_decimal(text, &whole, &nano);

	/* A number without a unit is a point of time, not a duration. */
	if (rest && !*rest) {
		if (whole > INT32_MAX * INT64_C(100))
			return -EINVAL;
		*ret = (struct timespec){.tv_sec = (time_t)whole, .tv_nsec = (long)nano};
		return 0;
	}
	if (quantity_parse_duration(text, &ns) < 0)
		return parse_date(text, ret);
	*ret = *now;
	ret->tv_sec -= ns / NANO;
	ret->tv_nsec -= ns % NANO;
	if (ret->tv_nsec < 0) {
		ret->tv_nsec += NANO;
		ret->tv_sec--;
	}
	return 0;
}
