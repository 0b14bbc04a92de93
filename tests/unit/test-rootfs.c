/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Looking into a root file system: users and groups, programs, and that nothing in it leads out,
 * blocks, or goes on without end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fixture.h"
#include "rootfs.h"
#include "text.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "\n"
			     "# a comment\n"
			     "short:x:7\n"
			     "bad:x:nine:9::/:\n"
			     "web:x:33:34:Web:/var/www:/bin/false\n"
			     "1234:x:50:51::/numeric:\n"
			     "nohome:x:60:61:::\n"
			     "relative:x:62:62::tmp:\n"
			     "web:x:99:99:again:/again:\n"
			     "many:x:70:70::/many:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "www:x:34:\n"
			    "short:x\n"
			    "disk:x:6:web,many\n"
			    "webmaster:x:8:notweb,webby\n"
			    "tape:x:26:many,web\n"
			    "www-too:x:34:web\n"
			    "bad:x:minus:web\n"
			    "last:x:4294967294:nohome";

static void make_rootfs(struct scratch *scratch)
{
	scratch_init(scratch);
	assert_int_equal(mkdirat(scratch->fd, "etc", 0755), 0);
	assert_int_equal(mkdirat(scratch->fd, "bin", 0755), 0);
	put_file(scratch->fd, "etc/passwd", passwd);
	put_file(scratch->fd, "etc/group", group);
}

/* ---- users and groups ---- */

static void test_users(void **state)
{
	static const struct {
		const char *text;
		uint32_t uid, gid;
		const char *home;
		size_t n_groups;
		uint32_t groups[2];
	} cases[] = {
		{NULL, 0, 0, "/root", 0, {0}},
		{"", 0, 0, "/root", 0, {0}},
		{"root", 0, 0, "/root", 0, {0}},
		/* The first entry counts; groups that list the user, without its own. */
		{"web", 33, 34, "/var/www", 2, {6, 26}},
		{"33", 33, 34, "/var/www", 2, {6, 26}},
		{"0033", 33, 34, "/var/www", 2, {6, 26}},
		/* Who says the group gets no others. */
		{"web:disk", 33, 6, "/var/www", 0, {0}},
		{"web:500", 33, 500, "/var/www", 0, {0}},
		{"33:34", 33, 34, "/var/www", 0, {0}},
		{"web:", 33, 34, "/var/www", 2, {6, 26}},
		{":disk", 0, 6, "/root", 0, {0}},
		/* A name of digits is a name first. */
		{"1234", 50, 51, "/numeric", 0, {0}},
		/* Numbers need no entry. */
		{"1000", 1000, 0, "/", 0, {0}},
		{"1000:1001", 1000, 1001, "/", 0, {0}},
		{"4294967294", 4294967294, 0, "/", 0, {0}},
		{"nohome", 60, 61, "/", 1, {4294967294}},
		{"relative", 62, 62, "/", 0, {0}},
		/* The last line has no end. */
		{"many", 70, 70, "/many", 2, {6, 26}},
	};
	cleanup(scratch_done) struct scratch scratch;

	make_rootfs(&scratch);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup(rootfs_user_done) struct rootfs_user user = {0};
		struct err err = {0};

		if (rootfs_find_user(scratch.fd, cases[i].text, &user, &err) < 0)
			fail_msg("'%s': %s", cases[i].text, err.msg);
		assert_int_equal(user.uid, cases[i].uid);
		assert_int_equal(user.gid, cases[i].gid);
		assert_string_equal(user.home, cases[i].home);
		assert_int_equal(user.n_groups, cases[i].n_groups);
		for (size_t j = 0; j < user.n_groups; j++)
			assert_int_equal(user.groups[j], cases[i].groups[j]);
	}
}

static void test_users_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *reason;
	} cases[] = {
		{"nobody", -ENOENT, "no user \"nobody\""},
		{"short", -ENOENT, "no user"},
		{"bad", -ENOENT, "no user"},
		{"# a comment", -ENOENT, "no user"},
		{" web", -ENOENT, "no user"},
		{"-1", -ENOENT, "no user"},
		{"+0", -ENOENT, "no user"},
		{"a\nb", -ENOENT, "\"a?b\""},
		{"4294967295", -EINVAL, "no user id"},
		{"99999999999999999999", -EINVAL, "no user id"},
		{"web:nogroup", -ENOENT, "no group \"nogroup\""},
		{"web:bad", -ENOENT, "no group"},
		{"web:4294967295", -EINVAL, "no group id"},
		{"web:34:6", -ENOENT, "no group \"34:6\""},
	};
	cleanup(scratch_done) struct scratch scratch;

	make_rootfs(&scratch);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rootfs_user user = {.uid = 77};
		struct err err = {0};

		if (rootfs_find_user(scratch.fd, cases[i].text, &user, &err) != cases[i].code)
			fail_msg("'%s' was not refused as it should be", cases[i].text);
		assert_contains(err.msg, cases[i].reason);
		assert_int_equal(user.uid, 77);
		assert_null(user.home);
	}
}

