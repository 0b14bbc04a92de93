/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cache of results: the format that libcni has, and what else may lie there. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cni-cache.h"
#include "cni-fixture.h"

#define NAME "net-net0.web-eth0"

static struct cni_config *make_config(struct fixture *fixture)
{
	return fixture_config(
		fixture, "{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"type\":\"bridge\"}");
}

static struct json *parse(const char *text)
{
	struct json *document = NULL;

	assert_int_equal(json_parse("test", text, strlen(text), &document, NULL), 0);
	return document;
}

static void save(struct fixture *fixture, const struct cni_config *config)
{
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(json) result = parse("{\"cniVersion\":\"1.0.0\"}");
	autoptr(json) args = parse("[[\"IgnoreUnknown\",\"1\"],[\"IP\",\"10.0.0.9\"]]");
	autoptr(json) capabilities = parse("{\"mac\":\"02:00:00:00:00:01\"}");
	struct err err = {0};

	if (cni_cache_save(config, &runtime, args, capabilities, result, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_format(void **state)
{
	struct fixture *fixture = *state;
	autoptr(cni_config) config = make_config(fixture);
	autofree char *text = NULL;
	struct stat st;

	save(fixture, config);
	text = fixture_read(fixture, "cache/results/" NAME);
	/* The configuration in base64, as Go writes bytes. */
	assert_string_equal(text,
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"net0.web\",\"config\":"
		"\"eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibmV0IiwidHlwZSI6ImJyaWRnZSJ9\","
		"\"ifName\":\"eth0\",\"networkName\":\"net\",\"netns\":\"/run/netns/net0.web\","
		"\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],[\"IP\",\"10.0.0.9\"]],"
		"\"capabilityArgs\":{\"mac\":\"02:00:00:00:00:01\"},"
		"\"result\":{\"cniVersion\":\"1.0.0\"}}");
	assert_int_equal(fstatat(fixture->cache_fd, "results/" NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* Every remainder of the length by three. */
static void test_base64(void **state)
{
	static const char *const names[][2] = {
		{"n", "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibiIsInR5cGUiOiJhIn0="},
		{"nn", "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibm4iLCJ0eXBlIjoiYSJ9"},
		{"nnn", "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibm5uIiwidHlwZSI6ImEifQ=="},
	};
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);

	for (size_t i = 0; i < 3; i++) {
		autofree char *text = text_format(
			"{\"cniVersion\":\"1.0.0\",\"name\":\"%s\",\"type\":\"a\"}", names[i][0]);
		autoptr(cni_config) config = fixture_config(fixture, text);
		autoptr(json) result = json_new_object();
		autoptr(json) entry = NULL;

		assert_int_equal(cni_cache_save(config, &runtime, NULL, NULL, result, NULL), 0);
		assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), 0);
		assert_string_equal(json_string(json_get(entry, "config")), names[i][1]);
		assert_null(json_get(entry, "cniArgs"));
		assert_null(json_get(entry, "capabilityArgs"));
	}
}

/* The configuration comes back from an entry; what is no base64 of one does not. */
static void test_config(void **state)
{
	static const char *const broken[] = {"", "e", "e30", "e30=", "e30==", "e3=0", "****",
		"eyJjbmlWZXJzaW9uIjoiMS4wLjAifQ=="};
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);

	for (size_t pad = 0; pad < 3; pad++) {
		autofree char *text = text_format(
			"{\"cniVersion\":\"1.0.0\",\"name\":\"net%.*s\",\"plugins\":[{\"type\":\"a\"}]}",
			(int)pad, "xx");
		autoptr(cni_config) config = fixture_config(fixture, text);
		autoptr(cni_config) again = NULL;
		autoptr(json) result = json_new_object();
		autoptr(json) entry = NULL;

		assert_int_equal(cni_cache_save(config, &runtime, NULL, NULL, result, NULL), 0);
		assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), 0);
		assert_int_equal(cni_cache_config(entry, &again, NULL), 0);
		assert_true(json_equal(cni_config_document(config), cni_config_document(again)));
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		autoptr(json) entry = json_new_object();
		autoptr(cni_config) config = NULL;

		json_set_string(entry, "config", broken[i]);
		assert_int_equal(cni_cache_config(entry, &config, NULL), -EINVAL);
	}
}

static void test_load_and_remove(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = make_config(fixture);
	struct json *entry = NULL;

	/* Before there is a directory. */
	assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), -ENOENT);
	assert_int_equal(cni_cache_remove(config, &runtime, NULL), 0);
	save(fixture, config);
	assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), 0);
	assert_string_equal(json_string(json_get(entry, "ifName")), "eth0");
	json_free(take_ptr(entry));
	assert_int_equal(cni_cache_remove(config, &runtime, NULL), 0);
	assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), -ENOENT);
	assert_int_equal(cni_cache_remove(config, &runtime, NULL), 0);
	assert_null(entry);
}

