/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Profiles in the engines' form become the OCI's: which rules apply, and what is refused. */

#include "seccomp-profile.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "fixture.h"

static char *no_capabilities[] = {NULL};
static char *admin[] = {(char *)"CAP_CHOWN", (char *)"CAP_SYS_ADMIN", NULL};

static const struct json *find_rule(const struct json *profile, const char *syscall)
{
	const struct json *rules = json_get(profile, "syscalls");

	for (size_t i = 0; i < json_length(rules); i++) {
		const struct json *names = json_get(json_at(rules, i), "names");

		for (size_t j = 0; j < json_length(names); j++)
			if (text_equal(json_string(json_at(names, j)), syscall))
				return json_at(rules, i);
	}
	return NULL;
}

static const char *action(const struct json *profile, const char *syscall)
{
	return json_string(json_get(find_rule(profile, syscall), "action"));
}

static int load_text(const char *text, char *const *capabilities, struct json **ret, struct err *err)
{
	struct scratch scratch;
	char path[64];
	int r;

	scratch_init(&scratch);
	put_file(scratch.fd, "profile", text);
	snprintf(path, sizeof(path), "%s/profile", scratch.path);
	r = seccomp_profile_load(path, capabilities, ret, err);
	scratch_done(&scratch);
	return r;
}

static void podds_own(void **state)
{
	autofree char *path = text_format("%s/../lib/seccomp.json", getenv("srcdir") ?: ".");
	autoptr(json) plain = NULL;
	autoptr(json) privileged = NULL;

	if (access(path, R_OK) < 0) {
		free(path);
		path = text_format("%s/lib/seccomp.json", getenv("srcdir") ?: ".");
	}
	assert_int_equal(seccomp_profile_load(path, no_capabilities, &plain, NULL), 0);
	assert_string_equal(action(plain, "read"), "SCMP_ACT_ALLOW");
	assert_string_equal(action(plain, "mount"), "SCMP_ACT_ERRNO");
	assert_string_equal(action(plain, "clone3"), "SCMP_ACT_ERRNO");
	assert_string_equal(action(plain, "keyctl"), "SCMP_ACT_ERRNO");
	assert_int_equal(json_length(json_get(find_rule(plain, "clone"), "args")), 1);
	assert_int_equal(seccomp_profile_load(path, admin, &privileged, NULL), 0);
	assert_string_equal(action(privileged, "mount"), "SCMP_ACT_ALLOW");
	assert_null(json_get(find_rule(privileged, "clone"), "args"));
	assert_string_equal(action(privileged, "keyctl"), "SCMP_ACT_ERRNO");
	assert_true(json_length(json_get(plain, "architectures")) >= 1);
}

static void conditions(void **state)
{
	autoptr(json) profile = NULL;

	assert_int_equal(load_text("{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": ["
		"{\"names\": [\"a\"], \"action\": \"X\", \"includes\": {\"arches\": [\"none\"]}},"
		"{\"names\": [\"b\"], \"action\": \"X\", \"includes\": {\"minKernel\": \"1.0\"}},"
		"{\"names\": [\"c\"], \"action\": \"X\", \"includes\": {\"minKernel\": \"999.0\"}},"
		"{\"names\": [\"d\"], \"action\": \"X\", \"excludes\": {\"minKernel\": \"1.0\"}},"
		"{\"names\": [\"e\"], \"action\": \"X\", \"excludes\": {\"caps\": [\"CAP_CHOWN\"]}},"
		"{\"name\": \"f\", \"action\": \"X\", \"includes\": {\"caps\": [\"CAP_CHOWN\"]}},"
		"{\"names\": [\"g\"], \"action\": \"X\", \"includes\": {\"caps\": [\"CAP_BPF\"]}}]}",
		admin, &profile, NULL), 0);
	assert_null(find_rule(profile, "a"));
	assert_non_null(find_rule(profile, "b"));
	assert_null(find_rule(profile, "c"));
	assert_null(find_rule(profile, "d"));
	assert_null(find_rule(profile, "e"));
	assert_non_null(find_rule(profile, "f"));
	assert_null(find_rule(profile, "g"));
}

static void the_oci_form_is_taken_as_it_is(void **state)
{
	autoptr(json) profile = NULL;

	assert_int_equal(load_text("{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": "
		"[\"SCMP_ARCH_X86\"], \"syscalls\": [{\"names\": [\"a\"], \"action\": \"SCMP_ACT_ERRNO\","
		" \"errnoRet\": 5, \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
		NULL, &profile, NULL), 0);
	assert_string_equal(json_string(json_at(json_get(profile, "architectures"), 0)),
		"SCMP_ARCH_X86");
	assert_int_equal(json_length(json_get(find_rule(profile, "a"), "args")), 1);
	assert_non_null(json_get(find_rule(profile, "a"), "errnoRet"));
}

static void what_is_no_profile_is_refused(void **state)
{
	static const char *const wrong[] = {"", "[]", "{}", "{\"defaultAction\": 3}",
		"{\"defaultAction\": \"A\", \"syscalls\": 1}",
		"{\"defaultAction\": \"A\", \"syscalls\": [{}]}",
		"{\"defaultAction\": \"A\", \"syscalls\": [{\"names\": [\"a\"]}]}"};
	struct err err;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct json *profile = NULL;

		err = (struct err){};
		assert_int_equal(load_text(wrong[i], NULL, &profile, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "seccomp"));
		assert_null(profile);
	}
	assert_int_equal(seccomp_profile_load("/no/such/file", NULL, NULL, NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(podds_own),
		cmocka_unit_test(conditions),
		cmocka_unit_test(the_oci_form_is_taken_as_it_is),
		cmocka_unit_test(what_is_no_profile_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
