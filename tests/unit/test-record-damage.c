/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records that are newer, damaged or too large: refused, and the message names the field. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record-fixture.h"
#include "stage.h"

/* ---- versions ---- */

static void save_document(const struct scratch *scratch, enum kind kind, struct json *document)
{
	assert_int_equal(record_save(scratch->fd, file_names[kind], document, NULL), 0);
}

static void refused(const struct scratch *scratch, enum kind kind, const char *part)
{
	struct json *loaded = NULL;
	struct err err = {0};

	if (load(kind, scratch->fd, &loaded, &err) != -EINVAL)
		fail_msg("%s was taken although '%s'", file_names[kind], part);
	assert_contains(err.msg, file_names[kind]);
	assert_contains(err.msg, part);
}

static void test_versions(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	for (int i = 0; i < KINDS; i++) {
		enum kind kind = (enum kind)i;
		struct json *document = example(kind);

		json_set_int(document, "version", RECORD_VERSION + 1);
		save_document(&scratch, kind, document);
		refused(&scratch, kind, "has version 2, and this podd knows only up to 1");
		document = example(kind);
		json_set_int(document, "version", 0);
		save_document(&scratch, kind, document);
		refused(&scratch, kind, "\"version\" must be");
		document = example(kind);
		json_set_string(document, "version", "1");
		save_document(&scratch, kind, document);
		refused(&scratch, kind, "\"version\" must be");
		document = example(kind);
		json_remove(document, "version");
		save_document(&scratch, kind, document);
		refused(&scratch, kind, "\"version\" is missing");
		put_file(scratch.fd, file_names[kind], "[1]");
		refused(&scratch, kind, "\"version\"");
		put_file(scratch.fd, file_names[kind], "{\"version\": 1,");
		refused(&scratch, kind, "premature EOF");
		put_file(scratch.fd, file_names[kind], "");
		refused(&scratch, kind, "empty");
	}
}

/* Members that a later program of the same version may add. */
static void test_unknown_members(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	for (int i = 0; i < KINDS; i++) {
		autoptr(json) before = example((enum kind)i);
		struct json *document = example((enum kind)i);
		autoptr(json) after = NULL;
		struct err err = {0};

		json_set_array(json_set_object(document, "future"), "more");
		save_document(&scratch, (enum kind)i, document);
		if (load((enum kind)i, scratch.fd, &after, &err) < 0)
			fail_msg("%s", err.msg);
		assert_true(json_equal(before, after));
	}
}

/* ---- damage ---- */

/* The container of what @path ("networks/0/name") names, and its last part in @ret_key. */
static struct json *find(struct json *value, const char *path, const char **ret_key)
{
	const char *slash;

	while ((slash = strchr(path, '/'))) {
		char *part = strndup(path, (size_t)(slash - path));
		uint32_t index;

		value = text_to_uint32(part, 0, 100, &index) == 0 ? json_at(value, index)
								  : json_get(value, part);
		assert_non_null(value);
		free(part);
		path = slash + 1;
	}
	*ret_key = path;
	return value;
}

static void damaged(const struct scratch *scratch, enum kind kind, const char *path,
	const char *text, const char *part)
{
	struct json *document = example(kind), *value = NULL, *container;
	const char *key;

	container = find(document, path, &key);
	if (!text) {
		assert_non_null(json_get(container, key));
		json_remove(container, key);
	} else {
		assert_int_equal(json_parse("test", text, strlen(text), &value, NULL), 0);
		json_set(container, key, value);
	}
	save_document(scratch, kind, document);
	refused(scratch, kind, part ? part : key);
}

#define LONG_TEXT \
	"\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""

