/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Users, groups and programs of a root file system: see rootfs.h. The file system belongs to
 * somebody who may want us to follow a link out of it, to wait for a fifo, or to read without end.
 */

#include "rootfs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "text.h"

/* Of /etc/passwd and /etc/group. */
#define DATABASE_BYTES_MAX (4 * 1024 * 1024)
/* (uid_t)-1 is no user. */
#define ID_MAX (UINT32_MAX - 1)
#define QUOTE_SIZE 100
/* Of a program: what names the other program that runs it. */
#define HEAD_BYTES 512
#define PROGRAM_HEADERS_MAX 64
#define INTERPRETER_MAX 256
/* Programs that name one another; the kernel takes four (BINPRM_MAX_RECURSION before Linux 5.8:
 * five). */
#define INTERPRETERS_MAX 4

#define JUDGED_GOOD 125
#define JUDGED_NOT_RUNNABLE 126
#define JUDGED_NOT_FOUND 127

/* Names what is there, without opening it. Return: an O_PATH fd or -errno. */
static int find(int rootfd, const char *path)
{
	return fd_openat2(rootfd, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* Opens for reading what find() found, which cannot be another file by now. */
static int reopen(int pathfd)
{
	char path[sizeof("/proc/self/fd/") + 16];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", pathfd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int read_regular(int rootfd, const char *path, size_t max, char **ret)
{
	autoclose int found = find(rootfd, path);
	autoclose int fd = -1;
	struct stat st;
	size_t length;

	if (found < 0)
		return found;
	if (fstat(found, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	fd = reopen(found);
	return fd < 0 ? fd : fd_read_all(fd, max, ret, &length);
}

/* Reads a database; one that is not there is empty. */
static int read_database(int rootfd, const char *path, char **ret, struct err *err)
{
	int r = rootfd < 0 ? -ENOENT : read_regular(rootfd, path, DATABASE_BYTES_MAX, ret);

	if (r == -ENOENT || r == -ENOTDIR) {
		*ret = strdup("");
		return *ret ? 0 : err_oom(err);
	}
	if (r < 0)
		return err_set(err, r, "reading /%s of the root file system: %s", path,
			r == -EINVAL ? "it is no regular file" : strerror(-r));
	return 0;
}

/* Splits the next line of @rest into @n fields at ':'; lines with fewer are skipped. */
static bool next_entry(char **rest, char **fields, size_t n)
{
	char *line;

	while ((line = strsep(rest, "\n"))) {
		size_t i = 0;

		for (; i < n && line; i++)
			fields[i] = strsep(&line, ":");
		if (i == n && fields[0][0])
			return true;
	}
	return false;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int parse_id(const char *text, const char *what, uint32_t *ret, struct err *err)
{
	char quote[QUOTE_SIZE];

	if (text_to_uint32(text, 0, ID_MAX, ret) == 0)
		return 0;
	return err_set(err, -EINVAL, "\"%s\" is no %s id",
		text_sanitize(quote, sizeof(quote), text), what);
}

/* ---- groups ---- */

int rootfs_find_group(int rootfd, const char *text, uint32_t *ret, struct err *err)
{
	autofree char *database = NULL;
	char quote[QUOTE_SIZE];
	char *fields[3], *rest;
	int r;

	if (is_number(text))
		return parse_id(text, "group", ret, err);
	r = read_database(rootfd, "etc/group", &database, err);
	if (r < 0)
		return r;
	rest = database;
	while (next_entry(&rest, fields, 3))
		if (strcmp(fields[0], text) == 0 && text_to_uint32(fields[2], 0, ID_MAX, ret) == 0)
			return 0;
	return err_set(err, -ENOENT,
		"there is no group \"%s\" in /etc/group of the root file system",
		text_sanitize(quote, sizeof(quote), text));
}

static bool is_member(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == length && memcmp(list, name, n) == 0)
			return true;
		list += n;
		list += *list == ',';
	}
	return false;
}

/* The groups that list @name. */
static int add_memberships(int rootfd, const char *name, struct rootfs_user *user, struct err *err)
{
	autofree char *database = NULL;
	char *fields[4], *rest;
	int r = read_database(rootfd, "etc/group", &database, err);

	if (r < 0)
		return r;
	rest = database;
	while (next_entry(&rest, fields, 4)) {
		uint32_t gid;

		if (!is_member(fields[3], name) || text_to_uint32(fields[2], 0, ID_MAX, &gid) < 0 ||
			gid == user->gid)
			continue;
		if (user->n_groups == ROOTFS_GROUPS_MAX)
			return err_set(err, -E2BIG, "user \"%s\" is in more than %d groups", name,
				ROOTFS_GROUPS_MAX);
		user->groups[user->n_groups++] = gid;
	}
	return 0;
}

/* ---- users ---- */

/* Fills @user from the first entry of that name or number. *ret_name is in @database. Return: 0,
 * -ENOENT. */
static int find_entry(char *database, const char *text, struct rootfs_user *user,
	const char **ret_name, struct err *err)
{
	bool number = is_number(text);
	char *fields[6], *rest = database;
	uint32_t wanted = 0, uid, gid;
	int r = number ? parse_id(text, "user", &wanted, err) : 0;

	if (r < 0)
		return r;
	while (next_entry(&rest, fields, 6)) {
		if (text_to_uint32(fields[2], 0, ID_MAX, &uid) < 0 ||
			text_to_uint32(fields[3], 0, ID_MAX, &gid) < 0)
			continue;
		if (strcmp(fields[0], text) != 0 && !(number && uid == wanted))
			continue;
		user->uid = uid;
		user->gid = gid;
		user->home = strdup(fields[5][0] == '/' ? fields[5] : "/");
		*ret_name = fields[0];
		return user->home ? 0 : err_oom(err);
	}
	user->uid = wanted;
	return -ENOENT;
}

static int find_user(int rootfd, const char *text, bool has_group, struct rootfs_user *user,
	struct err *err)
{
	autofree char *database = NULL;
	const char *name = NULL;
	char quote[QUOTE_SIZE];
	int r = read_database(rootfd, "etc/passwd", &database, err);

	if (r == 0)
		r = find_entry(database, text, user, &name, err);
	if (r == -ENOENT && is_number(text)) {
		user->home = strdup("/");
		return user->home ? 0 : err_oom(err);
	}
	if (r == -ENOENT)
		return err_set(err, r,
			"there is no user \"%s\" in /etc/passwd of the root file system",
			text_sanitize(quote, sizeof(quote), text));
	/* As everywhere: who says the group gets no others. */
	return r < 0 || has_group ? r : add_memberships(rootfd, name, user, err);
}

int rootfs_find_user(int rootfd, const char *text, struct rootfs_user *ret, struct err *err)
{
	cleanup(rootfs_user_done) struct rootfs_user user = {0};
	autofree char *copy = strdup(text && *text ? text : "0");
	char *group = copy, *name;
	int r;

	if (!copy)
		return err_oom(err);
	name = strsep(&group, ":");
	if (group && !*group)
		group = NULL;
	r = find_user(rootfd, *name ? name : "0", group, &user, err);
	if (r == 0 && group)
		r = rootfs_find_group(rootfd, group, &user.gid, err);
	if (r < 0)
		return r;
	*ret = user;
	user = (struct rootfs_user){0};
	return 0;
}

void rootfs_user_done(struct rootfs_user *user)
{
	free(user->home);
	user->home = NULL;
}

/* ---- programs ---- */

/* Where a program's head, in a buffer, names the one that runs it. */
struct head {
	unsigned char bytes[HEAD_BYTES + 1];
	size_t length;
};

static int read_head(int fd, struct head *head)
{
	ssize_t n = pread(fd, head->bytes, HEAD_BYTES, 0);

	if (n < 0)
		return -errno;
	head->length = (size_t)n;
	head->bytes[n] = '\0';
	return 0;
}

/* "#!/bin/sh -e". Return: 1 with the interpreter, 0 when there is none. */
static int script_interpreter(const struct head *head, char ret[INTERPRETER_MAX])
{
	const char *start = (const char *)head->bytes + 2;
	size_t n;

	start += strspn(start, " \t");
	n = strcspn(start, " \t\n");
	if (n == 0 || n >= INTERPRETER_MAX)
		return 0;
	memcpy(ret, start, n);
	ret[n] = '\0';
	return 1;
}

/* A program header, of either class. */
static int read_segment(int fd, const struct head *head, unsigned index, uint32_t *ret_type,
	uint64_t *ret_offset, uint64_t *ret_size)
{
	union {
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} file = {0};
	union {
		Elf32_Phdr p32;
		Elf64_Phdr p64;
	} segment = {0};
	bool is64 = head->bytes[EI_CLASS] == ELFCLASS64;
	size_t size = is64 ? sizeof(segment.p64) : sizeof(segment.p32);
	uint64_t offset;

	memcpy(&file, head->bytes, sizeof(file));
	offset = is64 ? file.e64.e_phoff : file.e32.e_phoff;
	if (index >= (is64 ? file.e64.e_phnum : file.e32.e_phnum) || offset > INT32_MAX ||
		pread(fd, &segment, size, (off_t)(offset + index * size)) != (ssize_t)size)
		return -EINVAL;
	*ret_type = is64 ? segment.p64.p_type : segment.p32.p_type;
	*ret_offset = is64 ? segment.p64.p_offset : segment.p32.p_offset;
	*ret_size = is64 ? segment.p64.p_filesz : segment.p32.p_filesz;
	return 0;
}

/* The dynamic linker that an ELF file asks for (elf(5), PT_INTERP). Files of the other byte order
 * are none of this machine's: nothing is found in them. Return: 1, or 0. */
static int elf_interpreter(int fd, const struct head *head, char ret[INTERPRETER_MAX])
{
	if (head->length < sizeof(Elf64_Ehdr))
		return 0;
	for (unsigned i = 0; i < PROGRAM_HEADERS_MAX; i++) {
		uint64_t offset, size;
		uint32_t type;

		if (read_segment(fd, head, i, &type, &offset, &size) < 0)
			return 0;
		if (type != PT_INTERP)
			continue;
		if (size == 0 || size >= INTERPRETER_MAX || offset > INT32_MAX ||
			pread(fd, ret, (size_t)size, (off_t)offset) != (ssize_t)size)
			return 0;
		ret[size] = '\0';
		return *ret ? 1 : 0;
	}
	return 0;
}

/* What runs this program, if it is not one by itself. Return: 1, 0 (nothing, or it cannot be told),
 * -ENOEXEC for what is no program. */
static int find_interpreter(int fd, char ret[INTERPRETER_MAX])
{
	struct head head;

	if (read_head(fd, &head) < 0)
		return 0;
	if (head.length >= 2 && memcmp(head.bytes, "#!", 2) == 0)
		return script_interpreter(&head, ret) ? 1 : -ENOEXEC;
	if (head.length >= SELFMAG && memcmp(head.bytes, ELFMAG, SELFMAG) == 0)
		return elf_interpreter(fd, &head, ret);
	return -ENOEXEC;
}

int rootfs_is_static(int fd)
{
	char interpreter[INTERPRETER_MAX];
	int r = find_interpreter(fd, interpreter);

	return r < 0 ? r : r == 0;
}

/* The process as far as permissions go. */
struct runner {
	int rootfd;
	uint32_t uid;
	const struct json *user;
};

static bool has_group(const struct runner *runner, gid_t gid)
{
	const struct json *more = json_get(runner->user, "additionalGids");
	int64_t number = 0;

	if (json_int(json_get(runner->user, "gid"), &number) == 0 && number == (int64_t)gid)
		return true;
	for (size_t i = 0; i < json_length(more); i++)
		if (json_int(json_at(more, i), &number) == 0 && number == (int64_t)gid)
			return true;
	return false;
}

static bool may_execute(const struct runner *runner, const struct stat *st)
{
	if (runner->uid == 0)
		return st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH);
	if (runner->uid == st->st_uid)
		return st->st_mode & S_IXUSR;
	if (has_group(runner, st->st_gid))
		return st->st_mode & S_IXGRP;
	return st->st_mode & S_IXOTH;
}

/* Judges a file by its path, and then what has to run it. */
static int judge_file(const struct runner *runner, const char *path)
{
	char interpreter[INTERPRETER_MAX];
	char next[INTERPRETER_MAX];

	for (unsigned depth = 0; depth < INTERPRETERS_MAX; depth++) {
		autoclose int found = find(runner->rootfd, path);
		autoclose int fd = -1;
		struct stat st;
		int r;

		if (found < 0)
			return found == -ENOENT || found == -ENOTDIR ? JUDGED_NOT_FOUND
								     : JUDGED_NOT_RUNNABLE;
		if (fstat(found, &st) < 0 || !S_ISREG(st.st_mode) || !may_execute(runner, &st))
			return JUDGED_NOT_RUNNABLE;
		fd = reopen(found);
		if (fd < 0)
			return JUDGED_GOOD;
		r = find_interpreter(fd, next);
		if (r <= 0)
			return r < 0 ? JUDGED_NOT_RUNNABLE : JUDGED_GOOD;
		memcpy(interpreter, next, sizeof(next));
		path = interpreter;
	}
	return JUDGED_NOT_RUNNABLE;
}

static const char *find_search_path(const struct json *process)
{
	const struct json *env = json_get(process, "env");

	for (size_t i = 0; i < json_length(env); i++) {
		const char *entry = json_string(json_at(env, i));

		if (entry && text_starts_with(entry, "PATH="))
			return entry + strlen("PATH=");
	}
	return "";
}

/* As execvp(3): the first that can be executed; one that cannot counts only when there is no other. */
static int judge_by_search(const struct runner *runner, const struct json *process, const char *name)
{
	int verdict = JUDGED_NOT_FOUND;
	autostrv dirs = NULL;

	if (strv_split(find_search_path(process), ':', &dirs) < 0)
		return JUDGED_GOOD;
	for (size_t i = 0; dirs && dirs[i]; i++) {
		autofree char *path = text_format("%s/%s", dirs[i], name);
		int judged = path ? judge_file(runner, path) : JUDGED_GOOD;

		if (judged == JUDGED_GOOD)
			return judged;
		if (judged != JUDGED_NOT_FOUND)
			verdict = judged;
	}
	return verdict;
}

int rootfs_judge_command(int rootfd, const struct json *process)
{
	const char *name = json_string(json_at(json_get(process, "args"), 0));
	const char *cwd = json_string(json_get(process, "cwd"));
	struct runner runner = {.rootfd = rootfd, .user = json_get(process, "user")};
	autofree char *path = NULL;
	int64_t uid = 0;

	if (!name || json_int(json_get(runner.user, "uid"), &uid) < 0)
		uid = 0;
	runner.uid = (uint32_t)uid;
	if (!name || !*name)
		return JUDGED_NOT_FOUND;
	if (!strchr(name, '/'))
		return judge_by_search(&runner, process, name);
	path = name[0] == '/' ? strdup(name) : text_format("%s/%s", cwd ? cwd : "", name);
	return path ? judge_file(&runner, path) : JUDGED_GOOD;
}
