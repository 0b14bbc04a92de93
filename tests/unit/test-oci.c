/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What runtimes tell hooks, in all the forms that were seen; networks that are asked for. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oci.h"
#include "oci-container.h"
#include "text.h"

static void parse(const char *text, struct oci_state *ret)
{
	struct err err = {0};

	if (oci_state_parse(text, strlen(text), ret, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
}

static void test_runc(void **state)
{
	cleanup(oci_state_done) struct oci_state got = {0};

	parse("{\"ociVersion\":\"1.0.2-dev\",\"id\":\"net0.web\",\"status\":\"creating\",\"pid\":1,"
	      "\"bundle\":\"/b\",\"annotations\":{\"io.podd.pod\":\"net0\",\"x\":\"\"}}",
		&got);
	assert_string_equal(got.id, "net0.web");
	assert_string_equal(got.status, "creating");
	assert_string_equal(got.bundle, "/b");
	assert_int_equal(got.pid, 1);
	assert_string_equal(oci_annotation(&got, OCI_ANNOTATION_POD), "net0");
	assert_null(oci_annotation(&got, OCI_ANNOTATION_NETWORKS));
	assert_int_equal(json_length(got.annotations), 2);
}

static void test_crun_has_root(void **state)
{
	cleanup(oci_state_done) struct oci_state got = {0};

	parse("{\"ociVersion\":\"1.0\",\"id\":\"c\",\"pid\":0,\"root\":\"/r\",\"bundle\":\"/b\","
	      "\"status\":\"stopped\",\"annotations\":{}}",
		&got);
	assert_int_equal(got.pid, 0);
	assert_int_equal(json_length(got.annotations), 0);
}

static void test_left_out(void **state)
{
	cleanup(oci_state_done) struct oci_state got = {0};

	parse("{\"id\":\"c\",\"annotations\":null,\"pid\":null}", &got);
	assert_null(got.status);
	assert_null(got.bundle);
	assert_int_equal(got.pid, 0);
	assert_non_null(got.annotations);
	assert_int_equal(json_type(got.annotations), JSON_OBJECT);
}

static void test_id_to_child(void **state)
{
	static const struct {
		const char *id;
		const char *pod;
		const char *child;
	} cases[] = {
		{"net0.web", "net0", "web"},
		{"net0.sub.web", "net0/sub", "web"},
		{"net0.a.b", "net0", "a-b"},
		{"web", "net0", "web"},
		/* Not the pod's own id in front: nothing is taken off. */
		{"app1.db", "net0", "app1-db"},
		{"app2.db", "net0", "app2-db"},
		{"net01.db", "net0", "net01-db"},
		{"net0", "net0", "net0"},
		{"net0-web", "net0", "net0-web"},
		{"Web+1", "net0", "web-1"},
		{"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "net0",
			"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"},
	};
	char child[NAME_COMPONENT_MAX + 1];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = {0};

		if (oci_id_to_child(cases[i].id, cases[i].pod, child, &err) < 0)
			fail_msg("%s", err.msg);
		assert_string_equal(child, cases[i].child);
	}
}

static void test_id_that_is_no_child(void **state)
{
	static const char *const ids[] = {"net0.", "net0..a", "net0.-a", "net0.a b"};

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		char child[NAME_COMPONENT_MAX + 1] = "untouched";
		struct err err = {0};

		assert_int_equal(oci_id_to_child(ids[i], "net0", child, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "container id 'net0."));
		assert_string_equal(child, "untouched");
	}
}

static void refused(const char *text, const char *message)
{
	struct oci_state got = {.pid = 4711};
	struct err err = {0};

	assert_int_equal(oci_state_parse(text, strlen(text), &got, &err), -EINVAL);
	assert_string_equal(err.msg, message);
	assert_int_equal(got.pid, 4711);
	assert_null(got.id);
}

