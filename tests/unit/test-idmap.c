/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Id mappings: grammar, limits, subuid(5), translation, and maps that the kernel took. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "fixture.h"
#include "text.h"

static void assert_map(const struct idmap *map, size_t n, const struct idmap_extent *expected)
{
	assert_int_equal(map->n, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(map->extents[i].container, expected[i].container);
		assert_int_equal(map->extents[i].host, expected[i].host);
		assert_int_equal(map->extents[i].size, expected[i].size);
	}
}

/* ---- grammar ---- */

static void test_triplets(void **state)
{
	static const struct idmap_extent expected[] = {
		{0, 1000, 1}, {1, 100000, 65536}, {100000, 4294967294, 1}, {4294967294, 5, 1}};
	struct idmap map = {0};

	assert_int_equal(idmap_add_triplet(&map, "0:1000:1", NULL), 0);
	assert_int_equal(idmap_add_triplet(&map, "1:100000:65536", NULL), 0);
	assert_int_equal(idmap_add_triplet(&map, "100000:4294967294:1", NULL), 0);
	assert_int_equal(idmap_add(&map, 4294967294, 5, 1, NULL), 0);
	assert_map(&map, 4, expected);
}

static void test_triplet_refused(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{"", "mapping '': must be container:host:size"},
		{"0", "mapping '0': must be container:host:size"},
		{"0:1", "mapping '0:1': must be container:host:size"},
		{"0:1:2:3", "mapping '0:1:2:3': must be container:host:size"},
		{":0:1:2", "mapping ':0:1:2': must be container:host:size"},
		{"0::1:2", "mapping '0::1:2': must be container:host:size"},
		{"0:1:2:", "mapping '0:1:2:': must be container:host:size"},
		{"a:1:2", "mapping 'a:1:2': 'a' is not a number from 0 to 4294967295"},
		{"0:-1:2", "mapping '0:-1:2': '-1' is not a number from 0 to 4294967295"},
		{"0: 1:2", "mapping '0: 1:2': ' 1' is not a number from 0 to 4294967295"},
		{"0:1:0x2", "mapping '0:1:0x2': '0x2' is not a number from 0 to 4294967295"},
		{"0:1:4294967296",
			"mapping '0:1:4294967296': '4294967296' is not a number from 0 to "
			"4294967295"},
		{"0:1:0", "mapping 0:1:0: the size must not be 0"},
		{"4294967295:1:1", "mapping 4294967295:1:1: goes beyond the ids that there are"},
		{"0:4294967290:6", "mapping 0:4294967290:6: goes beyond the ids that there are"},
		{"2:2:4294967295", "mapping 2:2:4294967295: goes beyond the ids that there are"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct idmap map = {0};
		struct err err = {0};

		assert_int_equal(idmap_add_triplet(&map, cases[i].text, &err), -EINVAL);
		assert_string_equal(err.msg, cases[i].message);
		assert_int_equal(map.n, 0);
	}
}

