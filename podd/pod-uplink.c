/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What podd asks of podd-uplink: see uplink.h. While the pod starts podd waits for each answer;
 * afterwards they come to pod-start.c, one after the other. */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "outer.h"
#include "pod.h"
#include "uplink.h"

int pod_send_uplink(struct pod *pod, struct uplink_request *request, const char *text,
	const int *fds, size_t n_fds, struct err *err)
{
	size_t length = strlen(text);
	int r;

	assert(length < UPLINK_TEXT_MAX);
	memcpy(request->text, text, length);
	request->text_length = (uint32_t)length;
	r = fd_send(pod->uplink, request, offsetof(struct uplink_request, text) + length, fds,
		n_fds);
	if (r < 0)
		return err_set(err, r,
			"asking podd-uplink: %s (if it ended, its last words are in podd.log)",
			strerror(-r));
	return 0;
}

static int open_userns(const struct pod *pod, int *ret_fd, struct err *err)
{
	autoclose int dir = -1;
	int r = proc_open_dir(&pod->state.outer, &dir);

	if (r < 0)
		return err_set(err, r, "podd-outer ended");
	*ret_fd = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_errno(err, "opening the pod's user namespace");
	return 0;
}

int pod_send_config(struct pod *pod, const char *nameservers, struct err *err)
{
	const struct pod_spec *spec = &pod->spec;
	struct uplink_request request = {
		.operation = UPLINK_CONFIGURE,
		.config = {
			.ipv6 = spec->ipv6,
			.host_loopback = spec->host_loopback,
			.mtu = spec->mtu,
			.prefix4 = spec->prefix4,
			.prefix6 = POD_PREFIX6,
			.network4 = spec->net4,
			.gateway4 = pod_address4(spec, POD_HOST_GATEWAY),
			.dns4 = pod_address4(spec, POD_HOST_DNS),
			.self4 = pod_address4(spec, POD_HOST_SELF),
			.network6 = pod_address6(0),
			.gateway6 = pod_address6(POD_HOST_GATEWAY),
			.dns6 = pod_address6(POD_HOST_DNS),
			.self6 = pod_address6(POD_HOST_SELF),
		},
	};
	autoclose int userns = -1;
	int fds[2], r;

	r = pod_send_resolv(pod, nameservers, err);
	if (r == 0)
		r = open_userns(pod, &userns, err);
	if (r < 0)
		return r;
	fds[0] = pod->tap;
	fds[1] = userns;
	return pod_send_uplink(pod, &request, "", fds, 2, err);
}

int pod_send_net(struct pod *pod, struct err *err)
{
	struct uplink_request request = {.operation = UPLINK_NET};
	int fds[OUTER_REPLY_FDS_MAX] = {-1, -1, -1, -1};
	size_t n = 0;
	int r;

	r = pod_ask_outer(pod, OUTER_NET, NULL, fds, err);
	while (n < OUTER_REPLY_FDS_MAX && fds[n] >= 0)
		n++;
	request.config.transparent = pod->uplink_net.transparent;
	if (r == 0)
		r = pod_send_uplink(pod, &request, "", fds, n, err);
	while (n > 0)
		close(fds[--n]);
	return r;
}

int pod_send_resolv(struct pod *pod, const char *nameservers, struct err *err)
{
	struct uplink_request request = {.operation = UPLINK_RESOLV};

	return pod_send_uplink(pod, &request, nameservers, NULL, 0, err);
}

int pod_await_uplink(struct pod *pod, uint32_t *ret_operation, struct err *err)
{
	struct uplink_reply reply = {};
	ssize_t n;

	n = fd_receive(pod->uplink, &reply, sizeof(reply), NULL, 0, NULL);
	if (n == -EAGAIN)
		return err_set(err, -ETIMEDOUT, "podd-uplink does not answer");
	if (n != (ssize_t)sizeof(reply))
		return err_set(err, -ECONNRESET, "podd-uplink ended; its last words are in podd.log");
	if (ret_operation)
		*ret_operation = reply.operation;
	if (reply.result < 0) {
		reply.text[sizeof(reply.text) - 1] = '\0';
		return err_set(err, reply.result, "podd-uplink: %s", reply.text);
	}
	return 0;
}