/* Without a root file system, and in one without databases, numbers are all there is. */
static void check_numbers_only(int rootfd)
{
	cleanup(rootfs_user_done) struct rootfs_user user = {0};
	cleanup(rootfs_user_done) struct rootfs_user root = {0};
	struct rootfs_user other = {0};
	uint32_t gid = 77;

	assert_int_equal(rootfs_find_user(rootfd, "12:13", &user, NULL), 0);
	assert_int_equal(user.uid, 12);
	assert_int_equal(user.gid, 13);
	assert_string_equal(user.home, "/");
	assert_int_equal(rootfs_find_user(rootfd, NULL, &root, NULL), 0);
	assert_int_equal(root.uid, 0);
	assert_int_equal(rootfs_find_user(rootfd, "web", &other, NULL), -ENOENT);
	assert_int_equal(rootfs_find_group(rootfd, "disk", &gid, NULL), -ENOENT);
	assert_int_equal(rootfs_find_group(rootfd, "6", &gid, NULL), 0);
	assert_int_equal(gid, 6);
}

static void test_no_databases(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	scratch_init(&scratch);
	check_numbers_only(-1);
	check_numbers_only(scratch.fd);
	/* A file where a directory should be. */
	put_file(scratch.fd, "etc", "");
	check_numbers_only(scratch.fd);
}

static void test_groups(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	uint32_t gid = 77;

	make_rootfs(&scratch);
	assert_int_equal(rootfs_find_group(scratch.fd, "tape", &gid, NULL), 0);
	assert_int_equal(gid, 26);
	assert_int_equal(rootfs_find_group(scratch.fd, "last", &gid, NULL), 0);
	assert_int_equal(gid, 4294967294);
	assert_int_equal(rootfs_find_group(scratch.fd, "12345", &gid, NULL), 0);
	assert_int_equal(gid, 12345);
	assert_int_equal(rootfs_find_group(scratch.fd, "", &gid, NULL), -ENOENT);
	assert_int_equal(rootfs_find_group(scratch.fd, "short", &gid, NULL), -ENOENT);
	assert_int_equal(rootfs_find_group(scratch.fd, "bad", &gid, NULL), -ENOENT);
	assert_int_equal(gid, 12345);
}

static void test_many_groups(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	cleanup(rootfs_user_done) struct rootfs_user user = {0};
	struct rootfs_user other = {.uid = 77};
	autofree char *text = NULL;
	struct err err = {0};
	size_t length = 0;
	FILE *stream;

	make_rootfs(&scratch);
	stream = open_memstream(&text, &length);
	assert_non_null(stream);
	for (unsigned i = 0; i < ROOTFS_GROUPS_MAX; i++)
		fprintf(stream, "g%u:x:%u:web\n", i, 1000 + i);
	fflush(stream);
	put_file(scratch.fd, "etc/group", text);
	assert_int_equal(rootfs_find_user(scratch.fd, "web", &user, &err), 0);
	assert_int_equal(user.n_groups, ROOTFS_GROUPS_MAX);
	assert_int_equal(user.groups[ROOTFS_GROUPS_MAX - 1], 1000 + ROOTFS_GROUPS_MAX - 1);
	fprintf(stream, "more:x:999:web\n");
	fclose(stream);
	put_file(scratch.fd, "etc/group", text);
	assert_int_equal(rootfs_find_user(scratch.fd, "web", &other, &err), -E2BIG);
	assert_contains(err.msg, "groups");
	assert_int_equal(other.uid, 77);
}

/* ---- what a hostile one has instead ---- */

/* A test that would block ends here. */
static void use_alarm(void)
{
	alarm(20);
}

