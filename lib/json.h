/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * JSON documents as trees, the only user of yajl. Parsing is strict: UTF-8 checked, duplicate
 * keys refused, size, depth and number of values bounded, errors with line and column. Numbers
 * keep their text and objects their order, so that a document that is read and written again
 * keeps every field that we do not own.
 *
 * Building never returns an error: a value that could not be allocated marks the tree it was
 * meant for, and json_write() then fails with -ENOMEM; so does a NULL text, which is what a failed
 * allocation looks like. All setters accept a NULL target. Bytes of a text that are no UTF-8 become
 * U+FFFD, so that what is written can be read again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json;

/* Bounds for every document that podd reads. */
#define JSON_BYTES_MAX (1024 * 1024)
#define JSON_DEPTH_MAX 64
#define JSON_VALUES_MAX 65536

/* Parses a whole document; @source names it in errors ("config.json", "OCI state on stdin").
 * Return: 0, -EFBIG (bytes, depth or values over the bound), -EINVAL (not JSON, with
 * "<source>:LINE:COLUMN:"), -ENOMEM. */
int json_parse(const char *source, const char *text, size_t length, struct json **ret,
	struct err *err);
void json_free(struct json *value);
CLEANUP_DEFINE(json, json_free)

/* Writes the document; @pretty indents by two spaces and ends with a newline. */
int json_write(const struct json *value, bool pretty, char **ret_text, size_t *ret_length);

struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_string(const char *text);
struct json *json_new_int(int64_t number);
struct json *json_new_bool(bool boolean);
struct json *json_new_null(void);
struct json *json_copy(const struct json *value);

enum json_type json_type(const struct json *value);
const char *json_type_name(enum json_type type);

/* Lookups return NULL when the value is NULL, of another type, or has no such member. */
struct json *json_get(const struct json *object, const char *key);
const char *json_string(const struct json *value);
struct json *json_at(const struct json *array_or_object, size_t index);
const char *json_key_at(const struct json *object, size_t index);
/* Members of an object or array; 0 for everything else. */
size_t json_length(const struct json *value);
bool json_is_true(const struct json *value);
/* Return: 0, -EINVAL when it is no integer, -ERANGE. */
int json_int(const struct json *value, int64_t *ret);

/*
 * Checked reading of members. An absent member (or null) is an error only when @required, and
 * leaves *ret as it was. Errors name the key, what was expected and what was found. Return: 0 or
 * -EINVAL.
 */
int json_read_string(const struct json *object, const char *key, bool required, const char **ret,
	struct err *err);
int json_read_int(const struct json *object, const char *key, bool required, int64_t min,
	int64_t max, int64_t *ret, struct err *err);
int json_read_bool(const struct json *object, const char *key, bool required, bool *ret,
	struct err *err);
int json_read_object(const struct json *object, const char *key, bool required,
	const struct json **ret, struct err *err);
int json_read_array(const struct json *object, const char *key, bool required,
	const struct json **ret, struct err *err);
/* An array of strings, as an allocated vector (untouched when absent). */
int json_read_strv(const struct json *object, const char *key, bool required, char ***ret,
	struct err *err);

/* Setting replaces a member of that key in its place; @value is owned by the tree from then. */
void json_set(struct json *object, const char *key, struct json *value);
/* A NULL @text sets nothing. */
void json_set_string(struct json *object, const char *key, const char *text);
void json_set_int(struct json *object, const char *key, int64_t number);
void json_set_bool(struct json *object, const char *key, bool boolean);
void json_set_strv(struct json *object, const char *key, char *const *strv);
/* Sets a new empty object or array and returns it (still owned by the tree). */
struct json *json_set_object(struct json *object, const char *key);
struct json *json_set_array(struct json *object, const char *key);
void json_remove(struct json *object, const char *key);
void json_append(struct json *array, struct json *value);
void json_remove_at(struct json *array, size_t index);

/* Deep equality; the order of members does not count, numbers are compared by their text. */
bool json_equal(const struct json *a, const struct json *b);
