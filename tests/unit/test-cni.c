/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole chains of CNI plugins: order, results, arguments, roll-back, versions, DEL. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cni-chain.h"
#include "deadline.h"

static void test_add(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config =
		fixture_config(fixture, NET("1.0.0", PLUGIN("one", "") "," PLUGIN("two", "")));
	cleanup(requests_done) struct requests requests = {0};
	autoptr(json) first = NULL;
	autoptr(json) second = NULL;
	autoptr(json) result = NULL;
	autoptr(json) entry = NULL;
	autostrv addresses = NULL;
	struct err err = {0};

	install_all(fixture);
	if (cni_add(config, &runtime, &result, &addresses, &err) < 0)
		fail_msg("%s", err.msg);
	fixture_assert_calls(fixture, "ADD one, ADD two");
	assert_int_equal(strv_length(addresses), 1);
	assert_string_equal(addresses[0], "10.9.0.2/24");
	/* DNS is kept, too. */
	assert_string_equal(
		json_string(json_at(json_get(json_get(result, "dns"), "nameservers"), 0)),
		"10.9.0.1");

	requests = read_requests(fixture);
	first = next_request(&requests);
	second = next_request(&requests);
	assert_null(json_get(first, "prevResult"));
	assert_string_equal(json_string(json_get(first, "name")), "net");
	assert_string_equal(json_string(json_get(second, "cniVersion")), "1.0.0");
	assert_true(json_equal(json_get(second, "prevResult"), result));

	assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), 0);
	assert_true(json_equal(json_get(entry, "result"), result));
}

static void test_old_version(void **state)
{
	struct fixture *fixture = *state;
	autoptr(cni_config) config =
		fixture_config(fixture, NET("0.3.1", PLUGIN("one", "") "," PLUGIN("two", "")));
	cleanup(requests_done) struct requests requests = {0};
	cleanup(requests_done) struct requests deleted = {0};
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(json) first = NULL;
	autoptr(json) second = NULL;
	autoptr(json) last = NULL;

	install_all(fixture);
	added(fixture, config);
	requests = read_requests(fixture);
	first = next_request(&requests);
	second = next_request(&requests);
	assert_string_equal(
		json_string(json_get(json_get(second, "prevResult"), "cniVersion")), "0.3.1");
	assert_string_equal(
		json_string(json_get(
			json_at(json_get(json_get(second, "prevResult"), "ips"), 0), "version")),
		"4");
	/* DEL has had a prevResult since 0.4.0 only. */
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	deleted = read_requests(fixture);
	last = next_request(&deleted);
	assert_null(json_get(last, "prevResult"));
}

/* A plugin that answers in another version than it was asked in. */
static void test_result_is_converted(void **state)
{
	struct fixture *fixture = *state;
	autoptr(cni_config) config =
		fixture_config(fixture, NET("0.4.0", "{\"type\":\"odd\"}," PLUGIN("two", "")));
	cleanup(requests_done) struct requests requests = {0};
	autoptr(json) second = NULL;

	install_all(fixture);
	fixture_write_script(fixture, "odd",
		"#!/bin/sh\necho "
		"'{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"fd00::2/64\"}]}'\n");
	added(fixture, config);
	requests = read_requests(fixture);
	second = next_request(&requests);
	assert_string_equal(
		json_string(json_get(json_get(second, "prevResult"), "cniVersion")), "0.4.0");
	assert_string_equal(
		json_string(json_get(
			json_at(json_get(json_get(second, "prevResult"), "ips"), 0), "version")),
		"6");
}

static void fails(
	struct fixture *fixture, const char *text, int code, const char *message, const char *calls)
{
	autoptr(cni_config) config = fixture_config(fixture, text);
	struct err err = {0};

	assert_int_equal(add(fixture, config, &err), code);
	assert_message(&err, message);
	fixture_assert_calls(fixture, calls);
	assert_false(is_kept(fixture));
}

