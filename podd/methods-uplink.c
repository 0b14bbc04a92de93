/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The control socket's methods for which podd-uplink is asked: what it reports, captures, and tenants.
 * The connection waits until the uplink has answered; it may be gone by then.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "children.h"
#include "cleanup.h"
#include "container.h"
#include "hierarchy.h"
#include "methods-internal.h"
#include "network-internal.h"
#include "outer.h"
#include "pod-network.h"
#include "server.h"
#include "text.h"
#include "totals.h"
#include "traffic.h"
#include "uplink.h"

#define SNAPLEN_MAX 262144

struct inquiry {
	uint64_t serial; /* of the connection */
	int file;
	bool flows; /* otherwise the pod's inspection */
	methods_on_stats on_stats; /* not a connection, but this is to be told */
};

static void inquiry_done(struct inquiry **inquiry)
{
	if (!*inquiry)
		return;
	cleanup_close(&(*inquiry)->file);
	free(*inquiry);
}

/* By which way TCP leaves, and why; that of a pod in a pod is the way of all it sends. */
static void set_path(struct json *uplink, const struct pod *pod)
{
	if (pod_is_tenant(pod)) {
		json_set_string(uplink, "path", "cni");
		return;
	}
	json_set_string(uplink, "path", pod_takes_tcp(pod) ? "splice" : "libslirp");
	json_set_int(uplink, "pid", pod->state.uplink.pid);
	if (pod_takes_tcp(pod))
		json_set_string(uplink, "queue",
			pod->uplink_net.queue == OUTER_QUEUE_NFT ? "nft" : "xt");
	else
		json_set_string(uplink, "reason",
			pod->spec.uplink_path == POD_PATH_LIBSLIRP
				? "the pod was created with --uplink-path libslirp"
				: pod->uplink_net.reason);
}

struct json *methods_inspection(const struct pod *pod, struct json *stats)
{
	struct json *reply = json_new_object(), *uplink, *supervisor;

	json_set(reply, "spec", pod_spec_to_json(&pod->spec));
	json_set(reply, "state", pod_state_to_json(&pod->state));
	json_set_int(reply, "children", children_count(pod->children));
	json_set_bool(reply, "adopted", pod->adopted);
	supervisor = json_set_object(reply, "supervisor");
	json_set_string(supervisor, "version", PACKAGE_VERSION);
	json_set_string(supervisor, "started", pod->started);
	if (!network_has_uplink(pod->network)) {
		json_free(stats);
		return reply;
	}
	uplink = json_set_object(reply, "uplink");
	set_path(uplink, pod);
	json_set_bool(uplink, "sourceKept", pod->uplink_net.transparent);
	json_set_int(uplink, "restarts", pod->uplink_restarts);
	if (stats)
		json_set(uplink, "stats", stats);
	return reply;
}

static void on_report(struct pod *pod, void *opaque, int result, const char *text)
{
	cleanup(inquiry_done) struct inquiry *inquiry = opaque;
	struct connection *connection =
		inquiry->on_stats ? NULL : server_find(pod->server, inquiry->serial);
	struct json *stats = NULL, *flows = NULL;
	struct err err = {};

	if (result < 0)
		err_set(&err, result, "%s", text);
	else
		result = traffic_read(pod, inquiry->file, &stats, &flows, &err);
	if (result == 0)
		totals_add(pod, stats);
	if (inquiry->on_stats) {
		inquiry->on_stats(pod, inquiry->serial, take_ptr(stats));
		json_free(flows);
		return;
	}
	if (connection && inquiry->flows && result < 0)
		connection_fail(connection, err.msg);
	else if (connection && inquiry->flows)
		methods_reply_list(connection, "flows", take_ptr(flows));
	else if (connection)
		connection_reply(connection, methods_inspection(pod, take_ptr(stats)), NULL, 0, false);
	json_free(stats);
	json_free(flows);
}

/* Return: 0: the answer comes; -ENOTCONN, -errno. */
static int inquire(struct pod *pod, struct connection *connection, bool flows, struct err *err)
{
	const struct uplink_request request = {.operation = UPLINK_REPORT};
	cleanup(inquiry_done) struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
	int r;

	if (!inquiry)
		return err_oom(err);
	inquiry->serial = connection_serial(connection);
	inquiry->flows = flows;
	inquiry->file = -1;
	r = traffic_make_file(&inquiry->file);
	if (r < 0)
		return err_set(err, r, "making a file for podd-uplink's report: %s", strerror(-r));
	r = pod_ask_uplink(pod, &request, &inquiry->file, 1, on_report, inquiry, err);
	if (r < 0)
		return r;
	(void)take_ptr(inquiry);
	connection_hold(connection);
	return 0;
}

