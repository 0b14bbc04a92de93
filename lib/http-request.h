/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The requests of those who ask for metrics: HTTP/1.0 and 1.1, GET and HEAD without a body, each
 * line ended by CR LF (RFC 9112, sections 2 to 5). Everything else is refused; nothing is
 * allocated.
 */

#include <stdbool.h>
#include <stddef.h>

#define HTTP_REQUEST_MAX 8192
#define HTTP_HEADERS_MAX 64

/* Looks at what has come so far. Return: 0 until the request is whole; then the status to answer
 * with: 200 for one of @path, 400, 404, 405, 431 (too long, also before its end), 505. *ret_head:
 * no body is wanted. */
int http_request_judge(const char *text, size_t length, const char *path, bool *ret_head);

/* The head of an answer, into a text of HTTP_ANSWER_HEAD_MAX bytes. Return: its length. */
#define HTTP_ANSWER_HEAD_MAX 256
size_t http_answer_head(int status, const char *type, size_t length, char *ret);
/* "Not Found". */
const char *http_reason(int status);