static void test_roll_back(void **state)
{
	struct fixture *fixture = *state;

	install_all(fixture);
	fails(fixture,
		NET("1.0.0", PLUGIN("one", "") "," PLUGIN("two",
				     ",\"mode\":\"error\",\"on\":\"ADD\"") "," PLUGIN("three", "")),
		-EREMOTEIO,
		"network \"net\": plugin \"two\", ADD: code 100: the fake plugin fails; as asked",
		"ADD one, ADD two, DEL two, DEL one");
	fails(fixture, NET("1.0.0", PLUGIN("one", ",\"mode\":\"nothing\"")), -EPROTO,
		"plugin \"one\", ADD: it printed no result", "ADD one, DEL one");
	fails(fixture, NET("1.0.0", PLUGIN("one", ",\"address\":\"10.9.0.2\"")), -EPROTO,
		"plugin \"one\", ADD: ips[0]: \"address\" is \"10.9.0.2\"", "ADD one, DEL one");
	/* What cannot be taken back is said. */
	fails(fixture,
		NET("1.0.0", PLUGIN("one", ",\"mode\":\"fail-del\"") "," PLUGIN(
				     "two", ",\"mode\":\"signal\",\"on\":\"ADD\"")),
		-EREMOTEIO,
		"(Killed) and printed no error object; taking it back failed, too: plugin \"one\", "
		"DEL",
		"ADD one, ADD two, DEL two, DEL one");
}

static void test_roll_back_has_the_result(void **state)
{
	struct fixture *fixture = *state;
	cleanup(requests_done) struct requests requests = {0};
	autoptr(json) request = NULL;

	install_all(fixture);
	fails(fixture,
		NET("1.0.0",
			PLUGIN("one", "") "," PLUGIN("two", ",\"mode\":\"error\",\"on\":\"ADD\"")),
		-EREMOTEIO, "code 100", "ADD one, ADD two, DEL two, DEL one");
	requests = read_requests(fixture);
	json_free(next_request(&requests));
	json_free(next_request(&requests));
	request = next_request(&requests);
	assert_string_equal(json_string(json_get(request, "type")), "two");
	assert_int_equal(json_type(json_get(request, "prevResult")), JSON_OBJECT);
}

static void test_hanging_plugin(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture,
		NET("1.0.0",
			PLUGIN("one", "") "," PLUGIN("two", ",\"mode\":\"hang\",\"on\":\"ADD\"")));
	struct json *result = NULL;
	char **addresses = NULL;
	struct err err = {0};

	install_all(fixture);
	runtime.timeout_ms = 1000;
	assert_int_equal(cni_add(config, &runtime, &result, &addresses, &err), -ETIMEDOUT);
	fixture_assert_calls(fixture, "ADD one, ADD two, DEL two, DEL one");
}

/* ADD, the last plugin of which fails; what the caller is told of what is left. */
static bool is_left(struct fixture *fixture, const char *first, int64_t deadline_ms, int code)
{
	autofree char *text = text_format(NET("1.0.0", "{\"type\":\"one\",LOG%s},"
						       "{\"type\":\"two\",LOG,"
						       "\"mode\":\"error\",\"on\":\"ADD\"}"),
		first);
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture, text);
	struct json *result = NULL;
	char **addresses = NULL;
	bool left = false;

	runtime.left = &left;
	runtime.deadline_ms = deadline_ms;
	assert_int_equal(cni_add(config, &runtime, &result, &addresses, NULL), code);
	return left;
}

static void test_what_is_left_is_told(void **state)
{
	struct fixture *fixture = *state;

	install_all(fixture);
	assert_false(is_left(fixture, "", 0, -EREMOTEIO));
	assert_true(is_left(fixture, ",\"mode\":\"fail-del\"", 0, -EREMOTEIO));
	fixture_assert_calls(fixture,
		"ADD one, ADD two, DEL two, DEL one, ADD one, ADD two, DEL two, DEL one");
}