int methods_ask_stats(struct pod *pod, uint64_t serial, methods_on_stats on_stats)
{
	const struct uplink_request request = {.operation = UPLINK_REPORT};
	cleanup(inquiry_done) struct inquiry *inquiry = NULL;
	int r;

	if (!network_has_uplink(pod->network))
		return -ENOTCONN;
	inquiry = calloc(1, sizeof(*inquiry));
	if (!inquiry)
		return -ENOMEM;
	inquiry->serial = serial;
	inquiry->on_stats = on_stats;
	inquiry->file = -1;
	r = traffic_make_file(&inquiry->file);
	if (r == 0)
		r = pod_ask_uplink(pod, &request, &inquiry->file, 1, on_report, inquiry, NULL);
	if (r == 0)
		(void)take_ptr(inquiry);
	return r;
}

void method_inspect(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	if (!network_has_uplink(pod->network) || inquire(pod, connection, false, NULL) < 0)
		connection_reply(connection, methods_inspection(pod, totals_last(pod)), NULL, 0, false);
}

void method_flows(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	struct err err = {};

	if (methods_has_uplink(pod, connection) && inquire(pod, connection, true, &err) < 0)
		connection_fail(connection, err.msg);
}

/* What goes out with the reply is kept until the uplink has the other end. */
static void on_taken(struct pod *pod, void *opaque, int result, const char *text)
{
	cleanup(inquiry_done) struct inquiry *inquiry = opaque;
	struct connection *connection = server_find(pod->server, inquiry->serial);

	if (connection && result < 0)
		connection_fail(connection, text);
	else if (connection)
		connection_reply(connection, json_new_object(), &inquiry->file, 1, false);
}

/* Sends one end along with the request, and answers with the other: both are taken over. */
static int share_ends(struct pod *pod, struct connection *connection,
	const struct uplink_request *request, const int ends[2], struct err *err)
{
	cleanup(inquiry_done) struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
	autoclose int clients = ends[0], uplinks = ends[1];
	int r;

	if (!inquiry)
		return err_oom(err);
	inquiry->serial = connection_serial(connection);
	inquiry->file = take_fd(&clients);
	r = pod_ask_uplink(pod, request, &uplinks, 1, on_taken, inquiry, err);
	if (r < 0)
		return r;
	(void)take_ptr(inquiry);
	connection_hold(connection);
	return 0;
}

static int start_capture(struct pod *pod, struct connection *connection, uint32_t snaplen,
	struct err *err)
{
	const struct uplink_request request = {
		.operation = UPLINK_CAPTURE,
		.length = sizeof(request.snaplen),
		.snaplen = snaplen,
	};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	return share_ends(pod, connection, &request, ends, err);
}

void method_capture(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	struct err err = {};
	int64_t snaplen = 0;

	if (!methods_has_own_uplink(pod, connection))
		return;
	if (json_read_int(call->parameters, "snaplen", false, 0, SNAPLEN_MAX, &snaplen, &err) < 0)
		methods_invalid(connection, "snaplen", err.msg);
	else if (start_capture(pod, connection, (uint32_t)snaplen, &err) < 0)
		connection_fail(connection, err.msg);
}

/* ---- tenants ---- */

static int connect_tenant(struct pod *pod, struct connection *connection, const char *path,
	struct err *err)
{
	struct uplink_request request = {
		.operation = UPLINK_TENANT,
		.length = (uint32_t)strlen(path),
	};
	int ends[2];

	memcpy(request.text, path, request.length);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(err, "making a connection to podd-uplink");
	return share_ends(pod, connection, &request, ends, err);
}

static int check_tenant(const struct pod *pod, const char *path, struct err *err)
{
	char whole[2 * NAME_PATH_SIZE];
	autoclose int podfd = -1;
	int r = name_check_path(path, err);

	if (r < 0)
		return r;
	snprintf(whole, sizeof(whole), "%s/%s", pod->path, path);
	return hierarchy_open_pod(pod->rootfd, whole, &podfd, err);
}

void method_tenant(struct pod *pod, struct connection *connection, const struct varlink_call *call)
{
	struct err err = {};
	const char *path;
	int r;

	if (!methods_has_own_uplink(pod, connection))
		return;
	r = json_read_string(call->parameters, "path", true, &path, &err);
	if (r == 0)
		r = check_tenant(pod, path, &err);
	if (r < 0)
		methods_invalid(connection, "path", err.msg);
	else if (connect_tenant(pod, connection, path, &err) < 0)
		connection_fail(connection, err.msg);
}