static void test_refused(void **state)
{
	refused("", "OCI state on stdin is empty");
	refused("{\"id\":", "OCI state on stdin:1:7: premature EOF");
	refused("[]", "OCI state on stdin: must be an object, found array");
	refused("{}", "OCI state on stdin: \"id\" is missing");
	refused("{\"id\":7}", "OCI state on stdin: \"id\" must be a string, found number");
	refused("{\"id\":\"../x\"}",
		"OCI state on stdin: \"../x\" is not a valid container id: one has letters, "
		"digits, '_', '.', '+' and '-', starts with a letter or digit, and has at most "
		"1023 bytes");
	refused("{\"id\":\"c\",\"pid\":\"1\"}",
		"OCI state on stdin: \"pid\" must be a number, found string");
	refused("{\"id\":\"c\",\"pid\":-1}",
		"OCI state on stdin: \"pid\" must be an integer from 0 to 2147483647, found -1");
	refused("{\"id\":\"c\",\"status\":{}}",
		"OCI state on stdin: \"status\" must be a string, found object");
	refused("{\"id\":\"c\",\"bundle\":[]}",
		"OCI state on stdin: \"bundle\" must be a string, found array");
	refused("{\"id\":\"c\",\"annotations\":[]}",
		"OCI state on stdin: \"annotations\" must be an object, found array");
	refused("{\"id\":\"c\",\"annotations\":{\"k\":1}}",
		"OCI state on stdin: \"annotations\": \"k\" must be a string, found number");
}

static void test_bad_ids(void **state)
{
	static const char *const ids[] = {
		"", ".", "..", "a/b", "../x", "a b", "a\\n", "\xc3\xa9", "-a", "_a", "a:b"};
	struct oci_state got;
	char text[OCI_ID_MAX + 32];

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		snprintf(text, sizeof(text), "{\"id\":\"%s\"}", ids[i]);
		assert_int_equal(oci_state_parse(text, strlen(text), &got, NULL), -EINVAL);
	}
	snprintf(text, sizeof(text), "{\"id\":\"%0*d\"}", OCI_ID_MAX + 1, 0);
	assert_int_equal(oci_state_parse(text, strlen(text), &got, NULL), -EINVAL);
	snprintf(text, sizeof(text), "{\"id\":\"%0*d\"}", OCI_ID_MAX, 0);
	parse(text, &got);
	oci_state_done(&got);
}

static void test_too_large(void **state)
{
	size_t length = 10 * 1024 * 1024;
	autofree char *text = malloc(length);
	struct oci_state got;

	memset(text, ' ', length);
	assert_int_equal(oci_state_parse(text, length, &got, NULL), -EFBIG);
}

static void test_network(void **state)
{
	cleanup(oci_network_done) struct oci_network network = {0};

	assert_int_equal(oci_network_parse("podd", &network, NULL), 0);
	assert_string_equal(network.name, "podd");
	assert_null(network.ip);
	assert_null(network.mac);
	assert_null(network.ifname);
}

static void test_network_options(void **state)
{
	cleanup(oci_network_done) struct oci_network v4 = {0};
	cleanup(oci_network_done) struct oci_network v6 = {0};

	assert_int_equal(oci_network_parse("N.et_-1:ip=10.88.0.9,mac=02:00:00:aA:00:01,ifname=net0",
				 &v4, NULL),
		0);
	assert_string_equal(v4.name, "N.et_-1");
	assert_string_equal(v4.ip, "10.88.0.9");
	assert_string_equal(v4.mac, "02:00:00:aA:00:01");
	assert_string_equal(v4.ifname, "net0");
	assert_int_equal(
		oci_network_parse("podd:ifname=x12345678901234,ip=fd00:88::9", &v6, NULL), 0);
	assert_string_equal(v6.ip, "fd00:88::9");
}