static void test_deadline(void **state)
{
	struct fixture *fixture = *state;
	int64_t begin = deadline_now_ms();

	install_all(fixture);
	/* The time for the roll-back is not ADD's; DEL has its own even then. */
	assert_false(is_left(fixture, "", begin + CNI_UNDO_MS, -ETIMEDOUT));
	fixture_assert_calls(fixture, "DEL one");
	assert_false(is_left(fixture, "", 1, -ETIMEDOUT));
	fixture_assert_calls(fixture, "DEL one");
	assert_false(is_left(fixture, ",\"mode\":\"hang\",\"on\":\"ADD\"",
		deadline_now_ms() + CNI_UNDO_MS + 1000, -ETIMEDOUT));
	fixture_assert_calls(fixture, "ADD one, DEL one");
	assert_true(deadline_now_ms() - begin < CNI_UNDO_MS);
}

static void test_nothing_runs_when_a_plugin_is_missing(void **state)
{
	struct fixture *fixture = *state;

	install_all(fixture);
	fails(fixture, NET("1.0.0", PLUGIN("one", "") "," PLUGIN("absent", "")), -ENOENT,
		"network \"net\": there is no plugin \"absent\" in ", "");
}

static void test_result_that_cannot_be_kept(void **state)
{
	struct fixture *fixture = *state;
	autoptr(cni_config) config = fixture_config(fixture, NET("1.0.0", PLUGIN("one", "")));
	struct err err = {0};

	install_all(fixture);
	/* A file where the directory should be. */
	assert_int_equal(file_write(fixture->cache_fd, "results", "", 0, 0600, NULL), 0);
	assert_true(add(fixture, config, &err) < 0);
	assert_message(&err, "cannot keep the result of network \"net\"");
	fixture_assert_calls(fixture, "ADD one, DEL one");
}

static void bad_parameters(struct fixture *fixture, struct cni_runtime runtime, const char *message)
{
	autoptr(cni_config) config = fixture_config(fixture, NET("1.0.0", PLUGIN("one", "")));
	struct json *result = NULL;
	char **addresses = NULL;
	struct err err = {0};
	int r = cni_add(config, &runtime, &result, &addresses, &err);

	assert_in_set(r, ((const uintmax_t[]){(uintmax_t)-EINVAL, (uintmax_t)-ENAMETOOLONG}), 2);
	assert_message(&err, message);
	fixture_assert_calls(fixture, "");
}

static void test_bad_parameters(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	static const char *const ids[] = {"", "../x", ".x", "a b", "a/b", NULL};
	static const char *const ifnames[] = {"", "sixteencharacter", "a/b", "a:b", "a b", ".."};

	install_all(fixture);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		runtime.container_id = ids[i];
		bad_parameters(fixture, runtime, "the container id \"");
	}
	runtime = fixture_runtime(fixture);
	for (size_t i = 0; i < sizeof(ifnames) / sizeof(*ifnames); i++) {
		runtime.ifname = ifnames[i];
		bad_parameters(fixture, runtime, "the interface name \"");
	}
	runtime = fixture_runtime(fixture);
	runtime.netns = "";
	bad_parameters(fixture, runtime, "there is no network namespace to add to");
	runtime = fixture_runtime(fixture);
	runtime.ip = "10.0.0.1;X=y";
	bad_parameters(
		fixture, runtime, "the address \"10.0.0.1;X=y\" that is asked for is invalid");
	runtime = fixture_runtime(fixture);
	runtime.mac = "";
	bad_parameters(fixture, runtime, "the MAC address \"\" that is asked for is invalid");
}

/* ---- arguments ---- */

