/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Editing a config.json: what is podd's changes, all else stays; twice is once. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oci.h"
#include "text.h"

/* Quotes are easier to read as ' in the documents below. */
static struct json *parse(const char *text)
{
	autofree char *copy = strdup(text);
	struct json *document = NULL;
	struct err err = {0};

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (json_parse("test", copy, strlen(copy), &document, &err) < 0)
		fail_msg("%s", err.msg);
	return document;
}

static void assert_json(const struct json *value, const char *expected)
{
	autoptr(json) document = parse(expected);
	autofree char *text = NULL;
	autofree char *expected_text = NULL;

	assert_int_equal(json_write(value, true, &text, NULL), 0);
	assert_int_equal(json_write(document, true, &expected_text, NULL), 0);
	assert_string_equal(text, expected_text);
}

static struct idmap ids = {.n = 2, .extents = {{0, 1000, 1}, {1, 100000, 65536}}};
static struct idmap one_id = {.n = 1, .extents = {{0, 1000, 1}}};

static struct oci_bundle bundle_of(const char *pod)
{
	return (struct oci_bundle){
		.pod = pod,
		.root = "/run/user/1000/podd",
		.pod_dir = "/run/user/1000/podd/net0",
		.hook = "/usr/libexec/podd/podd-hook",
		.uids = &ids,
		.gids = &ids,
	};
}

static void apply(struct json *config, const struct oci_bundle *bundle)
{
	struct err err = {0};

	if (oci_bundle_apply(config, bundle, &err) < 0)
		fail_msg("%s", err.msg);
}

#define MINIMAL "{'linux':{'namespaces':[{'type':'mount'}]}}"

#define MAPPINGS                                                                                   \
	"[{'containerID':0,'hostID':1000,'size':1},{'containerID':1,'hostID':100000,'size':65536}" \
	"]"

#define HOOK(phase, root, pod)                                                                  \
	"{'path':'/usr/libexec/podd/podd-hook','args':['podd-hook','" phase "','--root','" root \
	"','--pod','" pod "'],'env':['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],'timeout':120}"

#define FILE_MOUNT(destination, pod_dir)                                                \
	"{'destination':'" destination "','type':'bind','source':'" pod_dir destination \
	"','options':['bind','ro','nosuid','nodev','noexec']}"

#define ROOT "/run/user/1000/podd"
#define POD_DIR ROOT "/net0"

static void test_minimal(void **state)
{
	autoptr(json) config = parse(MINIMAL);
	struct oci_bundle bundle = bundle_of("net0");

	apply(config, &bundle);
	assert_json(config, "{'linux':{'namespaces':[{'type':'mount'},"
			    "{'type':'user','path':'" POD_DIR "/ns/user'},{'type':'network'}],"
			    "'uidMappings':" MAPPINGS ",'gidMappings':" MAPPINGS "},"
			    "'hooks':{'createContainer':["
			    HOOK("createContainer", ROOT, "net0") "],"
			    "'poststop':[" HOOK("poststop", ROOT, "net0") "]},"
			    "'annotations':{'io.podd.pod':'net0'},"
			    "'mounts':[" FILE_MOUNT("/etc/hosts", POD_DIR) ","
			    FILE_MOUNT("/etc/resolv.conf", POD_DIR) "]}");
}

static void test_idempotent(void **state)
{
	autoptr(json) config = parse(MINIMAL);
	autoptr(json) once = NULL;
	char *networks[] = {(char[]){"podd:ip=10.88.0.9"}, (char[]){"other"}, NULL};
	char *publish[] = {(char[]){"8080:80"}, NULL};
	struct oci_bundle bundle = bundle_of("net0");

	bundle.networks = networks;
	bundle.publish = publish;
	bundle.hostname = "web";
	apply(config, &bundle);
	once = json_copy(config);
	apply(config, &bundle);
	assert_true(json_equal(config, once));
	assert_json(json_get(config, "annotations"),
		"{'io.podd.pod':'net0','io.podd.networks':'podd:ip=10.88.0.9 other',"
		"'io.podd.publish':'8080:80','io.podd.hostname':'web'}");
	assert_string_equal(json_string(json_get(config, "hostname")), "web");
}

