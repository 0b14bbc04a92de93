/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Durable files: nothing half-written is left, no link is followed, only owned directories. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mount.h>

#include "fixture.h"
#include "text.h"

#define PLENTY (128 * 1024)

static struct stat look(int dirfd, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

/* Exactly these names are there, no temporary file among them. */
static void assert_names(int dirfd, const char *expected)
{
	autostrv names = NULL;
	autofree char *joined = strdup("");

	assert_int_equal(file_list(dirfd, 100, &names, NULL), 0);
	for (size_t i = 0; names[i]; i++) {
		char *longer = text_format("%s%s%s", joined, i ? " " : "", names[i]);

		free(joined);
		joined = longer;
	}
	assert_string_equal(joined, expected);
}

static void test_write(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct stat before;
	mode_t mask;

	scratch_init(&scratch);
	assert_int_equal(file_write(scratch.fd, "record", "one", 3, 0600, NULL), 0);
	assert_file(scratch.fd, "record", "one");
	before = look(scratch.fd, "record");
	assert_int_equal(before.st_mode, S_IFREG | 0600);
	/* A reader that has the old file open keeps it whole. */
	mask = umask(077);
	assert_int_equal(file_write(scratch.fd, "record", "two\n", 4, 0644, NULL), 0);
	umask(mask);
	assert_file(scratch.fd, "record", "two\n");
	assert_int_not_equal(look(scratch.fd, "record").st_ino, before.st_ino);
	assert_int_equal(look(scratch.fd, "record").st_mode, S_IFREG | 0644);
	assert_int_equal(file_write(scratch.fd, "empty", "", 0, 0600, NULL), 0);
	assert_file(scratch.fd, "empty", "");
	assert_names(scratch.fd, "empty record");
}

static void test_write_follows_no_link(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	put_file(scratch.fd, "victim", "safe");
	assert_int_equal(symlinkat("victim", scratch.fd, "record"), 0);
	assert_int_equal(symlinkat("victim", scratch.fd, ".record.new"), 0);
	assert_int_equal(file_write(scratch.fd, "record", "new", 3, 0600, NULL), 0);
	assert_file(scratch.fd, "victim", "safe");
	assert_file(scratch.fd, "record", "new");
	assert_true(S_ISREG(look(scratch.fd, "record").st_mode));
	assert_names(scratch.fd, "record victim");
}

/* The name does not depend on who wrote. */
static void test_write_removes_what_a_killed_writer_left(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	put_file(scratch.fd, ".record.new", "half");
	assert_int_equal(file_write(scratch.fd, "record", "new", 3, 0600, NULL), 0);
	assert_file(scratch.fd, "record", "new");
	assert_names(scratch.fd, "record");
}

static void test_write_cannot_replace(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	char name[300];
	struct err err;

	scratch_init(&scratch);
	assert_int_equal(mkdirat(scratch.fd, "record", 0700), 0);
	assert_int_equal(file_write(scratch.fd, "record", "x", 1, 0600, &err), -EISDIR);
	assert_string_equal(err.msg, "writing record: Is a directory");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(file_write(scratch.fd, name, "x", 1, 0600, &err), -ENAMETOOLONG);
	assert_names(scratch.fd, "record");
}

/* Mounts a small tmpfs on <scratch>/full. Return: a fd of it. */
static int mount_small(const struct scratch *scratch, const char *options)
{
	autofree char *path = text_format("%s/full", scratch->path);
	int fd;

	enter_user_namespace(CLONE_NEWNS, 0);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, options), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void no_room_for_data(void *argument)
{
	autoclose int dir = mount_small(argument, "size=64k");
	autofree char *data = calloc(1, PLENTY);
	struct err err;

	assert_non_null(data);
	put_file(dir, "record", "old");
	assert_int_equal(file_write(dir, "record", data, PLENTY, 0600, &err), -ENOSPC);
	assert_string_equal(err.msg, "writing record: No space left on device");
	assert_file(dir, "record", "old");
	assert_int_equal(file_write(dir, "other", data, PLENTY, 0600, &err), -ENOSPC);
	assert_names(dir, "record");
	/* What it took is given back. */
	assert_int_equal(file_write(dir, "record", data, 32 * 1024, 0600, NULL), 0);
	assert_int_equal(file_overwrite(dir, "hosts", data, PLENTY, 0600, &err), -ENOSPC);
}

static void no_room_for_a_file(void *argument)
{
	autoclose int dir = mount_small(argument, "nr_inodes=2");
	struct err err;

	put_file(dir, "record", "old");
	assert_int_equal(file_write(dir, "record", "new", 3, 0600, &err), -ENOSPC);
	assert_string_equal(err.msg, "creating a new record: No space left on device");
	assert_file(dir, "record", "old");
	assert_names(dir, "record");
}

static void test_full_disk(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	assert_int_equal(mkdirat(scratch.fd, "full", 0700), 0);
	run_child(no_room_for_data, &scratch);
	run_child(no_room_for_a_file, &scratch);
}

static void test_overwrite(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct stat before;

	scratch_init(&scratch);
	assert_int_equal(file_overwrite(scratch.fd, "hosts", "long text", 9, 0644, NULL), 0);
	before = look(scratch.fd, "hosts");
	assert_int_equal(before.st_mode, S_IFREG | 0644);
	assert_int_equal(file_overwrite(scratch.fd, "hosts", "short", 5, 0600, NULL), 0);
	assert_file(scratch.fd, "hosts", "short");
	assert_int_equal(look(scratch.fd, "hosts").st_ino, before.st_ino);
	assert_int_equal(look(scratch.fd, "hosts").st_mode, S_IFREG | 0600);

	assert_int_equal(symlinkat("hosts", scratch.fd, "link"), 0);
	assert_int_equal(file_overwrite(scratch.fd, "link", "bad", 3, 0600, NULL), -ELOOP);
	assert_file(scratch.fd, "hosts", "short");
	assert_names(scratch.fd, "hosts link");
}

static void read_refused(int dirfd, const char *name, size_t max, int code, const char *message)
{
	char *data = (char *)&code;
	size_t length = 4711;
	struct err err;

	assert_int_equal(file_read(dirfd, name, max, &data, &length, &err), code);
	assert_string_equal(err.msg, message);
	assert_ptr_equal(data, &code);
	assert_int_equal(length, 4711);
}

static void test_read(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autofree char *data = NULL;
	size_t length;

	scratch_init(&scratch);
	put_file(scratch.fd, "f", "12345");
	assert_int_equal(file_read(scratch.fd, "f", 5, &data, &length, NULL), 0);
	assert_string_equal(data, "12345");
	assert_int_equal(length, 5);
	read_refused(scratch.fd, "f", 4, -EFBIG, "f is larger than the 4 bytes that are allowed");
	read_refused(scratch.fd, "none", 9, -ENOENT, "opening none: No such file or directory");
	assert_int_equal(symlinkat("f", scratch.fd, "link"), 0);
	read_refused(
		scratch.fd, "link", 9, -ELOOP, "opening link: Too many levels of symbolic links");
	/* Nobody writes to it, and that must not hold us up. */
	assert_int_equal(mkfifoat(scratch.fd, "fifo", 0600), 0);
	read_refused(scratch.fd, "fifo", 9, -EINVAL, "fifo is not a regular file");
	read_refused(scratch.fd, ".", 9, -EINVAL, ". is not a regular file");
}

static void test_remove(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	struct err err;

	scratch_init(&scratch);
	put_file(scratch.fd, "f", "");
	assert_int_equal(symlinkat("f", scratch.fd, "link"), 0);
	assert_int_equal(file_remove(scratch.fd, "link", NULL), 0);
	assert_names(scratch.fd, "f");
	assert_int_equal(file_remove(scratch.fd, "f", NULL), 0);
	assert_names(scratch.fd, "");
	assert_int_equal(file_remove(scratch.fd, "f", NULL), 0);
	assert_int_equal(mkdirat(scratch.fd, "d", 0700), 0);
	assert_int_equal(file_remove(scratch.fd, "d", &err), -EISDIR);
	assert_string_equal(err.msg, "removing d: Is a directory");
}

static void dir_refused(int dirfd, const char *name, int code, const char *part)
{
	struct err err = {0};
	int fd = 4711;

	assert_int_equal(file_open_dir(dirfd, name, &fd, &err), code);
	assert_contains(err.msg, name);
	assert_contains(err.msg, part);
	assert_int_equal(fd, 4711);
}

static void test_open_dir(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int fd = -1;

	scratch_init(&scratch);
	dir_refused(scratch.fd, "none", -ENOENT, "No such file or directory");
	put_file(scratch.fd, "file", "");
	dir_refused(scratch.fd, "file", -ENOTDIR, "not a directory");
	assert_int_equal(mkdirat(scratch.fd, "dir", 0755), 0);
	assert_int_equal(symlinkat("dir", scratch.fd, "link"), 0);
	dir_refused(scratch.fd, "link", -ENOTDIR, "link is not followed");
	assert_int_equal(fchmodat(scratch.fd, "dir", 0720, 0), 0);
	dir_refused(scratch.fd, "dir", -EPERM, "mode 0720");
	assert_int_equal(fchmodat(scratch.fd, "dir", 01702, 0), 0);
	dir_refused(scratch.fd, "dir", -EPERM, "mode 1702");
	assert_int_equal(fchmodat(scratch.fd, "dir", 0755, 0), 0);
	assert_int_equal(file_open_dir(scratch.fd, "dir", &fd, NULL), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(take_fd(&fd));
	fd = openat(scratch.fd, "file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_check_owned(fd, "the file", NULL), -ENOTDIR);
}

/* As root of a user namespace whose creator is seen as 0 in it. */
static void owners(void *argument)
{
	const struct scratch *scratch = argument;
	autoclose int mine = -1, root = -1;

	assert_int_equal(fchmod(scratch->fd, 0711), 0);
	assert_int_equal(mkdirat(scratch->fd, "uid0", 0755), 0);
	assert_int_equal(mkdirat(scratch->fd, "uid1", 0755), 0);
	assert_int_equal(fchownat(scratch->fd, "uid1", 1, 1, 0), 0);
	dir_refused(scratch->fd, "uid1", -EPERM, "belongs to uid 1, not to the caller (uid 0)");
	assert_int_equal(setresuid(1, 1, 1), 0);
	assert_int_equal(file_open_dir(scratch->fd, "uid1", &mine, NULL), 0);
	assert_int_equal(file_open_dir(scratch->fd, "uid0", &root, NULL), 0);
}

/* In a user namespace whose creator has no id in it, every user without one has the same. */
static void stranger(void *argument)
{
	const struct scratch *scratch = argument;

	assert_int_equal(geteuid(), 0);
	dir_refused(scratch->fd, "uid0", -EPERM, "not to the caller (uid 0)");
}

static void creator_is_unmapped(void *argument)
{
	static const struct idmap map = {.n = 1, .extents = {{0, 5, 1}}};
	const struct scratch *scratch = argument;

	assert_int_equal(fchownat(scratch->fd, "uid0", 2, 2, 0), 0);
	run_with_maps(&map, &map, stranger, argument);
	/* scratch_done() needs it back. */
	assert_int_equal(fchownat(scratch->fd, "uid0", 0, 0, 0), 0);
	assert_int_equal(fchownat(scratch->fd, "uid1", 0, 0, 0), 0);
}

static void test_owner(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	run_with_ids(owners, &scratch);
	run_with_ids(creator_is_unmapped, &scratch);
}

/* What root of the namespace makes in a directory of another belongs to that one. */
static void give_to_owner(void *argument)
{
	const struct scratch *scratch = argument;
	static const char *const made[] = {"record", "hosts", "lock", "sub"};
	autoclose int dir = -1, lock = -1, sub = -1;

	assert_int_equal(mkdirat(scratch->fd, "dir", 0755), 0);
	dir = openat(scratch->fd, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fchown(dir, 3, 4), 0);
	assert_int_equal(file_write(dir, "record", "x", 1, 0600, NULL), 0);
	assert_int_equal(file_overwrite(dir, "hosts", "x", 1, 0600, NULL), 0);
	assert_int_equal(file_lock(dir, "lock", 0, &lock, NULL), 0);
	assert_int_equal(file_make_dir(dir, "sub", &sub, NULL), 0);
	for (size_t i = 0; i < sizeof(made) / sizeof(char *); i++) {
		assert_int_equal(look(dir, made[i]).st_uid, 3);
		assert_int_equal(look(dir, made[i]).st_gid, 4);
	}
	assert_int_equal(file_remove_tree(scratch->fd, "dir", NULL), 0);
}

static void test_belongs_to_the_directory_owner(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	run_with_ids(give_to_owner, &scratch);
}

static void test_make_dir(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int fd = -1, again = -1;
	struct err err;
	int none = 4711;

	scratch_init(&scratch);
	assert_int_equal(file_make_dir(scratch.fd, "d", &fd, NULL), 0);
	assert_int_equal(look(scratch.fd, "d").st_mode, S_IFDIR | 0700);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(file_make_dir(scratch.fd, "d", &again, NULL), 0);
	assert_true(fd_same_file(fd, again));

	assert_int_equal(fchmodat(scratch.fd, "d", 0777, 0), 0);
	assert_int_equal(file_make_dir(scratch.fd, "d", &none, &err), -EPERM);
	assert_int_equal(fchmodat(scratch.fd, "d", 0700, 0), 0);
	assert_int_equal(symlinkat("d", scratch.fd, "link"), 0);
	assert_int_equal(symlinkat("elsewhere", scratch.fd, "dangling"), 0);
	assert_int_equal(file_make_dir(scratch.fd, "link", &none, &err), -ENOTDIR);
	assert_int_equal(file_make_dir(scratch.fd, "dangling", &none, &err), -ENOTDIR);
	assert_int_equal(none, 4711);
	assert_names(scratch.fd, "d dangling link");
}

static void test_remove_tree(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	assert_int_equal(mkdirat(scratch.fd, "outside", 0700), 0);
	put_file(scratch.fd, "outside/file", "safe");
	assert_int_equal(mkdirat(scratch.fd, "tree", 0700), 0);
	assert_int_equal(mkdirat(scratch.fd, "tree/a", 0700), 0);
	assert_int_equal(mkdirat(scratch.fd, "tree/a/b", 0700), 0);
	put_file(scratch.fd, "tree/a/b/file", "");
	assert_int_equal(mkfifoat(scratch.fd, "tree/fifo", 0600), 0);
	assert_int_equal(symlinkat("../outside", scratch.fd, "tree/link"), 0);
	assert_int_equal(symlinkat("../../outside/file", scratch.fd, "tree/a/link"), 0);
	assert_int_equal(symlinkat("outside", scratch.fd, "link"), 0);

	assert_int_equal(file_remove_tree(scratch.fd, "tree", NULL), 0);
	assert_int_equal(file_remove_tree(scratch.fd, "tree", NULL), 0);
	assert_int_equal(file_remove_tree(scratch.fd, "link", NULL), 0);
	assert_names(scratch.fd, "outside");
	assert_file(scratch.fd, "outside/file", "safe");
	assert_int_equal(file_remove_tree(scratch.fd, "outside/file", NULL), 0);
	assert_int_equal(file_remove_tree(scratch.fd, "outside", NULL), 0);
}

static void remove_with_mounts(void *argument)
{
	const struct scratch *scratch = argument;
	autofree char *outside = text_format("%s/outside", scratch->path);
	autofree char *inside = text_format("%s/tree/mount", scratch->path);
	autoclose int dir = -1;
	struct err err;

	enter_user_namespace(CLONE_NEWNS, 0);
	/* One that was opened before does not lead to the new mounts. */
	dir = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(mount(outside, inside, NULL, MS_BIND, NULL), 0);
	assert_int_equal(file_remove_tree(dir, "tree", &err), -EXDEV);
	assert_contains(err.msg, "something is mounted there");
	assert_file(dir, "outside/file", "safe");
	assert_int_equal(umount2(inside, MNT_DETACH), 0);

	assert_int_equal(mount("tmpfs", inside, "tmpfs", 0, NULL), 0);
	put_file(dir, "tree/mount/file", "safe");
	assert_int_equal(file_remove_tree(dir, "tree", &err), -EXDEV);
	assert_file(dir, "tree/mount/file", "safe");
}

static void test_remove_tree_stays_in_its_file_system(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	assert_int_equal(mkdirat(scratch.fd, "outside", 0700), 0);
	put_file(scratch.fd, "outside/file", "safe");
	assert_int_equal(mkdirat(scratch.fd, "tree", 0700), 0);
	assert_int_equal(mkdirat(scratch.fd, "tree/mount", 0700), 0);
	run_child(remove_with_mounts, &scratch);
	assert_file(scratch.fd, "outside/file", "safe");
}

static void test_remove_deep_tree(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int dir = -1;

	scratch_init(&scratch);
	dir = fcntl(scratch.fd, F_DUPFD_CLOEXEC, 0);
	/* Each with a file, and a name that is used for what is moved. */
	for (int i = 0; i < 500; i++) {
		int below;

		assert_int_equal(mkdirat(dir, "d", 0700), 0);
		put_file(dir, "file", "");
		put_file(dir, ".deep-0", "");
		below = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(take_fd(&dir));
		dir = below;
		assert_true(dir >= 0);
	}
	assert_int_equal(file_remove_tree(scratch.fd, "d", NULL), 0);
	assert_int_equal(faccessat(scratch.fd, "d", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(unlinkat(scratch.fd, "file", 0), 0);
	assert_int_equal(unlinkat(scratch.fd, ".deep-0", 0), 0);
}

static void test_lock(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autoclose int first = -1;
	struct err err;
	int second = -1;

	scratch_init(&scratch);
	assert_int_equal(file_lock(scratch.fd, "lock", 0, &first, NULL), 0);
	assert_int_equal(look(scratch.fd, "lock").st_mode, S_IFREG | 0600);
	assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
	assert_int_equal(file_lock(scratch.fd, "lock", 20, &second, &err), -EWOULDBLOCK);
	assert_string_equal(err.msg, "the lock lock is held by another process");
	assert_int_equal(second, -1);
	close(take_fd(&first));
	assert_int_equal(file_lock(scratch.fd, "lock", 0, &first, NULL), 0);
	assert_int_equal(symlinkat("lock", scratch.fd, "link"), 0);
	assert_int_equal(file_lock(scratch.fd, "link", 0, &second, &err), -ELOOP);
	assert_int_equal(second, -1);
}

static void test_list(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autostrv names = NULL;
	char **more = (char **)&scratch;
	struct err err;

	scratch_init(&scratch);
	assert_names(scratch.fd, "");
	for (int i = 39; i >= 0; i--) {
		char name[16];

		snprintf(name, sizeof(name), "n%02d", i);
		put_file(scratch.fd, name, "");
	}
	assert_int_equal(file_list(scratch.fd, 39, &more, &err), -E2BIG);
	assert_string_equal(err.msg, "a directory has more than 39 entries");
	assert_ptr_equal(more, &scratch);
	assert_int_equal(file_list(scratch.fd, 40, &names, NULL), 0);
	assert_int_equal(strv_length(names), 40);
	for (int i = 1; i < 40; i++)
		assert_true(strcmp(names[i - 1], names[i]) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_follows_no_link),
		cmocka_unit_test(test_write_removes_what_a_killed_writer_left),
		cmocka_unit_test(test_write_cannot_replace),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_overwrite),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_open_dir),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_belongs_to_the_directory_owner),
		cmocka_unit_test(test_make_dir),
		cmocka_unit_test(test_remove_tree),
		cmocka_unit_test(test_remove_tree_stays_in_its_file_system),
		cmocka_unit_test(test_remove_deep_tree),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
