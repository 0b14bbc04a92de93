/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Processes by pid and start time: see proc.h. */

#include "proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

#define STAT_MAX 1024
#define STATUS_MAX 8192
/* How far up the tree a hook looks for the container's first process. */
#define ANCESTORS_MAX 16

static int read_at(int dirfd, const char *name, char *buffer, size_t size)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	do {
		n = read(fd, buffer + used, size - 1 - used);
		if (n > 0)
			used += (size_t)n;
	} while ((n < 0 && errno == EINTR) || (n > 0 && used < size - 1));
	if (n < 0)
		return -errno;
	buffer[used] = '\0';
	return 0;
}

/* proc_pid_stat(5): the command may contain anything, so count fields after its last ')'. */
static int parse_stat(char *text, char *ret_state, uint64_t *ret_start)
{
	char *field = strrchr(text, ')');
	char *end;

	if (!field || field[1] != ' ')
		return -EINVAL;
	field += 2;
	*ret_state = *field;
	for (int i = 3; i < 22; i++) {
		field = strchr(field, ' ');
		if (!field)
			return -EINVAL;
		field++;
	}
	end = strchr(field, ' ');
	if (!end)
		return -EINVAL;
	*end = '\0';
	return text_to_uint64(field, 0, UINT64_MAX, ret_start);
}

static int identify_dir(int procdir, uint64_t *ret_start)
{
	char text[STAT_MAX];
	char state = 0;
	int r;

	r = read_at(procdir, "stat", text, sizeof(text));
	if (r == 0)
		r = parse_stat(text, &state, ret_start);
	if (r < 0)
		return r;
	return state == 'Z' || state == 'X' ? -ESRCH : 0;
}

static int open_pid_dir(pid_t pid, int *ret)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	*ret = fd;
	return 0;
}

int proc_identify(pid_t pid, struct proc_id *ret)
{
	autoclose int dir = -1;
	uint64_t start;
	int r;

	if (pid <= 0)
		return -ESRCH;
	r = open_pid_dir(pid, &dir);
	if (r == 0)
		r = identify_dir(dir, &start);
	if (r < 0)
		return r;
	ret->pid = pid;
	ret->start_time = start;
	return 0;
}

bool proc_alive(const struct proc_id *id)
{
	struct proc_id now;

	return id->pid > 0 && proc_identify(id->pid, &now) == 0 &&
	       now.start_time == id->start_time;
}

int proc_open_dir(const struct proc_id *id, int *ret_dirfd)
{
	autoclose int dir = -1;
	uint64_t start;
	int r;

	if (id->pid <= 0)
		return -ESRCH;
	r = open_pid_dir(id->pid, &dir);
	if (r == 0)
		r = identify_dir(dir, &start);
	if (r < 0)
		return r;
	if (start != id->start_time)
		return -ESRCH;
	*ret_dirfd = take_fd(&dir);
	return 0;
}

int proc_open(const struct proc_id *id, int *ret_pidfd)
{
	autoclose int fd = -1;

	if (id->pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	if (fd < 0)
		return -errno;
	/* The pidfd holds the pid: what the start time says now stays true for it. */
	if (!proc_alive(id))
		return -ESRCH;
	*ret_pidfd = take_fd(&fd);
	return 0;
}

int proc_open_child(pid_t pid, int *ret_pidfd)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -errno;
	*ret_pidfd = fd;
	return 0;
}

