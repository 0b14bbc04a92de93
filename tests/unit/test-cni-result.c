/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CNI results: what is accepted, how versions are converted, which addresses they tell. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cni-result.h"
#include "text.h"

static struct json *parse(const char *text)
{
	struct json *document = NULL;
	struct err err = {0};

	if (json_parse("test", text, strlen(text), &document, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return document;
}

static void converts(const char *text, enum cni_version version, const char *expected)
{
	autoptr(json) result = parse(text);
	autoptr(json) wanted = parse(expected);
	autofree char *written = NULL;
	struct err err = {0};
	size_t length;

	if (cni_result_convert(result, version, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(json_write(result, false, &written, &length), 0);
	if (!json_equal(result, wanted))
		fail_msg("%s is not %s", written, expected);
}

static void refused(const char *text, const char *message)
{
	autoptr(json) result = parse(text);
	struct err err = {0};

	assert_int_equal(cni_result_convert(result, CNI_1_0_0, &err), -EPROTO);
	if (!strstr(err.msg, message))
		fail_msg("%s: \"%s\" has no \"%s\"", text, err.msg, message);
}

static void test_versions(void **state)
{
	enum cni_version version;

	for (int i = 0; i < CNI_VERSIONS; i++) {
		assert_int_equal(cni_version_from_name(cni_version_name(i), &version), 0);
		assert_int_equal(version, i);
		assert_non_null(strstr(CNI_VERSIONS_TEXT, cni_version_name(i)));
	}
	assert_int_equal(cni_version_from_name("0.2.0", &version), -EINVAL);
	assert_int_equal(cni_version_from_name("1.0", &version), -EINVAL);
	assert_int_equal(cni_version_from_name("", &version), -EINVAL);
}

static void test_same_version(void **state)
{
	/* Everything that nobody asked about stays. */
	static const char *const text =
		"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"02:00:00:"
		"00:00:01\","
		"\"sandbox\":\"/run/netns/a\",\"x\":1}],\"ips\":[{\"address\":\"10.0.0.2/24\","
		"\"gateway\":\"10.0.0.1\",\"interface\":0}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}],"
		"\"dns\":{\"nameservers\":[\"10.0.0.1\"],\"domain\":\"d\",\"search\":[\"s\"],"
		"\"options\":[\"o\"]},\"own\":{\"a\":[]}}";

	converts(text, CNI_1_0_0, text);
	converts("{}", CNI_1_0_0, "{\"cniVersion\":\"1.0.0\"}");
	converts("{\"ips\":null,\"dns\":{}}", CNI_0_4_0,
		"{\"cniVersion\":\"0.4.0\",\"ips\":null,\"dns\":{}}");
}

static void test_ip_versions(void **state)
{
	static const char *const new_form =
		"{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/24\"},"
		"{\"address\":\"fd00::2/64\"}]}";
	static const char *const old_form =
		"{\"cniVersion\":\"0.4.0\",\"ips\":[{\"version\":\"4\",\"address\":\"10.0.0.2/"
		"24\"},"
		"{\"version\":\"6\",\"address\":\"fd00::2/64\"}]}";

	converts(new_form, CNI_0_4_0, old_form);
	converts(old_form, CNI_1_0_0, new_form);
	converts(old_form, CNI_0_4_0, old_form);
}

static void test_attributes_of_1_1(void **state)
{
	static const char *const text =
		"{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"eth0\",\"mtu\":1500,"
		"\"socketPath\":\"/s\",\"pciID\":\"0\"}],\"routes\":[{\"dst\":\"::/"
		"0\",\"gw\":\"fd00::1\","
		"\"mtu\":1400,\"advmss\":1,\"priority\":2,\"table\":3,\"scope\":0}]}";

	converts(text, CNI_1_1_0, text);
	converts(text, CNI_1_0_0,
		"{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\"}],"
		"\"routes\":[{\"dst\":\"::/0\",\"gw\":\"fd00::1\"}]}");
}

static void test_refused(void **state)
{
	refused("[]", "it is no object");
	refused("{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.0.0.2/24\"}}",
		"its cniVersion is \"0.2.0\", supported are 0.3.0");
	refused("{\"cniVersion\":1}", "cniVersion");
	refused("{\"interfaces\":{}}", "interfaces");
	refused("{\"interfaces\":[1]}", "interfaces[0]: it is no object");
	refused("{\"interfaces\":[{}]}", "name");
	refused("{\"interfaces\":[{\"name\":\"a\",\"mac\":[]}]}", "mac");
	refused("{\"interfaces\":[{\"name\":\"a\",\"sandbox\":1}]}", "sandbox");
	refused("{\"ips\":[{\"address\":\"10.0.0.2\"}]}",
		"ips[0]: \"address\" is \"10.0.0.2\", which is not an address with a prefix "
		"length");
	refused("{\"ips\":[{\"address\":\"10.0.0.2/33\"}]}", "prefix length");
	refused("{\"ips\":[{\"address\":\"10.0.0.256/24\"}]}", "prefix length");
	refused("{\"ips\":[{\"address\":\"fd00::1/129\"}]}", "prefix length");
	refused("{\"ips\":[{\"address\":\"10.0.0.2/24\\nevil\"}]}", "10.0.0.2/24?evil");
	refused("{\"ips\":[{}]}", "address");
	refused("{\"ips\":[{\"address\":\"10.0.0.2/24\",\"interface\":0}]}",
		"\"interface\" is 0, but there are 0 interfaces");
	refused("{\"interfaces\":[{\"name\":\"a\"}],\"ips\":[{\"address\":\"10.0.0.2/24\","
		"\"interface\":-1}]}",
		"interface");
	refused("{\"routes\":[{\"dst\":\"default\"}]}", "routes[0]: \"dst\" is \"default\"");
	refused("{\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":1}]}", "gw");
	refused("{\"dns\":[]}", "dns");
	refused("{\"dns\":{\"nameservers\":\"10.0.0.1\"}}", "nameservers");
	refused("{\"dns\":{\"search\":[1]}}", "search");
}

static void test_too_many_addresses(void **state)
{
	autoptr(json) result = json_new_object();
	struct json *ips = json_set_array(result, "ips");
	struct err err = {0};

	for (int i = 0; i < CNI_ADDRESSES_MAX; i++) {
		struct json *ip = json_new_object();

		json_set_string(ip, "address", "10.0.0.2/24");
		json_append(ips, ip);
	}
	assert_int_equal(cni_result_convert(result, CNI_1_0_0, &err), 0);
	json_append(ips, json_copy(json_at(ips, 0)));
	assert_int_equal(cni_result_convert(result, CNI_1_0_0, &err), -EPROTO);
	assert_string_equal(err.msg, "it has 65 addresses, at most 64 are allowed");
}

static void test_addresses(void **state)
{
	autoptr(json) result =
		parse("{\"interfaces\":[{\"name\":\"br0\"},{\"name\":\"eth0\",\"sandbox\":\"/n\"},"
		      "{\"name\":\"eth1\",\"sandbox\":\"/n\"}],\"ips\":["
		      "{\"address\":\"10.0.0.1/24\",\"interface\":0},{\"address\":\"10.0.0.2/24\","
		      "\"interface\":1},{\"address\":\"10.0.1.2/24\",\"interface\":2},"
		      "{\"address\":\"fd00::2/64\"}]}");
	autoptr(json) empty = parse("{}");
	autostrv addresses = NULL;
	autostrv none = NULL;

	assert_int_equal(cni_result_convert(result, CNI_1_0_0, NULL), 0);
	assert_int_equal(cni_result_addresses(result, "eth0", &addresses, NULL), 0);
	assert_int_equal(strv_length(addresses), 2);
	assert_string_equal(addresses[0], "10.0.0.2/24");
	assert_string_equal(addresses[1], "fd00::2/64");
	assert_int_equal(cni_result_addresses(empty, "eth0", &none, NULL), 0);
	assert_non_null(none);
	assert_null(none[0]);
}

static void test_version_of_result(void **state)
{
	autoptr(json) result = parse("{\"cniVersion\":\"0.3.1\"}");
	autoptr(json) without = parse("{}");
	enum cni_version version = CNI_VERSIONS;

	assert_int_equal(cni_result_version(without, &version), -EINVAL);
	assert_int_equal(version, CNI_VERSIONS);
	assert_int_equal(cni_result_version(result, &version), 0);
	assert_int_equal(version, CNI_0_3_1);
}

static void is_error(const char *text, int code, const char *message)
{
	autoptr(json) output = parse(text);
	struct err err = {0};
	int64_t found = 0;

	assert_int_equal(cni_result_is_error(output, &found, &err), code != 0);
	assert_int_equal(found, code);
	assert_string_equal(err.msg, message);
}

static void test_errors(void **state)
{
	is_error("{\"code\":7,\"msg\":\"m\",\"details\":\"d\"}", 7, "code 7: m; d");
	is_error("{\"code\":7,\"msg\":\"m\",\"details\":\"\"}", 7, "code 7: m");
	is_error("{\"code\":7,\"msg\":\"a\\u001b[2Jb\\nc\"}", 7, "code 7: a?[2Jb?c");
	is_error("{\"code\":11}", 11, "code 11: no message");
	is_error("{\"code\":0,\"msg\":\"m\"}", 0, "");
	is_error("{\"code\":\"7\",\"msg\":\"m\"}", 0, "");
	is_error("{\"cniVersion\":\"1.0.0\"}", 0, "");
	is_error("[7]", 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_same_version),
		cmocka_unit_test(test_ip_versions),
		cmocka_unit_test(test_attributes_of_1_1),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_many_addresses),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_version_of_result),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests_name("cni-result", tests, NULL, NULL);
}