static void assert_unreadable(int rootfd)
{
	struct rootfs_user user = {.uid = 77};
	struct err err = {0};
	int r = rootfs_find_user(rootfd, "web", &user, &err);

	assert_true(r < 0 && r != -ENOENT);
	assert_contains(err.msg, "/etc/passwd");
	assert_int_equal(user.uid, 77);
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(text_copy(address.sun_path, sizeof(address.sun_path), path), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void test_odd_databases(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autofree char *path = NULL;
	autoclose int fd = -1;

	use_alarm();
	make_rootfs(&scratch);
	assert_int_equal(unlinkat(scratch.fd, "etc/passwd", 0), 0);
	assert_int_equal(mkfifoat(scratch.fd, "etc/passwd", 0666), 0);
	assert_unreadable(scratch.fd);
	assert_int_equal(unlinkat(scratch.fd, "etc/passwd", 0), 0);
	assert_int_equal(mkdirat(scratch.fd, "etc/passwd", 0755), 0);
	assert_unreadable(scratch.fd);
	assert_int_equal(unlinkat(scratch.fd, "etc/passwd", AT_REMOVEDIR), 0);
	path = text_format("%s/etc/passwd", scratch.path);
	make_socket(path);
	assert_unreadable(scratch.fd);
	assert_int_equal(unlinkat(scratch.fd, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("passwd", scratch.fd, "etc/passwd"), 0);
	assert_unreadable(scratch.fd);
	assert_int_equal(unlinkat(scratch.fd, "etc/passwd", 0), 0);
	/* Larger than any that is honest. */
	put_file(scratch.fd, "etc/passwd", passwd);
	fd = openat(scratch.fd, "etc/passwd", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_unreadable(scratch.fd);
	alarm(0);
}

/* A link in it is followed, but from its own root on. */
static void test_links_stay_inside(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	cleanup(rootfs_user_done) struct rootfs_user user = {0};
	struct rootfs_user other = {0};
	autoclose int rootfd = -1;
	autofree char *absolute = NULL;

	scratch_init(&scratch);
	put_file(scratch.fd, "secret", "outside:x:1:1::/:\n");
	assert_int_equal(mkdirat(scratch.fd, "root", 0755), 0);
	rootfd = openat(scratch.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(rootfd, "etc", 0755), 0);
	assert_int_equal(mkdirat(rootfd, "usr", 0755), 0);
	put_file(rootfd, "usr/passwd", passwd);
	assert_int_equal(symlinkat("/usr/passwd", rootfd, "etc/passwd"), 0);
	assert_int_equal(rootfs_find_user(rootfd, "web:0", &user, NULL), 0);
	assert_int_equal(user.uid, 33);
	assert_int_equal(unlinkat(rootfd, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("../../../../secret", rootfd, "etc/passwd"), 0);
	assert_int_equal(rootfs_find_user(rootfd, "outside", &other, NULL), -ENOENT);
	assert_int_equal(unlinkat(rootfd, "etc/passwd", 0), 0);
	absolute = text_format("%s/secret", scratch.path);
	assert_int_equal(symlinkat(absolute, rootfd, "etc/passwd"), 0);
	assert_int_equal(rootfs_find_user(rootfd, "outside", &other, NULL), -ENOENT);
	assert_null(other.home);
}

/* ---- programs ---- */

static void put_program(int dirfd, const char *name, const void *data, size_t length, mode_t mode)
{
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, length), 0);
	assert_int_equal(fchmod(fd, mode), 0);
}

struct elf_file {
	Elf64_Ehdr head;
	Elf64_Phdr segments[2];
	char interpreter[64];
};

/* An ELF file, as far as anybody looks: with @interpreter, a dynamic one. */
static struct elf_file make_elf(const char *interpreter)
{
	struct elf_file file = {
		.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				 EV_CURRENT},
			.e_type = ET_EXEC,
			.e_phoff = offsetof(struct elf_file, segments),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = interpreter ? 2 : 1},
		.segments = {{.p_type = PT_LOAD}},
	};

	if (!interpreter)
		return file;
	file.segments[1].p_type = PT_INTERP;
	file.segments[1].p_offset = offsetof(struct elf_file, interpreter);
	file.segments[1].p_filesz = strlen(interpreter) + 1;
	assert_int_equal(text_copy(file.interpreter, sizeof(file.interpreter), interpreter), 0);
	return file;
}

static void put_elf(int dirfd, const char *name, const char *interpreter, mode_t mode)
{
	struct elf_file file = make_elf(interpreter);

	put_program(dirfd, name, &file, sizeof(file), mode);
}

static void put_script(int dirfd, const char *name, const char *text, mode_t mode)
{
	put_program(dirfd, name, text, strlen(text), mode);
}

static int judge(int rootfd, const char *process)
{
	autoptr(json) parsed = NULL;

	assert_int_equal(json_parse("process", process, strlen(process), &parsed, NULL), 0);
	return rootfs_judge_command(rootfd, parsed);
}

static void assert_judged(int rootfd, const char *command, int expected)
{
	autofree char *process = text_format(
		"{\"args\":[\"%s\"],\"cwd\":\"/work\",\"env\":[\"A=b\",\"PATH=/none:/sbin:/bin\"]}",
		command);
	int judged = judge(rootfd, process);

	if (judged != expected)
		fail_msg("'%s' was judged %d instead of %d", command, judged, expected);
}

static void test_commands(void **state)
{
	static const struct {
		const char *command;
		int expected;
	} cases[] = {
		{"/bin/static", 125},
		{"/bin/dynamic", 125},
		{"/bin/script", 125},
		{"/bin/spaced", 125},
		{"/bin/link", 125},
		{"static", 125},
		{"./here", 125},
		{"sub/../here", 125},
		/* The first one of that name cannot run, the second can. */
		{"both", 125},
		{"/bin/absent", 127},
		{"absent", 127},
		{"", 127},
		{"/bin/static/more", 127},
		{"/bin/dangling", 127},
		/* What has to run it is not there. */
		{"/bin/dynamic-lost", 127},
		{"/bin/script-lost", 127},
		{"/bin/plain", 126},
		{"plain", 126},
		{"/bin", 126},
		{"/", 126},
		{"/bin/text", 126},
		{"/bin/empty", 126},
		{"/bin/hashbang", 126},
		{"/bin/fifo", 126},
		{"/bin/loop", 126},
		{"/bin/self", 126},
		{"/bin/script-plain", 126},
		{"/bin/script-dir", 126},
	};
	cleanup(scratch_done) struct scratch scratch;

	use_alarm();
	make_rootfs(&scratch);
	assert_int_equal(mkdirat(scratch.fd, "sbin", 0755), 0);
	assert_int_equal(mkdirat(scratch.fd, "work", 0755), 0);
	assert_int_equal(mkdirat(scratch.fd, "work/sub", 0755), 0);
	put_elf(scratch.fd, "bin/static", NULL, 0755);
	put_elf(scratch.fd, "bin/ld.so", NULL, 0755);
	put_elf(scratch.fd, "bin/dynamic", "/bin/ld.so", 0755);
	put_elf(scratch.fd, "bin/dynamic-lost", "/lib/ld.so", 0755);
	put_elf(scratch.fd, "bin/plain", NULL, 0644);
	put_elf(scratch.fd, "bin/both", NULL, 0755);
	put_elf(scratch.fd, "sbin/both", NULL, 0644);
	put_script(scratch.fd, "work/here", "#!/bin/static\n", 0755);
	put_script(scratch.fd, "bin/script", "#!/bin/static -x\n", 0755);
	put_script(scratch.fd, "bin/spaced", "#! \t/bin/static", 0755);
	put_script(scratch.fd, "bin/script-lost", "#!/bin/perl\n", 0755);
	put_script(scratch.fd, "bin/script-plain", "#!/bin/plain\n", 0755);
	put_script(scratch.fd, "bin/script-dir", "#!/bin\n", 0755);
	put_script(scratch.fd, "bin/hashbang", "#!\n/bin/static\n", 0755);
	put_script(scratch.fd, "bin/self", "#!/bin/self\n", 0755);
	put_script(scratch.fd, "bin/text", "echo\n", 0755);
	put_script(scratch.fd, "bin/empty", "", 0755);
	assert_int_equal(mkfifoat(scratch.fd, "bin/fifo", 0777), 0);
	assert_int_equal(symlinkat("/bin/static", scratch.fd, "bin/link"), 0);
	assert_int_equal(symlinkat("nothing", scratch.fd, "bin/dangling"), 0);
	assert_int_equal(symlinkat("loop", scratch.fd, "bin/loop"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_judged(scratch.fd, cases[i].command, cases[i].expected);
	alarm(0);
}

/* Without a PATH nothing is found; what is malformed is not looked into. */
static void test_odd_processes(void **state)
{
	cleanup(scratch_done) struct scratch scratch;

	make_rootfs(&scratch);
	put_elf(scratch.fd, "bin/static", NULL, 0755);
	assert_int_equal(judge(scratch.fd, "{\"args\":[\"static\"]}"), 127);
	assert_int_equal(judge(scratch.fd, "{\"args\":[\"static\"],\"env\":[1,\"PATH=/bin\"]}"), 125);
	assert_int_equal(judge(scratch.fd, "{\"args\":[\"bin/static\"]}"), 125);
	assert_int_equal(judge(scratch.fd, "{\"args\":[]}"), 127);
	assert_int_equal(judge(scratch.fd, "{\"args\":[1]}"), 127);
	assert_int_equal(judge(scratch.fd, "{\"args\":\"static\"}"), 127);
	assert_int_equal(judge(scratch.fd, "[]"), 127);
}

/* The owner here is the caller, and its group the caller's. */
static void check_permission(int rootfd, mode_t mode, const char *user, int expected)
{
	autofree char *process =
		text_format("{\"args\":[\"/bin/some\"],\"user\":{%s}}", user);
	int judged;

	assert_int_equal(fchmodat(rootfd, "bin/some", mode, 0), 0);
	judged = judge(rootfd, process);
	if (judged != expected)
		fail_msg("%o for %s was judged %d instead of %d", mode, user, judged, expected);
}

static void test_permissions(void **state)
{
	cleanup(scratch_done) struct scratch scratch;
	autofree char *owner = NULL;
	autofree char *group_only = NULL;
	autofree char *more_groups = NULL;
	const char *other = "\"uid\":54321,\"gid\":54321";

	make_rootfs(&scratch);
	put_elf(scratch.fd, "bin/some", NULL, 0755);
	owner = text_format("\"uid\":%u,\"gid\":54321", geteuid());
	group_only = text_format("\"uid\":54321,\"gid\":%u", getegid());
	more_groups = text_format(
		"\"uid\":54321,\"gid\":54321,\"additionalGids\":[5,%u]", getegid());
	check_permission(scratch.fd, 0500, owner, 125);
	check_permission(scratch.fd, 0500, other, 126);
	check_permission(scratch.fd, 0450, group_only, 125);
	check_permission(scratch.fd, 0450, more_groups, 125);
	check_permission(scratch.fd, 0450, other, 126);
	check_permission(scratch.fd, 0405, other, 125);
	check_permission(scratch.fd, 0405, group_only, 126);
	/* For root any will do. */
	check_permission(scratch.fd, 0401, "\"uid\":0,\"gid\":0", 125);
	check_permission(scratch.fd, 0401, "", 125);
	check_permission(scratch.fd, 0600, "\"uid\":0,\"gid\":0", 126);
}

static int is_static(int dirfd, const char *name)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return rootfs_is_static(fd);
}

static void test_static(void **state)
{
	static const char name[] = "program";
	cleanup(scratch_done) struct scratch scratch;
	struct elf_file file;

	scratch_init(&scratch);
	put_elf(scratch.fd, name, NULL, 0755);
	assert_int_equal(is_static(scratch.fd, name), 1);
	put_elf(scratch.fd, name, "/lib/ld.so", 0755);
	assert_int_equal(is_static(scratch.fd, name), 0);
	put_script(scratch.fd, name, "#!/bin/sh\n", 0755);
	assert_int_equal(is_static(scratch.fd, name), 0);
	put_script(scratch.fd, name, "text", 0755);
	assert_int_equal(is_static(scratch.fd, name), -ENOEXEC);
	put_script(scratch.fd, name, "", 0755);
	assert_int_equal(is_static(scratch.fd, name), -ENOEXEC);
	/* The test's own program is a real one. */
	assert_int_equal(is_static(AT_FDCWD, "/proc/self/exe"), 0);
	/* Numbers that lead nowhere. */
	file = make_elf("/lib/ld.so");
	file.segments[1].p_offset = UINT64_MAX;
	put_program(scratch.fd, name, &file, sizeof(file), 0755);
	assert_true(is_static(scratch.fd, name) >= 0);
	file = make_elf("/lib/ld.so");
	file.segments[1].p_filesz = UINT64_MAX;
	put_program(scratch.fd, name, &file, sizeof(file), 0755);
	assert_true(is_static(scratch.fd, name) >= 0);
	file = make_elf("/lib/ld.so");
	file.head.e_phoff = UINT64_MAX - 1;
	file.head.e_phnum = UINT16_MAX;
	put_program(scratch.fd, name, &file, sizeof(file), 0755);
	assert_true(is_static(scratch.fd, name) >= 0);
	for (size_t length = 0; length < sizeof(file); length++) {
		file = make_elf("/lib/ld.so");
		put_program(scratch.fd, name, &file, length, 0755);
		is_static(scratch.fd, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_users_refused),
		cmocka_unit_test(test_no_databases),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_many_groups),
		cmocka_unit_test(test_odd_databases),
		cmocka_unit_test(test_links_stay_inside),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_odd_processes),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_static),
	};

	return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
