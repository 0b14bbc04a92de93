/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deadlines: what is left of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>

#include "deadline.h"

static void test_left(void **state)
{
	int64_t now = deadline_now_ms();

	assert_true(now > 0);
	assert_int_equal(deadline_left_ms(now, 1000), 0);
	assert_int_equal(deadline_left_ms(0, 1000), 0);
	assert_int_equal(deadline_left_ms(INT64_MIN / 2, 1000), 0);
	assert_in_range(deadline_left_ms(now + 100000, UINT_MAX), 1, 100000);
	assert_int_equal(deadline_left_ms(now + 100000, 1000), 1000);
	assert_int_equal(deadline_left_ms(INT64_MAX, UINT_MAX), UINT_MAX);
	assert_int_equal(deadline_left_ms(INT64_MAX, 0), 0);
	assert_true(deadline_now_ms() >= now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