static void write_entry(struct fixture *fixture, const char *name, const char *text)
{
	autoclose int dirfd = -1;
	struct err err = {0};

	if (file_make_dir(fixture->cache_fd, "results", &dirfd, &err) < 0 ||
		file_write(dirfd, name, text, strlen(text), 0600, &err) < 0)
		fail_msg("%s", err.msg);
}

static void refused(struct fixture *fixture, const struct cni_config *config, const char *text,
	const char *message)
{
	struct cni_runtime runtime = fixture_runtime(fixture);
	struct json *entry = NULL;
	struct err err = {0};

	write_entry(fixture, NAME, text);
	assert_int_equal(cni_cache_load(config, &runtime, &entry, &err), -EINVAL);
	if (!strstr(err.msg, message))
		fail_msg("\"%s\" has no \"%s\"", err.msg, message);
	assert_null(entry);
}

static void test_broken(void **state)
{
	struct fixture *fixture = *state;
	autoptr(cni_config) config = make_config(fixture);

	refused(fixture, config, "", "the kept result of network \"net\": " NAME " is empty");
	refused(fixture, config, "{}", "kind");
	refused(fixture, config, "{\"kind\":\"other\"}", "its \"kind\" is not cniCacheV1");
	refused(fixture, config,
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"a\",\"networkName\":\"n\"}", "ifName");
	refused(fixture, config, "[]", "");
}

static void test_no_link_is_followed(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = make_config(fixture);
	struct json *entry = NULL;

	save(fixture, config);
	assert_int_equal(unlinkat(fixture->cache_fd, "results/" NAME, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", fixture->cache_fd, "results/" NAME), 0);
	assert_int_equal(cni_cache_load(config, &runtime, &entry, NULL), -ELOOP);
}

static void test_list(void **state)
{
	struct fixture *fixture = *state;
	autoptr(cni_config) config = make_config(fixture);
	struct json **entries = NULL;
	size_t n = 17;

	assert_int_equal(cni_cache_list(fixture->cache_fd, &entries, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(entries);
	save(fixture, config);
	write_entry(fixture, "a-broken", "{");
	write_entry(fixture, "b-other", "{\"cniVersion\":\"1.0.0\"}");
	assert_int_equal(mkdirat(fixture->cache_fd, "results/c-dir", 0700), 0);
	write_entry(fixture, "x-y-z",
		"{\"kind\":\"cniCacheV1\",\"containerId\":\"y\",\"ifName\":\"z\",\"networkName\":"
		"\"x\"}");
	assert_int_equal(cni_cache_list(fixture->cache_fd, &entries, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(json_string(json_get(entries[0], "networkName")), "net");
	assert_string_equal(json_string(json_get(entries[1], "networkName")), "x");
	json_free(entries[0]);
	json_free(entries[1]);
	free(entries);
}

static void test_long_names(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = make_config(fixture);
	autoptr(json) result = json_new_object();
	char id[300];
	struct err err = {0};

	memset(id, 'a', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	runtime.container_id = id;
	assert_int_equal(cni_cache_check_name(config, &runtime, &err), -ENAMETOOLONG);
	assert_string_equal(err.msg,
		"the names of network, container and interface make 308 "
		"characters together, at most 223 are possible");
	/* The longest that is allowed can really be written. */
	id[223 - strlen("net--eth0")] = '\0';
	assert_int_equal(cni_cache_check_name(config, &runtime, NULL), 0);
	assert_int_equal(cni_cache_save(config, &runtime, NULL, NULL, result, NULL), 0);
}

static void test_cannot_be_written(void **state)
{
	struct fixture *fixture = *state;
	struct cni_runtime runtime = fixture_runtime(fixture);
	autoptr(cni_config) config = make_config(fixture);
	autoptr(json) result = json_new_object();
	struct err err = {0};

	runtime.cache_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(runtime.cache_fd >= 0);
	assert_true(cni_cache_save(config, &runtime, NULL, NULL, result, &err) < 0);
	assert_true(text_starts_with(err.msg, "cannot keep the result of network \"net\": "));
	close(runtime.cache_fd);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_format),
		WITH_FIXTURE(test_base64),
		WITH_FIXTURE(test_config),
		WITH_FIXTURE(test_load_and_remove),
		WITH_FIXTURE(test_broken),
		WITH_FIXTURE(test_no_link_is_followed),
		WITH_FIXTURE(test_list),
		WITH_FIXTURE(test_long_names),
		WITH_FIXTURE(test_cannot_be_written),
	};

	return cmocka_run_group_tests_name("cni-cache", tests, NULL, NULL);
}
