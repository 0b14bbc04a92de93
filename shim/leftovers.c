/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is left of a container: see leftovers.h. Some may be forking, so it is looked at again and
 * again; what even SIGKILL does not end (the kernel holds it) is given up after some seconds. */

#include "leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "text.h"

#define DELAY_US 2000
#define TRIES 2000

struct leftovers {
	struct ns_id mounts;
	sd_event_source *timer;
	unsigned tries;
	void (*done)(void *userdata);
	void *userdata;
};

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

static unsigned kill_all(const struct ns_id *mounts)
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

static int on_delay(sd_event_source *source, uint64_t now, void *userdata)
{
	struct leftovers *leftovers = userdata;

	if (leftovers->tries++ < TRIES && kill_all(&leftovers->mounts) > 0 &&
		sd_event_source_set_time_relative(source, DELAY_US) >= 0 &&
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
		return 0;
	leftovers->done(leftovers->userdata);
	return 0;
}

int leftovers_begin(sd_event *event, const struct ns_id *mounts, void (*done)(void *userdata),
	void *userdata, struct leftovers **ret, struct err *err)
{
	struct leftovers *leftovers = calloc(1, sizeof(*leftovers));

	if (!leftovers)
		return err_oom(err);
	*leftovers = (struct leftovers){.mounts = *mounts, .done = done, .userdata = userdata};
	*ret = leftovers;
	if (mounts->inode == 0 || kill_all(mounts) == 0 ||
		sd_event_add_time_relative(event, &leftovers->timer, CLOCK_MONOTONIC, DELAY_US, 0,
			on_delay, leftovers) < 0)
		done(userdata);
	return 0;
}

void leftovers_free(struct leftovers *leftovers)
{
	if (!leftovers)
		return;
	sd_event_source_disable_unref(leftovers->timer);
	free(leftovers);
}
