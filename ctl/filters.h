/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* --filter KEY=VALUE: values of one key are alternatives, different keys must all match. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"

/* The value of a filter of that key, or NULL when it is of another. */
const char *filters_value(const char *filter, const char *key);

/* Return: -1 when every filter is of one of @keys; otherwise the exit status, after a message that
 * names @forms. */
int filters_check(const struct ctl_verb *verb, char *const *filters, const char *const *keys,
	size_t n, const char *forms);

/* What the verb knows of one key and value. */
typedef bool (*filters_match)(const void *thing, const char *key, const char *value);
bool filters_accept(char *const *filters, const char *const *keys, size_t n, filters_match match,
	const void *thing);
