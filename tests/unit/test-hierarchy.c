/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree of pods and children: where it is, whose it is, and what belongs to it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "hierarchy.h"
#include "text.h"

/* ---- where the root is ---- */

static void assert_root(const char *argument, const char *expected)
{
	autofree char *root = NULL;
	struct err err = {0};

	if (hierarchy_root(argument, &root, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(root, expected);
}

static void root_refused(const char *argument, const char *message)
{
	char *root = NULL;
	struct err err = {0};

	assert_int_equal(hierarchy_root(argument, &root, &err), -EINVAL);
	assert_string_equal(err.msg, message);
	assert_null(root);
}

static void test_root_is_given(void **state)
{
	setenv("PODD_ROOT", "/env/root", 1);
	assert_root("/given", "/given");
	assert_root(NULL, "/env/root");
	root_refused("relative", "--root: 'relative' is not an absolute path");
	root_refused("", "--root: '' is not an absolute path");
	setenv("PODD_ROOT", "pods", 1);
	root_refused(NULL, "PODD_ROOT: 'pods' is not an absolute path");
	unsetenv("PODD_ROOT");
}

/* A hook in a pod's user namespace looks where the pod's user has the pods: root there is
 * @argument, a uid outside. */
static void default_roots(void *argument)
{
	unsigned uid = *(unsigned *)argument;
	autofree char *expected = NULL;

	unsetenv("PODD_ROOT");
	setenv("XDG_RUNTIME_DIR", "/xdg", 1);
	if (uid == 0) {
		assert_root(NULL, "/run/podd");
		return;
	}
	assert_root(NULL, "/xdg/podd");
	setenv("PODD_ROOT", "", 1);
	assert_root(NULL, "/xdg/podd");
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	expected = text_format("/run/user/%u", uid);
	if (access(expected, F_OK) == 0) {
		free(expected);
		expected = text_format("/run/user/%u/podd", uid);
	} else {
		free(expected);
		expected = text_format("/tmp/podd-%u", uid);
	}
	assert_root(NULL, expected);
}

static void default_roots_as_root_inside(void *argument)
{
	assert_int_equal(geteuid(), 0);
	default_roots(argument);
}

static void default_roots_of_another(void *argument)
{
	struct idmap map = {.n = 1, .extents = {{0, *(unsigned *)argument, 1}}};

	run_with_maps(&map, &map, default_roots_as_root_inside, argument);
}

static void test_root_by_default(void **state)
{
	unsigned uid = 5;

	run_with_ids(default_roots_of_another, &uid);
	uid = 0;
	run_with_ids(default_roots_of_another, &uid);
}

/* ---- opening it ---- */

static void open_refused(const char *root, bool create, int code, const char *part)
{
	struct err err = {0};
	int fd = 4711;

	assert_int_equal(hierarchy_open_root(root, create, &fd, &err), code);
	assert_contains(err.msg, part);
	assert_int_equal(fd, 4711);
}

static void test_open_root(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autofree char *root = NULL, *slashes = NULL;
	autoclose int fd = -1, again = -1;
	struct stat st;

	scratch_init(&scratch);
	root = text_format("%s/podd", scratch.path);
	slashes = text_format("%s/podd//", scratch.path);
	open_refused(root, false, -ENOENT, root);
	assert_int_equal(hierarchy_open_root(root, true, &fd, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(hierarchy_open_root(slashes, false, &again, NULL), 0);
	assert_true(fd_same_file(fd, again));

	assert_int_equal(fchmod(fd, 0770), 0);
	open_refused(root, false, -EPERM, "mode 0770");
	open_refused(root, true, -EPERM, root);
	assert_int_equal(fchmod(fd, 0700), 0);
}

static void test_open_root_refuses(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autofree char *link = NULL, *file = NULL, *none = NULL, *through = NULL;
	autoclose int fd = -1;

	scratch_init(&scratch);
	link = text_format("%s/link", scratch.path);
	file = text_format("%s/file", scratch.path);
	none = text_format("%s/none/podd", scratch.path);
	through = text_format("%s/link/podd", scratch.path);
	assert_int_equal(mkdirat(scratch.fd, "dir", 0700), 0);
	assert_int_equal(symlinkat("dir", scratch.fd, "link"), 0);
	put_file(scratch.fd, "file", "");
	open_refused(link, false, -ENOTDIR, "link is not followed");
	open_refused(link, true, -ENOTDIR, link);
	open_refused(file, true, -ENOTDIR, file);
	open_refused(none, true, -ENOENT, "none");
	open_refused("/", true, -EINVAL, "/ cannot be the root of the pods");
	open_refused("//", true, -EINVAL, "cannot be the root of the pods");
	/* What is above is not podd's own. */
	assert_int_equal(hierarchy_open_root(through, true, &fd, NULL), 0);
	assert_true(exists(scratch.fd, "dir/podd"));
}

static void root_of_another(void *argument)
{
	const struct scratch *scratch = argument;
	autofree char *root = text_format("%s/podd", scratch->path);

	assert_int_equal(mkdirat(scratch->fd, "podd", 0755), 0);
	assert_int_equal(fchownat(scratch->fd, "podd", 1, 1, 0), 0);
	open_refused(root, false, -EPERM, "belongs to uid 1");
	open_refused(root, true, -EPERM, root);
	assert_int_equal(unlinkat(scratch->fd, "podd", AT_REMOVEDIR), 0);
}

static void test_root_of_another(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	run_with_ids(root_of_another, &scratch);
}

/* ---- pods and children ---- */

static int make_pod(int rootfd, const char *path)
{
	autoclose int fd = -1;
	struct err err = {0};

	if (hierarchy_make_pod(rootfd, path, &fd, &err) < 0)
		fail_msg("%s", err.msg);
	put_file(fd, "pod.json", "{}");
	return take_fd(&fd);
}

static void test_make_pod(void **state)
{
	static const char *const directories[] = {"children", "cni", "etc", "locks", "ns"};
	cleanup(scratch_done) struct scratch scratch;
	autoclose int fd = -1, pod = -1;
	struct err err = {0};
	struct stat st;

	scratch_init(&scratch);
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0", &fd, NULL), 0);
	for (size_t i = 0; i < sizeof(directories) / sizeof(char *); i++) {
		assert_int_equal(fstatat(fd, directories[i], &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0700);
	}
	/* Without a record it is none yet; its name is taken all the same. */
	assert_int_equal(hierarchy_open_pod(scratch.fd, "net0", &pod, &err), -ENOENT);
	assert_string_equal(err.msg, "'net0' is not a pod: it has no pod.json");
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0", &pod, &err), -EEXIST);
	assert_contains(err.msg, "'net0' exists already, but is not finished");
	put_file(fd, "pod.json", "{}");
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0", &pod, &err), -EEXIST);
	assert_string_equal(err.msg, "'net0' exists already");
	assert_int_equal(hierarchy_open_pod(scratch.fd, "net0", &pod, NULL), 0);
	assert_true(fd_same_file(fd, pod));
}

static void test_nested_pods(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int fd = -1, nested = -1;
	struct err err = {0};
	int none = 4711;

	scratch_init(&scratch);
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0/web", &none, &err), -ENOENT);
	assert_contains(err.msg, "there is no pod 'net0'");
	fd = make_pod(scratch.fd, "net0");
	nested = make_pod(scratch.fd, "net0/web");
	assert_true(exists(scratch.fd, "net0/children/web/children"));
	/* A container's name is taken too. */
	assert_int_equal(hierarchy_open_child(fd, "nginx", true, &nested, NULL), 0);
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0/nginx", &none, &err), -EEXIST);
	assert_int_equal(hierarchy_make_pod(scratch.fd, "net0/nginx/x", &none, &err), -ENOENT);
	assert_int_equal(none, 4711);
}

static void test_deepest_pod(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	char path[NAME_PATH_SIZE] = "p";
	autostrv pods = NULL;
	struct err err = {0};
	int none = 4711;

	scratch_init(&scratch);
	for (size_t depth = 1;; depth++) {
		close(make_pod(scratch.fd, path));
		memcpy(path + strlen(path), "/p", 3);
		if (depth == NAME_PODS_MAX)
			break;
	}
	assert_int_equal(hierarchy_make_pod(scratch.fd, path, &none, &err), -EINVAL);
	assert_contains(err.msg, "nest at most 8 deep");
	assert_int_equal(hierarchy_pods(scratch.fd, &pods, NULL), 0);
	assert_int_equal(strv_length(pods), NAME_PODS_MAX);
	assert_string_equal(pods[NAME_PODS_MAX - 1], "p/p/p/p/p/p/p/p");
}

static void test_names_are_checked(void **state)
{
	static const char *const names[] = {"", "..", ".", "../x", "a/../b", "/a", "a/", "A", ".a"};
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1;
	int none = 4711;

	scratch_init(&scratch);
	pod = make_pod(scratch.fd, "a");
	for (size_t i = 0; i < sizeof(names) / sizeof(char *); i++) {
		assert_int_equal(hierarchy_make_pod(scratch.fd, names[i], &none, NULL), -EINVAL);
		assert_int_equal(hierarchy_open_pod(scratch.fd, names[i], &none, NULL), -EINVAL);
		assert_int_equal(hierarchy_remove_pod(scratch.fd, names[i], NULL), -EINVAL);
		assert_int_equal(hierarchy_open_child(pod, names[i], true, &none, NULL), -EINVAL);
		assert_int_equal(hierarchy_remove_child(pod, names[i], NULL), -EINVAL);
	}
	assert_int_equal(hierarchy_open_child(pod, "a/b", true, &none, NULL), -EINVAL);
	assert_int_equal(none, 4711);
	assert_true(exists(scratch.fd, "a/children"));
}

static void test_links_are_no_pods(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1;
	autostrv pods = NULL;
	struct err err = {0};
	int none = 4711;

	scratch_init(&scratch);
	pod = make_pod(scratch.fd, "real");
	assert_int_equal(symlinkat("real", scratch.fd, "link"), 0);
	assert_int_equal(hierarchy_open_pod(scratch.fd, "link", &none, &err), -ENOTDIR);
	assert_contains(err.msg, "pod 'link'");
	assert_int_equal(symlinkat("../..", scratch.fd, "real/children/up"), 0);
	assert_int_equal(hierarchy_open_child(pod, "up", false, &none, NULL), -ENOTDIR);
	assert_int_equal(hierarchy_open_child(pod, "up", true, &none, NULL), -ENOTDIR);
	assert_int_equal(hierarchy_open_pod(scratch.fd, "real/up", &none, NULL), -ENOTDIR);
	assert_int_equal(hierarchy_pods(scratch.fd, &pods, NULL), 0);
	assert_int_equal(strv_length(pods), 1);
	/* A link to children/ is not followed either. */
	assert_int_equal(renameat(scratch.fd, "real/children", scratch.fd, "moved"), 0);
	assert_int_equal(symlinkat("../moved", scratch.fd, "real/children"), 0);
	assert_int_equal(hierarchy_open_child(pod, "x", true, &none, NULL), -ENOTDIR);
	assert_false(exists(scratch.fd, "moved/x"));
	assert_int_equal(none, 4711);
}

static void test_remove_pod(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1, nested = -1;

	scratch_init(&scratch);
	pod = make_pod(scratch.fd, "a");
	nested = make_pod(scratch.fd, "a/b");
	assert_int_equal(hierarchy_remove_pod(scratch.fd, "a/b", NULL), 0);
	assert_int_equal(hierarchy_remove_pod(scratch.fd, "a/b", NULL), 0);
	assert_true(exists(scratch.fd, "a/pod.json"));
	assert_false(exists(scratch.fd, "a/children/b"));
	assert_int_equal(hierarchy_remove_pod(scratch.fd, "a", NULL), 0);
	assert_int_equal(hierarchy_remove_pod(scratch.fd, "a", NULL), 0);
	assert_false(exists(scratch.fd, "a"));
	assert_true(exists(AT_FDCWD, scratch.path));
}

static void test_children(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1, child = -1, again = -1;
	autostrv containers = NULL;
	autostrv pods = NULL;
	autostrv left = NULL;
	struct err err = {0};
	int none = 4711;

	scratch_init(&scratch);
	pod = make_pod(scratch.fd, "net0");
	assert_int_equal(hierarchy_open_child(pod, "web", false, &none, &err), -ENOENT);
	assert_int_equal(none, 4711);
	assert_int_equal(hierarchy_open_child(pod, "web", true, &child, NULL), 0);
	assert_int_equal(hierarchy_open_child(pod, "web", false, &again, NULL), 0);
	assert_true(fd_same_file(child, again));
	close(take_fd(&again));
	assert_int_equal(hierarchy_open_child(pod, "db", true, &again, NULL), 0);
	close(make_pod(scratch.fd, "net0/sub"));
	close(make_pod(scratch.fd, "net0/a-sub"));
	/* Names outside the grammar are none of ours. */
	assert_int_equal(mkdirat(scratch.fd, "net0/children/.hidden", 0700), 0);
	assert_int_equal(mkdirat(scratch.fd, "net0/children/UPPER", 0700), 0);

	assert_int_equal(hierarchy_children(pod, HIERARCHY_CONTAINERS, &containers, NULL), 0);
	assert_int_equal(strv_length(containers), 2);
	assert_string_equal(containers[0], "db");
	assert_string_equal(containers[1], "web");
	assert_int_equal(hierarchy_children(pod, HIERARCHY_PODS, &pods, NULL), 0);
	assert_int_equal(strv_length(pods), 2);
	assert_string_equal(pods[0], "a-sub");
	assert_string_equal(pods[1], "sub");

	/* A container whose id names a pod must not touch it. */
	assert_int_equal(hierarchy_open_child(pod, "sub", true, &none, &err), -EEXIST);
	assert_contains(err.msg, "'sub' is the name of a pod");
	assert_int_equal(hierarchy_open_child(pod, "sub", false, &none, NULL), -EEXIST);
	assert_int_equal(hierarchy_remove_child(pod, "sub", NULL), -EEXIST);
	assert_true(exists(scratch.fd, "net0/children/sub/pod.json"));

	put_file(child, "attachment.json", "{}");
	assert_int_equal(hierarchy_remove_child(pod, "web", NULL), 0);
	assert_int_equal(hierarchy_remove_child(pod, "web", NULL), 0);
	assert_int_equal(hierarchy_children(pod, HIERARCHY_CONTAINERS, &left, NULL), 0);
	assert_int_equal(strv_length(left), 1);
}

static void test_child_lock(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int pod = -1, lock = -1, again = -1;
	int none = 4711;

	scratch_init(&scratch);
	pod = make_pod(scratch.fd, "net0");
	assert_int_equal(hierarchy_lock_child(pod, "web", 0, &lock, NULL), 0);
	assert_int_equal(hierarchy_lock_child(pod, "web", 10, &none, NULL), -EWOULDBLOCK);
	assert_int_equal(hierarchy_lock_child(pod, "db", 0, &again, NULL), 0);
	hierarchy_drop_child_lock(pod, "web");
	assert_false(exists(pod, "locks/child-web"));
	close(take_fd(&again));
	assert_int_equal(hierarchy_lock_child(pod, "web", 0, &again, NULL), 0);
	assert_int_equal(hierarchy_lock_child(pod, "../web", 0, &none, NULL), -EINVAL);
	assert_int_equal(none, 4711);
}

static void test_pods(void **state)
{
	static const char *const made[] = {"b", "b/x", "b/x/y", "a", "a/z", "c"};
	static const char *const expected[] = {"a", "a/z", "b", "b/x", "b/x/y", "c", NULL};
	cleanup(scratch_done) struct scratch scratch;
	autostrv none = NULL;
	autostrv pods = NULL;
	autoclose int pod = -1, child = -1;

	scratch_init(&scratch);
	assert_int_equal(hierarchy_pods(scratch.fd, &none, NULL), 0);
	assert_int_equal(strv_length(none), 0);
	assert_non_null(none);
	for (size_t i = 0; i < sizeof(made) / sizeof(char *); i++)
		close(make_pod(scratch.fd, made[i]));
	put_file(scratch.fd, "file", "");
	assert_int_equal(mkdirat(scratch.fd, "no-pod", 0700), 0);
	assert_int_equal(hierarchy_open_pod(scratch.fd, "c", &pod, NULL), 0);
	assert_int_equal(hierarchy_open_child(pod, "container", true, &child, NULL), 0);

	assert_int_equal(hierarchy_pods(scratch.fd, &pods, NULL), 0);
	assert_int_equal(strv_length(pods), 6);
	for (size_t i = 0; expected[i]; i++)
		assert_string_equal(pods[i], expected[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_is_given),
		cmocka_unit_test(test_root_by_default),
		cmocka_unit_test(test_open_root),
		cmocka_unit_test(test_open_root_refuses),
		cmocka_unit_test(test_root_of_another),
		cmocka_unit_test(test_make_pod),
		cmocka_unit_test(test_nested_pods),
		cmocka_unit_test(test_deepest_pod),
		cmocka_unit_test(test_names_are_checked),
		cmocka_unit_test(test_links_are_no_pods),
		cmocka_unit_test(test_remove_pod),
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_child_lock),
		cmocka_unit_test(test_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