static void test_overlap(void **state)
{
	static const struct idmap_extent refused[] = {
		/* in the container */
		{10, 500, 10},
		{19, 500, 1},
		{1, 500, 10},
		{1, 500, 100},
		{12, 500, 1},
		/* on the host */
		{50, 100, 10},
		{50, 109, 1},
		{50, 91, 10},
		{50, 1, 1000},
		{50, 105, 1},
	};
	struct idmap map = {0};
	struct err err = {0};

	assert_int_equal(idmap_add(&map, 10, 100, 10, NULL), 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		assert_int_equal(idmap_add(&map, refused[i].container, refused[i].host,
					 refused[i].size, &err),
			-EINVAL);
	assert_string_equal(err.msg, "mapping 50:105:1 overlaps with 10:100:10");
	/* Neighbours do not overlap. */
	assert_int_equal(idmap_add(&map, 20, 110, 5, NULL), 0);
	assert_int_equal(idmap_add(&map, 9, 99, 1, NULL), 0);
	assert_int_equal(map.n, 3);
}

static void test_too_many(void **state)
{
	struct idmap map = {0};
	struct err err = {0};

	for (uint32_t i = 0; i < IDMAP_EXTENTS_MAX; i++)
		assert_int_equal(idmap_add(&map, 2 * i, 3 * i, 1, NULL), 0);
	assert_int_equal(idmap_add(&map, 1000, 1000, 1, &err), -EINVAL);
	assert_string_equal(err.msg, "more than 32 mappings");
	assert_int_equal(map.n, IDMAP_EXTENTS_MAX);
}

static void test_translate(void **state)
{
	static const struct idmap map = {.n = 2, .extents = {{0, 1000, 1}, {1, 100000, 65536}}};
	uint32_t id = 4711;

	assert_int_equal(idmap_to_host(&map, 0, &id), 0);
	assert_int_equal(id, 1000);
	assert_int_equal(idmap_to_host(&map, 1, &id), 0);
	assert_int_equal(id, 100000);
	assert_int_equal(idmap_to_host(&map, 65536, &id), 0);
	assert_int_equal(id, 165535);
	assert_int_equal(idmap_to_host(&map, 65537, &id), -ENOENT);
	assert_int_equal(id, 165535);
	assert_int_equal(idmap_to_container(&map, 1000, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(idmap_to_container(&map, 165535, &id), 0);
	assert_int_equal(id, 65536);
	assert_int_equal(idmap_to_container(&map, 999, &id), -ENOENT);
	assert_int_equal(idmap_to_container(&map, 1001, &id), -ENOENT);
	assert_int_equal(idmap_to_container(&map, 165536, &id), -ENOENT);
	assert_int_equal(id, 65536);
}

static void test_include_self(void **state)
{
	struct idmap map = {.n = 2, .extents = {{10, 4000000000, 5}, {2, 4100000000, 3}}};
	uint32_t id;

	assert_int_equal(idmap_include_self(&map, IDMAP_UID, NULL), 0);
	assert_int_equal(map.n, 3);
	assert_int_equal(idmap_to_host(&map, 15, &id), 0);
	assert_int_equal(id, geteuid());
	assert_int_equal(idmap_include_self(&map, IDMAP_UID, NULL), 0);
	assert_int_equal(map.n, 3);
	map.n = 2;
	assert_int_equal(idmap_include_self(&map, IDMAP_GID, NULL), 0);
	assert_int_equal(idmap_to_host(&map, 15, &id), 0);
	assert_int_equal(id, getegid());
}

/* ---- in records ---- */

static void test_json(void **state)
{
	static const struct idmap map = {.n = 2, .extents = {{0, 1000, 1}, {1, 100000, 65536}}};
	autoptr(json) record = idmap_to_json(&map);
	autoptr(json) oci = idmap_to_oci(&map);
	autofree char *text = NULL, *oci_text = NULL;
	struct idmap again = {0};

	assert_int_equal(json_write(record, false, &text, NULL), 0);
	assert_string_equal(text,
		"[{\"container\":0,\"host\":1000,\"size\":1},"
		"{\"container\":1,\"host\":100000,\"size\":65536}]");
	assert_int_equal(json_write(oci, false, &oci_text, NULL), 0);
	assert_string_equal(oci_text,
		"[{\"containerID\":0,\"hostID\":1000,\"size\":1},"
		"{\"containerID\":1,\"hostID\":100000,\"size\":65536}]");
	assert_int_equal(idmap_from_json(record, &again, NULL), 0);
	assert_map(&again, 2, map.extents);
}

static void test_json_refused(void **state)
{
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
		{"[{\"host\":1,\"size\":1}]", "\"container\" is missing"},
		{"[{\"container\":0,\"size\":1}]", "\"host\" is missing"},
		{"[{\"container\":0,\"host\":1}]", "\"size\" is missing"},
		{"[{\"container\":\"0\",\"host\":1,\"size\":1}]", "\"container\" must be"},
		{"[{\"container\":0,\"host\":-1,\"size\":1}]", "\"host\" must be"},
		{"[{\"container\":0,\"host\":1,\"size\":4294967296}]", "\"size\" must be"},
		{"[{\"container\":0,\"host\":1,\"size\":0}]", "must not be 0"},
		{"[{\"container\":0,\"host\":1,\"size\":1},{\"container\":0,\"host\":2,\"size\":1}"
		 "]",
			"overlaps"},
		{"[7]", "\"container\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct idmap map = {.n = 17};
		autoptr(json) array = NULL;
		struct err err = {0};

		assert_int_equal(
			json_parse("t", cases[i].text, strlen(cases[i].text), &array, NULL), 0);
		assert_int_equal(idmap_from_json(array, &map, &err), -EINVAL);
		assert_contains(err.msg, cases[i].part);
		assert_int_equal(map.n, 17);
	}
}

/* ---- defaults ---- */

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	assert_int_equal(syscall(SYS_capset, &header, &data), 0);
}

/* Becomes user 1234, group 1234, without a capability and with an /etc of its own. */
static void become_plain_user(void)
{
	enter_user_namespace(CLONE_NEWNS, 1234);
	assert_int_equal(mount("tmpfs", "/etc", "tmpfs", 0, NULL), 0);
	drop_capabilities();
}

static void put_ranges(const char *text)
{
	put_file(AT_FDCWD, "/etc/subuid", text);
	put_file(AT_FDCWD, "/etc/subgid", text);
}

static void assert_default(size_t n, const struct idmap_extent *expected)
{
	static const char *const files[] = {"/etc/subuid", "/etc/subgid"};

	for (int kind = 0; kind < 2; kind++) {
		const char *warning = "unset";
		struct err err = {0};
		struct idmap map;

		if (idmap_default((enum idmap_kind)kind, &map, &warning, &err) < 0)
			fail_msg("%s", err.msg);
		assert_map(&map, n, expected);
		if (n == 1)
			assert_contains(warning, files[kind]);
		else
			assert_null(warning);
	}
}

static void default_refused(const char *ranges, const char *message)
{
	const char *warning = NULL;
	struct idmap map = {.n = 17};
	struct err err = {0};

	put_ranges(ranges);
	assert_int_equal(idmap_default(IDMAP_UID, &map, &warning, &err), -EINVAL);
	assert_string_equal(err.msg, message);
	assert_int_equal(map.n, 17);
	assert_int_equal(idmap_default(IDMAP_GID, &map, &warning, &err), -EINVAL);
	assert_contains(err.msg, "/etc/subgid, line");
}

static void good_ranges(void *argument)
{
	static const struct idmap_extent expected[] = {
		{0, 1234, 1}, {1, 100000, 65536}, {65537, 300000, 10}, {65547, 500000, 1}};

	become_plain_user();
	assert_default(1, expected);
	put_ranges("");
	assert_default(1, expected);
	put_ranges("other:100000:65536\n1235:1:1\n12345:1:1\n# 1234:1:1\n");
	assert_default(1, expected);
	/* By number, when the user has no name. */
	put_ranges("1234:100000:65536");
	assert_default(2, expected);
	put_file(AT_FDCWD, "/etc/passwd", "tester:x:1234:1234::/:/bin/sh\n");
	put_ranges(
		"other:1:1\ntester:100000:65536\ntest:5:5\n1234:300000:10 \ntesters:7:7\n"
		"tester:400000:0\n\ntester:500000:1\n");
	assert_default(4, expected);
}

static void bad_ranges(void *argument)
{
	become_plain_user();
	default_refused("x:1:1\n1234\n1234:5\n", "/etc/subuid, line 3: must be name:start:count");
	default_refused("1234:a:5\n", "/etc/subuid, line 1: start and count must be numbers");
	default_refused("1234:5:-1\n", "/etc/subuid, line 1: start and count must be numbers");
	default_refused("1234:5:1:1\n", "/etc/subuid, line 1: start and count must be numbers");
	default_refused(
		"1234:5:4294967296\n", "/etc/subuid, line 1: start and count must be numbers");
	default_refused("1234:4294967290:65536\n",
		"/etc/subuid, line 1: mapping 1:4294967290:65536: goes beyond the ids that there "
		"are");
	default_refused("1234:100000:65536\nx:1:1\n1234:165535:10\n",
		"/etc/subuid, line 3: mapping 65537:165535:10 overlaps with 1:100000:65536");
	default_refused("1234:1000:1000\n",
		"/etc/subuid, line 1: mapping 1:1000:1000 overlaps with 0:1234:1");
}

static void many_ranges(void *argument)
{
	char text[IDMAP_EXTENTS_MAX * 32] = "";
	size_t n = 0;

	become_plain_user();
	for (unsigned i = 1; i <= IDMAP_EXTENTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "1234:%u:1\n", 10000 + i);
	default_refused(text, "/etc/subuid, line 32: more than 32 mappings");
}

static void ranges_cannot_be_read(void *argument)
{
	struct idmap map = {.n = 17};
	const char *warning = NULL;
	struct err err = {0};

	become_plain_user();
	put_ranges("1234:100000:65536\n");
	assert_int_equal(chmod("/etc/subuid", 0), 0);
	assert_int_equal(idmap_default(IDMAP_UID, &map, &warning, &err), -EACCES);
	assert_string_equal(err.msg, "opening /etc/subuid: Permission denied");
	assert_int_equal(unlink("/etc/subgid"), 0);
	assert_int_equal(mkdir("/etc/subgid", 0700), 0);
	assert_int_equal(idmap_default(IDMAP_GID, &map, &warning, &err), -EISDIR);
	assert_contains(err.msg, "/etc/subgid");
	assert_int_equal(map.n, 17);
}

static void test_subids(void **state)
{
	run_child(good_ranges, NULL);
	run_child(bad_ranges, NULL);
	run_child(many_ranges, NULL);
	run_child(ranges_cannot_be_read, NULL);
}

static void default_with_capability(void *argument)
{
	const char *warning = "unset";
	struct idmap map;
	uint32_t host;

	for (int kind = 0; kind < 2; kind++) {
		assert_int_equal(idmap_default((enum idmap_kind)kind, &map, &warning, NULL), 0);
		assert_null(warning);
		for (size_t i = 0; i < map.n; i++)
			assert_int_equal(map.extents[i].container, map.extents[i].host);
		assert_int_equal(idmap_to_host(&map, *(uint32_t *)argument, &host), 0);
	}
}

static void default_of_one_id(void *argument)
{
	static const struct idmap_extent expected = {7, 7, 1};
	const char *warning = "unset";
	struct idmap map;

	enter_user_namespace(0, 7);
	assert_int_equal(idmap_default(IDMAP_GID, &map, &warning, NULL), 0);
	assert_null(warning);
	assert_map(&map, 1, &expected);
}

/* Whoever may set any id has the ids of the namespace, unchanged. */
static void test_default_with_capability(void **state)
{
	uint32_t id = 9;

	run_with_ids(default_with_capability, &id);
	run_child(default_of_one_id, NULL);
}

/* ---- written ---- */

struct written {
	const struct idmap *maps[2];
};

/* In the namespace: the kernel has the maps that were asked for. */
static void assert_written(void *argument)
{
	static const char *const paths[] = {"/proc/self/uid_map", "/proc/self/gid_map"};
	const struct written *written = argument;

	for (int kind = 0; kind < 2; kind++) {
		autofclose FILE *file = fopen(paths[kind], "re");
		const struct idmap *map = written->maps[kind];
		struct idmap_extent e;
		size_t n = 0;

		assert_non_null(file);
		while (fscanf(file, "%u %u %u", &e.container, &e.host, &e.size) == 3) {
			assert_true(n < map->n);
			assert_map(&(struct idmap){.n = 1, .extents = {e}}, 1, &map->extents[n]);
			n++;
		}
		assert_int_equal(n, map->n);
	}
}

/* By root directly, by others through newuidmap(1) and newgidmap(1). */
static void test_write(void **state)
{
	struct idmap uids, gids;
	struct written written = {{&uids, &gids}};
	const char *warning;

	assert_int_equal(idmap_default(IDMAP_UID, &uids, &warning, NULL), 0);
	assert_int_equal(idmap_default(IDMAP_GID, &gids, &warning, NULL), 0);
	run_with_maps(&uids, &gids, assert_written, &written);
}

static void assert_no_setgroups(void *argument)
{
	assert_written(argument);
	assert_file(AT_FDCWD, "/proc/self/setgroups", "deny\n");
}

/* The caller's own ids need no privilege and no helper, but setgroups(2) is given up for them. */
static void write_own_ids(void *argument)
{
	static const struct idmap map = {.n = 1, .extents = {{0, 5, 1}}};
	struct written written = {{&map, &map}};

	assert_file(AT_FDCWD, "/proc/self/setgroups", "allow\n");
	assert_int_equal(setresgid(5, 5, 5), 0);
	assert_int_equal(setresuid(5, 5, 5), 0);
	/* Else the files in /proc are root's after that. */
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
	run_with_maps(&map, &map, assert_no_setgroups, &written);
}

static void test_write_own_ids(void **state)
{
	run_with_ids(write_own_ids, NULL);
}

/* A helper that runs and says no: no id but 1234 exists here. */
static void write_refused(void *argument)
{
	static const struct idmap map = {.n = 2, .extents = {{0, 1234, 1}, {1, 100000, 10}}};
	struct err err = {0};
	int entered[2];
	pid_t pid;
	char byte = 0;

	enter_user_namespace(0, 1234);
	drop_capabilities();
	assert_int_equal(pipe2(entered, O_CLOEXEC), 0);
	pid = child_fork();
	if (pid == 0) {
		assert_int_equal(unshare(CLONE_NEWUSER), 0);
		assert_int_equal(write(entered[1], &byte, 1), 1);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(read(entered[0], &byte, 1), 1);
	assert_int_equal(idmap_write(pid, &map, &map, &err), -EPERM);
	assert_contains(err.msg, "newuidmap refused the mapping: ");
	assert_contains(err.msg, "/etc/subuid");
	/* Neither helper is left. */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(-1, NULL, 0), pid);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_write_refused(void **state)
{
	run_child(write_refused, NULL);
}

static void test_write_to_nobody(void **state)
{
	static const struct idmap map = {.n = 1, .extents = {{0, 0, 1}}};
	struct err err = {0};
	pid_t pid = child_fork();

	if (pid == 0)
		_exit(0);
	child_wait(pid);
	assert_true(idmap_write(pid, &map, &map, &err) < 0);
	assert_contains(err.msg, "uid_map");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_triplets),
		cmocka_unit_test(test_triplet_refused),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_translate),
		cmocka_unit_test(test_include_self),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_refused),
		cmocka_unit_test(test_subids),
		cmocka_unit_test(test_default_with_capability),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_own_ids),
		cmocka_unit_test(test_write_refused),
		cmocka_unit_test(test_write_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
