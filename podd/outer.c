/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * podd-outer, the outer container: the process that is the pod. It keeps the namespaces alive,
 * reaps what is orphaned in a pod with its own pid namespace, and makes sockets in the pod's
 * network for podd, which cannot enter it. It keeps a copy of the tap's fd, so that a new uplink
 * can take it over.
 *
 * It starts as root of the new user namespace, already in all of the pod's namespaces, with the
 * pod's directory as working directory and the fds of outer.h. It outlives podd: when the control
 * connection ends, the next one comes by the listening socket. It must not parse anything but
 * podd's fixed-size requests.
 */

#include "outer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"
#include "fd.h"
#include "outer-mounts.h"
#include "outer-network.h"

struct outer {
	int control; /* -1: podd is away */
	uid_t owner; /* who podd is, as this namespace shows it */
	int tap;
	int rules; /* result of nft that was not asked for yet, or -1 */
	bool is_set_up;
	struct outer_setup setup;
};

/* What the steady state needs: sockets of every kind in the pod's network. */
static int drop_privileges(struct err *err)
{
	static const cap_value_t kept[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE};
	cap_t caps = cap_init();
	int r;

	if (!caps)
		return err_oom(err);
	r = cap_set_flag(caps, CAP_PERMITTED, 3, kept, CAP_SET);
	if (r == 0)
		r = cap_set_flag(caps, CAP_EFFECTIVE, 3, kept, CAP_SET);
	if (r == 0)
		r = cap_set_proc(caps);
	cap_free(caps);
	if (r < 0)
		return err_errno(err, "giving up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "giving up new privileges");
	return 0;
}

static int set_up(struct outer *outer, const struct outer_setup *setup, struct err *err)
{
	int r;

	if (outer->is_set_up)
		return err_set(err, -EALREADY, "the pod is set up already");
	outer->setup = *setup;
	r = outer_network_setup(setup, &outer->tap, &outer->rules, err);
	if (r == 0)
		r = outer_mounts_setup(setup->own_resolv, setup->shm_size, err);
	if (r == 0 && chdir("/") < 0)
		r = err_errno(err, "going to /");
	if (r == 0)
		r = drop_privileges(err);
	outer->is_set_up = r == 0;
	return r;
}

static int probe(struct outer *outer, struct outer_reply *reply, struct err *err)
{
	int r = 0, warning = 0;

	if (outer->rules >= 0)
		warning = outer_network_rules(take_fd(&outer->rules), reply->text,
			sizeof(reply->text));
	if (outer->tap >= 0)
		r = outer_network_probe(&outer->setup, err);
	return r < 0 ? r : warning;
}

static int make_socket(const struct outer_request *request, int *ret_fd, struct err *err)
{
	int fd = socket(request->domain, request->type | SOCK_CLOEXEC, request->protocol);

	if (fd < 0)
		return err_errno(err, "making a socket in the pod's network");
	*ret_fd = fd;
	return 0;
}

/* Answers one request. Return: 0, or -errno when the connection is of no use any more. */
static int serve(struct outer *outer)
{
	struct outer_request request = {};
	struct outer_reply reply = {};
	autoclose int made = -1;
	struct err err = {};
	int sent = -1;
	ssize_t n;
	int r;

	n = fd_receive(outer->control, &request, sizeof(request), NULL, 0, NULL);
	if (n != (ssize_t)sizeof(request))
		return n < 0 ? (int)n : -ECONNRESET;
	switch (request.operation) {
	case OUTER_SETUP:
		r = set_up(outer, &request.setup, &err);
		sent = outer->tap;
		break;
	case OUTER_PROBE:
		r = probe(outer, &reply, &err);
		break;
	case OUTER_TAP:
		r = outer->tap >= 0 ? 0 : err_set(&err, -ENODEV, "the pod has no tap");
		sent = outer->tap;
		break;
	case OUTER_SOCKET:
		r = make_socket(&request, &made, &err);
		sent = made;
		break;
	default:
		r = err_set(&err, -EOPNOTSUPP, "unknown request %u", request.operation);
		break;
	}
	reply.result = r;
	if (r < 0) {
		snprintf(reply.text, sizeof(reply.text), "%s", err.msg);
		sent = -1;
	}
	return fd_send(outer->control, &reply, sizeof(reply), &sent, sent >= 0 ? 1 : 0);
}

/* A new podd takes the place of the old one. */
static void take_connection(struct outer *outer)
{
	autoclose int fd = accept4(OUTER_FD_LISTEN, NULL, NULL, SOCK_CLOEXEC);
	uid_t uid;

	if (fd < 0 || fd_peer(fd, NULL, &uid) < 0 || uid != outer->owner)
		return;
	if (outer->control >= 0)
		close(outer->control);
	outer->control = take_fd(&fd);
}

static void run(struct outer *outer)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = OUTER_FD_LISTEN, .events = POLLIN},
			{.fd = outer->control, .events = POLLIN},
		};

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents && serve(outer) < 0) {
			/* Without a pod there is nothing to keep. */
			if (!outer->is_set_up)
				return;
			close(take_fd(&outer->control));
		}
		if (fds[0].revents)
			take_connection(outer);
	}
}

int main(void)
{
	struct outer outer = {.control = OUTER_FD_CONTROL, .tap = -1, .rules = -1};
	struct sigaction reap = {.sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT};

	if (fd_peer(OUTER_FD_CONTROL, NULL, &outer.owner) < 0) {
		fputs("podd-outer: is started by podd only\n", stderr);
		return 125;
	}
	sigaction(SIGCHLD, &reap, NULL);
	run(&outer);
	return 0;
}
