/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The control socket's methods about the pod's network: ports, egress rules, and what podd-uplink
 * reports. For the latter the connection waits until the uplink has answered; it may be gone by
 * then.
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

/* Of one reply: well below VARLINK_MESSAGE_MAX. */
#define LIST_PART 400
#define SNAPLEN_MAX 262144

/* ---- parameters ---- */

/* A child that there is, attached or made. Return: false when the connection has its answer. */
static bool read_child(struct pod *pod, struct connection *connection,
	const struct varlink_call *call, const char **ret)
{
	autoclose int childfd = -1;
	struct json *parameters;
	struct err err = {};

	*ret = "";
	if (json_read_string(call->parameters, "child", false, ret, &err) < 0 ||
		(**ret && name_check_component(*ret, &err) < 0)) {
		methods_invalid(connection, "child", err.msg);
		return false;
	}
	if (!**ret || hierarchy_open_any_child(pod->podfd, *ret, &childfd, NULL) == 0)
		return true;
	parameters = json_new_object();
	json_set_string(parameters, "child", *ret);
	connection_error(connection, VARLINK_INTERFACE ".NoSuchChild", parameters);
	return false;
}

/* What is asked for is a rule, or else a port. */
static void refuse_without_uplink(
	const struct pod *pod, struct connection *connection, bool is_rule)
{
	static const char *const reasons[] = {
		[POD_NET_SLIRP] = "it stops",
		[POD_NET_NONE] = "it has no way out (--net none)",
		[POD_NET_HOST] = "it has the host's own network",
		[POD_NET_CNI] = "its way out is a CNI network",
	};
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1], text[3 * NAME_PATH_SIZE + 128];
	struct json *parameters = json_new_object();

	name_split(pod->path, parent, leaf);
	if (is_rule)
		snprintf(text, sizeof(text),
			"its way out is a network of pod %s, and rules hold there for pod %s as a whole "
			"(podctl egress add %s RULE)",
			parent, pod->path, pod->path);
	else
		snprintf(text, sizeof(text),
			"its way out is a network of pod %s, and none of the pods around it has an "
			"uplink that could publish ports of the host",
			parent);
	json_set_string(parameters, "reason",
		pod_is_tenant(pod) ? text : reasons[pod->spec.net]);
	connection_error(connection, VARLINK_INTERFACE ".NoUplink", parameters);
}

bool methods_has_uplink(const struct pod *pod, struct connection *connection)
{
	if (network_has_uplink(pod->network))
		return true;
	refuse_without_uplink(pod, connection, false);
	return false;
}

bool methods_has_own_uplink(const struct pod *pod, struct connection *connection)
{
	if (pod->spec.net == POD_NET_SLIRP)
		return true;
	refuse_without_uplink(pod, connection, true);
	return false;
}

/* ---- lists ---- */

void methods_reply_list(struct connection *connection, const char *key, struct json *array)
{
	size_t n = json_length(array), at = 0;

	connection_expect_much(connection);
	do {
		struct json *reply = json_new_object(), *part = json_set_array(reply, key);
		size_t end = n;

		if (connection_wants_more(connection) && n - at > LIST_PART)
			end = at + LIST_PART;
		for (; at < end; at++)
			json_append(part, json_copy(json_at(array, at)));
		if (connection_reply(connection, reply, NULL, 0, at < n) < 0)
			break;
	} while (at < n);
	json_free(array);
}

/* ---- what holds once the uplink has it ---- */

/* One of the three: a list, an error, or nothing. */
struct late_reply {
	uint64_t serial; /* of the connection */
	const char *key; /* of the list */
	const char *error;
	struct json *json; /* the array, or the error's parameters */
};

static void late_reply_free(struct late_reply **late)
{
	if (!*late)
		return;
	json_free((*late)->json);
	free(*late);
}

static void on_settled(struct pod *pod, void *opaque, int result, const char *text)
{
	cleanup(late_reply_free) struct late_reply *late = opaque;
	struct connection *connection = server_find(pod->server, late->serial);

	if (!connection)
		return;
	if (late->error)
		connection_error(connection, late->error, take_ptr(late->json));
	else if (late->key)
		methods_reply_list(connection, late->key, take_ptr(late->json));
	else
		connection_reply(connection, json_new_object(), NULL, 0, false);
}

/* Takes the json over. */
static void reply_settled(struct pod *pod, struct connection *connection, const char *key,
	const char *error, struct json *json)
{
	cleanup(late_reply_free) struct late_reply *late = calloc(1, sizeof(*late));
	struct err err = {};

	if (!late) {
		json_free(json);
		connection_fail(connection, strerror(ENOMEM));
		return;
	}
	*late = (struct late_reply){connection_serial(connection), key, error, json};
	connection_hold(connection);
	if (pod_await_answers(pod, on_settled, late, &err) < 0)
		connection_fail(connection, err.msg);
	else
		(void)take_ptr(late);
}

void methods_reply_settled(struct pod *pod, struct connection *connection)
{
	reply_settled(pod, connection, NULL, NULL, NULL);
}

void method_ports(struct pod *pod, struct connection *connection, const struct varlink_call *call)
{
	methods_reply_list(connection, "ports", network_ports(pod->network));
}

void method_egress(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	methods_reply_list(connection, "rules", network_rules(pod->network));
}

/* ---- ports ---- */

/* What was taken back before that is gone, too. */
static void reply_port_error(struct pod *pod, struct connection *connection, int r,
	const char *spec, const char *reason)
{
	struct json *parameters = json_new_object();

	if (spec)
		json_set_string(parameters, "spec", spec);
	if (!spec || r != -ENOENT)
		json_set_string(parameters, "reason", reason);
	reply_settled(pod, connection, NULL,
		!spec	       ? VARLINK_INTERFACE ".Failed"
		: r == -ENOENT ? VARLINK_INTERFACE ".NoSuchPort"
			       : VARLINK_INTERFACE ".PortFailed",
		parameters);
}

