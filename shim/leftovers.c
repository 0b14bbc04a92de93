/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is left of a container: see leftovers.h. */

#include "leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

static bool is_in(int procdir, const char *pid, const struct ns_id *mounts)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "%.16s/ns/mnt", pid);
	return fstatat(procdir, path, &st, 0) == 0 && st.st_dev == mounts->device &&
	       st.st_ino == mounts->inode;
}

/* Looked at again once the pidfd holds it: the pid may be another's by now. */
static bool kill_one(int procdir, const char *name, const struct ns_id *mounts)
{
	autoclose int pidfd = -1;
	uint32_t pid;

	if (text_to_uint32(name, 2, INT32_MAX, &pid) < 0 || !is_in(procdir, name, mounts))
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (pidfd < 0 || !is_in(procdir, name, mounts))
		return false;
	return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
}

unsigned leftovers_kill(const struct ns_id *mounts)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned found = 0;

	while (proc && (entry = readdir(proc)))
		found += kill_one(dirfd(proc), entry->d_name, mounts);
	if (proc)
		closedir(proc);
	return found;
}
