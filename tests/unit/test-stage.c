/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Planning what stages show, and where plugins are found in what they show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <sys/xattr.h>

#include "cni.h"
#include "fixture.h"
#include "stage.h"
#include "text.h"

struct fixture {
	struct scratch scratch;
	char *stages[4]; /* paths of one, two, three */
	int base;
};

static const char *const names[] = {"one", "two", "three"};

static int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	scratch_init(&fixture->scratch);
	assert_int_equal(mkdirat(fixture->scratch.fd, "base", 0755), 0);
	fixture->base = openat(fixture->scratch.fd, "base", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->base >= 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(mkdirat(fixture->scratch.fd, names[i], 0755), 0);
		fixture->stages[i] = text_format("%s/%s", fixture->scratch.path, names[i]);
	}
	*state = fixture;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->base);
	for (size_t i = 0; i < 3; i++)
		free(fixture->stages[i]);
	scratch_done(&fixture->scratch);
	free(fixture);
	return 0;
}

/* "one/usr/lib/x": makes a file and the directories to it; with a '/' at its end a directory. */
static void make(const struct fixture *fixture, const char *path)
{
	autofree char *copy = strdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(fixture->scratch.fd, copy, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
	if (!text_ends_with(path, "/"))
		put_file(fixture->scratch.fd, path, path);
}

static void make_link(const struct fixture *fixture, const char *text, const char *path)
{
	assert_int_equal(symlinkat(text, fixture->scratch.fd, path), 0);
}

static int plan_with(const struct fixture *fixture, char *const *reserved, struct stage_plan **ret,
	struct err *err)
{
	const struct stage_request request = {
		.base = fixture->base, .stages = fixture->stages, .reserved = reserved};

	return stage_plan_new(&request, ret, err);
}

static struct stage_plan *plan(const struct fixture *fixture)
{
	struct stage_plan *made = NULL;
	struct err err = {0};

	if (plan_with(fixture, NULL, &made, &err) < 0)
		fail_msg("%s", err.msg);
	return made;
}

static void refused(const struct fixture *fixture, int code, const char *message)
{
	char *reserved[] = {(char[]){"/proc"}, (char[]){"/var/lib/cni"}, NULL};
	struct stage_plan *made = NULL;
	struct err err = {0};

	assert_int_equal(plan_with(fixture, reserved, &made, &err), code);
	assert_null(made);
	assert_contains(err.msg, message);
}

static const struct stage_node *at(const struct stage_plan *made, const char *path)
{
	const struct stage_node *node = made->top;
	autostrv parts = NULL;

	assert_int_equal(strv_split(path, '/', &parts), 0);
	for (size_t i = 0; node && parts && parts[i]; i++)
		node = stage_child(node, parts[i]);
	return node;
}

/* "0:usr/lib 2:lib" */
static void assert_sources(const struct stage_node *node, const char *expected)
{
	char text[256] = "";
	size_t used = 0;

	assert_non_null(node);
	for (size_t i = 0; i < node->n_sources; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u:%s", i ? " " : "",
			node->sources[i].stage, node->sources[i].path);
	assert_string_equal(text, expected);
}

/* ---- what is planned ---- */

static void test_merged(void **state)
{
	struct stage_plan *made;

	make(*state, "base/usr/lib/old");
	make(*state, "one/usr/lib/new");
	make(*state, "one/opt/bin/tool");
	made = plan(*state);
	assert_true(made->top->changed);
	assert_int_equal(at(made, "usr")->kind, STAGE_MERGED);
	assert_false(at(made, "usr")->changed);
	assert_true(at(made, "usr/lib")->changed);
	assert_string_equal(at(made, "usr/lib")->path, "/usr/lib");
	assert_int_equal(at(made, "usr/lib/new")->kind, STAGE_ENTRY);
	assert_null(at(made, "usr/lib/old"));
	/* What is new is shown as a whole. */
	assert_int_equal(at(made, "opt")->kind, STAGE_NEW);
	assert_sources(at(made, "opt"), "0:opt");
	assert_null(at(made, "opt/bin"));
	stage_plan_free(made);
}

static void test_nothing_new(void **state)
{
	struct stage_plan *made;

	make(*state, "base/usr/lib/old");
	make(*state, "one/usr/lib/");
	make_link(*state, "usr/lib", "base/lib");
	make_link(*state, "usr/lib", "one/lib");
	make_link(*state, "usr/../usr/lib", "two/lib");
	made = plan(*state);
	assert_false(made->top->changed);
	assert_false(at(made, "usr/lib")->changed);
	stage_plan_free(made);
}

static void test_order(void **state)
{
	struct stage_plan *made;

	make(*state, "base/d/");
	make(*state, "one/d/file");
	make(*state, "two/d/file");
	make(*state, "one/d/new/x");
	make(*state, "three/d/new/y");
	make(*state, "one/d/switch");
	make(*state, "two/d/switch/x");
	make(*state, "one/d/back/x");
	make(*state, "two/d/back");
	make(*state, "three/d/back/y");
	made = plan(*state);
	assert_sources(made->top, "0: 1: 2:");
	assert_sources(at(made, "d"), "0:d 1:d 2:d");
	assert_sources(at(made, "d/file"), "1:d/file");
	assert_sources(at(made, "d/new"), "0:d/new 2:d/new");
	assert_sources(at(made, "d/switch"), "1:d/switch");
	assert_int_equal(at(made, "d/switch")->kind, STAGE_NEW);
	/* What the file in between hides stays hidden, as in an overlay. */
	assert_sources(at(made, "d/back"), "2:d/back");
	stage_plan_free(made);
}

static void test_links_of_the_base(void **state)
{
	struct fixture *fixture = *state;
	struct stage_plan *made;

	make(fixture, "base/usr/lib/");
	make_link(fixture, "usr/lib", "base/lib");
	make_link(fixture, "/usr", "base/absolute");
	make(fixture, "one/lib/new");
	make(fixture, "one/usr/lib/other");
	make(fixture, "one/absolute/lib/third");
	made = plan(fixture);
	assert_false(made->top->changed);
	assert_null(at(made, "lib"));
	assert_sources(at(made, "usr/lib"), "0:absolute/lib 0:lib 0:usr/lib");
	assert_sources(at(made, "usr/lib/new"), "0:lib/new");
	assert_sources(at(made, "usr/lib/third"), "0:absolute/lib/third");
	stage_plan_free(made);

	/* Never out of the base. */
	make(fixture, "outside/");
	make_link(fixture, "../../outside", "base/up");
	make(fixture, "two/up/x");
	refused(fixture, -EINVAL, "up is a directory, but /up is a link that leads to none");
}

static void test_skeleton(void **state)
{
	struct fixture *fixture = *state;
	char *reserved[] = {(char[]){"/proc"}, NULL};
	const struct stage_request request = {.base = fixture->base,
		.skeleton = fixture->stages[0],
		.stages = fixture->stages + 1,
		.reserved = reserved};
	struct stage_plan *made = NULL;

	make(fixture, "one/proc/");
	make(fixture, "two/proc/");
	make(fixture, "two/etc/x");
	make(fixture, "one/etc/");
	assert_int_equal(stage_plan_new(&request, &made, NULL), 0);
	assert_sources(at(made, "proc"), "0:proc");
	assert_sources(at(made, "etc"), "0:etc 1:etc");
	stage_plan_free(made);
}

/* ---- what is refused ---- */

static void test_hiding(void **state)
{
	struct fixture *fixture = *state;

	make(fixture, "base/dir/x");
	make(fixture, "base/file");
	make_link(fixture, "dir", "base/to-dir");
	make(fixture, "one/dir");
	refused(fixture, -EINVAL, "one: dir is no directory, and /dir is one");
	assert_int_equal(unlinkat(fixture->scratch.fd, "one/dir", 0), 0);
	make_link(fixture, "elsewhere", "one/dir");
	refused(fixture, -EINVAL, "dir is no directory, and /dir is one");
	assert_int_equal(unlinkat(fixture->scratch.fd, "one/dir", 0), 0);
	make(fixture, "one/file/x");
	refused(fixture, -EINVAL, "file is a directory, and /file is none");
	assert_int_equal(file_remove_tree(fixture->scratch.fd, "one", NULL), 0);
	make(fixture, "one/to-dir");
	refused(fixture, -EINVAL, "would hide the directory to which /to-dir leads");
}

static void test_reserved(void **state)
{
	static const char *const cases[] = {
		"one/proc", "one/proc/x", "one/proc/a/b", "one/var/lib/cni"};
	struct fixture *fixture = *state;

	make(fixture, "base/proc/");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		make(fixture, cases[i]);
		refused(fixture, -EINVAL,
			i == 1 || i == 2 ? "nothing but directories" : "in the place of");
		assert_int_equal(file_remove_tree(fixture->scratch.fd, "one", NULL), 0);
		if (i == 0)
			make(fixture, "base/var/lib/");
	}
}

