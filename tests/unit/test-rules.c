/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Egress rules on a command line: which words are one rule. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rules.c"

static void test_join(void **state)
{
	static const struct {
		const char *words[8];
		const char *rules[4];
	} cases[] = {
		{{"deny"}, {"deny"}},
		{{"deny", "to", "10.0.0.0/8", "log"}, {"deny to 10.0.0.0/8 log"}},
		{{"deny to 10.0.0.0/8 log"}, {"deny to 10.0.0.0/8 log"}},
		{{"deny to 10.0.0.0/8", "log"}, {"deny to 10.0.0.0/8 log"}},
		{{"allow", "to", "dns", "deny"}, {"allow to dns", "deny"}},
		{{"allow to dns", "deny log", "allow"}, {"allow to dns", "deny log", "allow"}},
		{{"{\"protocol\":1}", "{}", "deny"}, {"{\"protocol\":1}", "{}", "deny"}},
		/* What is no rule stays one, for who looks at it. */
		{{"to", "dns"}, {"to dns"}},
		{{"allowed", "deny"}, {"allowed", "deny"}},
		{{"", "allow"}, {"", "allow"}},
	};
	char **none = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autostrv rules = NULL;
		size_t n = 0;

		assert_int_equal(rules_join((char *const *)cases[i].words, &rules), 0);
		for (; cases[i].rules[n]; n++) {
			assert_non_null(rules[n]);
			assert_string_equal(rules[n], cases[i].rules[n]);
		}
		assert_null(rules[n]);
	}
	assert_int_equal(rules_join((char *const[]){NULL}, &none), -EINVAL);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