#define FOREIGN                                                                                   \
	"{'ociVersion':'1.0.2','x-unknown':[1.0e3,12345678901234567890],"                         \
	"'process':{'rlimits':[{'type':'RLIMIT_NOFILE','hard':1024,'soft':1024}],'args':['sh']}," \
	"'hostname':'own',"                                                                       \
	"'hooks':{'prestart':[{'path':'/foreign'}],"                                              \
	"'createContainer':[{'path':'/foreign','args':['x']},{'path':'/a/podd-hook-not'}],"       \
	"'startContainer':[]},"                                                                   \
	"'annotations':{'org.example':'y','io.podd.aliases':'a b'},"                              \
	"'mounts':[{'destination':'/proc','type':'proc','source':'proc','x':1},"                  \
	"{'destination':'/etc/hosts','type':'bind','source':'/etc/hosts','options':['rbind']}],"  \
	"'linux':{'resources':{'devices':[{'allow':false}]},'namespaces':["                       \
	"{'type':'pid'},{'type':'network','path':'/var/run/netns/x','x':2},{'type':'ipc'},"       \
	"{'type':'uts','path':'/proc/1/ns/uts'},{'type':'mount'},{'type':'cgroup'}],"             \
	"'maskedPaths':['/proc/kcore'],'uidMappings':[]}}"

static void test_foreign_fields_stay(void **state)
{
	autoptr(json) config = parse(FOREIGN);
	struct oci_bundle bundle = bundle_of("net0");

	apply(config, &bundle);
	assert_json(config,
		"{'ociVersion':'1.0.2','x-unknown':[1.0e3,12345678901234567890],"
		"'process':{'rlimits':[{'type':'RLIMIT_NOFILE','hard':1024,'soft':1024}],"
		"'args':['sh']},"
		"'hostname':'own',"
		"'hooks':{'prestart':[{'path':'/foreign'}],"
		"'createContainer':[{'path':'/foreign','args':['x']},{'path':'/a/podd-hook-not'},"
		HOOK("createContainer", ROOT, "net0") "],'startContainer':[],"
		"'poststop':[" HOOK("poststop", ROOT, "net0") "]},"
		"'annotations':{'org.example':'y','io.podd.aliases':'a b','io.podd.pod':'net0'},"
		"'mounts':[{'destination':'/proc','type':'proc','source':'proc','x':1},"
		"{'destination':'/etc/hosts','type':'bind','source':'/etc/hosts',"
		"'options':['rbind']}," FILE_MOUNT("/etc/resolv.conf", POD_DIR) "],"
		"'linux':{'resources':{'devices':[{'allow':false}]},'namespaces':["
		"{'type':'pid'},{'type':'network','x':2},{'type':'ipc'},"
		"{'type':'uts','path':'/proc/1/ns/uts'},{'type':'mount'},{'type':'cgroup'},"
		"{'type':'user','path':'" POD_DIR "/ns/user'}],"
		"'maskedPaths':['/proc/kcore'],'uidMappings':" MAPPINGS ",'gidMappings':" MAPPINGS
		"}}");
}

static void test_null_sections(void **state)
{
	autoptr(json) config =
		parse("{'hooks':null,'annotations':null,'mounts':null,"
		      "'linux':{'namespaces':[{'type':'mount'}]}}");
	autoptr(json) minimal = parse(MINIMAL);
	struct oci_bundle bundle = bundle_of("net0");

	apply(config, &bundle);
	apply(minimal, &bundle);
	assert_true(json_equal(config, minimal));
}

static const char *namespace_path(const struct json *config, const char *type)
{
	const struct json *array = json_get(json_get(config, "linux"), "namespaces");
	const struct json *found = NULL;

	for (size_t i = 0; i < json_length(array); i++) {
		if (!text_equal(json_string(json_get(json_at(array, i), "type")), type))
			continue;
		assert_null(found);
		found = json_at(array, i);
	}
	return found ? json_string(json_get(found, "path")) : "none";
}

