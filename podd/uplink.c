/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * podd-uplink: the pod's way out to the host's network. It is started by podd, with the fds that
 * uplink.h names, and outlives it.
 *
 *   waiting --CONFIGURE, both stages of the sandbox--> knowing --START--> carrying --tap gone--> end
 *
 * It knows nothing of pods: it gets a tap and addresses, and holds no state but that of the
 * connections that it carries. All parsing of packets happens here (in libslirp), so everything
 * here is arranged as if that were broken. It must not open files, start programs or threads, or
 * read anything of the pod's before it is in its sandbox.
 */

#include "uplink.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "cleanup.h"
#include "uplink-control.h"
#include "uplink-requests.h"
#include "uplink-sandbox.h"

#define EXIT_OURS 125
#define EXIT_USAGE 2

#ifdef PODD_SANITIZED
/* The search for leaks at the end needs ptrace(2) and /proc, which the sandbox takes away. Tests load a
 * library before the sanitizer's. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_leaks=0:verify_asan_link_order=0";
}
#endif

static int check_socket(int fd, struct err *err)
{
	socklen_t length = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET)
		return err_set(err, -EBADF,
			"fd %d is no SOCK_SEQPACKET socket: this program is started by podd", fd);
	return 0;
}

/* Waits for the configuration, then carries packets until the tap is gone. Return: 0 or -errno. */
static int run(struct uplink *uplink, const struct uplink_control *control, struct err *err)
{
	int r = 0;

	while (r >= 0 && !uplink->started && !uplink->failed) {
		r = sd_event_run(uplink->event, UINT64_MAX);
		/* A podd that died over its start left no record of this process: end with it. */
		if (r >= 0 && !uplink->started && !uplink_control_connected(control))
			return 0;
	}
	if (r >= 0)
		r = 0;
	while (r == 0 && !uplink->failed)
		r = uplink_slirp_turn(uplink->slirp);
	if (r < 0)
		return err_set(err, r, "the event loop ended: %s", strerror(-r));
	return uplink->failed ? err_set(err, -EPERM, "cannot run without the sandbox") : 0;
}

static int start(struct uplink *uplink, struct err *err)
{
	autoptr(uplink_control) control = NULL;
	int r;

	r = check_socket(UPLINK_FD_CONTROL, err);
	if (r == 0)
		r = check_socket(UPLINK_FD_LISTEN, err);
	if (r < 0)
		return r;
	r = uplink_sandbox_prepare(UPLINK_FD_LISTEN, err);
	if (r < 0)
		return r;
	r = sd_event_new(&uplink->event);
	if (r < 0)
		return err_set(err, r, "cannot make an event loop: %s", strerror(-r));
	r = uplink_loop_new(uplink->event, &uplink->loop, err);
	if (r < 0)
		return r;
	r = uplink_control_new(uplink->event, UPLINK_FD_CONTROL, UPLINK_FD_LISTEN,
		uplink_requests_serve, uplink, &control, err);
	if (r < 0)
		return r;
	return run(uplink, control, err);
}

int main(int argc, char **argv)
{
	struct uplink uplink = {};
	struct err err = {};
	int r;

	if (argc > 1) {
		fprintf(stderr, "podd-uplink takes no arguments: it is started by podd\n");
		return EXIT_USAGE;
	}
	/* A peer that closed its connection, and a log that is full, are errors of write(2). */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	r = start(&uplink, &err);
	if (r < 0)
		fprintf(stderr, "podd-uplink: %s\n", err.msg);
	uplink_done(&uplink);
	return r < 0 ? EXIT_OURS : 0;
}
