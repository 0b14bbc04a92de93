/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Detach keys: the forms that are understood, and finding them in whatever pieces are typed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "detach.c"

static void parse_ok(const char *text, const char *keys)
{
	struct detach detach;

	assert_int_equal(detach_parse(text, &detach, NULL), 0);
	assert_int_equal(detach.n, strlen(keys));
	assert_memory_equal(detach.keys, keys, detach.n);
}

static void parse_wrong(const char *text)
{
	struct detach detach;
	struct err err = {};

	assert_int_equal(detach_parse(text, &detach, &err), -EINVAL);
	assert_true(err.msg[0] != '\0');
}

static void test_parse(void **state)
{
	(void)state;
	parse_ok(NULL, "\x10\x11");
	parse_ok("ctrl-p,ctrl-q", "\x10\x11");
	parse_ok("", "");
	parse_ok("a", "a");
	parse_ok("ctrl-A,b,Z", "\x01"
			       "bZ");
	parse_ok("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", "\x1b\x1c\x1d\x1e\x1f");
	parse_ok("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "abcdefghijklmnop");
	parse_wrong("ctrl-");
	parse_wrong("ctrl-1");
	parse_wrong("ctrl-ab");
	parse_wrong("ab");
	parse_wrong("\x01");
	parse_wrong("ctrl-p ctrl-q");
	parse_wrong("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q");
}

static void test_ctrl_at(void **state)
{
	struct detach detach;

	(void)state;
	assert_int_equal(detach_parse("ctrl-@", &detach, NULL), 0);
	assert_int_equal(detach.n, 1);
	assert_int_equal(detach.keys[0], 0);
}

/* What comes out of @input, given in pieces of @piece bytes, up to the keys. */
static int filter(const char *keys, const char *input, size_t piece, char *output)
{
	unsigned char buffer[256 + DETACH_KEYS_MAX];
	struct detach detach;
	size_t length = strlen(input);
	size_t n;
	int r = 0;

	assert_int_equal(detach_parse(keys, &detach, NULL), 0);
	for (size_t i = 0; i < length && r == 0; i += n) {
		size_t out;

		n = length - i < piece ? length - i : piece;
		r = detach_filter(&detach, (const unsigned char *)input + i, n, buffer, &out);
		assert_true(out <= n + DETACH_KEYS_MAX);
		memcpy(output, buffer, out);
		output += out;
	}
	*output = '\0';
	return r;
}

static void check(const char *keys, const char *input, int expected, const char *passed)
{
	char output[512];

	for (size_t piece = 1; piece <= strlen(input); piece++) {
		assert_int_equal(filter(keys, input, piece, output), expected);
		assert_string_equal(output, passed);
	}
}

static void test_filter(void **state)
{
	(void)state;
	check(NULL, "hello", 0, "hello");
	check(NULL, "hello\x10\x11lost", 1, "hello");
	/* Held back as long as it may be the beginning. */
	check(NULL, "a\x10", 0, "a");
	check(NULL, "a\x10z\x11", 0, "a\x10z\x11");
	check(NULL, "\x10\x10\x11", 1, "\x10");
	check("a,a,b", "aaab", 1, "a");
	check("a,b,a,c", "ababac", 1, "ab");
	check("a,b,a,c", "abababx", 0, "abababx");
	check("", "\x10\x11", 0, "\x10\x11");
	check("q", "pq", 1, "p");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_ctrl_at),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
