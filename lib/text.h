/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Small text helpers: checked numbers, allocated formatting, string vectors.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* Before the names that they declare are poisoned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison atoi atol strtol strcpy strcat sprintf vsprintf gets

/* Parses a decimal number with nothing around it (no sign, no space) within [min, max].
 * Return: 0, -EINVAL (not a number), -ERANGE. */
int text_to_uint64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int text_to_uint32(const char *text, uint32_t min, uint32_t max, uint32_t *ret);

/* Return: an allocated string, or NULL when memory is short. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
/* True when both are NULL or both are the same string. */
bool text_equal(const char *a, const char *b);

/* Copies @source into the array of @size bytes. Return: 0, or -ENAMETOOLONG with @target empty. */
int text_copy(char *target, size_t size, const char *source);

/* Copies @text into @target (@size bytes at most), control characters and bytes that are not
 * printable ASCII replaced by '?', cut with "..." where it is too long. For quoting what comes
 * from elsewhere. Return: @target. */
char *text_sanitize(char *target, size_t size, const char *text);

/* NULL-terminated vectors of allocated strings. */
size_t strv_length(char *const *strv);
bool strv_contains(char *const *strv, const char *text);
char **strv_copy(char *const *strv);
/* Appends a copy of @text (or nothing, if NULL). Return: 0, -ENOMEM with the vector as it was. */
int strv_add(char ***strv, const char *text);
/* Splits at each @separator; empty parts are left out. Return: 0, -ENOMEM. */
int strv_split(const char *text, char separator, char ***ret);
void strv_free(char **strv);
static inline void cleanup_strv(char ***strv)
{
	strv_free(*strv);
}
#define autostrv __attribute__((__cleanup__(cleanup_strv))) char **
