/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network configurations: what is accepted, how they are found, what a plugin gets of them. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>

#include "cni-config.h"
#include "cni-fixture.h"

static const struct cni_builtin builtin = {.mtu = 1500, .ipv6 = true};

static struct cni_config *parse(const char *text)
{
	struct cni_config *config = NULL;
	struct err err = {0};

	if (cni_config_parse("test", text, strlen(text), &config, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return config;
}

static void refused(const char *text, const char *message)
{
	struct cni_config *config = NULL;
	struct err err = {0};

	assert_int_equal(
		cni_config_parse("net.conflist", text, strlen(text), &config, &err), -EINVAL);
	if (!strstr(err.msg, message) || !text_starts_with(err.msg, "net.conflist"))
		fail_msg("%s: \"%s\" has no \"%s\"", text, err.msg, message);
	assert_null(config);
}

static void test_list(void **state)
{
	autoptr(cni_config) config =
		parse("{\"cniVersion\":\"0.4.0\",\"name\":\"n.1\",\"disableCheck\":true,"
		      "\"disableGC\":\"true\","
		      "\"plugins\":[{\"type\":\"a\"},{\"type\":\"b-2_x.y\"}]}");

	assert_string_equal(cni_config_name(config), "n.1");
	assert_string_equal(cni_config_version(config), "0.4.0");
	assert_string_equal(cni_config_source(config), "test");
	assert_int_equal(cni_config_plugins(config), 2);
	assert_string_equal(cni_config_plugin_type(config, 0), "a");
	assert_string_equal(cni_config_plugin_type(config, 1), "b-2_x.y");
	assert_null(cni_config_plugin_type(config, 2));
	assert_true(config->disable_check);
	assert_true(config->disable_gc);
	assert_false(config->only_inlined);
	assert_int_equal(json_length(cni_config_document(config)), 5);
}

static void test_single(void **state)
{
	autoptr(cni_config) config =
		parse("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"bridge\",\"mtu\":9000}");
	autoptr(json) request = cni_config_request(config, 0, CNI_1_0_0, NULL, NULL);

	assert_int_equal(cni_config_plugins(config), 1);
	assert_string_equal(cni_config_plugin_type(config, 0), "bridge");
	assert_true(json_equal(request, cni_config_document(config)));
}

#define HEAD "{\"cniVersion\":\"1.0.0\",\"name\":\"n\","

static void test_refused(void **state)
{
	refused("", "is empty");
	refused("[]", "a network configuration must be an object");
	refused("{\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"a\"}]}", "\"name\"");
	refused("{\"cniVersion\":\"1.0.0\",\"name\":\"../n\",\"plugins\":[{\"type\":\"a\"}]}",
		"the network name \"../n\" is invalid");
	refused("{\"cniVersion\":\"1.0.0\",\"name\":\"\",\"type\":\"a\"}", "name \"\" is invalid");
	refused("{\"cniVersion\":\"1.0.0\",\"name\":\".n\",\"type\":\"a\"}", "is invalid");
	refused("{\"name\":\"n\",\"type\":\"a\"}",
		"\"cniVersion\" is missing, supported are 0.3.0");
	refused("{\"cniVersion\":\"9.0.0\",\"name\":\"n\",\"type\":\"a\"}",
		"cniVersion \"9.0.0\" is not supported, supported are 0.3.0, 0.3.1");
	refused("{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"type\":\"a\"}", "\"0.2.0\" is not");
	refused("{\"cniVersions\":[\"0.1.0\",\"3.0.0\"],\"name\":\"n\",\"type\":\"a\"}",
		"\"0.1.0\" is not supported");
	refused("{\"cniVersion\":1,\"name\":\"n\",\"type\":\"a\"}", "cniVersion");
	refused(HEAD "\"cniVersions\":\"1.0.0\",\"type\":\"a\"}", "cniVersions");
	refused(HEAD "\"plugins\":[]}", "\"plugins\" is empty");
	refused(HEAD "\"plugins\":{}}", "neither a \"type\" nor a list of \"plugins\"");
	refused(HEAD "\"x\":1}", "neither a \"type\" nor a list of \"plugins\"");
	refused(HEAD "\"plugins\":[{\"type\":\"a\"},1]}", "plugins[1]: it must be an object");
	refused(HEAD "\"plugins\":[{\"bridge\":\"b\"}]}", "plugins[0]: ");
	refused(HEAD "\"plugins\":[{\"type\":1}]}", "type");
	refused(HEAD "\"plugins\":[{\"type\":\"../../bin/sh\"}]}",
		"plugins[0]: the type \"../../bin/sh\" is invalid");
	refused(HEAD "\"plugins\":[{\"type\":\"..\"}]}", "the type \"..\" is invalid");
	refused(HEAD "\"plugins\":[{\"type\":\"\"}]}", "the type \"\" is invalid");
	refused(HEAD "\"plugins\":[{\"type\":\"a\",\"ipam\":{\"type\":\"/bin/sh\"}}]}",
		"plugins[0]: ipam: the type \"/bin/sh\" is invalid");
	refused(HEAD "\"plugins\":[{\"type\":\"a\",\"ipam\":[]}]}", "ipam");
	refused(HEAD "\"plugins\":[{\"type\":\"a\",\"capabilities\":[]}]}", "capabilities");
	refused(HEAD "\"disableCheck\":1,\"type\":\"a\"}", "disableCheck");
	refused(HEAD "\"disableGC\":\"yes\",\"type\":\"a\"}",
		"\"disableGC\" must be true or false");
}

static void test_counts(void **state)
{
	autoptr(json) document = json_new_object();
	struct cni_config *config = NULL;
	struct json *list;
	struct err err = {0};

	json_set_string(document, "name", "n");
	json_set_string(document, "cniVersion", "1.0.0");
	list = json_set_array(document, "plugins");
	for (int i = 0; i < CNI_PLUGINS_MAX; i++) {
		struct json *plugin = json_new_object();

		json_set_string(plugin, "type", "a");
		json_append(list, plugin);
	}
	assert_int_equal(cni_config_from_json("x", document, &config, NULL), 0);
	assert_int_equal(cni_config_plugins(config), CNI_PLUGINS_MAX);
	cni_config_free(config);
	config = NULL;
	for (int i = CNI_PLUGINS_MAX; i < 200; i++)
		json_append(list, json_copy(json_at(list, 0)));
	assert_int_equal(cni_config_from_json("x", document, &config, &err), -EINVAL);
	assert_string_equal(err.msg, "x: \"plugins\" has 200 entries, at most 32 are allowed");
	assert_null(config);
}

static void test_version_choice(void **state)
{
	autoptr(cni_config) config =
		parse("{\"cniVersion\":\"0.3.1\",\"cniVersions\":[\"2.0.0\",\"0.4.0\",\"1.1.0\","
		      "\"0.1.0\"],"
		      "\"name\":\"n\",\"type\":\"a\"}");
	autoptr(cni_config) newer =
		parse("{\"cniVersion\":\"2.0.0\",\"cniVersions\":[\"1.0.0\"],\"name\":\"n\","
		      "\"type\":\"a\"}");
	enum cni_version version;

	assert_string_equal(cni_config_version(config), "1.1.0");
	assert_int_equal(cni_config_version_below(config, CNI_1_1_0, &version), 0);
	assert_int_equal(version, CNI_0_4_0);
	assert_int_equal(cni_config_version_below(config, version, &version), 0);
	assert_int_equal(version, CNI_0_3_1);
	assert_int_equal(cni_config_version_below(config, version, &version), -ENOENT);
	assert_string_equal(cni_config_version(newer), "1.0.0");
}

static void test_request(void **state)
{
	autoptr(cni_config) config =
		parse("{\"cniVersion\":\"0.4.0\",\"name\":\"list\",\"plugins\":[{\"type\":\"a\","
		      "\"cniVersion\":\"0.1.0\",\"name\":\"other\",\"capabilities\":{"
		      "\"portMappings\":true,"
		      "\"mac\":false,\"ips\":true},\"runtimeConfig\":{\"x\":1},\"prevResult\":{},"
		      "\"cni.dev/x\":1,\"own\":{\"k\":[1.50]},\"args\":{\"cni\":{}}}]}");
	autoptr(json) args = NULL;
	autoptr(json) prev = json_new_object();
	autoptr(json) request = NULL;
	autofree char *text = NULL;
	static const char *const asked =
		"{\"portMappings\":[{\"hostPort\":80}],\"mac\":\"02:00:00:00:00:01\",\"dns\":{}}";
	size_t length;

	assert_int_equal(json_parse("args", asked, strlen(asked), &args, NULL), 0);
	json_set_string(prev, "cniVersion", "0.4.0");
	request = cni_config_request(config, 0, CNI_0_4_0, args, prev);
	assert_int_equal(json_write(request, false, &text, &length), 0);
	assert_string_equal(text,
		"{\"type\":\"a\",\"cniVersion\":\"0.4.0\",\"name\":\"list\",\"own\":{\"k\":[1.50]},"
		"\"args\":{\"cni\":{}},\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":80}]},"
		"\"prevResult\":{\"cniVersion\":\"0.4.0\"}}");
	assert_true(cni_config_wants(config, "ips"));
	assert_false(cni_config_wants(config, "mac"));
	assert_false(cni_config_wants(config, "dns"));
}

