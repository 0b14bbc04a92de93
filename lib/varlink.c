/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * varlink messages: finding them in a stream, reading calls, writing calls and answers. Both ends
 * use it; no sockets here.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink.h"

#define CALL_SOURCE "varlink call"

int varlink_frame(const char *data, size_t length, size_t *ret_message)
{
	size_t look = length < VARLINK_MESSAGE_MAX ? length : VARLINK_MESSAGE_MAX;
	const char *end = look > 0 ? memchr(data, '\0', look) : NULL;

	if (end) {
		*ret_message = (size_t)(end - data);
		return 0;
	}
	return length < VARLINK_MESSAGE_MAX ? -EAGAIN : -EMSGSIZE;
}

static int read_call(const struct json *message, struct varlink_call *call, struct err *err)
{
	int r;

	if (json_type(message) != JSON_OBJECT)
		return err_set(err, -EINVAL, "must be an object, found %s",
			json_type_name(json_type(message)));
	r = json_read_string(message, "method", true, &call->method, err);
	if (r >= 0)
		r = json_read_object(message, "parameters", false, &call->parameters, err);
	if (r >= 0)
		r = json_read_bool(message, "more", false, &call->more, err);
	if (r >= 0)
		r = json_read_bool(message, "oneway", false, &call->oneway, err);
	if (r < 0)
		return r;
	if (call->more && call->oneway)
		return err_set(err, -EINVAL, "\"more\" and \"oneway\" exclude each other");
	return 0;
}

int varlink_call_parse(const char *text, size_t length, struct varlink_call *ret, struct err *err)
{
	cleanup(varlink_call_done) struct varlink_call call = {0};
	int r = json_parse(CALL_SOURCE, text, length, &call.message, err);

	if (r < 0)
		return r;
	r = read_call(call.message, &call, err);
	if (r < 0)
		return err_wrap(err, r, CALL_SOURCE);
	*ret = call;
	call = (struct varlink_call){0};
	return 0;
}

void varlink_call_done(struct varlink_call *call)
{
	json_free(call->message);
	*call = (struct varlink_call){0};
}

/* The text of a message with its NUL. */
static int write_message(const struct json *message, char **ret, size_t *ret_length)
{
	autofree char *text = NULL;
	size_t length;
	int r = json_write(message, false, &text, &length);

	if (r < 0)
		return r;
	if (length >= VARLINK_MESSAGE_MAX)
		return -EMSGSIZE;
	*ret = take_ptr(text);
	*ret_length = length + 1;
	return 0;
}

static int write_call(const char *method, struct json *parameters, const char *flag, char **ret,
	size_t *ret_length)
{
	autoptr(json) message = json_new_object();

	json_set_string(message, "method", method);
	if (parameters)
		json_set(message, "parameters", parameters);
	if (flag)
		json_set_bool(message, flag, true);
	return write_message(message, ret, ret_length);
}

int varlink_write_call(
	const char *method, struct json *parameters, bool more, char **ret, size_t *ret_length)
{
	return write_call(method, parameters, more ? "more" : NULL, ret, ret_length);
}

int varlink_write_oneway(
	const char *method, struct json *parameters, char **ret, size_t *ret_length)
{
	return write_call(method, parameters, "oneway", ret, ret_length);
}

int varlink_write_reply(struct json *parameters, bool continues, char **ret, size_t *ret_length)
{
	autoptr(json) message = json_new_object();

	json_set(message, "parameters", parameters ? parameters : json_new_object());
	if (continues)
		json_set_bool(message, "continues", true);
	return write_message(message, ret, ret_length);
}

int varlink_write_error(const char *name, struct json *parameters, char **ret, size_t *ret_length)
{
	autoptr(json) message = json_new_object();

	json_set_string(message, "error", name);
	json_set(message, "parameters", parameters ? parameters : json_new_object());
	return write_message(message, ret, ret_length);
}