static void test_share_and_back(void **state)
{
	autoptr(json) config =
		parse("{'linux':{'namespaces':[{'type':'mount'},{'type':'ipc'},"
		      "{'type':'ipc'}]}}");
	char *networks[] = {(char[]){"podd"}, NULL};
	struct oci_bundle bundle = bundle_of("net0");

	bundle.networks = networks;
	bundle.share_net = bundle.share_ipc = bundle.share_uts = bundle.share_pid = true;
	apply(config, &bundle);
	assert_string_equal(namespace_path(config, "network"), POD_DIR "/ns/net");
	assert_string_equal(namespace_path(config, "ipc"), POD_DIR "/ns/ipc");
	assert_string_equal(namespace_path(config, "uts"), POD_DIR "/ns/uts");
	assert_string_equal(namespace_path(config, "pid"), POD_DIR "/ns/pid");
	assert_null(json_get(json_get(config, "annotations"), "io.podd.networks"));

	bundle.share_net = bundle.share_ipc = bundle.share_uts = bundle.share_pid = false;
	apply(config, &bundle);
	assert_null(namespace_path(config, "network"));
	assert_null(namespace_path(config, "ipc"));
	assert_null(namespace_path(config, "uts"));
	assert_null(namespace_path(config, "pid"));
	assert_string_equal(
		json_string(json_get(json_get(config, "annotations"), "io.podd.networks")), "podd");
	bundle.networks = NULL;
	apply(config, &bundle);
	assert_null(json_get(json_get(config, "annotations"), "io.podd.networks"));
}

static void test_host_net(void **state)
{
	autoptr(json) config = parse(MINIMAL);
	struct oci_bundle bundle = bundle_of("net0");

	bundle.share_net = bundle.host_net = true;
	apply(config, &bundle);
	assert_string_equal(namespace_path(config, "network"), "none");
	bundle.host_net = false;
	apply(config, &bundle);
	assert_string_equal(namespace_path(config, "network"), POD_DIR "/ns/net");
}

/* A bundle moves to another pod, in another root. */
static void test_other_pod(void **state)
{
	autoptr(json) config = parse(MINIMAL);
	autoptr(json) fresh = parse(MINIMAL);
	struct oci_bundle first = bundle_of("net0"), second = bundle_of("net1/inner");

	first.share_ipc = first.share_uts = true;
	apply(config, &first);
	second.root = "/tmp/other";
	second.pod_dir = "/tmp/other/net1/children/inner";
	second.share_ipc = second.share_uts = true;
	apply(config, &second);
	apply(fresh, &second);
	assert_true(json_equal(config, fresh));

	second.share_ipc = second.share_uts = false;
	second.root = "/tmp/third";
	apply(config, &second);
	assert_null(namespace_path(config, "ipc"));
	assert_null(namespace_path(config, "uts"));
}

static void test_own_hooks_never_doubled(void **state)
{
	autoptr(json) config =
		parse("{'linux':{'namespaces':[{'type':'mount'}]},'hooks':{'poststop':["
		      "{'path':'/old/podd-hook','x':1},{'path':'/f'},{'path':'podd-hook'}]}}");
	const struct json *poststop;
	struct oci_bundle bundle = bundle_of("net0");

	apply(config, &bundle);
	poststop = json_get(json_get(config, "hooks"), "poststop");
	assert_int_equal(json_length(poststop), 2);
	assert_string_equal(json_string(json_get(json_at(poststop, 0), "path")), bundle.hook);
	assert_non_null(json_get(json_at(poststop, 0), "x"));
	assert_string_equal(json_string(json_get(json_at(poststop, 1), "path")), "/f");
}

