/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters of the verbs that list things, see filters.h. */

#include <string.h>

#include "filters.h"

const char *filters_value(const char *filter, const char *key)
{
	size_t length = strlen(key);

	return strncmp(filter, key, length) == 0 && filter[length] == '=' ? filter + length + 1
									  : NULL;
}

int filters_check(const struct ctl_verb *verb, char *const *filters, const char *const *keys,
	size_t n, const char *forms)
{
	for (size_t i = 0; filters && filters[i]; i++) {
		bool known = false;

		for (size_t j = 0; j < n; j++)
			known |= filters_value(filters[i], keys[j]) != NULL;
		if (!known)
			return ctl_usage_error(
				verb, "--filter must be %s, not \"%s\"", forms, filters[i]);
	}
	return -1;
}

static bool accepts_key(
	char *const *filters, const char *key, filters_match match, const void *thing)
{
	bool given = false;

	for (size_t i = 0; filters[i]; i++) {
		const char *value = filters_value(filters[i], key);

		if (value && match(thing, key, value))
			return true;
		given |= value != NULL;
	}
	return !given;
}

bool filters_accept(char *const *filters, const char *const *keys, size_t n, filters_match match,
	const void *thing)
{
	for (size_t i = 0; filters && i < n; i++)
		if (!accepts_key(filters, keys[i], match, thing))
			return false;
	return true;
}