int proc_self(struct proc_id *ret)
{
	char link[32];
	uint32_t pid;
	ssize_t n;

	n = readlink("/proc/self", link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';
	if (text_to_uint32(link, 1, INT32_MAX, &pid) < 0)
		return -EINVAL;
	return proc_identify((pid_t)pid, ret);
}

struct lineage {
	pid_t parent;
	unsigned levels;   /* pid namespaces from /proc's down to its own */
	uint32_t innermost; /* its pid in its own */
};

/* "NSpid:\t100\t11\n": the pid in each pid namespace, from that of /proc inwards. */
static int parse_nspid(const char *line, struct lineage *ret)
{
	ret->levels = 0;
	while (*line && *line != '\n') {
		char digits[16];
		size_t n = 0;

		while (*line == '\t' || *line == ' ')
			line++;
		while (n < sizeof(digits) - 1 && isdigit((unsigned char)line[n]))
			n++;
		if (n == 0)
			break;
		memcpy(digits, line, n);
		digits[n] = '\0';
		if (text_to_uint32(digits, 0, INT32_MAX, &ret->innermost) < 0)
			return -EINVAL;
		ret->levels++;
		line += n;
	}
	return ret->levels > 0 ? 0 : -EINVAL;
}

static int read_lineage(pid_t pid, struct lineage *ret)
{
	autoclose int dir = -1;
	char text[STATUS_MAX];
	const char *ppid, *nspid;
	struct lineage parent;
	int r;

	r = open_pid_dir(pid, &dir);
	if (r == 0)
		r = read_at(dir, "status", text, sizeof(text));
	if (r < 0)
		return r;
	ppid = strstr(text, "\nPPid:");
	nspid = strstr(text, "\nNSpid:");
	if (!ppid || !nspid || parse_nspid(ppid + 6, &parent) < 0)
		return -EINVAL;
	r = parse_nspid(nspid + 7, ret);
	if (r < 0)
		return r;
	ret->parent = (pid_t)parent.innermost;
	return 0;
}

bool proc_is_own(void)
{
	struct proc_id self;
	struct lineage lineage;

	return proc_self(&self) == 0 && read_lineage(self.pid, &lineage) == 0 &&
	       lineage.levels == 1;
}

/* The first process on the way up from @pid in its pid namespace: number 1 there, or, in one that
 * is shared with others, whose parent is outside. Return: 0 or -ESRCH. */
static int find_first(pid_t pid, unsigned levels, pid_t *ret)
{
	struct lineage lineage = {.parent = pid};

	for (int i = 0; i < ANCESTORS_MAX; i++) {
		/* One above all that /proc shows is 0 there. */
		if (i > 0 && lineage.parent == 0)
			return 0;
		if (read_lineage(lineage.parent, &lineage) < 0)
			return -ESRCH;
		if (lineage.levels != levels)
			return i > 0 ? 0 : -ESRCH;
		*ret = pid;
		if (lineage.innermost == 1)
			return 0;
		pid = lineage.parent;
	}
	return -ESRCH;
}

int proc_container_init(struct proc_id *ret, struct err *err)
{
	struct lineage lineage;
	struct proc_id self;
	pid_t pid;
	int r;

	r = proc_self(&self);
	if (r == 0)
		r = read_lineage(self.pid, &lineage);
	if (r < 0)
		return err_set(err, r, "cannot find this process in /proc: %s", strerror(-r));
	pid = lineage.parent;
	if (lineage.levels > 1)
		r = find_first(pid, lineage.levels, &pid);
	if (r < 0)
		return err_set(err, r, "cannot find the container's first process above process %d",
			(int)self.pid);
	r = proc_identify(pid, ret);
	if (r < 0)
		return err_set(err, r, "the container's first process (%d) is gone", (int)pid);
	return 0;
}

int proc_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int proc_wait(int pidfd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
	int r;

	do {
		r = poll(&poll_fd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

int proc_boot_id(char ret[PROC_BOOT_ID_SIZE])
{
	char text[64];
	size_t n = 0;
	int r;

	r = read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, sizeof(text));
	if (r < 0)
		return r;
	for (const char *c = text; *c && n < PROC_BOOT_ID_SIZE - 1; c++)
		if (isxdigit((unsigned char)*c))
			ret[n++] = *c;
	ret[n] = '\0';
	return n == PROC_BOOT_ID_SIZE - 1 ? 0 : -EINVAL;
}
