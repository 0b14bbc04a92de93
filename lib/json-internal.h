/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The tree behind json.h; for json*.c only. A node owns its text, its members and their keys.
 */

#include <stdbool.h>
#include <stddef.h>

#include "json.h"

struct json_member {
	char *key; /* NULL in an array */
	struct json *value;
};

struct json {
	enum json_type type;
	bool boolean;
	bool incomplete; /* something meant for this object or array could not be allocated */
	char *text;      /* of a string (UTF-8) or number (as it was written) */
	struct json_member *members;
	size_t n;
	size_t allocated;
};

struct json *json_new(enum json_type type);

/* A string or number node with a copy of @length bytes that are already known to be valid. */
struct json *json_new_text(enum json_type type, const char *text, size_t length);

/* Appends; @key (NULL for arrays) and @value are taken over, also on failure, which marks
 * @container. Does not look for the key. Return: 0 or -ENOMEM. */
int json_add_member(struct json *container, char *key, struct json *value);

/* Return: bytes of the valid UTF-8 sequence (Unicode, table 3-7) at @text, 0 when there is none. */
size_t json_utf8_sequence(const char *text, size_t length);
