/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What several unit tests need: a directory that goes away, files in it, and children in which
 * an assertion that fails ends the child and with it the test. Include it after cmocka.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "idmap.h"

#define FIXTURE_FILE_MAX (1024 * 1024)

struct scratch {
	char path[32];
	int fd;
};

static inline void scratch_init(struct scratch *scratch)
{
	*scratch = (struct scratch){.path = "/tmp/podd-test-XXXXXX"};
	assert_non_null(mkdtemp(scratch->path));
	scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(scratch->fd >= 0);
}

static inline void scratch_done(struct scratch *scratch)
{
	autoclose int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(scratch->fd);
	assert_int_equal(file_remove_tree(tmp, strrchr(scratch->path, '/') + 1, NULL), 0);
}

static inline void put_file(int dirfd, const char *name, const char *text)
{
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static inline void assert_file(int dirfd, const char *name, const char *expected)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	autofree char *text = NULL;
	size_t length;

	assert_true(fd >= 0);
	assert_int_equal(fd_read_all(fd, FIXTURE_FILE_MAX, &text, &length), 0);
	assert_string_equal(text, expected);
}

static inline bool exists(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' does not contain '%s'", text, part);
}

/* As fork(2). In the child, a failed assertion says so on stderr and ends it with SIGABRT. */
static inline pid_t child_fork(void)
{
	static const struct rlimit no_core = {0, 0};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setrlimit(RLIMIT_CORE, &no_core);
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		setenv("CMOCKA_MESSAGE_OUTPUT", "STDOUT", 1);
	}
	return pid;
}

static inline void child_wait(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("the child ended with wait status 0x%x", (unsigned)status);
}

/* Runs a function in a child and waits for it. */
static inline void run_child(void (*function)(void *), void *argument)
{
	pid_t pid = child_fork();

	if (pid == 0) {
		function(argument);
		_exit(0);
	}
	child_wait(pid);
}

static inline void write_proc_self(const char *name, const char *text)
{
	autoclose int procdir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = openat(procdir, name, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Moves the caller into a new user namespace, in which its user and group are @id and there are
 * no others; with namespaces of the other kinds in @flags. It has all capabilities in them. */
static inline void enter_user_namespace(int flags, unsigned id)
{
	unsigned uid = geteuid(), gid = getegid();
	char text[64];

	assert_int_equal(unshare(CLONE_NEWUSER | flags), 0);
	write_proc_self("setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", id, uid);
	write_proc_self("uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", id, gid);
	write_proc_self("gid_map", text);
}

/* Runs a function as root of a new user namespace with the maps @uids and @gids, which a
 * process outside of it writes. */
static inline void run_with_maps(const struct idmap *uids, const struct idmap *gids,
	void (*function)(void *), void *argument)
{
	int entered[2], mapped[2];
	struct err err = {0};
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(entered, O_CLOEXEC), 0);
	assert_int_equal(pipe2(mapped, O_CLOEXEC), 0);
	pid = child_fork();
	if (pid == 0) {
		close(mapped[1]);
		assert_int_equal(unshare(CLONE_NEWUSER), 0);
		assert_int_equal(write(entered[1], &byte, 1), 1);
		assert_int_equal(read(mapped[0], &byte, 1), 1);
		assert_int_equal(setresgid(0, 0, 0), 0);
		assert_int_equal(setresuid(0, 0, 0), 0);
		function(argument);
		_exit(0);
	}
	close(entered[1]);
	close(mapped[0]);
	assert_int_equal(read(entered[0], &byte, 1), 1);
	if (idmap_write(pid, uids, gids, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(write(mapped[1], &byte, 1), 1);
	close(entered[0]);
	close(mapped[1]);
	child_wait(pid);
}

/* The same with every id that the caller can have mapped: at least 0 to 9. */
static inline void run_with_ids(void (*function)(void *), void *argument)
{
	struct idmap uids, gids;
	const char *warning;
	uint32_t host;

	assert_int_equal(idmap_default(IDMAP_UID, &uids, &warning, NULL), 0);
	assert_int_equal(idmap_default(IDMAP_GID, &gids, &warning, NULL), 0);
	if (idmap_to_host(&uids, 9, &host) < 0 || idmap_to_host(&gids, 9, &host) < 0)
		fail_msg("this test needs a range in /etc/subuid and /etc/subgid");
	run_with_maps(&uids, &gids, function, argument);
}
