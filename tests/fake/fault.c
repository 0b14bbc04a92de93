/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A library that is loaded before others (ld.so(8), /etc/ld.so.preload) and has one call of a
 * program of podd's fail that changes a file system, or ends the program there. Beside the library
 * lies the file "fault-control": "TOKEN PROGRAM N ACTION" with ACTION one of ENOSPC, EIO, KILL. The
 * N-th such call of the first process of that name that comes so far fails, once; then a file
 * "fault-fired" appears there, to be removed before the next time. Another TOKEN begins anew, also
 * in processes that run already. Without the file, and in other programs, it does nothing.
 *
 * Counted are: making, opening for writing, writing to (regular files only), syncing, truncating,
 * renaming, linking and removing files and directories.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONTROL_MAX 128

static char directory[4096];
static char token[32];
static unsigned long count;
static bool fired;

/* Of sanitizers: they want to be loaded first. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "verify_asan_link_order=0";
}

static bool is_ours(void)
{
	static const char *const names[] = {"podctl", "podd", "podd-shim", "podd-hook"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(program_invocation_short_name, names[i]) == 0)
			return true;
	return false;
}

static void __attribute__((constructor)) find_directory(void)
{
	Dl_info info;
	char *slash;

	if (!is_ours() || dladdr((void *)find_directory, &info) == 0 ||
		strlen(info.dli_fname) >= sizeof(directory) - 32)
		return;
	memcpy(directory, info.dli_fname, strlen(info.dli_fname) + 1);
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
	else
		directory[0] = '\0';
}

/* None of what is counted itself. */
static bool read_control(char text[CONTROL_MAX])
{
	char path[sizeof(directory) + 32];
	long fd, n;

	if (!directory[0])
		return false;
	snprintf(path, sizeof(path), "%s/fault-control", directory);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = syscall(SYS_read, fd, text, CONTROL_MAX - 1);
	syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Return: false when another process was first. */
static bool tell(const char *what)
{
	char path[sizeof(directory) + 32];
	long fd;

	snprintf(path, sizeof(path), "%s/fault-fired", directory);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return false;
	syscall(SYS_write, fd, what, strlen(what));
	syscall(SYS_write, fd, "\n", 1);
	syscall(SYS_close, fd);
	return true;
}

/* Return: 0, or -1 with errno for the call that shall fail. */
static int fault(const char *what)
{
	char text[CONTROL_MAX], new_token[32], program[32], action[16];
	int saved = errno;
	unsigned long at;

	if (!read_control(text) ||
		sscanf(text, "%31s %31s %lu %15s", new_token, program, &at, action) != 4 ||
		strcmp(program, program_invocation_short_name) != 0) {
		errno = saved;
		return 0;
	}
	if (strcmp(new_token, token) != 0) {
		memcpy(token, new_token, sizeof(token));
		count = 0;
		fired = false;
	}
	errno = saved;
	if (fired || ++count != at)
		return 0;
	fired = true;
	if (!tell(what))
		return 0;
	if (strcmp(action, "KILL") == 0)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	errno = strcmp(action, "EIO") == 0 ? EIO : ENOSPC;
	return -1;
}

static void *next(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (!symbol)
		abort();
	return symbol;
}

#define NEXT(name, type) ((type)next(name))

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t write(int fd, const void *data, size_t length)
{
	if (directory[0] && is_file(fd) && fault("write") < 0)
		return -1;
	return NEXT("write", ssize_t(*)(int, const void *, size_t))(fd, data, length);
}

int fsync(int fd)
{
	return fault("fsync") < 0 ? -1 : NEXT("fsync", int (*)(int))(fd);
}

int ftruncate(int fd, off_t length)
{
	return fault("ftruncate") < 0 ? -1 : NEXT("ftruncate", int (*)(int, off_t))(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
	return fault("ftruncate") < 0 ? -1 : NEXT("ftruncate64", int (*)(int, off64_t))(fd, length);
}

int rename(const char *from, const char *to)
{
	return fault("rename") < 0 ? -1
				   : NEXT("rename", int (*)(const char *, const char *))(from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	if (fault("renameat") < 0)
		return -1;
	return NEXT("renameat", int (*)(int, const char *, int, const char *))(
		from_fd, from, to_fd, to);
}

int unlink(const char *path)
{
	return fault("unlink") < 0 ? -1 : NEXT("unlink", int (*)(const char *))(path);
}

int unlinkat(int fd, const char *path, int flags)
{
	if (fault("unlinkat") < 0)
		return -1;
	return NEXT("unlinkat", int (*)(int, const char *, int))(fd, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
	return fault("mkdir") < 0 ? -1 : NEXT("mkdir", int (*)(const char *, mode_t))(path, mode);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
	if (fault("mkdirat") < 0)
		return -1;
	return NEXT("mkdirat", int (*)(int, const char *, mode_t))(fd, path, mode);
}

int symlinkat(const char *target, int fd, const char *path)
{
	if (fault("symlinkat") < 0)
		return -1;
	return NEXT("symlinkat", int (*)(const char *, int, const char *))(target, fd, path);
}

static bool changes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
}

/* Devices are no part of a file system that could be full. */
static bool is_of_interest(const char *path, int flags)
{
	return changes(flags) && strncmp(path, "/dev/", 5) != 0 && strncmp(path, "/proc/", 6) != 0;
}

#define OPENAT(name)                                                                             \
	int name(int fd, const char *path, int flags, ...)                                       \
	{                                                                                        \
		va_list arguments;                                                               \
		mode_t mode;                                                                     \
                                                                                                 \
		va_start(arguments, flags);                                                      \
		mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;            \
		va_end(arguments);                                                               \
		if (is_of_interest(path, flags) && fault(#name) < 0)                             \
			return -1;                                                               \
		return NEXT(#name, int (*)(int, const char *, int, ...))(fd, path, flags, mode); \
	}

#define OPEN(name)                                                                      \
	int name(const char *path, int flags, ...)                                      \
	{                                                                               \
		va_list arguments;                                                      \
		mode_t mode;                                                            \
                                                                                        \
		va_start(arguments, flags);                                             \
		mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;   \
		va_end(arguments);                                                      \
		if (is_of_interest(path, flags) && fault(#name) < 0)                    \
			return -1;                                                      \
		return NEXT(#name, int (*)(const char *, int, ...))(path, flags, mode); \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
