/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small text helpers. What they return is the caller's; nothing here keeps state or prints.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int text_to_uint64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t number = 0;
	bool overflow = false;

	if (!text || !*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		overflow |= __builtin_mul_overflow(number, 10, &number);
		overflow |= __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number);
	}
	if (overflow || number < min || number > max)
		return -ERANGE;
	*ret = number;
	return 0;
}

int text_to_uint32(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t number;
	int r = text_to_uint64(text, min, max, &number);

	if (r < 0)
		return r;
	*ret = (uint32_t)number;
	return 0;
}

char *text_format(const char *format, ...)
{
	va_list arguments;
	char *text;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	return n < 0 ? NULL : text;
}

bool text_starts_with(const char *text, const char *prefix)
{
	return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
	size_t length, suffix_length = strlen(suffix);

	if (!text)
		return false;
	length = strlen(text);
	return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

bool text_equal(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

int text_copy(char *target, size_t size, const char *source)
{
	size_t length = strlen(source);

	if (length >= size) {
		if (size > 0)
			target[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(target, source, length + 1);
	return 0;
}

char *text_sanitize(char *target, size_t size, const char *text)
{
	size_t i;

	if (size == 0)
		return target;
	for (i = 0; text[i] && i + 1 < size; i++)
		target[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	target[i] = '\0';
	if (text[i] && size > 3)
		memcpy(target + size - 4, "...", 4);
	return target;
}

size_t strv_length(char *const *strv)
{
	size_t n = 0;

	while (strv && strv[n])
		n++;
	return n;
}

bool strv_contains(char *const *strv, const char *text)
{
	for (; strv && *strv; strv++)
		if (strcmp(*strv, text) == 0)
			return true;
	return false;
}

char **strv_copy(char *const *strv)
{
	size_t n = strv_length(strv);
	char **copy = calloc(n + 1, sizeof(*copy));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(strv[i]);
		if (!copy[i]) {
			strv_free(copy);
			return NULL;
		}
	}
	return copy;
}

int strv_add(char ***strv, const char *text)
{
	size_t n = strv_length(*strv);
	char *copy, **grown;

	if (!text)
		return 0;
	copy = strdup(text);
	grown = copy ? reallocarray(*strv, n + 2, sizeof(*grown)) : NULL;
	if (!grown) {
		free(copy);
		return -ENOMEM;
	}
	grown[n] = copy;
	grown[n + 1] = NULL;
	*strv = grown;
	return 0;
}

int strv_split(const char *text, char separator, char ***ret)
{
	size_t n = 0, most = 1;
	autostrv parts = NULL;
	const char *end;

	for (const char *c = text; *c; c++)
		most += *c == separator;
	parts = calloc(most + 1, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	for (; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, separator);
		if (end == text)
			continue;
		parts[n] = strndup(text, (size_t)(end - text));
		if (!parts[n++])
			return -ENOMEM;
	}
	*ret = parts;
	parts = NULL;
	return 0;
}

void strv_free(char **strv)
{
	for (size_t i = 0; strv && strv[i]; i++)
		free(strv[i]);
	free(strv);
}