/* What CNI_ARGS was, by a script that answers with it as the interface's name. */
static void assert_args(struct fixture *fixture, const char *capabilities,
	const struct cni_runtime *runtime, const char *expected)
{
	autofree char *text = text_format(
		"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"plugins\":[{\"type\":\"args\","
		"\"capabilities\":{%s}}]}",
		capabilities);
	autoptr(cni_config) config = fixture_config(fixture, text);
	autoptr(json) result = NULL;
	autostrv addresses = NULL;
	struct err err = {0};

	if (cni_add(config, runtime, &result, &addresses, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(
		json_string(json_get(json_at(json_get(result, "interfaces"), 0), "name")),
		expected);
	assert_int_equal(cni_del(config, runtime, NULL), 0);
}

static void test_arguments(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);

	fixture_write_script(fixture, "args",
		"#!/bin/sh\nrequest=$(cat)\n"
		"case $request in *runtimeConfig*) c=${request##*runtimeConfig\\\":} ;; esac\n"
		"c=$(printf %s \"$c\" | tr -d '\"{}[]')\n"
		"echo \"{\\\"interfaces\\\":[{\\\"name\\\":\\\"$CNI_ARGS|$c\\\"}]}\"\n");
	assert_args(fixture, "", &runtime, "|");
	runtime.ip = "10.0.0.9";
	runtime.mac = "02:00:00:00:00:09";
	assert_args(fixture, "", &runtime, "IgnoreUnknown=1;IP=10.0.0.9;MAC=02:00:00:00:00:09|");
	/* Never both ways. */
	assert_args(fixture, "\"ips\":true", &runtime,
		"IgnoreUnknown=1;MAC=02:00:00:00:00:09|ips:10.0.0.9");
	assert_args(fixture, "\"ips\":true,\"mac\":true", &runtime,
		"|ips:10.0.0.9,mac:02:00:00:00:00:09");
}

static void test_del_gets_what_add_got(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture,
		NET("1.0.0", PLUGIN("one", ",\"capabilities\":{\"mac\":true,\"aliases\":true}")));
	cleanup(requests_done) struct requests requests = {0};
	autoptr(json) capability_args = json_new_object();
	autoptr(json) result = NULL;
	autoptr(json) request = NULL;
	autostrv addresses = NULL;

	install_all(fixture);
	json_append(json_set_array(capability_args, "aliases"), json_new_string("www"));
	runtime.capability_args = capability_args;
	runtime.mac = "02:00:00:00:00:09";
	assert_int_equal(cni_add(config, &runtime, &result, &addresses, NULL), 0);
	runtime.capability_args = NULL;
	runtime.mac = NULL;
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	requests = read_requests(fixture);
	request = next_request(&requests);
	json_free(take_ptr(request));
	request = next_request(&requests);
	assert_string_equal(json_string(json_get(json_get(request, "runtimeConfig"), "mac")),
		"02:00:00:00:00:09");
	assert_int_equal(json_length(json_get(json_get(request, "runtimeConfig"), "aliases")), 1);
}

/* ---- DEL ---- */

static void test_del(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config =
		fixture_config(fixture, NET("1.0.0", PLUGIN("one", "") "," PLUGIN("two", "")));
	cleanup(requests_done) struct requests requests = {0};
	autoptr(json) with = NULL;
	autoptr(json) without = NULL;

	install_all(fixture);
	added(fixture, config);
	assert_true(is_kept(fixture));
	fixture_assert_calls(fixture, "ADD one, ADD two");
	requests = read_requests(fixture);
	requests_done(&requests);
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "DEL two, DEL one");
	assert_false(is_kept(fixture));
	/* Twice, and without a namespace. */
	runtime.netns = NULL;
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "DEL two, DEL one");
	requests = read_requests(fixture);
	with = next_request(&requests);
	assert_string_equal(
		json_string(json_get(
			json_at(json_get(json_get(with, "prevResult"), "ips"), 0), "address")),
		"10.9.0.2/24");
	json_free(next_request(&requests));
	without = next_request(&requests);
	assert_null(json_get(without, "prevResult"));
}

static void test_del_calls_everybody(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture,
		NET("1.0.0",
			PLUGIN("one", "") "," PLUGIN("two", ",\"mode\":\"fail-del\"") "," PLUGIN(
				"three", ",\"mode\":\"signal\",\"on\":\"DEL\"")));
	struct err err = {0};

	install_all(fixture);
	added(fixture, config);
	fixture_assert_calls(fixture, "ADD one, ADD two, ADD three");
	assert_int_equal(cni_del(config, &runtime, &err), -EREMOTEIO);
	assert_message(&err, "network \"net\": plugin \"three\", DEL: it was killed");
	fixture_assert_calls(fixture, "DEL three, DEL two, DEL one");
	/* Kept, so that it can be tried again. */
	assert_true(is_kept(fixture));
	/* A plugin that is gone does not keep the others from their work either. */
	assert_int_equal(unlinkat(fixture->pluginsfd, "three", 0), 0);
	assert_int_equal(cni_del(config, &runtime, &err), -ENOENT);
	fixture_assert_calls(fixture, "DEL two, DEL one");
}

