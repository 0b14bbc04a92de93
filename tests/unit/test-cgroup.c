/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroups, on a tree of plain files in a mount namespace of the test's own: what the files of
 * cgroupfs would say is written into them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mount.h>

#include "cgroup.h"
#include "fixture.h"
#include "text.h"

#define MOUNT_POINT "/sys/fs/cgroup"

static int make_dir(const char *path)
{
	autofree char *full = text_format(MOUNT_POINT "%s", path);
	int fd;

	assert_non_null(full);
	for (char *slash = full + sizeof(MOUNT_POINT); (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(full, 0755);
	}
	mkdir(full, 0755);
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int make_cgroup(const char *path, const char *controllers, const char *enabled)
{
	int fd = make_dir(path);

	put_file(fd, "cgroup.procs", "");
	put_file(fd, "cgroup.controllers", controllers);
	put_file(fd, "cgroup.subtree_control", enabled);
	return fd;
}

static void enter_fake_cgroups(void)
{
	enter_user_namespace(CLONE_NEWNS, 0);
	assert_int_equal(mount("none", MOUNT_POINT, "tmpfs", 0, NULL), 0);
}

/* ---- what a cgroup does ---- */

static void in_stats(void *argument)
{
	struct cgroup_stats stats = {.pids = 4711};
	autoclose int full = -1;
	autoclose int empty = -1;

	enter_fake_cgroups();
	assert_int_equal(cgroup_stats("/a", &stats), -ENOENT);
	assert_int_equal(stats.pids, 4711);
	full = make_dir("/a/b");
	put_file(full, "cpu.stat", "nr_usage_usec 7\nusage_usec 123456\nuser_usec 1\n");
	put_file(full, "memory.current", "4096\n");
	put_file(full, "memory.max", "max\n");
	put_file(full, "memory.events", "low 0\noom 9\noom_kill 2\noom_group_kill 8\n");
	put_file(full, "pids.current", "3\n");
	assert_int_equal(cgroup_stats("/a/b", &stats), 0);
	assert_int_equal(stats.cpu_us, 123456);
	assert_int_equal(stats.memory, 4096);
	assert_int_equal(stats.memory_limit, 0);
	assert_int_equal(stats.oom_kills, 2);
	assert_int_equal(stats.pids, 3);
	put_file(full, "memory.max", "8192\n");
	assert_int_equal(cgroup_stats("/a/b", &stats), 0);
	assert_int_equal(stats.memory_limit, 8192);
	empty = make_dir("/c");
	assert_int_equal(cgroup_stats("/c", &stats), 0);
	assert_int_equal(stats.cpu_us + stats.memory + stats.pids + stats.oom_kills, 0);
	assert_int_equal(cgroup_stats("a/b", &stats), -EINVAL);
	assert_int_equal(cgroup_stats("/a/../../x", &stats), -EINVAL);
	assert_false(cgroup_is_unified());
}

static void in_limits(void *argument)
{
	struct container_limits limits = {
		.memory = 4096, .swap = 8192, .cpu_milli = 1500, .pids = 9};
	struct container_limits old = limits;
	struct err err = {0};
	autoclose int dir = -1;

	enter_fake_cgroups();
	assert_int_equal(cgroup_set_limits("/a", &limits, NULL, &err), -ENOENT);
	dir = make_dir("/a");
	/* A file that is not there is a controller that is not there. */
	assert_int_equal(cgroup_set_limits("/a", &limits, NULL, &err), -ENOENT);
	assert_string_equal(
		err.msg, "cgroup /a has no memory.max: its controller is not delegated");
	put_file(dir, "memory.max", "");
	put_file(dir, "memory.swap.max", "");
	put_file(dir, "cpu.max", "");
	put_file(dir, "pids.max", "");
	assert_int_equal(cgroup_set_limits("/a", &limits, NULL, &err), 0);
	assert_file(dir, "memory.max", "4096");
	assert_file(dir, "memory.swap.max", "8192");
	assert_file(dir, "cpu.max", "150000 100000");
	assert_file(dir, "pids.max", "9");
	/* Only what differs; 0 is no limit. */
	put_file(dir, "pids.max", "x");
	put_file(dir, "cpu.max", "");
	limits.cpu_milli = 0;
	assert_int_equal(cgroup_set_limits("/a", &limits, &old, &err), 0);
	assert_file(dir, "cpu.max", "max 100000");
	assert_file(dir, "pids.max", "x");
	/* No swap at all is a limit, too; without one of the memory there is none. */
	limits = old;
	limits.swap = 0;
	put_file(dir, "memory.swap.max", "");
	assert_int_equal(cgroup_set_limits("/a", &limits, &old, &err), 0);
	assert_file(dir, "memory.swap.max", "0");
	old = limits;
	limits.swap = CONTAINER_SWAP_UNLIMITED;
	put_file(dir, "memory.swap.max", "");
	assert_int_equal(cgroup_set_limits("/a", &limits, &old, &err), 0);
	assert_file(dir, "memory.swap.max", "max");
	assert_true(cgroup_counts_swap("/a") && cgroup_counts_swap("/a/not-yet"));
	assert_false(cgroup_counts_swap("/not-yet"));
	/* What is not wanted needs no controller. */
	limits = (struct container_limits){0};
	close(make_dir("/b"));
	assert_int_equal(cgroup_set_limits("/b", &limits, NULL, &err), 0);
}

static void in_freezer(void *argument)
{
	struct err err = {0};
	autoclose int dir = -1;

	enter_fake_cgroups();
	assert_false(cgroup_is_frozen("/a"));
	assert_int_equal(cgroup_freeze("/a", true, &err), -ENOENT);
	assert_contains(err.msg, "freezing cgroup /a");
	dir = make_dir("/a");
	put_file(dir, "cgroup.freeze", "");
	put_file(dir, "cgroup.events", "populated 1\nfrozen 1\n");
	assert_true(cgroup_is_frozen("/a"));
	assert_int_equal(cgroup_freeze("/a", true, &err), 0);
	assert_file(dir, "cgroup.freeze", "1");
	put_file(dir, "cgroup.events", "populated 1\nfrozen 0\n");
	assert_false(cgroup_is_frozen("/a"));
	assert_int_equal(cgroup_freeze("/a", false, &err), 0);
	assert_file(dir, "cgroup.freeze", "0");
}

/* ---- delegation ---- */

/* A cgroup that takes what is written to it as the kernel would. */
static void in_delegation(void *argument)
{
	autofree char *own = NULL;
	autofree char *found = NULL;
	autofree char *again = NULL;
	unsigned controllers = 4711;
	struct err err = {0};
	autoclose int root = -1;
	autoclose int dir = -1;

	assert_int_equal(cgroup_of(getpid(), &own), 0);
	enter_fake_cgroups();
	assert_int_equal(cgroup_find_delegated(&found, &controllers, &err), -ENOENT);
	assert_contains(err.msg, "is not cgroup v2");
	assert_int_equal(controllers, 4711);
	/* Names that only look like ours do not count. */
	root = make_cgroup("/", "cpuset hugetlb pidsx\n", "");
	assert_int_equal(cgroup_find_delegated(&found, &controllers, &err), 0);
	assert_string_equal(found, "/");
	assert_int_equal(controllers, 0);
	assert_file(root, "cgroup.subtree_control", "");
	/* What is enabled already is used, what is not is asked for. */
	put_file(root, "cgroup.controllers", "cpuset cpu memory pids\n");
	put_file(root, "cgroup.subtree_control", "cpuset  pids cpu\n");
	free(take_ptr(found));
	assert_int_equal(cgroup_find_delegated(&found, &controllers, &err), 0);
	assert_file(root, "cgroup.subtree_control", "+memory pids cpu\n");
	/* The file of the test has lost the name that it was overwritten with. */
	assert_int_equal(controllers, CGROUP_PIDS | CGROUP_CPU);
	/* Nearer is better, where it has controllers. */
	dir = make_cgroup(own, "", "");
	put_file(root, "cgroup.controllers", "memory pids\n");
	put_file(root, "cgroup.subtree_control", "memory pids\n");
	assert_int_equal(cgroup_find_delegated(&again, &controllers, &err), 0);
	if (strcmp(own, "/") != 0)
		assert_string_equal(again, "/");
	assert_int_equal(cgroup_controllers("/", &controllers), 0);
	assert_int_equal(controllers, CGROUP_MEMORY | CGROUP_PIDS);
	assert_int_equal(cgroup_controllers("/new", &controllers), 0);
	assert_int_equal(cgroup_controllers("/neither/new", &controllers), -ENOENT);
	/* Without controllers of ours, one with processes and others to enable is the last choice. */
	put_file(root, "cgroup.controllers", "hugetlb\n");
	put_file(root, "cgroup.subtree_control", "hugetlb\n");
	put_file(dir, "cgroup.controllers", "hugetlb\n");
	put_file(dir, "cgroup.subtree_control", "");
	put_file(dir, "cgroup.procs", "4711\n");
	free(take_ptr(again));
	assert_int_equal(cgroup_find_delegated(&again, &controllers, &err), 0);
	assert_string_equal(again, "/");
	assert_int_equal(controllers, 0);
	put_file(dir, "cgroup.controllers", "cpu\n");
	put_file(dir, "cgroup.subtree_control", "cpu\n");
	free(take_ptr(again));
	assert_int_equal(cgroup_find_delegated(&again, &controllers, &err), 0);
	assert_string_equal(again, own);
	assert_int_equal(controllers, CGROUP_CPU);
}

static void in_foreign(void *argument)
{
	autofree char *found = NULL;
	struct err err = {0};
	autoclose int root = -1;
	unsigned controllers;

	enter_fake_cgroups();
	root = make_cgroup("/", "cpu memory pids\n", "");
	assert_int_equal(mount(NULL, MOUNT_POINT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	assert_int_equal(cgroup_find_delegated(&found, &controllers, &err), -ENOENT);
	assert_contains(err.msg, "no cgroup is delegated to the caller");
	assert_null(found);
	assert_string_equal(cgroup_controller_name(CGROUP_MEMORY), "memory");
	assert_string_equal(cgroup_controller_name(CGROUP_PIDS), "pids");
}

static void test_of(void **state)
{
	autofree char *path = NULL;

	assert_int_equal(cgroup_of(getpid(), &path), 0);
	assert_int_equal(path[0], '/');
	assert_null(strchr(path, '\n'));
	assert_int_equal(cgroup_of(0x7ffffffe, &path), -ENOENT);
}

static void in_release(void *argument)
{
	autoclose int some = -1;
	autoclose int none = -1;

	enter_fake_cgroups();
	some = make_cgroup("/some", "memory pids", "memory pids\n");
	none = make_cgroup("/none", "memory pids", "\n");
	/* At once: one that is in use keeps the others. */
	assert_int_equal(cgroup_release("/some"), 0);
	assert_file(some, "cgroup.subtree_control", "-memory -pids ");
	assert_int_equal(cgroup_release("/none"), 0);
	assert_file(none, "cgroup.subtree_control", "\n");
	assert_int_equal(cgroup_release("/missing"), -ENOENT);
	/* Each by itself, so that what can be had is had. */
	cgroup_enable("/none");
	assert_file(none, "cgroup.subtree_control", "+pidsry");
}

static void in_move(void *argument)
{
	autoclose int unit = -1;
	autoclose int sub = -1;
	struct err err = {};

	enter_fake_cgroups();
	unit = make_cgroup("/unit", "", "");
	sub = make_cgroup("/unit/podd", "", "");
	assert_int_equal(cgroup_move_process("/unit", "podd", 4711, &err), 0);
	assert_file(sub, "cgroup.procs", "4711");
	/* What is made is no cgroup here. */
	assert_int_equal(cgroup_move_process("/unit", "other", 4711, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "process 4711"));
	assert_int_equal(cgroup_move_process("/missing", "podd", 4711, &err), -ENOENT);
}

#define IN_CHILD(name)                                                                             \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		run_child(in_##name, NULL);                                                        \
	}
IN_CHILD(stats)
IN_CHILD(limits)
IN_CHILD(freezer)
IN_CHILD(delegation)
IN_CHILD(foreign)
IN_CHILD(release)
IN_CHILD(move)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_freezer),
		cmocka_unit_test(test_delegation),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