/* ---- finding ---- */

static void write_file(int dirfd, const char *name, const char *text)
{
	struct err err = {0};

	if (file_write(dirfd, name, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

#define NETWORK(name, type) \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\",\"plugins\":[{\"type\":\"" type "\"}]}"
#define SINGLE(name, type) "{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\",\"type\":\"" type "\"}"

static void finds(char *const *dirs, const char *name, const char *type, const char *file)
{
	autoptr(cni_config) config = NULL;
	struct err err = {0};

	if (cni_config_find(dirs, name, &builtin, &config, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(cni_config_name(config), name);
	assert_string_equal(cni_config_plugin_type(config, 0), type);
	if (!text_ends_with(cni_config_source(config), file))
		fail_msg("%s comes from %s, not %s", name, cni_config_source(config), file);
}

static void misses(char *const *dirs, const char *name, int code, const char *message)
{
	struct cni_config *config = NULL;
	struct err err = {0};

	assert_int_equal(cni_config_find(dirs, name, &builtin, &config, &err), code);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" has no \"%s\"", err.msg, message);
	assert_null(config);
}

static void test_find_order(void **state)
{
	struct fixture *fixture = *state;
	autoclose int first = fixture_open_new(fixture, "first");
	autoclose int second = fixture_open_new(fixture, "second");
	char first_path[PATH_MAX];
	char second_path[PATH_MAX];
	char *dirs[] = {(char[]){"/nonexistent/net.d"}, first_path, second_path, NULL};

	fixture_path(fixture, "first", first_path);
	fixture_path(fixture, "second", second_path);
	write_file(first, "10-a.conf", SINGLE("a", "single"));
	write_file(first, "99-a.conflist", NETWORK("a", "list"));
	write_file(first, "20-b.json", SINGLE("b", "json"));
	write_file(first, "30-b.conf", SINGLE("b", "later"));
	write_file(second, "00-b.conflist", NETWORK("b", "second"));
	write_file(second, "10-c.conflist", NETWORK("c", "third"));
	write_file(second, "05-c.txt", NETWORK("c", "text"));
	assert_int_equal(symlinkat("10-c.conflist", second, "01-link.conflist"), 0);
	finds(dirs, "a", "list", "/first/99-a.conflist");
	finds(dirs, "b", "json", "/first/20-b.json");
	finds(dirs, "c", "third", "/second/01-link.conflist");
	finds(dirs, "podd", "bridge", "built in");
	misses(dirs, "d", -ENOENT,
		"there is no network \"d\" in /nonexistent/net.d, /tmp/podd-cni-");
	misses(dirs, "d", -ENOENT, "there are: podd, a, b, c");
	misses(dirs, "../x", -EINVAL, "the network name \"../x\" is invalid");
	write_file(second, "podd.conf", SINGLE("podd", "own"));
	finds(dirs, "podd", "own", "/second/podd.conf");
}

static void test_find_with_broken_files(void **state)
{
	struct fixture *fixture = *state;
	autoclose int dir = fixture_open_new(fixture, "conf");
	char path[PATH_MAX];
	char *dirs[] = {path, NULL};

	fixture_path(fixture, "conf", path);
	write_file(dir, "10-broken.conflist", "{\"name\":");
	write_file(dir, "20-wrong.conflist", NETWORK("wrong", "../x"));
	write_file(dir, "30-wrong.conflist", NETWORK("wrong", "right"));
	write_file(dir, "40-good.conflist", NETWORK("good", "right"));
	assert_int_equal(mkdirat(dir, "50-dir.conflist", 0755), 0);
	finds(dirs, "good", "right", "/40-good.conflist");
	/* The first of that name counts, even though there is a good one behind it. */
	misses(dirs, "wrong", -EINVAL,
		"/20-wrong.conflist: plugins[0]: the type \"../x\" is invalid");
	misses(dirs, "broken", -ENOENT, "could not be read: /tmp/podd-cni-");
	misses(dirs, "broken", -ENOENT, "10-broken.conflist:1:");
}

static void test_plugin_files(void **state)
{
	struct fixture *fixture = *state;
	autoclose int dir = fixture_open_new(fixture, "conf");
	autoclose int sub = fixture_open_new(fixture, "conf/net");
	autoptr(cni_config) config = NULL;
	autoptr(cni_config) again = NULL;
	char path[PATH_MAX];
	char *dirs[] = {path, NULL};

	fixture_path(fixture, "conf", path);
	write_file(sub, "20.conf", "{\"type\":\"third\"}");
	write_file(sub, "10.conf", "{\"type\":\"second\"}");
	write_file(sub, "30.json", "{\"type\":\"no\"}");
	write_file(dir, "net.conflist", NETWORK("net", "first"));
	assert_int_equal(cni_config_find(dirs, "net", &builtin, &config, NULL), 0);
	assert_int_equal(cni_config_plugins(config), 3);
	assert_string_equal(cni_config_plugin_type(config, 1), "second");
	assert_string_equal(cni_config_plugin_type(config, 2), "third");
	/* The document has them, so that a record of it is complete. */
	assert_int_equal(
		cni_config_from_json("record", cni_config_document(config), &again, NULL), 0);
	assert_int_equal(cni_config_plugins(again), 3);

	write_file(dir, "net.conflist", "{\"cniVersion\":\"1.1.0\",\"name\":\"net\"}");
	finds(dirs, "net", "second", "/net.conflist");
	write_file(dir, "net.conflist",
		"{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"loadOnlyInlinedPlugins\":true}");
	misses(dirs, "net", -EINVAL, "neither a \"type\" nor a list");
	write_file(dir, "net.conflist",
		"{\"cniVersion\":\"1.1.0\",\"name\":\"net\",\"loadOnlyInlinedPlugins\":true,"
		"\"plugins\":[{\"type\":\"only\"}]}");
	finds(dirs, "net", "only", "/net.conflist");
	write_file(dir, "net.conflist", NETWORK("net", "first"));
	write_file(sub, "15.conf", "{\"type\":");
	misses(dirs, "net", -EINVAL, "net/15.conf:1:");
}

static void test_too_many_plugin_files(void **state)
{
	struct fixture *fixture = *state;
	autoclose int dir = fixture_open_new(fixture, "conf");
	autoclose int sub = fixture_open_new(fixture, "conf/net");
	char path[PATH_MAX];
	char *dirs[] = {path, NULL};

	fixture_path(fixture, "conf", path);
	write_file(dir, "net.conflist", NETWORK("net", "first"));
	for (int i = 0; i < CNI_PLUGINS_MAX + 5; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%02d.conf", i);
		write_file(sub, name, "{\"type\":\"more\"}");
	}
	misses(dirs, "net", -EINVAL, "\"plugins\" has 33 entries, at most 32 are allowed");
}

static void test_large_file(void **state)
{
	struct fixture *fixture = *state;
	autoclose int dir = fixture_open_new(fixture, "conf");
	autofree char *text = malloc(CNI_CONFIG_BYTES_MAX + 2);
	char path[PATH_MAX];
	char *dirs[] = {path, NULL};

	assert_non_null(text);
	memset(text, ' ', CNI_CONFIG_BYTES_MAX + 1);
	text[CNI_CONFIG_BYTES_MAX + 1] = '\0';
	fixture_path(fixture, "conf", path);
	write_file(dir, "big.conflist", text);
	misses(dirs, "big", -ENOENT, "big.conflist: it is larger than 1048576 bytes");
}

static void test_default_network(void **state)
{
	static const char *const expected =
		"{\"cniVersion\":\"1.0.0\",\"name\":\"podd\",\"plugins\":[{\"type\":\"bridge\","
		"\"bridge\":\"podd0\",\"isGateway\":true,\"isDefaultGateway\":true,\"ipMasq\":"
		"false,"
		"\"hairpinMode\":true,\"mtu\":9000,\"capabilities\":{\"ips\":true,\"mac\":true},"
		"\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.88.0.0/"
		"16\"}]%s]}}]}";
	char *dirs[] = {NULL};

	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		autoptr(cni_config) config = NULL;
		autofree char *wanted = NULL;
		autofree char *text = NULL;
		const struct cni_builtin plain = {.mtu = 9000, .ipv6 = ipv6};
		size_t length;

		assert_int_equal(cni_config_find(dirs, "podd", &plain, &config, NULL), 0);
		assert_int_equal(json_write(cni_config_document(config), false, &text, &length), 0);
		assert_true(asprintf(&wanted, expected,
				    ipv6 ? ",[{\"subnet\":\"fd00:88::/64\"}]" : "") > 0);
		assert_string_equal(text, wanted);
	}
}

/* Each level of pods has its own subnets; on the host nothing else masquerades and publishes. */
static void test_default_network_levels(void **state)
{
	static const struct {
		int level;
		const char *expected[3];
	} cases[] = {
		{1, {"10.89.0.0/16", "fd00:88:1::/64", "\"ipMasq\":false"}},
		{7, {"10.95.0.0/16", "fd00:88:7::/64", "\"ipMasq\":false"}},
		{CNI_LEVEL_HOST, {"10.87.0.0/16", "\"ipMasq\":true", "{\"type\":\"portmap\""}},
	};
	char *dirs[] = {NULL};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cni_builtin level = {
			.mtu = 1500, .ipv6 = true, .level = cases[i].level};
		autoptr(cni_config) config = NULL;
		autofree char *text = NULL;
		size_t length;

		assert_int_equal(cni_config_find(dirs, "podd", &level, &config, NULL), 0);
		assert_int_equal(json_write(cni_config_document(config), false, &text, &length), 0);
		for (int j = 0; j < 3; j++)
			assert_non_null(strstr(text, cases[i].expected[j]));
	}
}

static void free_configs(struct cni_config **configs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cni_config_free(configs[i]);
	free(configs);
}

static void test_list_networks(void **state)
{
	struct fixture *fixture = *state;
	autoclose int dir = fixture_open_new(fixture, "conf");
	struct cni_config **configs = NULL;
	autostrv problems = NULL;
	char path[PATH_MAX];
	char *dirs[] = {path, path, NULL};
	size_t n = 0;

	fixture_path(fixture, "conf", path);
	write_file(dir, "10-a.conf", SINGLE("a", "single"));
	write_file(dir, "20-a.conflist", NETWORK("a", "list"));
	write_file(dir, "30-b.conflist", NETWORK("b", "list"));
	write_file(dir, "40-bad.conflist", NETWORK("bad", "/"));
	assert_int_equal(cni_config_list(dirs, &builtin, &configs, &n, &problems, NULL), 0);
	assert_int_equal(n, 3);
	assert_string_equal(cni_config_name(configs[0]), "a");
	assert_string_equal(cni_config_plugin_type(configs[0], 0), "list");
	assert_string_equal(cni_config_name(configs[1]), "b");
	assert_string_equal(cni_config_name(configs[2]), "podd");
	free_configs(configs, n);
	/* The directory is there twice, and so is its problem. */
	assert_int_equal(strv_length(problems), 2);
	assert_non_null(
		strstr(problems[0], "40-bad.conflist: plugins[0]: the type \"/\" is invalid"));
	assert_int_equal(cni_config_list(dirs, &builtin, &configs, &n, NULL, NULL), 0);
	free_configs(configs, n);
}

/* ---- directories ---- */

static void test_default_dirs(void **state)
{
	autostrv with_xdg = NULL;
	autostrv with_home = NULL;
	autostrv without = NULL;
	autostrv plugins = NULL;

	setenv("HOME", "/home/me", 1);
	setenv("XDG_CONFIG_HOME", "/xdg", 1);
	assert_int_equal(cni_default_config_dirs(&with_xdg), 0);
	assert_int_equal(strv_length(with_xdg), 2);
	assert_string_equal(with_xdg[0], "/xdg/cni/net.d");
	assert_string_equal(with_xdg[1], "/etc/cni/net.d");
	setenv("XDG_CONFIG_HOME", "relative", 1);
	assert_int_equal(cni_default_config_dirs(&with_home), 0);
	assert_string_equal(with_home[0], "/home/me/.config/cni/net.d");
	unsetenv("HOME");
	unsetenv("XDG_CONFIG_HOME");
	assert_int_equal(cni_default_config_dirs(&without), 0);
	assert_int_equal(strv_length(without), 1);
	setenv("CNI_PATH", "/a:relative::/opt/cni/bin:/a", 1);
	assert_int_equal(cni_default_plugin_dirs(&plugins), 0);
	assert_int_equal(strv_length(plugins), 4);
	assert_string_equal(plugins[0], "/a");
	assert_string_equal(plugins[1], "/opt/cni/bin");
	assert_string_equal(plugins[2], "/usr/lib/cni");
	assert_string_equal(plugins[3], "/usr/libexec/cni");
	unsetenv("CNI_PATH");
}

static void not_trusted(const char *dir, const char *message)
{
	char copy[PATH_MAX];
	char *dirs[] = {copy, NULL};
	autostrv trusted = NULL;
	autostrv problems = NULL;

	assert_int_equal(text_copy(copy, sizeof(copy), dir), 0);
	assert_int_equal(cni_trusted_dirs(dirs, &trusted, &problems), 0);
	assert_int_equal(strv_length(trusted), 0);
	assert_int_equal(strv_length(problems), 1);
	if (!strstr(problems[0], message) || !strstr(problems[0], dir))
		fail_msg("\"%s\" has no \"%s\"", problems[0], message);
}

static void test_trusted_dirs(void **state)
{
	struct fixture *fixture = *state;
	char *dirs[] = {fixture->plugins, (char[]){"/usr/lib"}, fixture->plugins, NULL};
	autoclose int open_dir = fixture_open_new(fixture, "open");
	autoclose int inner = fixture_open_new(fixture, "open/inner");
	autostrv trusted = NULL;
	autostrv problems = NULL;
	char path[PATH_MAX];

	assert_int_equal(cni_trusted_dirs(dirs, &trusted, &problems), 0);
	assert_int_equal(strv_length(trusted), 2);
	assert_string_equal(trusted[0], fixture->plugins);
	assert_string_equal(trusted[1], "/usr/lib");
	assert_int_equal(strv_length(problems), 0);

	not_trusted("/nonexistent/dir", "No such file or directory");
	not_trusted("relative", "it is not an absolute path");
	not_trusted("/usr/lib:/tmp", "a ':' cannot be in CNI_PATH");
	not_trusted("/etc/passwd", "is not a directory");
	/* Sticky does not help the directory itself. */
	not_trusted("/tmp", "group or others can write /tmp (mode 1777)");
	fixture_path(fixture, "open/inner", path);
	assert_int_equal(fchmod(open_dir, 0720), 0);
	not_trusted(path, "/open (mode 0720)");
	assert_int_equal(fchmod(open_dir, 0700), 0);
	assert_int_equal(fchmod(inner, 0702), 0);
	not_trusted(path, "/open/inner (mode 0702)");
}

static void test_trusted_through_links(void **state)
{
	struct fixture *fixture = *state;
	char link[PATH_MAX];
	char *dirs[] = {link, NULL};
	autostrv trusted = NULL;

	fixture_path(fixture, "link", link);
	assert_int_equal(symlinkat("plugins", fixture->dirfd, "link"), 0);
	assert_int_equal(cni_trusted_dirs(dirs, &trusted, NULL), 0);
	assert_string_equal(trusted[0], fixture->plugins);
}

/* Where nobody but the caller is mapped, the host's root is an unknown uid, and still trusted. */
static void look_from_user_namespace(void)
{
	char *dirs[] = {(char[]){"/usr"}, NULL};
	autostrv trusted = NULL;
	autoclose int fd = -1;
	struct stat st;
	char map[64];
	int length = snprintf(map, sizeof(map), "5 %u 1", geteuid());

	assert_int_equal(unshare(CLONE_NEWUSER), 0);
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, map, length), length);
	assert_int_equal(stat("/usr", &st), 0);
	assert_int_not_equal(st.st_uid, 0);
	assert_int_equal(cni_trusted_dirs(dirs, &trusted, NULL), 0);
	assert_int_equal(strv_length(trusted), 1);
}

static void test_trusted_owner(void **state)
{
	struct fixture *fixture = *state;
	int status;
	pid_t pid;

	/* Only root can make a directory of somebody else's. */
	if (geteuid() == 0 && fchown(fixture->pluginsfd, 12345, -1) == 0)
		not_trusted(fixture->plugins, "belongs to uid 12345, not to root or the caller");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		look_from_user_namespace();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_version_choice),
		cmocka_unit_test(test_request),
		WITH_FIXTURE(test_find_order),
		WITH_FIXTURE(test_find_with_broken_files),
		WITH_FIXTURE(test_plugin_files),
		WITH_FIXTURE(test_too_many_plugin_files),
		WITH_FIXTURE(test_large_file),
		cmocka_unit_test(test_default_network),
		cmocka_unit_test(test_default_network_levels),
		WITH_FIXTURE(test_list_networks),
		cmocka_unit_test(test_default_dirs),
		WITH_FIXTURE(test_trusted_dirs),
		WITH_FIXTURE(test_trusted_through_links),
		WITH_FIXTURE(test_trusted_owner),
	};

	return cmocka_run_group_tests_name("cni-config", tests, NULL, NULL);
}