static void test_reserved_cases(void **state)
{
	struct fixture *fixture = *state;

	/* By a link of the base. */
	make(fixture, "base/proc/");
	make_link(fixture, "proc", "base/kernel");
	make(fixture, "one/kernel/x");
	refused(fixture, -EINVAL, "kernel/x would be in /proc");
	assert_int_equal(file_remove_tree(fixture->scratch.fd, "one", NULL), 0);
	/* In a directory that is new as a whole. */
	make(fixture, "one/var/lib/cni/deep/x");
	refused(fixture, -EINVAL, "var/lib/cni/deep/x would be in /var/lib/cni");
	assert_int_equal(file_remove_tree(fixture->scratch.fd, "one", NULL), 0);
	make(fixture, "one/var/lib/");
	make_link(fixture, "/etc", "one/var/lib/cni");
	refused(fixture, -EINVAL, "var/lib/cni is no directory");
}

static void test_overlay_orders(void **state)
{
	struct fixture *fixture = *state;
	autofree char *path = text_format("%s/one/dir", fixture->scratch.path);

	make(fixture, "base/dir/x");
	make(fixture, "one/dir/");
	assert_int_equal(mknodat(fixture->scratch.fd, "one/dir/x", S_IFCHR | 0600, 0), 0);
	refused(fixture, -EINVAL, "dir/x is a whiteout");
	assert_int_equal(unlinkat(fixture->scratch.fd, "one/dir/x", 0), 0);
	/* A file system that has no such attributes has no such directories. */
	if (setxattr(path, "user.overlay.opaque", "x", 1, 0) == 0)
		refused(fixture, -EINVAL, "user.overlay.opaque");
	else
		assert_int_equal(errno, EOPNOTSUPP);
}