static void test_network_refused(void **state)
{
	static const char *const bad[] = {"", ":", "-a", ".a", "a b", "a/b", "../a", "a:", "a:ip",
		"a:ip=", "a:ip=10.88.0", "a:ip=10.88.0.9/16", "a:ip=10.88.0.256", "a:ip=x",
		"a:ip=1.2.3.4,", "a:ip=1.2.3.4,,", "a:ip=1.2.3.4,ip=1.2.3.5", "a:=x", "a:ipx=1",
		"a:mac=01:00:00:00:00:01", "a:mac=00:00:00:00:00:00", "a:mac=02:00:00:00:00",
		"a:mac=02-00-00-00-00-01", "a:mac=02:00:00:00:00:0g", "a:mac=02:00:00:00:00:01:02",
		"a:ifname=lo", "a:ifname=.", "a:ifname=..", "a:ifname=a/b", "a:ifname=a b",
		"a:ifname=", "a:ifname=x123456789012345", "\xc3\xa9"};
	char text[160];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct oci_network network = {0};

		if (oci_network_parse(bad[i], &network, NULL) != -EINVAL)
			fail_msg("%s was accepted", bad[i]);
		assert_null(network.name);
	}
	snprintf(text, sizeof(text), "%0129d", 0);
	assert_int_equal(oci_network_parse(text, &(struct oci_network){0}, NULL), -EINVAL);
}

static void test_network_messages(void **state)
{
	struct oci_network network;
	struct err err;

	oci_network_parse("podd:ip=1.2.3", &network, &err);
	assert_string_equal(err.msg,
		"network \"podd:ip=1.2.3\": \"ip=1.2.3\" is not valid: ip= takes "
		"an IPv4 or IPv6 address");
	oci_network_parse("podd:dns=1", &network, &err);
	assert_string_equal(
		err.msg, "network \"podd:dns=1\": \"dns=1\" is none of ip=, mac= and ifname=");
}

/* ---- limits ---- */

static void assert_resources(const struct container_limits *limits, const char *expected)
{
	static const char base[] =
		"{\"resources\":{\"memory\":{\"swap\":1},\"pids\":{\"limit\":1},\"x\":1}}";
	autoptr(json) section = NULL;
	autofree char *text = NULL;
	size_t length;

	assert_int_equal(json_parse("base", base, strlen(base), &section, NULL), 0);
	oci_set_limits(section, limits);
	assert_int_equal(json_write(json_get(section, "resources"), false, &text, &length), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, expected);
}

/* In the document swap is memory and swap together; what is not limited is not there. */
static void test_limits(void **state)
{
	struct container_limits limits = {.swap = 0};
	struct json *empty = json_new_object();

	assert_resources(&limits, "{\"x\":1}");
	limits.memory = 4096;
	assert_resources(&limits, "{\"x\":1,\"memory\":{\"limit\":4096,\"swap\":4096}}");
	limits.swap = 100;
	assert_resources(&limits, "{\"x\":1,\"memory\":{\"limit\":4096,\"swap\":4196}}");
	limits.swap = INT64_MAX;
	assert_resources(&limits, "{\"x\":1,\"memory\":{\"limit\":4096}}");
	limits.swap = CONTAINER_SWAP_UNLIMITED;
	assert_resources(&limits, "{\"x\":1,\"memory\":{\"limit\":4096}}");
	limits = (struct container_limits){.cpu_milli = 1500, .pids = 7};
	assert_resources(&limits,
		"{\"x\":1,\"cpu\":{\"quota\":150000,\"period\":100000},\"pids\":{\"limit\":7}}");
	limits = (struct container_limits){0};
	oci_set_limits(empty, &limits);
	assert_int_equal(json_length(empty), 0);
	json_free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runc),
		cmocka_unit_test(test_id_to_child),
		cmocka_unit_test(test_id_that_is_no_child),
		cmocka_unit_test(test_crun_has_root),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bad_ids),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_network_options),
		cmocka_unit_test(test_network_refused),
		cmocka_unit_test(test_network_messages),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
