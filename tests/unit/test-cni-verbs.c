/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What else can be asked of a chain of CNI plugins: CHECK, STATUS, GC, VERSION. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cni-chain.h"

static void test_check(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(
		fixture, NET("0.4.0", PLUGIN("one", "") "," PLUGIN(
					      "two", ",\"mode\":\"error\",\"on\":\"CHECK\"")));
	autoptr(cni_config) disabled = fixture_config(fixture,
		"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"disableCheck\":true,\"plugins\":"
		"[" PLUGIN("one", "") "]}");
	autoptr(cni_config) old = fixture_config(fixture, NET("0.3.1", PLUGIN("one", "")));
	struct err err = {0};

	install_all(fixture);
	assert_int_equal(cni_check(config, &runtime, &err), -ENODATA);
	added(fixture, config);
	fixture_assert_calls(fixture, "ADD one, ADD two");
	assert_int_equal(cni_check(config, &runtime, &err), -EREMOTEIO);
	assert_message(&err, "plugin \"two\", CHECK: code 100");
	fixture_assert_calls(fixture, "CHECK one, CHECK two");
	assert_int_equal(cni_check(disabled, &runtime, NULL), 0);
	assert_int_equal(cni_check(old, &runtime, &err), -EOPNOTSUPP);
	assert_message(&err, "CHECK needs cniVersion 0.4.0, it has 0.3.1");
	fixture_assert_calls(fixture, "");
}

static void test_status(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config =
		fixture_config(fixture, NET("1.1.0", PLUGIN("one", "") "," PLUGIN("two", "")));
	autoptr(cni_config) failing = fixture_config(
		fixture, NET("1.1.0", PLUGIN("one", ",\"mode\":\"error\",\"on\":\"STATUS\"")));
	autoptr(cni_config) old = fixture_config(fixture, NET("1.0.0", PLUGIN("one", "")));
	autoptr(cni_config) older_plugin =
		fixture_config(fixture, NET("1.1.0", "{\"type\":\"older\"}"));
	struct err err = {0};

	install_all(fixture);
	assert_int_equal(cni_status(config, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "STATUS one, STATUS two");
	assert_int_equal(cni_status(failing, &runtime, &err), -EREMOTEIO);
	assert_int_equal(cni_status(old, &runtime, &err), -EOPNOTSUPP);
	/* As plugins built on CNI 1.0 answer. */
	fixture_write_script(fixture, "older",
		"#!/bin/sh\ntest \"$CNI_COMMAND\" = VERSION &&\n"
		"exec echo '{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}'\n"
		"echo '{\"code\":3,\"msg\":\"missing containerID\"}'; exit 1\n");
	assert_int_equal(cni_status(older_plugin, &runtime, &err), -EOPNOTSUPP);
	assert_message(&err, "plugin \"older\" does not speak 1.1.0, which STATUS needs");
}

static void test_gc(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture,
		NET("1.1.0",
			PLUGIN("one", ",\"mode\":\"error\",\"on\":\"GC\"") "," PLUGIN("two", "")));
	autoptr(cni_config) disabled = fixture_config(fixture,
		"{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"disableGC\":true,\"plugins\":"
		"[" PLUGIN("one", "") "]}");
	struct cni_attachment valid[] = {{"net0.web", "eth0", NULL}};
	cleanup(requests_done) struct requests requests = {0};
	autoptr(json) request = NULL;
	autofree char *text = NULL;
	struct err err = {0};
	size_t length;

	install_all(fixture);
	added(fixture, config);
	fixture_assert_calls(fixture, "ADD one, ADD two");
	requests = read_requests(fixture);
	requests_done(&requests);
	assert_int_equal(cni_gc(disabled, NULL, 0, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "");
	assert_int_equal(cni_gc(config, valid, 1, &runtime, &err), -EREMOTEIO);
	assert_message(&err, "network \"net\": plugin \"one\", GC: code 100");
	fixture_assert_calls(fixture, "GC one, GC two");
	assert_true(is_kept(fixture));
	requests = read_requests(fixture);
	request = next_request(&requests);
	assert_int_equal(
		json_write(json_get(request, "cni.dev/valid-attachments"), false, &text, &length),
		0);
	assert_string_equal(text, "[{\"containerID\":\"net0.web\",\"ifname\":\"eth0\"}]");
	/* Not valid any more: deleted first. */
	assert_int_equal(cni_gc(config, NULL, 0, &runtime, NULL), -EREMOTEIO);
	fixture_assert_calls(fixture, "DEL two, DEL one, GC one, GC two");
	assert_false(is_kept(fixture));
}

static void test_gc_of_old_network(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture, NET("1.0.0", PLUGIN("one", "")));
	autoptr(cni_config) other = fixture_config(
		fixture, "{\"cniVersion\":\"1.0.0\",\"name\":\"other\",\"plugins\":[" PLUGIN(
				 "one", "") "]}");

	install_all(fixture);
	added(fixture, config);
	/* Another network's attachments are none of its business. */
	assert_int_equal(cni_gc(other, NULL, 0, &runtime, NULL), 0);
	assert_true(is_kept(fixture));
	assert_int_equal(cni_gc(config, NULL, 0, &runtime, NULL), 0);
	assert_false(is_kept(fixture));
	fixture_assert_calls(fixture, "ADD one, DEL one");
}

static void test_plugin_versions(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autostrv versions = NULL;
	char **none = NULL;
	struct err err = {0};

	install_all(fixture);
	assert_int_equal(cni_plugin_versions("one", &runtime, &versions, NULL), 0);
	assert_int_equal(strv_length(versions), 4);
	assert_string_equal(versions[3], "1.1.0");
	assert_int_equal(cni_plugin_versions("absent", &runtime, &none, &err), -ENOENT);
	fixture_write_script(fixture, "mute", "#!/bin/sh\n");
	assert_int_equal(cni_plugin_versions("mute", &runtime, &none, &err), -EPROTO);
	assert_message(&err, "plugin \"mute\", VERSION: ");
	assert_null(none);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_check),
		WITH_FIXTURE(test_status),
		WITH_FIXTURE(test_gc),
		WITH_FIXTURE(test_gc_of_old_network),
		WITH_FIXTURE(test_plugin_versions),
	};

	return cmocka_run_group_tests_name("cni-verbs", tests, NULL, NULL);
}