static const struct damage {
	enum kind kind;
	const char *path;
	const char *text; /* NULL: removed */
	const char *part; /* of the message; NULL: the field's name */
} damages[] = {
	{SPEC, "path", NULL, NULL},
	{SPEC, "path", "7", NULL},
	{SPEC, "path", "\"../x\"", "'path': "},
	{SPEC, "path", "\"\"", "'path': "},
	{SPEC, "created", NULL, NULL},
	{SPEC, "created", LONG_TEXT, "'created' is longer than 31 bytes"},
	{SPEC, "net", NULL, NULL},
	{SPEC, "net", "\"bridge\"", "'net' must be slirp, none, host or cni"},
	{SPEC, "hostLoopback", "\"yes\"", NULL},
	{SPEC, "ipv6", NULL, NULL},
	{SPEC, "mtu", "1279", NULL},
	{SPEC, "mtu", "65521", NULL},
	{SPEC, "mtu", "1500.5", NULL},
	{SPEC, "cidr", NULL, NULL},
	{SPEC, "cidr", "\"10.0.2.0\"", "10.0.2.0"},
	{SPEC, "uidMappings", "{}", NULL},
	{SPEC, "uidMappings", "[{\"container\":0,\"host\":1}]", NULL},
	{SPEC, "gidMappings", "[{\"container\":0,\"host\":1,\"size\":0}]", NULL},
	{SPEC, "shmSize", "0", NULL},
	{SPEC, "autoRemove", "1", NULL},
	{SPEC, "labels", NULL, NULL},
	{SPEC, "labels", "[]", NULL},
	{SPEC, "labels/team", "7", "label 'team' must be a string"},
	{SPEC, "labels/team", "null", "label 'team' must be a string"},
	{SPEC, "cniConfigDirs", NULL, NULL},
	{SPEC, "cniConfigDirs", "\"/etc\"", NULL},
	{SPEC, "cniConfigDirs", "[\"/etc\", 7]", NULL},
	{SPEC, "cniConfigDirs", "[\"net.d\"]", "'cniConfigDirs': 'net.d' is not an absolute path"},
	{SPEC, "cniPluginDirs", NULL, NULL},
	{SPEC, "cniPluginDirs", "[\"/usr/lib/cni\",\"\"]", "'cniPluginDirs': ''"},
	{SPEC, "publish", "7", NULL},
	{SPEC, "publish", "[\"80\",\"x\"]", "'publish': port \"x\""},
	{SPEC, "egress", "[{}]", NULL},
	{SPEC, "stages", "[\"relative\"]", "'stages' is not an absolute path"},
	{SPEC, "stages", "\"/srv\"", NULL},
	{SPEC, "root", "\"srv\"", "'root' is not an absolute path"},
	{SPEC, "root", "7", NULL},
	{SPEC, "root", NULL, "'hostAt' needs 'root'"},
	{SPEC, "hostAt", "\"\"", "'hostAt' is not an absolute path"},
	{SPEC, "hostAt", "\"/a/../b\"", "'hostAt' is not an absolute path"},
	{SPEC, "egress", "[\"deny\",\"permit\"]", "'egress': rule \"permit\""},

	{STATE, "phase", NULL, NULL},
	{STATE, "phase", "\"asleep\"", "'phase' is 'asleep'"},
	{STATE, "phase", "1", NULL},
	{STATE, "bootId", NULL, NULL},
	{STATE, "bootId", LONG_TEXT, "'bootId' is longer than 32 bytes"},
	{STATE, "since", NULL, NULL},
	{STATE, "podd", "7", NULL},
	{STATE, "podd/pid", NULL, "'podd': \"pid\""},
	{STATE, "podd/pid", "0", "'podd': \"pid\""},
	{STATE, "outer/pid", "-1", "'outer': \"pid\""},
	{STATE, "outer/pid", "2147483648", "'outer': \"pid\""},
	{STATE, "outer/startTime", NULL, "'outer': \"startTime\""},
	{STATE, "uplink/startTime", "-1", "'uplink': \"startTime\""},
	{STATE, "uplink/startTime", "9223372036854775808", "'uplink': \"startTime\""},
	{STATE, "namespaces", NULL, NULL},
	{STATE, "namespaces", "[]", NULL},
	{STATE, "namespaces/net", "\"net:[4026531840]\"", NULL},
	{STATE, "namespaces/net/inode", "0", "'net': \"inode\""},
	{STATE, "namespaces/user/device", NULL, "'user': \"device\""},
	{STATE, "uidMappings", "7", NULL},
	{STATE, "gidMappings", "[7]", "'gidMappings': "},
	{STATE, "tap", "[]", NULL},
	{STATE, "warnings", "\"one\"", NULL},
	{STATE, "warnings", "[null]", NULL},
	{STATE, "error", "false", NULL},

	{ATTACHMENT, "pod", "\"a//b\"", "'pod': "},
	{ATTACHMENT, "child", NULL, NULL},
	{ATTACHMENT, "child", "\"a/b\"", "'child': "},
	{ATTACHMENT, "child", LONG_TEXT, "'child' is longer than 63 bytes"},
	{ATTACHMENT, "id", NULL, NULL},
	{ATTACHMENT, "id", "\"../../etc\"", "'id': "},
	{ATTACHMENT, "id", "\"\"", "'id': "},
	{ATTACHMENT, "generation", NULL, NULL},
	{ATTACHMENT, "generation", LONG_TEXT, "'generation' is longer than 32 bytes"},
	{ATTACHMENT, "created", "{}", NULL},
	{ATTACHMENT, "bootId", NULL, NULL},
	{ATTACHMENT, "phase", "\"\"", "'phase' is ''"},
	{ATTACHMENT, "share", "\"both\"", "'share' is 'both'"},
	{ATTACHMENT, "share", NULL, NULL},
	{ATTACHMENT, "init", "[]", NULL},
	{ATTACHMENT, "init/pid", "\"1\"", "'init': \"pid\""},
	{ATTACHMENT, "netns/inode", "-5", "'netns': \"inode\""},
	{ATTACHMENT, "bundle", "7", NULL},
	{ATTACHMENT, "hostname", "[]", NULL},
	{ATTACHMENT, "aliases", "{}", NULL},
	{ATTACHMENT, "publish", "[8080]", NULL},
	{ATTACHMENT, "capabilityArgs", "[]", NULL},
	{ATTACHMENT, "networks", NULL, NULL},
	{ATTACHMENT, "networks", "{}", NULL},
	{ATTACHMENT, "networks", "[[]]", "'networks', entry 0: "},
	{ATTACHMENT, "networks/0/name", NULL, "'networks', entry 0: \"name\""},
	{ATTACHMENT, "networks/1/ifname", "7", "'networks', entry 1: \"ifname\""},
	{ATTACHMENT, "networks/0/ip", "{}", "'networks', entry 0: \"ip\""},
	{ATTACHMENT, "networks/0/mac", "0", "'networks', entry 0: \"mac\""},
	{ATTACHMENT, "networks/0/addresses", "[0]", "'networks', entry 0: \"addresses\""},
	{ATTACHMENT, "networks/1/config", NULL, "'networks', entry 1: \"config\""},
	{ATTACHMENT, "networks/1/config", "[]", "'networks', entry 1: \"config\""},

	{NETWORK, "ports", NULL, NULL},
	{NETWORK, "ports", "{}", NULL},
	{NETWORK, "ports", "[7]", "'ports', entry 0: "},
	{NETWORK, "ports/0/spec", NULL, "'ports', entry 0: \"spec\""},
	{NETWORK, "ports/0/spec", "\"x\"", "'ports', entry 0: port \"x\""},
	{NETWORK, "ports/1/child", "\"\"", "'ports', entry 1: 'child': "},
	{NETWORK, "ports/1/child", "\"a/b\"", "'ports', entry 1: 'child': "},
	{NETWORK, "ports/1/child", LONG_TEXT, "'ports', entry 1: 'child': "},
	{NETWORK, "ports/1/child", "7", "'ports', entry 1: 'child': "},
	{NETWORK, "ports/1/wait_ms", "-1", "'ports', entry 1: \"wait_ms\""},
	{NETWORK, "ports/1/wait_ms", "86400001", "'ports', entry 1: \"wait_ms\""},
	{NETWORK, "ports", "[{\"spec\":\"80\"},{\"spec\":\"80\"}]",
		"'ports', entry 1: port \"80\" is there already"},
	{NETWORK, "egress", NULL, NULL},
	{NETWORK, "egress", "[[]]", "'egress', entry 0: "},
	{NETWORK, "egress/1/child", "\"A\"", "'egress', entry 1: 'child': "},
	{NETWORK, "egress/0/action", NULL, "'egress', entry 0: \"action\""},
	{NETWORK, "egress/0/action", "\"permit\"", "'egress', entry 0: \"action\""},
	{NETWORK, "egress/0/protocol", "\"tcp4\"", "'egress', entry 0: \"protocol\""},
	{NETWORK, "egress/0/to", "\"dns,gateway\"", "'egress', entry 0: it stands for 2 rules"},
	{NETWORK, "egress/1/networks/0/end", "\"fd00::1\"", "'egress', entry 1: \"networks\""},
	{NETWORK, "egress/0/ports/0/end", "1", "'egress', entry 0: \"ports\""},
	{NETWORK, "egress/2/icmps/type", "true", "'egress', entry 2: \"icmps\""},

	{BOX, "pod", "\"a//b\"", "'pod': "},
	{BOX, "name", "\"a/b\"", "'name': "},
	{BOX, "name", NULL, NULL},
	{BOX, "id", NULL, NULL},
	{BOX, "id", "\"net0.web\"", "'id' is 'net0.web', and should be 'net0.web.nginx'"},
	{BOX, "created", LONG_TEXT, "'created' is longer than 31 bytes"},
	{BOX, "runtime", NULL, NULL},
	{BOX, "runtime", "\"crun\"", "'runtime': 'crun' is not an absolute path"},
	{BOX, "rootfs", "\"\"", "'rootfs': '' is not an absolute path"},
	{BOX, "rootfs", NULL, "either 'rootfs' or 'bundle'"},
	{BOX, "bundle", "\"/x\"", "either 'rootfs' or 'bundle'"},
	{BOX, "command", NULL, NULL},
	{BOX, "command", "[7]", NULL},
	{BOX, "terminal", "1", NULL},
	{BOX, "interactive", NULL, NULL},
	{BOX, "autoRemove", "\"no\"", NULL},
	{BOX, "keepGroups", NULL, NULL},
	{BOX, "sharePid", NULL, NULL},
	{BOX, "overlays", "[\"x\"]", "'overlays': 'x' is not an absolute path"},
	{BOX, "chown", "[\"..\"]", "'chown': '..' is not an absolute path"},
	{BOX, "net", "\"bridge\"", "'net' is 'bridge', which is not known"},
	{BOX, "networks", "{}", NULL},
	{BOX, "publish", "[80]", NULL},
	{BOX, "egress", "{}", NULL},
	{BOX, "egress", "[\"permit\"]", "'egress': rule \"permit\""},
	{BOX, "restart", "\"never\"", "'restart' is 'never'"},
	{BOX, "restartMax", "-1", NULL},
	{BOX, "stopSignal", "0", NULL},
	{BOX, "stopSignal", "65", NULL},
	{BOX, "stopTimeout", "86401", NULL},
	{BOX, "limits", NULL, NULL},
	{BOX, "limits/memory", "-1", "'limits': \"memory\""},
	{BOX, "limits/swap", NULL, "'limits': \"swap\""},
	{BOX, "limits/swap", "-2", "'limits': \"swap\""},
	{BOX, "limits/cpuMilli", "4294967296", "'limits': \"cpuMilli\""},
	{BOX, "limits/pids", "0.5", "'limits': \"pids\""},
	{BOX, "cgroup", "\"a\"", "'cgroup': 'a' is not the path of a cgroup"},
	{BOX, "cgroup", "\"/a/../../x\"", "is not the path of a cgroup"},
	{BOX, "cgroup", "\"/a/..\"", "is not the path of a cgroup"},
	{BOX, "health", "[]", NULL},
	{BOX, "health/command", "[]", "'health': \"command\" is empty"},
	{BOX, "health/command", NULL, "'health': \"command\""},
	{BOX, "health/interval", "0", "'health': \"interval\""},
	{BOX, "health/timeout", "604801", "'health': \"timeout\""},
	{BOX, "health/retries", "0", "'health': \"retries\""},
	{BOX, "health/startPeriod", "-1", "'health': \"startPeriod\""},
	{BOX, "log", "\"syslog\"", "'log' is 'syslog'"},
	{BOX, "logPath", "\"x.log\"", "'logPath': 'x.log' is not an absolute path"},
	{BOX, "logMaxSize", NULL, NULL},
	{BOX, "logMaxFiles", "0", NULL},
	{BOX, "logMaxFiles", "1001", NULL},
	{BOX, "pidfile", "\"x\"", "'pidfile': 'x'"},
	{BOX, "cidfile", "7", NULL},
	{BOX, "labels/team", "7", "label 'team' must be a string"},
	{BOX, "annotations", NULL, NULL},
	{BOX, "annotations/a", "{}", "annotation 'a' must be a string"},

	{BOX_STATE, "phase", "\"asleep\"", "'phase' is 'asleep'"},
	{BOX_STATE, "bootId", NULL, NULL},
	{BOX_STATE, "since", NULL, NULL},
	{BOX_STATE, "started", "7", NULL},
	{BOX_STATE, "shim/pid", "0", "'shim': \"pid\""},
	{BOX_STATE, "init", "[]", NULL},
	{BOX_STATE, "order", "-1", NULL},
	{BOX_STATE, "restarts", "4294967296", NULL},
	{BOX_STATE, "stopRequested", NULL, NULL},
	{BOX_STATE, "health", "\"ill\"", "'health' is 'ill'"},
	{BOX_STATE, "healthFailures", NULL, NULL},
	{BOX_STATE, "cgroup", "7", NULL},

	{BOX_EXIT, "known", NULL, NULL},
	{BOX_EXIT, "status", "256", NULL},
	{BOX_EXIT, "status", "-1", NULL},
	{BOX_EXIT, "signal", "65", NULL},
	{BOX_EXIT, "oom", NULL, NULL},
	{BOX_EXIT, "started", LONG_TEXT, NULL},
	{BOX_EXIT, "ended", NULL, NULL},
	{BOX_EXIT, "error", "{}", NULL},
};