static void test_del_of_unknown_container(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config =
		fixture_config(fixture, NET("1.0.0", "{\"type\":\"unknown\"}"));

	fixture_write_script(fixture, "unknown", "#!/bin/sh\necho '{\"code\":3}'; exit 1\n");
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
}

static void test_del_with_broken_cache(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = fixture_config(fixture, NET("1.0.0", PLUGIN("one", "")));

	install_all(fixture);
	added(fixture, config);
	assert_int_equal(file_write(fixture->dirfd, "garbage", "{", 1, 0600, NULL), 0);
	assert_int_equal(renameat(fixture->dirfd, "garbage", fixture->dirfd, ENTRY), 0);
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "ADD one, DEL one");
	assert_false(is_kept(fixture));
}

/* ---- versions ---- */

#define MANY(plugins)                                                                         \
	"{\"cniVersion\":\"0.3.1\",\"cniVersions\":[\"1.1.0\",\"1.0.0\",\"0.4.0\"],\"name\":" \
	"\"net\","                                                                            \
	"\"plugins\":[" plugins "]}"
#define REFUSE(speaks) ",\"mode\":\"refuse\",\"speaks\":\"" speaks "\""

static void test_lower_version(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config =
		fixture_config(fixture, MANY(PLUGIN("one", "") "," PLUGIN("two", REFUSE("0.4.0"))));
	autoptr(json) entry = NULL;

	install_all(fixture);
	added(fixture, config);
	/* The whole list speaks one version; the one that refused did nothing. */
	fixture_assert_calls(
		fixture, "ADD one, ADD two, DEL one, ADD one, ADD two, DEL one, ADD one, ADD two");
	assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), 0);
	assert_string_equal(
		json_string(json_get(json_get(entry, "result"), "cniVersion")), "0.4.0");
	/* DEL knows the version from the kept result. */
	assert_int_equal(cni_check(config, &runtime, NULL), 0);
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "CHECK one, CHECK two, DEL two, DEL one");
	/* Without it, it finds out. */
	assert_int_equal(cni_del(config, &runtime, NULL), 0);
	fixture_assert_calls(fixture, "DEL two, DEL two, DEL two, DEL one");
}

static void test_no_version(void **state)
{
	struct fixture *fixture = *state;

	install_all(fixture);
	fails(fixture, MANY(PLUGIN("one", REFUSE("0.1.0"))), -EREMOTEIO,
		"plugin \"one\", ADD: code 1: incompatible CNI versions",
		"ADD one, ADD one, ADD one, ADD one");
	fails(fixture, NET("1.0.0", PLUGIN("one", REFUSE("0.1.0"))), -EREMOTEIO, "code 1",
		"ADD one");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_add),
		WITH_FIXTURE(test_old_version),
		WITH_FIXTURE(test_result_is_converted),
		WITH_FIXTURE(test_roll_back),
		WITH_FIXTURE(test_roll_back_has_the_result),
		WITH_FIXTURE(test_hanging_plugin),
		WITH_FIXTURE(test_what_is_left_is_told),
		WITH_FIXTURE(test_deadline),
		WITH_FIXTURE(test_nothing_runs_when_a_plugin_is_missing),
		WITH_FIXTURE(test_result_that_cannot_be_kept),
		WITH_FIXTURE(test_bad_parameters),
		WITH_FIXTURE(test_arguments),
		WITH_FIXTURE(test_del_gets_what_add_got),
		WITH_FIXTURE(test_del),
		WITH_FIXTURE(test_del_calls_everybody),
		WITH_FIXTURE(test_del_of_unknown_container),
		WITH_FIXTURE(test_del_with_broken_cache),
		WITH_FIXTURE(test_lower_version),
		WITH_FIXTURE(test_no_version),
	};

	return cmocka_run_group_tests_name("cni", tests, NULL, NULL);
}
