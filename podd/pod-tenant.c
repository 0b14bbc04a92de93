/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The ports of a pod in a pod: the uplink of the pod at the top publishes them. This pod's podd is a
 * tenant of it (uplink.h), by a connection that the podd at the top has made; what else it needs of
 * an uplink it has not.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <poll.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "hierarchy.h"
#include "network.h"
#include "pod.h"
#include "text.h"
#include "uplink.h"
#include "varlink.h"

#define CONTROL_SOCKET "control.sock"
/* While the pod starts, and while podd serves others. */
#define START_TIMEOUT_MS 20000
#define SERVE_TIMEOUT_MS 1000
#define LEAVE_TIMEOUT_MS 2000

bool pod_is_tenant(const struct pod *pod)
{
	return pod->spec.net == POD_NET_CNI && pod_spec_can_publish(&pod->spec);
}

/* "a/b/c" is "b/c" in the pod "a". */
static const char *split_top(const struct pod *pod, char ret_top[NAME_COMPONENT_MAX + 1])
{
	const char *slash = strchr(pod->path, '/');

	memcpy(ret_top, pod->path, (size_t)(slash - pod->path));
	ret_top[slash - pod->path] = '\0';
	return slash + 1;
}

static int call_top(const struct pod *pod, unsigned timeout_ms, int *ret_fd, struct err *err)
{
	autoptr(varlink_client) client = NULL;
	struct json *parameters = json_new_object();
	char top[NAME_COMPONENT_MAX + 1];
	int fds[FD_PASS_MAX];
	autoclose int topfd = -1;
	int r;

	json_set_string(parameters, "path", split_top(pod, top));
	r = hierarchy_open_pod(pod->rootfd, top, &topfd, err);
	if (r == 0)
		r = varlink_connect(topfd, CONTROL_SOCKET, timeout_ms, &client, err);
	if (r < 0) {
		json_free(parameters);
		return err_wrap(err, r, "the supervisor of pod '%s'", top);
	}
	r = varlink_client_call(client, VARLINK_INTERFACE ".Tenant", parameters, NULL, fds, err);
	if (r < 0 && text_equal(varlink_client_error(client), VARLINK_INTERFACE ".NoUplink"))
		return -EOPNOTSUPP;
	if (r < 0)
		return err_wrap(err, r, "the supervisor of pod '%s'", top);
	*ret_fd = fds[0];
	for (size_t i = 1; i < FD_PASS_MAX; i++)
		cleanup_close(&fds[i]);
	return *ret_fd < 0 ? err_set(err, -EPROTO, "pod '%s' gave no connection", top) : 0;
}

int pod_connect_tenant(struct pod *pod, struct err *err)
{
	const struct timeval timeout = {.tv_sec = START_TIMEOUT_MS / 1000};
	int fd = -1;
	int r = call_top(pod, pod->uplink_async ? SERVE_TIMEOUT_MS : START_TIMEOUT_MS, &fd, err);

	if (r < 0)
		return r;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	cleanup_close(&pod->uplink);
	pod->uplink = fd;
	return 0;
}

/* "10.88.0.2/16". The network's first address is by convention its gateway: whoever means another
 * thing in the pod comes from there. */
static void add_address(struct uplink_config *config, const char *text)
{
	char plain[INET6_ADDRSTRLEN] = "";
	size_t length = strcspn(text, "/");
	uint32_t prefix = 0;

	if (length >= sizeof(plain) || !text[length] ||
		text_to_uint32(text + length + 1, 0, 128, &prefix) < 0)
		return;
	memcpy(plain, text, length);
	if (config->prefix4 == 0 && prefix >= 1 && prefix <= 32 &&
		inet_pton(AF_INET, plain, &config->self4) == 1) {
		config->prefix4 = prefix;
		config->network4.s_addr =
			config->self4.s_addr & htonl(UINT32_MAX << (32 - prefix));
		config->gateway4.s_addr = htonl(ntohl(config->network4.s_addr) + 1);
	} else if (!config->ipv6 && prefix >= 1 && inet_pton(AF_INET6, plain, &config->self6) == 1) {
		config->ipv6 = 1;
		config->prefix6 = prefix;
		config->network6 = config->self6;
		for (uint32_t bit = prefix; bit < 128; bit++)
			config->network6.s6_addr[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
		config->gateway6 = config->network6;
		config->gateway6.s6_addr[15] |= 1;
	}
}

int pod_send_tenants_config(struct pod *pod, struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	struct uplink_request request = {
		.operation = UPLINK_CONFIGURE,
		.length = sizeof(request.config),
		.config = {.mtu = pod->spec.mtu},
	};
	int r = attachment_load(pod->podfd, &attachment, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < attachment.n_networks; i++) {
		char *const *addresses = attachment.networks[i].addresses;

		for (size_t j = 0; addresses && addresses[j]; j++)
			add_address(&request.config, addresses[j]);
	}
	return pod_ask_uplink(pod, &request, NULL, 0, NULL, NULL, err);
}

void pod_leave_uplink(struct pod *pod)
{
	const struct uplink_request request = {.operation = UPLINK_LEAVE};
	struct pollfd poll_fd = {.fd = pod->uplink, .events = POLLIN};
	int64_t deadline = deadline_now_ms() + LEAVE_TIMEOUT_MS;
	struct uplink_reply reply;

	if (!pod_is_tenant(pod) || pod->uplink < 0 ||
		fd_send(pod->uplink, &request, offsetof(struct uplink_request, text), NULL, 0) < 0)
		return;
	/* It says yes, and hangs up once its sockets are closed. */
	while (poll(&poll_fd, 1, (int)deadline_left_ms(deadline, LEAVE_TIMEOUT_MS)) > 0 &&
		recv(pod->uplink, &reply, sizeof(reply), MSG_DONTWAIT) > 0)
		;
}