static void test_devpts_gid(void **state)
{
	const char *text =
		"{'linux':{'namespaces':[{'type':'mount'}]},'mounts':["
		"{'destination':'/dev/pts','type':'devpts','source':'devpts',"
		"'options':['nosuid','gid=5','mode=0620','gid=x']},"
		"{'destination':'/t','type':'tmpfs','options':['gid=5']}]}";
	autoptr(json) full = parse(text);
	autoptr(json) one = parse(text);
	struct oci_bundle bundle = bundle_of("net0");

	apply(full, &bundle);
	assert_json(json_get(json_at(json_get(full, "mounts"), 0), "options"),
		"['nosuid','gid=5','mode=0620','gid=x']");
	bundle.gids = &one_id;
	apply(one, &bundle);
	assert_json(json_get(json_at(json_get(one, "mounts"), 0), "options"),
		"['nosuid','mode=0620','gid=x']");
	assert_json(json_get(json_at(json_get(one, "mounts"), 1), "options"), "['gid=5']");
}

static void test_errors_name_the_field(void **state)
{
	static const struct {
		const char *config;
		const char *message;
	} cases[] = {
		{"[]", "config.json must be an object, found array"},
		{"{}", "config.json: linux is missing: podd needs a bundle for Linux"},
		{"{'linux':null}", "config.json: linux is missing: podd needs a bundle for Linux"},
		{"{'linux':[]}", "config.json: linux must be an object, found array"},
		{"{'linux':{}}",
			"config.json: linux.namespaces has no entry of type \"mount\", "
			"which a child of a pod needs"},
		{"{'linux':{'namespaces':[{'type':'pid'}]}}",
			"config.json: linux.namespaces has no entry of type \"mount\", "
			"which a child of a pod needs"},
		{"{'linux':{'namespaces':'x'}}",
			"config.json: linux.namespaces must be an array, found string"},
		{"{'linux':{'namespaces':[7]}}",
			"config.json: linux.namespaces[0] must be an object, found number"},
		{"{'linux':{'namespaces':[{'type':'mount'},{}]}}",
			"config.json: linux.namespaces[1].type is missing"},
		{"{'linux':{'namespaces':[{'type':null}]}}",
			"config.json: linux.namespaces[0].type must be a string, found null"},
		{"{'hooks':[]}", "config.json: hooks must be an object, found array"},
		{"{'hooks':{'poststop':{}}}",
			"config.json: hooks.poststop must be an array, found object"},
		{"{'hooks':{'createContainer':[{'path':1}]}}",
			"config.json: hooks.createContainer[0].path must be a string, found "
			"number"},
		{"{'annotations':7,'linux':{'namespaces':[{'type':'mount'}]}}",
			"config.json: annotations must be an object, found number"},
		{"{'mounts':7,'linux':{'namespaces':[{'type':'mount'}]}}",
			"config.json: mounts must be an array, found number"},
		{"{'mounts':[{'destination':'/','source':1}],"
		 "'linux':{'namespaces':[{'type':'mount'}]}}",
			"config.json: mounts[0].source must be a string, found number"},
		{"{'mounts':[{}],'linux':{'namespaces':[{'type':'mount'}]}}",
			"config.json: mounts[0].destination is missing"},
		{"{'mounts':[{'destination':'/dev/pts','type':'devpts','options':'gid=5'}],"
		 "'linux':{'namespaces':[{'type':'mount'}]}}",
			"config.json: mounts[0].options must be an array, found string"},
	};
	struct oci_bundle bundle = bundle_of("net0");

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autoptr(json) config = parse(cases[i].config);
		struct err err = {0};

		assert_int_equal(oci_bundle_apply(config, &bundle, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_idempotent),
		cmocka_unit_test(test_foreign_fields_stay),
		cmocka_unit_test(test_null_sections),
		cmocka_unit_test(test_share_and_back),
		cmocka_unit_test(test_host_net),
		cmocka_unit_test(test_other_pod),
		cmocka_unit_test(test_own_hooks_never_doubled),
		cmocka_unit_test(test_devpts_gid),
		cmocka_unit_test(test_errors_name_the_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
