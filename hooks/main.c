/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * podd-hook: run by an OCI runtime, or by podd when a container ended without its poststop. Reads
 * the OCI state from stdin, connects the container to its pod or disconnects it, and exits. What
 * is on stdin, in annotations and in the bundle is hostile; the environment is not looked at but
 * for PODD_ROOT and XDG_RUNTIME_DIR.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach.h"
#include "cleanup.h"
#include "detach.h"
#include "request.h"
#include "survey.h"

#define EXIT_FAILED 125
#define EXIT_USAGE 2

/* A runtime may have closed 0, 1 or 2: what is opened later must not take their places. */
static int hold_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	cleanup(request_done) struct request request = {};
	bool usage = false;
	struct err err = {};
	int r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (hold_standard_fds() < 0)
		return EXIT_FAILED;
	umask(022);
	r = request_read(argc, argv, &request, &usage, &err);
	if (r == 1)
		return 0;
	if (r == 0 && (request.phase <= HOOK_CREATE_CONTAINER || request.phase == HOOK_ATTACH))
		r = attach(&request, &err);
	else if (r == 0 && request.phase == HOOK_CHECK)
		r = survey_check(&request, &err);
	else if (r == 0 && request.phase == HOOK_GC)
		r = survey_gc(&request, &err);
	else if (r == 0)
		r = detach(&request, &err);
	if (r < 0)
		fprintf(stderr, "podd-hook: %s\n", err.msg);
	if (usage)
		return EXIT_USAGE;
	return r < 0 ? EXIT_FAILED : 0;
}
