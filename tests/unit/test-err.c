/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error messages: what they say, that they fit, and that they are safe to print. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "err.h"

static void test_set(void **state)
{
	struct err err;

	assert_int_equal(err_set(&err, -EINVAL, "field '%s': %d", "mtu", 7), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.msg, "field 'mtu': 7");
	assert_int_equal(err_set(&err, -EPERM, "another"), -EPERM);
	assert_int_equal(err.code, -EPERM);
	assert_string_equal(err.msg, "another");
}

static void test_errno(void **state)
{
	struct err err;

	errno = ENOSPC;
	assert_int_equal(err_errno(&err, "writing %s", "pod.json"), -ENOSPC);
	assert_int_equal(err.code, -ENOSPC);
	assert_string_equal(err.msg, "writing pod.json: No space left on device");
	/* A failure is never reported as a success. */
	errno = 0;
	assert_true(err_errno(&err, "x") < 0);
}

static void test_wrap(void **state)
{
	struct err err;

	err_set(&err, -ENOENT, "no such file");
	assert_int_equal(err_wrap(&err, -EINVAL, "pod '%s'", "net0"), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.msg, "pod 'net0': no such file");
}

static void test_oom(void **state)
{
	struct err err;

	assert_int_equal(err_oom(&err), -ENOMEM);
	assert_string_equal(err.msg, "out of memory");
	assert_int_equal(err_oom(NULL), -ENOMEM);
}

static void test_nobody_asks(void **state)
{
	errno = EACCES;
	assert_int_equal(err_errno(NULL, "x"), -EACCES);
	assert_int_equal(err_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_int_equal(err_wrap(NULL, -EBUSY, "x"), -EBUSY);
}

static void test_control_characters(void **state)
{
	struct err err;

	err_set(&err, -EINVAL, "a%sb", "\x1b[2J\r\t\a\x7f");
	assert_string_equal(err.msg, "a?[2J????b");
	/* U+009B starts a control sequence as ESC [ does; U+00A0 and other letters do not. */
	err_set(&err, -EINVAL, "a%sz", "\xc2\x9bJ\xc2\xa0\xc3\x9b\xc2");
	assert_string_equal(err.msg, "a??J\xc2\xa0\xc3\x9b\xc2z");
	errno = EIO;
	err_errno(&err, "reading %s", "\x1b]0;x");
	assert_string_equal(err.msg, "reading ?]0;x: Input/output error");
	err_wrap(&err, -EIO, "%s", "\b");
	assert_string_equal(err.msg, "?: reading ?]0;x: Input/output error");
	/* Plugins and hooks may say several lines. */
	err_set(&err, -EINVAL, "one\ntwo");
	assert_string_equal(err.msg, "one\ntwo");
}

static void test_long_messages_are_cut(void **state)
{
	char text[2 * ERR_MSG_MAX];
	struct {
		struct err err;
		char guard[8];
	} guarded = {.guard = "guarded"};

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&guarded.err, -EINVAL, "%s", text);
	assert_int_equal(strlen(guarded.err.msg), ERR_MSG_MAX - 1);
	err_wrap(&guarded.err, -EINVAL, "%s", "outer");
	assert_int_equal(strlen(guarded.err.msg), ERR_MSG_MAX - 1);
	assert_memory_equal(guarded.err.msg, "outer: xxx", 10);
	err_wrap(&guarded.err, -EINVAL, "%s", text);
	assert_int_equal(strlen(guarded.err.msg), ERR_MSG_MAX - 1);
	errno = EIO;
	err_errno(&guarded.err, "%s", text);
	assert_int_equal(strlen(guarded.err.msg), ERR_MSG_MAX - 1);
	assert_string_equal(guarded.guard, "guarded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_oom),
		cmocka_unit_test(test_nobody_asks),
		cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_long_messages_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
