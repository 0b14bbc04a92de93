/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building and changing trees. A tree owns everything that was put into it; what could not be
 * allocated is remembered in the object or array that it was meant for, so that callers need to
 * look only once, when they write.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json-internal.h"
#include "text.h"

/* What is written in place of bytes that are no UTF-8 (U+FFFD). */
#define REPLACEMENT "\xef\xbf\xbd"

struct json *json_new(enum json_type type)
{
	struct json *value = calloc(1, sizeof(*value));

	if (value)
		value->type = type;
	return value;
}

struct json *json_new_text(enum json_type type, const char *text, size_t length)
{
	autoptr(json) value = json_new(type);

	if (!value)
		return NULL;
	value->text = strndup(text, length);
	return value->text ? take_ptr(value) : NULL;
}

void json_free(struct json *value)
{
	if (!value)
		return;
	for (size_t i = 0; i < value->n; i++) {
		free(value->members[i].key);
		json_free(value->members[i].value);
	}
	free(value->members);
	free(value->text);
	free(value);
}

size_t json_utf8_sequence(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (length == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0; /* shorter ones have two bytes */
	else if (s[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		low = 0x90; /* shorter ones have three bytes */
	else if (s[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	if (length < n || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

/* A copy with U+FFFD in place of each byte that is no UTF-8. */
static char *copy_valid(const char *text)
{
	size_t length = strlen(text), n = 0, sequence;
	char *copy = reallocarray(NULL, length + 1, strlen(REPLACEMENT));

	if (!copy)
		return NULL;
	for (size_t i = 0; i < length; i += sequence ? sequence : 1) {
		sequence = json_utf8_sequence(text + i, length - i);
		if (sequence) {
			memcpy(copy + n, text + i, sequence);
			n += sequence;
		} else {
			memcpy(copy + n, REPLACEMENT, strlen(REPLACEMENT));
			n += strlen(REPLACEMENT);
		}
	}
	copy[n] = '\0';
	return copy;
}

struct json *json_new_object(void)
{
	return json_new(JSON_OBJECT);
}

struct json *json_new_array(void)
{
	return json_new(JSON_ARRAY);
}

struct json *json_new_string(const char *text)
{
	autofree char *copy = text ? copy_valid(text) : NULL;

	return copy ? json_new_text(JSON_STRING, copy, strlen(copy)) : NULL;
}

struct json *json_new_int(int64_t number)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRId64, number);

	return json_new_text(JSON_NUMBER, text, (size_t)n);
}

struct json *json_new_bool(bool boolean)
{
	struct json *value = json_new(JSON_BOOL);

	if (value)
		value->boolean = boolean;
	return value;
}

struct json *json_new_null(void)
{
	return json_new(JSON_NULL);
}

struct json *json_copy(const struct json *value)
{
	autoptr(json) copy = NULL;

	if (!value)
		return NULL;
	copy = value->text ? json_new_text(value->type, value->text, strlen(value->text))
			   : json_new(value->type);
	if (!copy)
		return NULL;
	copy->boolean = value->boolean;
	copy->incomplete = value->incomplete;
	for (size_t i = 0; i < value->n; i++) {
		const struct json_member *member = &value->members[i];
		char *key = member->key ? strdup(member->key) : NULL;

		if (member->key && !key)
			return NULL;
		if (json_add_member(copy, key, json_copy(member->value)) < 0)
			return NULL;
	}
	return take_ptr(copy);
}

int json_add_member(struct json *container, char *key, struct json *value)
{
	struct json_member *grown;
	size_t size;

	if (!value || (container->type == JSON_OBJECT && !key))
		goto fail;
	if (container->n == container->allocated) {
		size = container->allocated ? container->allocated * 2 : 4;
		grown = reallocarray(container->members, size, sizeof(*grown));
		if (!grown)
			goto fail;
		container->members = grown;
		container->allocated = size;
	}
	container->members[container->n++] = (struct json_member){.key = key, .value = value};
	return 0;
fail:
	container->incomplete = true;
	free(key);
	json_free(value);
	return -ENOMEM;
}

/* Return: the place of @key, or the number of members when it is not there. */
static size_t find(const struct json *object, const char *key)
{
	size_t i;

	for (i = 0; i < object->n; i++)
		if (strcmp(object->members[i].key, key) == 0)
			break;
	return i;
}

static void remove_at(struct json *container, size_t index)
{
	struct json_member *member = &container->members[index];

	free(member->key);
	json_free(member->value);
	container->n--;
	memmove(member, member + 1, (container->n - index) * sizeof(*member));
}

void json_set(struct json *object, const char *key, struct json *value)
{
	size_t i;

	if (!object || object->type != JSON_OBJECT) {
		json_free(value);
		return;
	}
	i = find(object, key);
	if (i == object->n || !value) {
		json_add_member(object, copy_valid(key), value);
		return;
	}
	json_free(object->members[i].value);
	object->members[i].value = value;
}

void json_set_string(struct json *object, const char *key, const char *text)
{
	if (text)
		json_set(object, key, json_new_string(text));
}

void json_set_int(struct json *object, const char *key, int64_t number)
{
	json_set(object, key, json_new_int(number));
}

void json_set_bool(struct json *object, const char *key, bool boolean)
{
	json_set(object, key, json_new_bool(boolean));
}

void json_set_strv(struct json *object, const char *key, char *const *strv)
{
	struct json *array = json_set_array(object, key);

	for (; array && strv && *strv; strv++)
		json_append(array, json_new_string(*strv));
}

struct json *json_set_object(struct json *object, const char *key)
{
	json_set(object, key, json_new_object());
	return json_get(object, key);
}

struct json *json_set_array(struct json *object, const char *key)
{
	json_set(object, key, json_new_array());
	return json_get(object, key);
}

void json_remove(struct json *object, const char *key)
{
	size_t i;

	if (!object || object->type != JSON_OBJECT)
		return;
	i = find(object, key);
	if (i < object->n)
		remove_at(object, i);
}

void json_append(struct json *array, struct json *value)
{
	if (!array || array->type != JSON_ARRAY) {
		json_free(value);
		return;
	}
	json_add_member(array, NULL, value);
}

void json_remove_at(struct json *array, size_t index)
{
	if (array && array->type == JSON_ARRAY && index < array->n)
		remove_at(array, index);
}
