/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text to tree and back. yajl splits the text into tokens and checks the syntax; the callbacks
 * here build the tree, which belongs to the parser until the whole document was good, and enforce
 * what yajl does not: bounds, one member for each key, no NUL in strings. Nesting lives in an
 * array, so that hostile documents cannot use up the stack.
 */

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "json-internal.h"
#include "text.h"

/* An object or array that is not closed yet. */
struct frame {
	struct json *value;
	char *key;  /* that the next value belongs to */
	void *keys; /* tsearch(3) tree of the object's keys; they belong to the members */
};

struct parser {
	const char *source;
	const char *text;
	size_t length;
	yajl_handle handle;
	struct err *err;
	int result;
	struct json *root;
	size_t n_values;
	size_t depth;
	struct frame frames[JSON_DEPTH_MAX];
};

/* The keys in a tree belong to the members. */
static void keep_key(void *key)
{
}

/* What is open stays reachable from the root; only keys without their value are not. */
static void parser_done(struct parser *parser)
{
	for (size_t i = 0; i < parser->depth; i++) {
		free(parser->frames[i].key);
		tdestroy(parser->frames[i].keys, keep_key);
	}
	json_free(parser->root);
	if (parser->handle)
		yajl_free(parser->handle);
}

static bool delimits(char c)
{
	return strchr(" \t\r\n,:[]{}\"", c) != NULL;
}

/* Start of the token that ends before @end. */
static size_t token_start(const char *text, size_t end)
{
	size_t at = end, slashes;

	if (at == 0)
		return 0;
	if (!delimits(text[--at]))
		while (at > 0 && !delimits(text[at - 1]))
			at--;
	if (text[at] != '"')
		return at;
	/* Within a string each quote has an odd number of backslashes before it. */
	while (at > 0) {
		if (text[--at] != '"')
			continue;
		for (slashes = 0; slashes < at && text[at - slashes - 1] == '\\'; slashes++)
			;
		if (slashes % 2 == 0)
			break;
	}
	return at;
}

