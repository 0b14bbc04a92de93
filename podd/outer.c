/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * podd-outer, the outer container: the process that is the pod. It keeps the namespaces alive,
 * reaps what is orphaned in a pod with its own pid namespace, and makes sockets in the pod's
 * network for podd-uplink, which cannot enter it. It keeps the tap's fd and the sockets that the
 * rules lead to, so that a new uplink can take them over.
 *
 * It starts as root of the new user namespace, already in all of the pod's namespaces, with the
 * pod's directory as working directory and the fds of outer.h. It outlives podd: when the control
 * connection ends, the next one comes by the listening socket. It must not parse anything but
 * fixed-size requests of podd and podd-uplink.
 */

#include "outer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
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
#include "outer-root.h"
#include "outer-rules.h"
#include "uplink.h"

struct outer {
	int control; /* -1: podd is away */
	uid_t owner; /* who podd is, as this namespace shows it */
	struct outer_net net;
	int sockets; /* to podd-uplink, which asks for sockets; -1: none */
	bool is_set_up;
	struct outer_setup setup;
	struct outer_rules_result rules;
	struct outer_trees trees;
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
	r = outer_network_setup(setup, &outer->net, err);
	if (r == 0)
		r = outer_mounts_setup(setup->own_resolv, setup->shm_size, &outer->trees, err);
	if (r == 0 && chdir("/") < 0)
		r = err_errno(err, "going to /");
	if (r == 0)
		r = drop_privileges(err);
	outer->is_set_up = r == 0;
	return r;
}

static int add_tree(struct outer *outer, struct outer_tree *tree, struct err *err)
{
	if (outer->is_set_up)
		return err_set(err, -EALREADY, "the pod is set up already");
	tree->path[sizeof(tree->path) - 1] = '\0';
	return outer_trees_add(&outer->trees, tree->kind, tree->path, err);
}

/* The rules need not be complete: then connections go by libslirp, which works as well. */
static int probe(struct outer *outer, struct err *err)
{
	if (outer->net.rules >= 0)
		outer_rules_wait(take_fd(&outer->net.rules), &outer->rules);
	return outer->net.tap < 0 ? 0 : outer_network_probe(&outer->setup, err);
}

static int restore_rules(struct outer *outer, struct err *err)
{
	int r = outer_network_restore(&outer->setup, &outer->net, err);

	if (r < 0)
		return r;
	outer_rules_wait(take_fd(&outer->net.rules), &outer->rules);
	return outer->setup.take_tcp && outer->rules.queue == OUTER_QUEUE_NONE
		       ? err_set(err, -EIO, "%s", outer->rules.text)
		       : 0;
}

/* What a new uplink works with. The listening sockets stay: the rules name their ports. */
static int give_net(struct outer *outer, struct outer_reply *reply, int fds[], size_t *ret_n,
	struct err *err)
{
	int pair[2];

	if (outer->net.tap < 0 && !outer->setup.masquerade)
		return err_set(err, -ENODEV, "the pod has no way out");
	reply->queue = outer->rules.queue;
	reply->transparent = outer->rules.transparent;
	snprintf(reply->text, sizeof(reply->text), "%s", outer->rules.text);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_errno(err, "making a socket for podd-uplink");
	cleanup_close(&outer->sockets);
	outer->sockets = pair[0];
	fds[UPLINK_NET_SOCKETS] = pair[1];
	*ret_n = 1;
	if (outer->rules.queue == OUTER_QUEUE_NONE)
		return 0;
	fds[UPLINK_NET_QUEUE] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fds[UPLINK_NET_QUEUE] < 0) {
		reply->queue = OUTER_QUEUE_NONE;
		snprintf(reply->text, sizeof(reply->text), "making a netfilter socket: %s",
			strerror(errno));
		return 0;
	}
	fds[UPLINK_NET_LISTEN4] = outer->net.listen4;
	fds[UPLINK_NET_LISTEN6] = outer->net.listen6;
	*ret_n = outer->net.listen6 >= 0 ? 4 : 3;
	return 0;
}

