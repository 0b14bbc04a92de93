/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks at /proc once and answers for many containers, see processes.h. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

#include "processes.h"

void processes_done(struct processes *processes)
{
	free(processes->list);
	*processes = (struct processes){};
}

/* A namespace's file is its inode, also for stat(2), which opens nothing. */
static int identify(int procfd, pid_t pid, const char *kind, struct ns_id *ret)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "%d/ns/%s", (int)pid, kind);
	if (fstatat(procfd, path, &st, 0) < 0)
		return -errno;
	*ret = (struct ns_id){.device = st.st_dev, .inode = st.st_ino};
	return 0;
}

static int add(struct processes *processes, size_t *size, int procfd, pid_t pid)
{
	struct process process = {.pid = pid};

	/* One that has ended, or is none of the caller's. */
	if (identify(procfd, pid, "pid", &process.pid_ns) < 0 ||
		identify(procfd, pid, "mnt", &process.mount_ns) < 0)
		return 0;
	if (processes->n == *size) {
		size_t larger = *size ? *size * 2 : 64;
		struct process *list =
			reallocarray(processes->list, larger, sizeof(*processes->list));

		if (!list)
			return -ENOMEM;
		processes->list = list;
		*size = larger;
	}
	processes->list[processes->n++] = process;
	return 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int processes_read(struct processes *ret, struct err *err)
{
	cleanup(processes_done) struct processes processes = {};
	cleanup(close_dir) DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t size = 0;
	int r = 0;

	if (!dir)
		return err_errno(err, "reading /proc");
	while (r == 0 && processes.n < PROCESSES_MAX && (entry = readdir(dir))) {
		uint32_t pid;

		if (text_to_uint32(entry->d_name, 1, INT32_MAX, &pid) == 0)
			r = add(&processes, &size, dirfd(dir), (pid_t)pid);
	}
	if (r < 0)
		return err_oom(err);
	*ret = processes;
	processes = (struct processes){};
	return 0;
}

void processes_each(const struct processes *processes, pid_t init, bool share_pid,
	void (*action)(pid_t pid, void *userdata), void *userdata)
{
	const struct process *first = NULL;

	for (size_t i = 0; i < processes->n; i++)
		if (processes->list[i].pid == init)
			first = &processes->list[i];
	for (size_t i = 0; first && i < processes->n; i++) {
		const struct process *process = &processes->list[i];

		if (share_pid ? ns_equal(&process->mount_ns, &first->mount_ns)
			      : ns_equal(&process->pid_ns, &first->pid_ns))
			action(process->pid, userdata);
	}
}
