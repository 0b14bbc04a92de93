/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Errors for people. A function that can fail in a way that a person must read takes a
 * "struct err *" as its last argument, which may be NULL. Where the failure happens,
 * err_set() says what was tried, on what, and what went wrong; each layer above wraps it at
 * most once. Nothing in lib/ prints.
 */

#include <stdarg.h>

#define ERR_MSG_MAX 2048

struct err {
	int code;
	char msg[ERR_MSG_MAX];
};

/* Formats the message; control characters in it, but newlines, are replaced by '?'. Return: @code,
 * which is a negative errno. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set(), with the text of errno appended. Return: -errno. */
int err_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "<text>: " before the message that is there. Return: @code. */
int err_wrap(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Return: -ENOMEM, with the message for it. */
int err_oom(struct err *err);