static void test_damaged(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++)
		damaged(&scratch, damages[i].kind, damages[i].path, damages[i].text,
			damages[i].part);
}

/* A failed load leaves the caller's struct alone. */
static void test_outputs_are_untouched(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct attachment attachment = {.n_networks = 4711};
	struct pod_spec spec = {.mtu = 4711};
	struct pod_state pod = {.phase = POD_STOPPING};
	struct pod_network network = {.n_rules = 4711};
	struct container_spec box = {.stop_signal = 4711};
	struct container_state box_state = {.restarts = 4711};
	struct container_exit box_exit = {.signal = 4711};

	scratch_init(&scratch);
	damaged(&scratch, SPEC, "cniPluginDirs", "7", NULL);
	assert_int_equal(pod_spec_load(scratch.fd, &spec, NULL), -EINVAL);
	assert_int_equal(spec.mtu, 4711);
	damaged(&scratch, STATE, "error", "7", NULL);
	assert_int_equal(pod_state_load(scratch.fd, &pod, NULL), -EINVAL);
	assert_int_equal(pod.phase, POD_STOPPING);
	damaged(&scratch, ATTACHMENT, "networks/1/config", "7", NULL);
	assert_int_equal(attachment_load(scratch.fd, &attachment, NULL), -EINVAL);
	assert_int_equal(attachment.n_networks, 4711);
	damaged(&scratch, NETWORK, "egress", "7", NULL);
	assert_int_equal(pod_network_load(scratch.fd, &network, NULL), -EINVAL);
	assert_int_equal(network.n_rules, 4711);
	damaged(&scratch, BOX, "annotations", "7", NULL);
	assert_int_equal(container_spec_load(scratch.fd, &box, NULL), -EINVAL);
	assert_int_equal(box.stop_signal, 4711);
	damaged(&scratch, BOX_STATE, "cgroup", "7", NULL);
	assert_int_equal(container_state_load(scratch.fd, &box_state, NULL), -EINVAL);
	assert_int_equal(box_state.restarts, 4711);
	damaged(&scratch, BOX_EXIT, "error", "7", NULL);
	assert_int_equal(container_exit_load(scratch.fd, &box_exit, NULL), -EINVAL);
	assert_int_equal(box_exit.signal, 4711);
}