void method_port_add(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	const char *child, *failed = NULL;
	int64_t wait_ms = -1;
	autostrv specs = NULL;
	struct json *ports = NULL;
	struct err err = {};
	int r;

	if (!methods_has_uplink(pod, connection) || !read_child(pod, connection, call, &child))
		return;
	r = json_read_strv(call->parameters, "specs", true, &specs, &err);
	if (r == 0)
		r = json_read_int(call->parameters, "wait_ms", false, 0, POD_NETWORK_WAIT_MS_MAX,
			&wait_ms, &err);
	if (r < 0) {
		methods_invalid(connection, "specs", err.msg);
		return;
	}
	/* The pod itself is always there. */
	if (wait_ms < 0)
		wait_ms = *child ? NETWORK_WAIT_MS : 0;
	r = network_add_ports(pod->network, child, specs, (uint32_t)wait_ms, &ports, &failed, &err);
	if (r < 0)
		reply_port_error(pod, connection, r == -ENOENT ? -EINVAL : r, failed, err.msg);
	else
		reply_settled(pod, connection, "ports", NULL, ports);
}

void method_restore_rules(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	struct err err = {};

	if (!pod_has_uplink(pod) && pod->spec.net != POD_NET_CNI) {
		methods_has_uplink(pod, connection);
		return;
	}
	if (pod_ask_outer(pod, OUTER_RULES, NULL, NULL, &err) < 0)
		connection_fail(connection, err.msg);
	else
		connection_reply(connection, json_new_object(), NULL, 0, false);
}

/* A container that shares the pod's network is not attached by a hook: podctl says when it starts. */
void method_publish(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;
	struct err err = {};
	const char *child;
	int r;

	if (!read_child(pod, connection, call, &child))
		return;
	r = hierarchy_open_child(pod->podfd, child, false, &childfd, &err);
	if (r == 0)
		r = container_spec_load(childfd, &spec, &err);
	if (r == 0 && spec.net == CONTAINER_NET_POD)
		r = network_publish(pod->network, child, spec.publish, &err);
	if (r < 0)
		connection_fail(connection, err.msg);
	else
		methods_reply_settled(pod, connection);
}

void method_port_remove(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	const char *child, *failed = NULL;
	autostrv specs = NULL;
	struct json *ports = NULL;
	struct err err = {};
	bool all = false;
	int r;

	if (!read_child(pod, connection, call, &child))
		return;
	r = json_read_strv(call->parameters, "specs", true, &specs, &err);
	if (r == 0)
		r = json_read_bool(call->parameters, "all", false, &all, &err);
	if (r < 0) {
		methods_invalid(connection, "specs", err.msg);
		return;
	}
	r = network_remove_ports(pod->network, child, specs, all, &ports, &failed, &err);
	if (r < 0) {
		json_free(ports);
		reply_port_error(pod, connection, r, failed, err.msg);
		return;
	}
	reply_settled(pod, connection, "ports", NULL, ports);
}

/* ---- rules ---- */

void method_egress_add(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	autostrv texts = NULL;
	struct json *rules = NULL;
	struct err err = {};
	int64_t position = 0;
	const char *child;
	int r;

	if (!methods_has_own_uplink(pod, connection) || !read_child(pod, connection, call, &child))
		return;
	r = json_read_strv(call->parameters, "rules", true, &texts, &err);
	if (r == 0)
		r = json_read_int(call->parameters, "position", false, 0, INT32_MAX, &position, &err);
	if (r < 0) {
		methods_invalid(connection, "rules", err.msg);
		return;
	}
	r = network_add_rules(pod->network, child, texts, (unsigned)position, &rules, &err);
	if (r < 0)
		connection_fail(connection, err.msg);
	else
		reply_settled(pod, connection, "rules", NULL, rules);
}

/* Return: 0, -EINVAL, -ENOMEM. */
static int read_positions(const struct varlink_call *call, int64_t **ret, size_t *ret_n,
	struct err *err)
{
	const struct json *array = NULL;
	int r = json_read_array(call->parameters, "positions", false, &array, err);

	if (r < 0)
		return r;
	*ret_n = json_length(array);
	*ret = calloc(*ret_n + 1, sizeof(**ret));
	if (!*ret)
		return err_oom(err);
	for (size_t i = 0; i < *ret_n; i++)
		if (json_int(json_at(array, i), &(*ret)[i]) < 0)
			return err_set(err, -EINVAL, "a position is not a number");
	return 0;
}

void method_egress_remove(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	autofree int64_t *positions = NULL;
	struct json *rules = NULL, *parameters;
	struct err err = {};
	const char *child;
	bool all = false;
	int64_t failed = 0;
	size_t n = 0;
	int r;

	if (!read_child(pod, connection, call, &child))
		return;
	r = read_positions(call, &positions, &n, &err);
	if (r == 0)
		r = json_read_bool(call->parameters, "all", false, &all, &err);
	if (r < 0) {
		methods_invalid(connection, "positions", err.msg);
		return;
	}
	r = network_remove_rules(pod->network, child, positions, n, all, &rules, &failed, &err);
	if (r == 0) {
		reply_settled(pod, connection, "rules", NULL, rules);
		return;
	}
	json_free(rules);
	if (r != -ENOENT) {
		connection_fail(connection, err.msg);
		return;
	}
	parameters = json_new_object();
	json_set_int(parameters, "position", failed);
	connection_error(connection, VARLINK_INTERFACE ".NoSuchRule", parameters);
}