static void test_resolv_conf(void **state)
{
	struct fixture *fixture = *state;

	make(fixture, "base/etc/");
	make(fixture, "one/etc/resolv.conf");
	stage_plan_free(plan(fixture));
	assert_int_equal(unlinkat(fixture->scratch.fd, "one/etc/resolv.conf", 0), 0);
	make_link(fixture, "/nowhere", "one/etc/resolv.conf");
	refused(fixture, -EINVAL, "etc/resolv.conf is no file");
}

static void test_stages_that_are_none(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(unlinkat(fixture->scratch.fd, "two", AT_REMOVEDIR), 0);
	refused(fixture, -ENOENT, "two: No such file or directory");
	make_link(fixture, "one", "two");
	refused(fixture, -ELOOP, "there is a link in its path now");
	assert_int_equal(unlinkat(fixture->scratch.fd, "two", 0), 0);
	make(fixture, "two");
	refused(fixture, -ENOTDIR, "two: Not a directory");
}

static void test_limits(void **state)
{
	struct fixture *fixture = *state;
	autoclose int one = openat(fixture->scratch.fd, "one", O_RDONLY | O_DIRECTORY);
	char *many[STAGE_MAX + 2] = {};
	const struct stage_request request = {.base = fixture->base, .stages = many};
	struct stage_plan *made = NULL;
	char path[1024] = "one", base[1024] = "base", name[16];
	struct err err = {0};

	for (size_t i = 0; i <= STAGE_MAX; i++)
		many[i] = fixture->stages[1];
	assert_int_equal(stage_plan_new(&request, &made, &err), -E2BIG);
	assert_contains(err.msg, "more than 8 stages");

	for (size_t i = 0; i < 200; i++) {
		strncat(path, "/d", sizeof(path) - strlen(path) - 1);
		strncat(base, "/d", sizeof(base) - strlen(base) - 1);
		assert_int_equal(mkdirat(fixture->scratch.fd, path, 0755), 0);
		assert_int_equal(mkdirat(fixture->scratch.fd, base, 0755), 0);
	}
	refused(fixture, -EINVAL, "is deeper than 128 directories");

	for (size_t i = 0; i < STAGE_NODES_MAX; i++) {
		snprintf(name, sizeof(name), "%zu", i);
		assert_int_equal(mknodat(one, name, S_IFREG | 0600, 0), 0);
	}
	refused(fixture, -E2BIG, "");
}

