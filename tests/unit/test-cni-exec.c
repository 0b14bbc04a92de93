/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One CNI plugin: which files are taken for one, what it sees, and how it can go wrong. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "cni-exec.h"
#include "cni-fixture.h"

static void refuse_to_open(struct fixture *fixture, const char *type, int code, const char *message)
{
	struct cni_plugin plugin = {.fd = -1};
	struct err err = {0};

	assert_int_equal(cni_plugin_open(type, &(struct cni_runtime){.plugin_dirs = fixture->plugin_dirs}, &plugin, &err), code);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" has no \"%s\"", err.msg, message);
	assert_null(plugin.path);
	assert_int_equal(plugin.fd, -1);
}

static void test_open_refuses(void **state)
{
	struct fixture *fixture = *state;

	refuse_to_open(
		fixture, "absent", -ENOENT, "there is no plugin \"absent\" in /tmp/podd-cni-");
	refuse_to_open(fixture, "../../bin/sh", -EINVAL, "the type \"../../bin/sh\" is invalid");
	refuse_to_open(fixture, "..", -EINVAL, "is invalid");
	refuse_to_open(fixture, "", -EINVAL, "is invalid");
	fixture_write_plugin(fixture, "group", "#!/bin/sh\n", 10, 0775);
	refuse_to_open(fixture, "group", -EACCES, "has mode 0775: group and others must not");
	fixture_write_plugin(fixture, "others", "#!/bin/sh\n", 10, 0757);
	refuse_to_open(fixture, "others", -EACCES, "has mode 0757");
	fixture_write_plugin(fixture, "plain", "#!/bin/sh\n", 10, 0644);
	refuse_to_open(fixture, "plain", -EACCES, "is not executable (mode 0644)");
	assert_int_equal(mkdirat(fixture->pluginsfd, "directory", 0755), 0);
	refuse_to_open(fixture, "directory", -EACCES, "is not a regular file");
	/* Opening it must not wait for a writer. */
	assert_int_equal(mkfifoat(fixture->pluginsfd, "fifo", 0755), 0);
	refuse_to_open(fixture, "fifo", -EACCES, "is not a regular file");
}

static void test_open_without_directories(void **state)
{
	struct fixture *fixture = *state;

	fixture->plugin_dirs[0] = NULL;
	refuse_to_open(fixture, "bridge", -ENOENT, "any directory: none is configured");
}

static void test_open_in_order(void **state)
{
	struct fixture *fixture = *state;
	char second[PATH_MAX];
	char *dirs[] = {(char[]){"/nonexistent/dir"}, second, fixture->plugins, NULL};
	struct cni_plugin plugin = {.fd = -1};
	autofree char *expected = NULL;

	fixture_path(fixture, "second", second);
	close(fixture_open_new(fixture, "second"));
	fixture_write_script(fixture, "one", "#!/bin/sh\n");
	/* Distributions link plugins. */
	assert_int_equal(symlinkat("../plugins/one", fixture->dirfd, "second/two"), 0);
	assert_int_equal(cni_plugin_open("one", &(struct cni_runtime){.plugin_dirs = dirs}, &plugin, NULL), 0);
	expected = text_format("%s/one", fixture->plugins);
	assert_string_equal(plugin.path, expected);
	cni_plugin_done(&plugin);
	assert_int_equal(cni_plugin_open("two", &(struct cni_runtime){.plugin_dirs = dirs}, &plugin, NULL), 0);
	free(expected);
	expected = text_format("%s/two", second);
	assert_string_equal(plugin.path, expected);
	cni_plugin_done(&plugin);
}

static void test_scripts_by_path(void **state)
{
	struct fixture *fixture = *state;
	struct cni_plugin plugin = {.fd = -1};

	fixture_write_script(fixture, "script", "#!/bin/sh\n");
	assert_int_equal(cni_plugin_open("script", &(struct cni_runtime){.plugin_dirs = fixture->plugin_dirs}, &plugin, NULL), 0);
	assert_int_equal(plugin.fd, -1);
	cni_plugin_done(&plugin);
	fixture_install(fixture, "binary");
	assert_int_equal(cni_plugin_open("binary", &(struct cni_runtime){.plugin_dirs = fixture->plugin_dirs}, &plugin, NULL), 0);
	assert_true(plugin.fd > 2);
	cni_plugin_done(&plugin);
}