/* Sets the error for what is at @offset of the text. */
static int fail_at(struct parser *parser, int code, size_t offset, const char *what)
{
	size_t line = 1, start = 0;

	for (size_t i = 0; i < offset && i < parser->length; i++) {
		if (parser->text[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	parser->result = err_set(parser->err, code, "%s:%zu:%zu: %s", parser->source, line,
		offset - start + 1, what);
	return parser->result;
}

/* For the callbacks, about the token that yajl has just read; returns what cancels yajl. */
static int refuse(struct parser *parser, int code, const char *what)
{
	size_t end = yajl_get_bytes_consumed(parser->handle);

	fail_at(parser, code, token_start(parser->text, end), what);
	return 0;
}

static int out_of_memory(struct parser *parser)
{
	parser->result = err_oom(parser->err);
	return 0;
}

/* Hangs a new value (NULL: no memory) into what is open. */
static int add_value(struct parser *parser, struct json *value)
{
	struct frame *frame;

	if (!value)
		return out_of_memory(parser);
	if (++parser->n_values > JSON_VALUES_MAX) {
		json_free(value);
		return refuse(parser, -EFBIG, "more values than podd accepts in one document");
	}
	if (parser->depth == 0) {
		parser->root = value;
		return 1;
	}
	frame = &parser->frames[parser->depth - 1];
	if (json_add_member(frame->value, take_ptr(frame->key), value) < 0)
		return out_of_memory(parser);
	return 1;
}

static int open_container(struct parser *parser, enum json_type type)
{
	struct json *value;

	if (parser->depth == JSON_DEPTH_MAX)
		return refuse(parser, -EFBIG, "nested deeper than podd accepts");
	value = json_new(type);
	if (!add_value(parser, value))
		return 0;
	parser->frames[parser->depth++] = (struct frame){.value = value};
	return 1;
}

static int close_container(void *context)
{
	struct parser *parser = context;
	struct frame *frame = &parser->frames[--parser->depth];

	tdestroy(take_ptr(frame->keys), keep_key);
	return 1;
}

static int on_null(void *context)
{
	return add_value(context, json_new_null());
}

static int on_boolean(void *context, int boolean)
{
	return add_value(context, json_new_bool(boolean != 0));
}

static int on_number(void *context, const char *text, size_t length)
{
	return add_value(context, json_new_text(JSON_NUMBER, text, length));
}

/* Return: 1, or 0 when the string is refused: it has to be usable as a C string. */
static int check_string(struct parser *parser, const char *text, size_t length)
{
	size_t sequence;

	if (memchr(text, '\0', length))
		return refuse(parser, -EINVAL, "a string with a NUL character");
	for (size_t i = 0; i < length; i += sequence) {
		sequence = json_utf8_sequence(text + i, length - i);
		if (sequence == 0)
			return refuse(parser, -EINVAL, "a string that is not valid UTF-8");
	}
	return 1;
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
	if (!check_string(context, (const char *)text, length))
		return 0;
	return add_value(context, json_new_text(JSON_STRING, (const char *)text, length));
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int on_key(void *context, const unsigned char *text, size_t length)
{
	struct parser *parser = context;
	struct frame *frame = &parser->frames[parser->depth - 1];
	char quote[80], what[120];
	void *found;

	if (!check_string(parser, (const char *)text, length))
		return 0;
	frame->key = strndup((const char *)text, length);
	found = frame->key ? tsearch(frame->key, &frame->keys, compare_keys) : NULL;
	if (!found)
		return out_of_memory(parser);
	if (*(char **)found == frame->key)
		return 1;
	snprintf(what, sizeof(what), "the key \"%s\" is there twice",
		text_sanitize(quote, sizeof(quote), frame->key));
	return refuse(parser, -EINVAL, what);
}

static int on_start_object(void *context)
{
	return open_container(context, JSON_OBJECT);
}

static int on_start_array(void *context)
{
	return open_container(context, JSON_ARRAY);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_object,
	.yajl_map_key = on_key,
	.yajl_end_map = close_container,
	.yajl_start_array = on_start_array,
	.yajl_end_array = close_container,
};

/* yajl's own words for what it did not like, which are "<kind> error: <what>.\n". It stands after
 * the token when the grammar does not allow it, and after a byte that begins no token. */
static int fail_with_yajl_error(struct parser *parser, size_t offset)
{
	unsigned char *error = yajl_get_error(parser->handle, 0, NULL, 0);
	const char *colon = error ? strstr((char *)error, ": ") : NULL;
	const char *what = colon ? colon + 2 : "not valid JSON";
	char text[120];

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(what, ".\n"), what);
	if (text_equal(text, "invalid char in json text") && offset > 0)
		offset--;
	else if (text_starts_with((char *)error, "parse") && !text_equal(text, "premature EOF"))
		offset = token_start(parser->text, offset);
	if (error)
		yajl_free_error(parser->handle, error);
	return fail_at(parser, -EINVAL, offset, text);
}

static int parse(struct parser *parser)
{
	yajl_status status;
	size_t offset;

	status = yajl_parse(parser->handle, (const unsigned char *)parser->text, parser->length);
	offset = yajl_get_bytes_consumed(parser->handle);
	if (status == yajl_status_ok) {
		/* It now sees the end, where a number may be the last token. */
		status = yajl_complete_parse(parser->handle);
		offset = parser->length;
	}
	if (parser->result < 0 || status == yajl_status_ok)
		return parser->result;
	return fail_with_yajl_error(parser, offset);
}

static bool is_blank(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
			return false;
	return true;
}

int json_parse(
	const char *source, const char *text, size_t length, struct json **ret, struct err *err)
{
	cleanup(parser_done) struct parser parser = {
		.source = source,
		.text = text,
		.length = length,
		.err = err,
	};
	int r;

	if (length > JSON_BYTES_MAX)
		return err_set(err, -EFBIG, "%s has more than the %d bytes that podd accepts",
			source, JSON_BYTES_MAX);
	if (is_blank(text, length))
		return err_set(err, -EINVAL, "%s is empty", source);
	parser.handle = yajl_alloc(&callbacks, NULL, &parser);
	if (!parser.handle)
		return err_oom(err);
	r = parse(&parser);
	if (r < 0)
		return r;
	*ret = take_ptr(parser.root);
	return 0;
}

/* ---- writing ---- */

struct writer {
	char *text;
	size_t length;
	size_t allocated;
	bool pretty;
	bool failed;
};

static void put(struct writer *writer, const char *text, size_t length)
{
	size_t need = writer->length + length + 1;
	size_t size = writer->allocated ? writer->allocated : 256;
	char *grown;

	if (writer->failed)
		return;
	if (need > writer->allocated) {
		while (size < need)
			size *= 2;
		grown = realloc(writer->text, size);
		if (!grown) {
			writer->failed = true;
			return;
		}
		writer->text = grown;
		writer->allocated = size;
	}
	memcpy(writer->text + writer->length, text, length);
	writer->length += length;
	writer->text[writer->length] = '\0';
}

static void put_text(struct writer *writer, const char *text)
{
	put(writer, text, strlen(text));
}

/* What stands for a character that cannot be in a string as it is; NULL when it can. */
static const char *escape_of(unsigned char c, char buffer[8])
{
	static const char short_ones[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *s = short_ones; *s; s += 2) {
		if ((unsigned char)*s == c) {
			snprintf(buffer, 8, "\\%c", s[1]);
			return buffer;
		}
	}
	if (c >= 0x20)
		return NULL;
	snprintf(buffer, 8, "\\u%04x", c);
	return buffer;
}

static void put_string(struct writer *writer, const char *text)
{
	const char *plain = text;
	char buffer[8];

	put(writer, "\"", 1);
	for (; *text; text++) {
		const char *escape = escape_of((unsigned char)*text, buffer);

		if (!escape)
			continue;
		put(writer, plain, (size_t)(text - plain));
		put_text(writer, escape);
		plain = text + 1;
	}
	put(writer, plain, (size_t)(text - plain));
	put(writer, "\"", 1);
}

static void put_indent(struct writer *writer, size_t depth)
{
	if (!writer->pretty)
		return;
	put(writer, "\n", 1);
	while (depth-- > 0)
		put(writer, "  ", 2);
}

static void put_value(struct writer *writer, const struct json *value, size_t depth);

static void put_container(struct writer *writer, const struct json *value, size_t depth)
{
	bool object = value->type == JSON_OBJECT;

	put_text(writer, object ? "{" : "[");
	for (size_t i = 0; i < value->n; i++) {
		if (i > 0)
			put(writer, ",", 1);
		put_indent(writer, depth + 1);
		if (object) {
			put_string(writer, value->members[i].key);
			put_text(writer, writer->pretty ? ": " : ":");
		}
		put_value(writer, value->members[i].value, depth + 1);
	}
	if (value->n > 0)
		put_indent(writer, depth);
	put_text(writer, object ? "}" : "]");
}

static void put_value(struct writer *writer, const struct json *value, size_t depth)
{
	if (value->incomplete)
		writer->failed = true;
	switch (value->type) {
	case JSON_NULL:
		put_text(writer, "null");
		break;
	case JSON_BOOL:
		put_text(writer, value->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		put_text(writer, value->text);
		break;
	case JSON_STRING:
		put_string(writer, value->text);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		put_container(writer, value, depth);
		break;
	}
}

int json_write(const struct json *value, bool pretty, char **ret_text, size_t *ret_length)
{
	struct writer writer = {.pretty = pretty};

	if (!value)
		return -ENOMEM;
	put_value(&writer, value, 0);
	if (pretty)
		put(&writer, "\n", 1);
	if (writer.failed) {
		free(writer.text);
		return -ENOMEM;
	}
	*ret_text = writer.text;
	if (ret_length)
		*ret_length = writer.length;
	return 0;
}