/* ---- plugins ---- */

static void assert_dirs(const struct cni_trees *trees, const char *expected, const char *problem)
{
	char *host[] = {(char[]){"/usr/lib/cni"}, (char[]){"/opt/cni/bin"}, NULL};
	autostrv dirs = NULL;
	autostrv problems = NULL;
	autofree char *text = strdup("");

	assert_int_equal(cni_tree_dirs(trees, host, &dirs, &problems), 0);
	for (size_t i = 0; dirs[i]; i++) {
		char *longer = text_format("%s%s%s", text, i ? ":" : "", dirs[i]);

		free(text);
		text = longer;
	}
	assert_string_equal(text, expected);
	assert_int_equal(strv_length(problems), problem ? 1 : 0);
	if (problem)
		assert_contains(problems[0], problem);
}

static void test_plugin_dirs(void **state)
{
	struct fixture *fixture = *state;
	struct cni_trees trees = {.stages = fixture->stages};

	unsetenv("CNI_PATH");
	assert_dirs(&trees, "/usr/lib/cni:/opt/cni/bin", NULL);
	make(fixture, "one/usr/libexec/cni/");
	assert_dirs(&trees, "/usr/libexec/cni:/usr/lib/cni:/opt/cni/bin", NULL);
	/* The later stage's first. */
	make(fixture, "two/opt/cni/bin/");
	assert_dirs(&trees, "/opt/cni/bin:/usr/libexec/cni:/usr/lib/cni", NULL);
	setenv("CNI_PATH", "/usr/lib/cni", 1);
	assert_dirs(&trees, "/usr/lib/cni:/opt/cni/bin:/usr/libexec/cni", NULL);
	unsetenv("CNI_PATH");
	assert_int_equal(fchmodat(fixture->scratch.fd, "two/opt/cni/bin", 0775, 0), 0);
	assert_dirs(&trees, "/usr/libexec/cni:/usr/lib/cni:/opt/cni/bin",
		"two/opt/cni/bin is left out: group or others can write");
	assert_int_equal(file_remove_tree(fixture->scratch.fd, "two", NULL), 0);
	make(fixture, "two/opt/cni/");
	make_link(fixture, "/tmp", "two/opt/cni/bin");
	assert_dirs(&trees, "/usr/libexec/cni:/usr/lib/cni:/opt/cni/bin", "there is a link");
}

static void test_plugin_dirs_of_a_root(void **state)
{
	struct fixture *fixture = *state;
	char *stages[] = {fixture->stages[1], NULL};
	struct cni_trees trees = {.root = fixture->stages[0]};

	unsetenv("CNI_PATH");
	assert_dirs(&trees, "", NULL);
	make(fixture, "one/opt/cni/bin/");
	assert_dirs(&trees, "/opt/cni/bin", NULL);
	trees.host_at = "/host";
	assert_dirs(&trees, "/opt/cni/bin:/host/usr/lib/cni:/host/opt/cni/bin", NULL);
	setenv("CNI_PATH", "/usr/lib/cni", 1);
	assert_dirs(&trees, "/host/usr/lib/cni:/opt/cni/bin:/host/opt/cni/bin", NULL);
	trees.host_at = NULL;
	assert_dirs(&trees, "/opt/cni/bin", "which --root hides");
	unsetenv("CNI_PATH");
	make(fixture, "two/usr/lib/cni/");
	trees.stages = stages;
	assert_dirs(&trees, "/usr/lib/cni:/opt/cni/bin", NULL);
	/* A stage makes nothing trusted that lies below it. */
	make(fixture, "two/opt/cni/bin/");
	assert_int_equal(fchmodat(fixture->scratch.fd, "one/opt/cni/bin", 0777, 0), 0);
	assert_dirs(&trees, "/usr/lib/cni", "one/opt/cni/bin is left out");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_merged),
		TEST(test_nothing_new),
		TEST(test_order),
		TEST(test_links_of_the_base),
		TEST(test_skeleton),
		TEST(test_hiding),
		TEST(test_reserved),
		TEST(test_reserved_cases),
		TEST(test_overlay_orders),
		TEST(test_resolv_conf),
		TEST(test_stages_that_are_none),
		TEST(test_limits),
		TEST(test_plugin_dirs),
		TEST(test_plugin_dirs_of_a_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