/* Calls the plugin with a request in which LOG stands for the log and the dump. */
static int call(struct fixture *fixture, const char *type, const char *command, const char *request,
	unsigned timeout_ms, struct json **ret_output, int64_t *ret_code, struct err *err)
{
	autofree char *whole = text_format(
		"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"x\","
		"\"plugins\":[{\"type\":\"x\",%s}]}",
		request);
	struct cni_runtime runtime = fixture_runtime(fixture);
	cleanup(cni_plugin_done) struct cni_plugin plugin = {.fd = -1};
	autoptr(cni_config) config = NULL;
	autoptr(json) document = NULL;

	assert_non_null(whole);
	config = fixture_config(fixture, whole);
	document = cni_config_request(config, 0, CNI_1_0_0, NULL, NULL);
	runtime.timeout_ms = timeout_ms;
	assert_int_equal(cni_plugin_open(type, &(struct cni_runtime){.plugin_dirs = fixture->plugin_dirs}, &plugin, NULL), 0);
	return cni_plugin_call(&plugin,
		&(struct cni_call){
			.command = command,
			.args = "IP=10.0.0.1",
			.runtime = &runtime,
			.request = document,
			.has_result = strcmp(command, "ADD") == 0,
		},
		ret_output, ret_code, err);
}

static void fails(struct fixture *fixture, const char *command, const char *request, int code,
	int plugin_code, const char *message)
{
	struct json *output = NULL;
	struct err err = {0};
	int64_t found = -1;

	assert_int_equal(call(fixture, "fake", command, request, 0, &output, &found, &err), code);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" has no \"%s\"", err.msg, message);
	assert_int_equal(found, plugin_code);
	assert_null(output);
}

static void test_success(void **state)
{
	struct fixture *fixture = *state;
	autoptr(json) output = NULL;
	int64_t code = -1;

	fixture_install(fixture, "fake");
	assert_int_equal(call(fixture, "fake", "ADD", "LOG", 0, &output, &code, NULL), 0);
	assert_int_equal(code, 0);
	assert_string_equal(json_string(json_get(output, "cniVersion")), "1.0.0");
	fixture_assert_calls(fixture, "ADD fake");
}

static void test_failures(void **state)
{
	struct fixture *fixture = *state;

	fixture_install(fixture, "fake");
	fails(fixture, "ADD", "\"mode\":\"garbage\"", -EPROTO, 0,
		"plugin \"fake\", ADD: it printed no JSON (its output:1:");
	fails(fixture, "ADD", "\"mode\":\"error\"", -EREMOTEIO, 100,
		"plugin \"fake\", ADD: code 100: the fake plugin fails; as asked");
	fails(fixture, "DEL", "\"mode\":\"error\"", -EREMOTEIO, 100,
		"plugin \"fake\", DEL: code 100");
	fails(fixture, "ADD", "\"mode\":\"signal\"", -EREMOTEIO, 0,
		"it was killed by signal 9 (Killed) and printed no error object");
	fails(fixture, "ADD", "\"mode\":\"flood\"", -EPROTO, 0, "wrote more than 1048576 bytes");
	fails(fixture, "DEL", "\"mode\":\"flood\"", -EPROTO, 0, "wrote more than 1048576 bytes");
	fails(fixture, "ADD", "\"mode\":\"stderr\"", -EREMOTEIO, 0,
		"it exited with status 3 and printed no error object (stderr: \"");
	fails(fixture, "ADD", "\"mode\":\"stderr\"", -EREMOTEIO, 0, "?the last line?\")");
}

static void test_no_output(void **state)
{
	struct fixture *fixture = *state;
	struct json *output = NULL;
	int64_t code = -1;

	fixture_install(fixture, "fake");
	/* No JSON is nothing wrong yet: it depends on the operation. */
	assert_int_equal(
		call(fixture, "fake", "ADD", "\"mode\":\"nothing\"", 0, &output, &code, NULL), 0);
	assert_null(output);
	assert_int_equal(
		call(fixture, "fake", "DEL", "\"mode\":\"garbage\"", 0, &output, &code, NULL), 0);
	assert_null(output);
}

static void test_hang(void **state)
{
	struct fixture *fixture = *state;
	struct json *output = NULL;
	struct err err = {0};
	int64_t code = -1;

	fixture_install(fixture, "fake");
	assert_int_equal(
		call(fixture, "fake", "ADD", "\"mode\":\"hang\"", 200, &output, &code, &err),
		-ETIMEDOUT);
	assert_non_null(strstr(err.msg, "did not end within 200 ms and was killed"));
	assert_int_equal(code, 0);
}

