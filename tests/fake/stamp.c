/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's program that says when it ran: appends CLOCK_MONOTONIC in nanoseconds to a file
 * as the first thing that it does and as the last, to be compared with the fake plugin's log.
 * Statically linked, so that it runs in any root file system. Usage: stamp FILE
 */

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int stamp(int fd, const char *what)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return dprintf(fd, "%lld%09ld program %s\n", (long long)now.tv_sec, now.tv_nsec, what) < 0;
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (fd < 0) {
		perror("stamp");
		return 1;
	}
	return stamp(fd, "begin") || stamp(fd, "end");
}
