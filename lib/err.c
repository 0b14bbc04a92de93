/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Error messages: see err.h. What ends up in one may come from anywhere, so nothing in it can
 * move a terminal's cursor. */

#include "err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void clean(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if ((*c < 0x20 && *c != '\n') || *c == 0x7f)
			*c = '?';
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) /* U+0080 to U+009F */
			c[0] = c[1] = '?';
	}
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	assert(code < 0);
	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	clean(err->msg);
	return code;
}

int err_errno(struct err *err, const char *format, ...)
{
	int number = errno ? errno : EIO;
	va_list args;
	size_t used;

	if (!err)
		return -number;
	err->code = -number;
	va_start(args, format);
	vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	used = strlen(err->msg);
	snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", strerror(number));
	clean(err->msg);
	return -number;
}

int err_wrap(struct err *err, int code, const char *format, ...)
{
	char inner[ERR_MSG_MAX];
	va_list args;
	size_t used;

	if (!err)
		return code;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(args, format);
	vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	clean(err->msg);
	used = strlen(err->msg);
	snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", inner);
	err->code = code;
	return code;
}

int err_oom(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}