/* ---- limits ---- */

static struct json *many(const struct json *member, size_t n)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < n; i++)
		json_append(array, json_copy(member));
	return array;
}

/* As many members as are allowed are taken, one more is not. */
static void limited(const struct scratch *scratch, enum kind kind, const char *path,
	const struct json *member, size_t max, const char *message)
{
	for (size_t n = max; n <= max + 1; n++) {
		struct json *document = example(kind);
		autoptr(json) loaded = NULL;
		struct err err = {0};
		const char *key;
		struct json *container = find(document, path, &key);

		json_set(container, key, many(member, n));
		save_document(scratch, kind, document);
		if (n > max)
			refused(scratch, kind, message);
		else if (load(kind, scratch->fd, &loaded, &err) < 0)
			fail_msg("%s", err.msg);
	}
}

static void test_limits(void **state)
{
	autoptr(json) text = json_new_string("/x");
	autoptr(json) port = json_new_string("80");
	autoptr(json) rule = json_new_string("deny");
	autoptr(json) attachment = example(ATTACHMENT);
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	limited(&scratch, SPEC, "cniConfigDirs", text, 32,
		"'cniConfigDirs' has more than 32 members");
	limited(&scratch, SPEC, "cniPluginDirs", text, 32,
		"'cniPluginDirs' has more than 32 members");
	limited(&scratch, SPEC, "publish", port, RECORD_PUBLISH_MAX,
		"'publish' has more than 256 members");
	limited(&scratch, SPEC, "egress", rule, EGRESS_RULES_MAX,
		"'egress' has more than 128 members");
	limited(&scratch, SPEC, "stages", text, STAGE_MAX, "'stages' has more than 8 members");
	limited(&scratch, STATE, "warnings", text, RECORD_WARNINGS_MAX,
		"'warnings' has more than 16 members");
	limited(&scratch, ATTACHMENT, "aliases", text, RECORD_ALIASES_MAX,
		"'aliases' has more than 32 members");
	limited(&scratch, ATTACHMENT, "publish", text, 256, "'publish' has more than 256 members");
	limited(&scratch, ATTACHMENT, "networks/0/addresses", text, 64,
		"'addresses' has more than 64 members");
	limited(&scratch, BOX, "overlays", text, CONTAINER_OVERLAYS_MAX,
		"'overlays' has more than 32 members");
	limited(&scratch, BOX, "chown", text, CONTAINER_CHOWN_MAX,
		"'chown' has more than 64 members");
	limited(&scratch, BOX, "networks", text, RECORD_NETWORKS_MAX,
		"'networks' has more than 16 members");
	limited(&scratch, BOX, "publish", text, RECORD_PUBLISH_MAX,
		"'publish' has more than 256 members");
	limited(&scratch, BOX, "egress", rule, EGRESS_RULES_MAX,
		"'egress' has more than 128 members");
	limited(&scratch, BOX, "health/command", text, 4096,
		"'command' has more than 4096 members");
	limited(&scratch, ATTACHMENT, "networks", json_at(json_get(attachment, "networks"), 0),
		RECORD_NETWORKS_MAX, "more than 16 networks");
}

