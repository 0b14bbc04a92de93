/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking into trees. Nothing here changes one; what is returned belongs to it.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json-internal.h"
#include "text.h"

/* Bytes of a bad value that a message quotes. */
#define QUOTE_SIZE 64

enum json_type json_type(const struct json *value)
{
	return value ? value->type : JSON_NULL;
}

const char *json_type_name(enum json_type type)
{
	switch (type) {
	case JSON_NULL:
		return "null";
	case JSON_BOOL:
		return "boolean";
	case JSON_NUMBER:
		return "number";
	case JSON_STRING:
		return "string";
	case JSON_ARRAY:
		return "array";
	case JSON_OBJECT:
		return "object";
	}
	return "unknown";
}

struct json *json_get(const struct json *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->n; i++)
		if (strcmp(object->members[i].key, key) == 0)
			return object->members[i].value;
	return NULL;
}

const char *json_string(const struct json *value)
{
	return value && value->type == JSON_STRING ? value->text : NULL;
}

struct json *json_at(const struct json *array_or_object, size_t index)
{
	return index < json_length(array_or_object) ? array_or_object->members[index].value : NULL;
}

const char *json_key_at(const struct json *object, size_t index)
{
	return index < json_length(object) ? object->members[index].key : NULL;
}

size_t json_length(const struct json *value)
{
	return value ? value->n : 0;
}

bool json_is_true(const struct json *value)
{
	return value && value->type == JSON_BOOL && value->boolean;
}

int json_int(const struct json *value, int64_t *ret)
{
	const char *text;
	uint64_t number;
	bool negative;
	int r;

	if (!value || value->type != JSON_NUMBER)
		return -EINVAL;
	text = value->text;
	negative = *text == '-';
	r = text_to_uint64(text + negative, 0, (uint64_t)INT64_MAX + negative, &number);
	if (r < 0)
		return r;
	*ret = negative ? (int64_t)(0 - number) : (int64_t)number;
	return 0;
}

/* Finds a member that must be of @type. Return: 1 with it, 0 when absent, -EINVAL. */
static int read_member(const struct json *object, const char *key, bool required,
	enum json_type type, const struct json **ret, struct err *err)
{
	const struct json *value = json_get(object, key);

	if (object && object->type != JSON_OBJECT)
		return err_set(err, -EINVAL, "expected an object with \"%s\", found %s", key,
			json_type_name(object->type));
	if (!value && required)
		return err_set(err, -EINVAL, "\"%s\" is missing", key);
	if (!value || (value->type == JSON_NULL && !required))
		return 0;
	if (value->type != type)
		return err_set(err, -EINVAL, "\"%s\" must be %s %s, found %s", key,
			type == JSON_ARRAY || type == JSON_OBJECT ? "an" : "a",
			json_type_name(type), json_type_name(value->type));
	*ret = value;
	return 1;
}

int json_read_string(const struct json *object, const char *key, bool required, const char **ret,
	struct err *err)
{
	const struct json *value;
	int r = read_member(object, key, required, JSON_STRING, &value, err);

	if (r <= 0)
		return r;
	*ret = value->text;
	return 0;
}

int json_read_int(const struct json *object, const char *key, bool required, int64_t min,
	int64_t max, int64_t *ret, struct err *err)
{
	const struct json *value;
	char quote[QUOTE_SIZE];
	int64_t number;
	int r = read_member(object, key, required, JSON_NUMBER, &value, err);

	if (r <= 0)
		return r;
	if (json_int(value, &number) < 0 || number < min || number > max)
		return err_set(err, -EINVAL,
			"\"%s\" must be an integer from %" PRId64 " to %" PRId64 ", found %s", key,
			min, max, text_sanitize(quote, sizeof(quote), value->text));
	*ret = number;
	return 0;
}

int json_read_bool(
	const struct json *object, const char *key, bool required, bool *ret, struct err *err)
{
	const struct json *value;
	int r = read_member(object, key, required, JSON_BOOL, &value, err);

	if (r <= 0)
		return r;
	*ret = value->boolean;
	return 0;
}

int json_read_object(const struct json *object, const char *key, bool required,
	const struct json **ret, struct err *err)
{
	int r = read_member(object, key, required, JSON_OBJECT, ret, err);

	return r < 0 ? r : 0;
}

int json_read_array(const struct json *object, const char *key, bool required,
	const struct json **ret, struct err *err)
{
	int r = read_member(object, key, required, JSON_ARRAY, ret, err);

	return r < 0 ? r : 0;
}

int json_read_strv(
	const struct json *object, const char *key, bool required, char ***ret, struct err *err)
{
	const struct json *array;
	autostrv strv = NULL;
	int r = read_member(object, key, required, JSON_ARRAY, &array, err);

	if (r <= 0)
		return r;
	strv = calloc(array->n + 1, sizeof(*strv));
	if (!strv)
		return err_oom(err);
	for (size_t i = 0; i < array->n; i++) {
		const char *text = json_string(array->members[i].value);

		if (!text)
			return err_set(err, -EINVAL, "\"%s\"[%zu] must be a string, found %s", key,
				i, json_type_name(array->members[i].value->type));
		strv[i] = strdup(text);
		if (!strv[i])
			return err_oom(err);
	}
	*ret = take_ptr(strv);
	return 0;
}

static bool members_equal(const struct json *a, const struct json *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const char *key = a->members[i].key;
		const struct json *other = b->members[i].value;

		/* Mostly the order is the same as well. */
		if (key && strcmp(key, b->members[i].key) != 0)
			other = json_get(b, key);
		if (!json_equal(a->members[i].value, other))
			return false;
	}
	return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
	if (!a || !b || a == b)
		return a == b;
	if (a->type != b->type || a->boolean != b->boolean)
		return false;
	return text_equal(a->text, b->text) && members_equal(a, b);
}