/* Ends the process that the fake plugin left: it is the only one with this executable. */
static void end_daemon(const struct fixture *fixture)
{
	autostrv pids = NULL;
	autoclose int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned ended = 0;

	assert_int_equal(file_list(proc, 1 << 20, &pids, NULL), 0);
	for (size_t i = 0; pids[i]; i++) {
		autofree char *link = text_format("%s/exe", pids[i]);
		char target[PATH_MAX];
		ssize_t n = readlinkat(proc, link, target, sizeof(target) - 1);
		uint32_t pid;

		if (n < 0 || text_to_uint32(pids[i], 2, INT32_MAX, &pid) < 0)
			continue;
		target[n] = '\0';
		if (text_starts_with(target, fixture->plugins)) {
			assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
			ended++;
		}
	}
	assert_int_equal(ended, 1);
}

static void test_daemon(void **state)
{
	struct fixture *fixture = *state;
	autoptr(json) output = NULL;
	int64_t code = -1;

	fixture_install(fixture, "fake");
	/* Well before the daemon's own end, which would be an -ETIMEDOUT. */
	assert_int_equal(
		call(fixture, "fake", "ADD", "\"mode\":\"daemon\"", 30000, &output, &code, NULL),
		0);
	assert_non_null(output);
	end_daemon(fixture);
}

static void test_clean_environment(void **state)
{
	struct fixture *fixture = *state;
	autofree char *log = NULL;
	autofree char *expected = NULL;
	autoptr(json) output = NULL;
	const char *environment;
	int64_t code;

	fixture_install(fixture, "fake");
	assert_int_equal(setenv("PODD_TEST_LEAK", "1", 1), 0);
	assert_int_equal(
		call(fixture, "fake", "ADD", "\"mode\":\"env\",LOG", 0, &output, &code, NULL), 0);
	log = fixture_read(fixture, "log");
	expected = text_format(
		"env PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
		"env CNI_COMMAND=ADD\n"
		"env CNI_CONTAINERID=net0.web\n"
		"env CNI_NETNS=/run/netns/net0.web\n"
		"env CNI_IFNAME=eth0\n"
		"env CNI_ARGS=IP=10.0.0.1\n"
		"env CNI_PATH=%s\n"
		"fd 0\nfd 1\nfd 2\n"
		"cwd /\numask 022\ngroup own\n",
		fixture->plugins);
	environment = strstr(log, "env ");
	assert_non_null(environment);
	assert_string_equal(environment, expected);
}

static void run_script(struct fixture *fixture, const char *text, int code, const char *message)
{
	autoptr(json) output = NULL;
	struct err err = {0};
	int64_t found;

	fixture_write_script(fixture, "script", text);
	assert_int_equal(call(fixture, "script", "ADD", "\"a\":1", 0, &output, &found, &err), code);
	assert_string_equal(err.msg, message);
}

static void test_scripts(void **state)
{
	struct fixture *fixture = *state;

	run_script(fixture, "#!/bin/sh\necho '{\"cniVersion\":\"1.0.0\"}'\n", 0, "");
	/* Colons, newlines, terminal escapes: shown, but harmless. */
	run_script(fixture, "#!/bin/sh\nprintf 'no \\033[1m json'; exit 2\n", -EREMOTEIO,
		"plugin \"script\", ADD: it exited with status 2 and printed no error object but "
		"\"no ?[1m json\"");
	run_script(fixture, "#!/bin/sh\necho '{\"code\":7,\"msg\":\"odd\"}'; echo why >&2\n",
		-EREMOTEIO, "plugin \"script\", ADD: code 7: odd (stderr: \"why?\")");
	run_script(fixture, "#!/bin/sh\necho '{\"code\":7}'; exit 1\n", -EREMOTEIO,
		"plugin \"script\", ADD: code 7: no message");
}

static void test_missing_interpreter(void **state)
{
	struct fixture *fixture = *state;
	struct json *output = NULL;
	struct err err = {0};
	int64_t code;

	fixture_write_script(fixture, "script", "#!/nonexistent/shell\n");
	assert_int_equal(
		call(fixture, "script", "ADD", "\"a\":1", 0, &output, &code, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "script: No such file or directory"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_open_refuses),
		WITH_FIXTURE(test_open_without_directories),
		WITH_FIXTURE(test_open_in_order),
		WITH_FIXTURE(test_scripts_by_path),
		WITH_FIXTURE(test_success),
		WITH_FIXTURE(test_failures),
		WITH_FIXTURE(test_no_output),
		WITH_FIXTURE(test_hang),
		WITH_FIXTURE(test_daemon),
		WITH_FIXTURE(test_clean_environment),
		WITH_FIXTURE(test_scripts),
		WITH_FIXTURE(test_missing_interpreter),
	};

	return cmocka_run_group_tests_name("cni-exec", tests, NULL, NULL);
}