static void test_label_limit(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoptr(json) loaded = NULL;
	struct json *document = example(SPEC), *labels;
	char key[16];

	scratch_init(&scratch);
	labels = json_set_object(document, "labels");
	for (int i = 0; i < RECORD_LABELS_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		json_set_string(labels, key, "");
	}
	save_document(&scratch, SPEC, json_copy(document));
	assert_int_equal(load(SPEC, scratch.fd, &loaded, NULL), 0);
	json_set_string(labels, "one-more", "");
	save_document(&scratch, SPEC, document);
	refused(&scratch, SPEC, "more than 64 labels");
}

static void test_mapping_limit(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct json *document = example(STATE), *array;

	scratch_init(&scratch);
	array = json_set_array(document, "uidMappings");
	for (int i = 0; i <= IDMAP_EXTENTS_MAX; i++) {
		struct json *extent = json_new_object();

		json_set_int(extent, "container", i);
		json_set_int(extent, "host", i);
		json_set_int(extent, "size", 1);
		json_append(array, extent);
	}
	save_document(&scratch, STATE, document);
	refused(&scratch, STATE, "'uidMappings': more than 32 mappings");
}

static void test_size_limit(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autofree char *large = malloc(JSON_BYTES_MAX + 2);
	struct pod_state pod;
	struct err err = {0};

	scratch_init(&scratch);
	assert_non_null(large);
	memset(large, ' ', JSON_BYTES_MAX + 1);
	large[JSON_BYTES_MAX + 1] = '\0';
	put_file(scratch.fd, RECORD_STATE, large);
	assert_int_equal(pod_state_load(scratch.fd, &pod, &err), -EFBIG);
	assert_contains(err.msg, RECORD_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_outputs_are_untouched),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_label_limit),
		cmocka_unit_test(test_mapping_limit),
		cmocka_unit_test(test_size_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
