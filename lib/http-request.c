/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A small strict reader of HTTP requests: see http-request.h. */

#include "http-request.h"

#include <stdio.h>
#include <string.h>

#include <strings.h>

struct span {
	const char *data;
	size_t length;
};

static bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && memcmp(span.data, text, span.length) == 0;
}

static bool span_is_name(struct span span, const char *text)
{
	return span.length == strlen(text) && strncasecmp(span.data, text, span.length) == 0;
}

/* RFC 9110, section 5.6.2. */
static bool is_token(struct span span)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < span.length; i++) {
		char c = span.data[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			(c == '\0' || !strchr(others, c)))
			return false;
	}
	return span.length > 0;
}

/* Visible characters, and in values spaces and tabs. */
static bool is_visible(struct span span, bool blanks)
{
	for (size_t i = 0; i < span.length; i++) {
		unsigned char c = (unsigned char)span.data[i];

		if ((c <= ' ' || c == 127) && !(blanks && (c == ' ' || c == '\t')))
			return false;
	}
	return true;
}

/* Up to @end, which is taken too. Return: false when it does not come. */
static bool take(struct span *rest, const char *end, struct span *ret)
{
	const char *found = memmem(rest->data, rest->length, end, strlen(end));

	if (!found)
		return false;
	*ret = (struct span){rest->data, (size_t)(found - rest->data)};
	rest->data = found + strlen(end);
	rest->length -= ret->length + strlen(end);
	return true;
}

static int judge_version(struct span version)
{
	if (span_is(version, "HTTP/1.0") || span_is(version, "HTTP/1.1"))
		return 200;
	if (version.length == 8 && memcmp(version.data, "HTTP/", 5) == 0)
		return 505;
	return 400;
}

static int judge_line(struct span line, const char *path, bool *ret_head)
{
	struct span method, target, ignored;
	int status;

	if (!take(&line, " ", &method) || !take(&line, " ", &target) || !is_token(method) ||
		target.length == 0 || !is_visible(target, false))
		return 400;
	status = judge_version(line);
	if (status != 200)
		return status;
	*ret_head = span_is(method, "HEAD");
	if (!*ret_head && !span_is(method, "GET"))
		return 405;
	if (!take(&target, "?", &ignored))
		ignored = target;
	return span_is(ignored, path) ? 200 : 404;
}

/* Return: 200, or 400: also for a body, which a request like that has not. */
static int judge_header(struct span line)
{
	struct span name;

	if (!take(&line, ":", &name) || !is_token(name) || !is_visible(line, true))
		return 400;
	while (line.length > 0 && (*line.data == ' ' || *line.data == '\t')) {
		line.data++;
		line.length--;
	}
	if (span_is_name(name, "transfer-encoding"))
		return 400;
	if (span_is_name(name, "content-length") && !span_is(line, "0"))
		return 400;
	return 200;
}

int http_request_judge(const char *text, size_t length, const char *path, bool *ret_head)
{
	struct span rest = {text, length}, line;
	int status, of_header;

	*ret_head = false;
	if (length > HTTP_REQUEST_MAX)
		return 431;
	if (!memmem(text, length, "\r\n\r\n", 4))
		return length == HTTP_REQUEST_MAX ? 431 : 0;
	take(&rest, "\r\n", &line);
	status = judge_line(line, path, ret_head);
	for (int n = 0; take(&rest, "\r\n", &line) && line.length > 0; n++) {
		if (n == HTTP_HEADERS_MAX)
			return 431;
		of_header = judge_header(line);
		if (of_header != 200)
			return of_header;
	}
	return status;
}

const char *http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

size_t http_answer_head(int status, const char *type, size_t length, char *ret)
{
	int n = snprintf(ret, HTTP_ANSWER_HEAD_MAX,
		"HTTP/1.0 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: "
		"close\r\n\r\n",
		status, http_reason(status), type, length,
		status == 405 ? "Allow: GET, HEAD\r\n" : "");

	return n < HTTP_ANSWER_HEAD_MAX ? (size_t)n : HTTP_ANSWER_HEAD_MAX - 1;
}