static int reply_net(struct outer *outer)
{
	struct outer_reply reply = {.operation = OUTER_NET};
	struct err err = {};
	int fds[UPLINK_NET_FDS];
	size_t n = 0;
	int r;

	reply.result = give_net(outer, &reply, fds, &n, &err);
	if (reply.result < 0)
		snprintf(reply.text, sizeof(reply.text), "%s", err.msg);
	r = fd_send(outer->control, &reply, sizeof(reply), fds, n);
	if (n > UPLINK_NET_SOCKETS)
		close(fds[UPLINK_NET_SOCKETS]);
	if (n > UPLINK_NET_QUEUE)
		close(fds[UPLINK_NET_QUEUE]);
	return r;
}

/* Answers one request. Return: 0, or -errno when the connection is of no use any more. */
static int serve(struct outer *outer)
{
	struct outer_request request = {};
	struct outer_reply reply = {};
	struct err err = {};
	int sent = -1;
	ssize_t n;
	int r;

	n = fd_receive(outer->control, &request, sizeof(request), NULL, 0, NULL);
	if (n != (ssize_t)sizeof(request))
		return n < 0 ? (int)n : -ECONNRESET;
	switch (request.operation) {
	case OUTER_TREE:
		r = add_tree(outer, &request.tree, &err);
		break;
	case OUTER_SETUP:
		r = set_up(outer, &request.setup, &err);
		sent = outer->net.tap;
		break;
	case OUTER_PROBE:
		r = probe(outer, &err);
		break;
	case OUTER_TAP:
		r = outer->net.tap >= 0 ? 0 : err_set(&err, -ENODEV, "the pod has no tap");
		reply.queue = outer->rules.queue;
		reply.transparent = outer->rules.transparent;
		snprintf(reply.text, sizeof(reply.text), "%s", outer->rules.text);
		sent = outer->net.tap;
		break;
	case OUTER_NET:
		return reply_net(outer);
	case OUTER_RULES:
		r = restore_rules(outer, &err);
		break;
	default:
		r = err_set(&err, -EOPNOTSUPP, "unknown request %u", request.operation);
		break;
	}
	reply.operation = request.operation;
	reply.result = r;
	if (r < 0) {
		snprintf(reply.text, sizeof(reply.text), "%s", err.msg);
		sent = -1;
	}
	return fd_send(outer->control, &reply, sizeof(reply), &sent, sent >= 0 ? 1 : 0);
}

/* podd-uplink is what may be lost to somebody in the pod: it gets sockets, so many at a time,
 * which anybody in the pod's netns may have. Return: 0, -errno when the socket is to be closed. */
static int serve_sockets(const struct outer *outer)
{
	struct outer_sockets request = {};
	int fds[OUTER_SOCKETS_MAX];
	size_t n_made = 0;
	ssize_t n;
	int r = 0;

	n = fd_receive(outer->sockets, &request, sizeof(request), NULL, 0, NULL);
	if (n == -EAGAIN)
		return 0;
	if (n != (ssize_t)sizeof(request) || request.n > OUTER_SOCKETS_MAX ||
		(request.domain != AF_INET && request.domain != AF_INET6) ||
		(request.type != SOCK_STREAM && request.type != SOCK_DGRAM))
		return -EBADMSG;
	while (r == 0 && n_made < request.n) {
		r = outer_network_socket(
			request.domain, request.type, outer->rules.transparent, &fds[n_made]);
		n_made += r == 0;
	}
	r = fd_send(outer->sockets, "", 1, fds, n_made);
	while (n_made > 0)
		close(fds[--n_made]);
	return r;
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
			{.fd = outer->sockets, .events = POLLIN},
		};

		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[2].revents && serve_sockets(outer) < 0)
			close(take_fd(&outer->sockets));
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
	struct outer outer = {
		.control = OUTER_FD_CONTROL,
		.sockets = -1,
		.net = {.tap = -1, .listen4 = -1, .listen6 = -1, .rules = -1},
	};
	struct sigaction reap = {.sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT};

	if (fd_peer(OUTER_FD_CONTROL, NULL, &outer.owner) < 0) {
		fputs("podd-outer: is started by podd only\n", stderr);
		return 125;
	}
	sigaction(SIGCHLD, &reap, NULL);
	/* Until it means something, so that nothing else gets the number. */
	if (dup3(OUTER_FD_POD, OUTER_FD_HOST, O_CLOEXEC) < 0) {
		fprintf(stderr, "podd-outer: keeping an fd: %s\n", strerror(errno));
		return 125;
	}
	run(&outer);
	return 0;
}
