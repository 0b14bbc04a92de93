/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the control socket's methods do: see schemas/io.podd.Pod.varlink. One function each, one
 * table; those of the data plane are in methods-network.c. */

#include "methods-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "cleanup.h"
#include "container.h"
#include "containers.h"
#include "event-log.h"
#include "events.h"
#include "hierarchy.h"
#include "io.podd.Pod.h"
#include "launch.h"
#include "network.h"
#include "pod.h"
#include "text.h"
#include "totals.h"
#include "upgrade.h"

#define STOP_TIMEOUT_MAX_S 86400
#define SERVICE_INTERFACE "org.varlink.service"

/* The varlink protocol, "Service interface". */
static const char service_description[] =
	"# Every varlink service has this interface.\n"
	"interface org.varlink.service\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string,\n"
	"  interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

void methods_invalid(struct connection *connection, const char *parameter, const char *reason)
{
	struct json *parameters = json_new_object();

	json_set_string(parameters, "parameter", parameter);
	json_set_string(parameters, "reason", reason);
	connection_error(connection, VARLINK_INTERFACE ".InvalidParameter", parameters);
}

typedef void (*method_function)(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);

static void method_children(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	struct json *reply = json_new_object();

	json_set(reply, "children", children_to_json(pod->children));
	connection_reply(connection, reply, NULL, 0, false);
}

static void method_attach(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	const char *child = NULL, *generation = NULL;
	struct err err = {};
	int r;

	r = json_read_string(call->parameters, "child", true, &child, &err);
	if (r == 0)
		r = json_read_string(call->parameters, "generation", true, &generation, &err);
	if (r < 0) {
		methods_invalid(connection, "child", err.msg);
		return;
	}
	if (pod->state.phase == POD_STOPPING) {
		connection_error(connection, VARLINK_INTERFACE ".Stopping", NULL);
		return;
	}
	r = children_attach(pod->children, child, generation, &err);
	if (r == -ENOENT) {
		struct json *parameters = json_new_object();

		json_set_string(parameters, "child", child);
		connection_error(connection, VARLINK_INTERFACE ".NoSuchChild", parameters);
	} else if (r < 0) {
		connection_fail(connection, err.msg);
	} else {
		methods_reply_settled(pod, connection);
	}
}

static void method_detach(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	const char *child = NULL, *generation = NULL;
	struct err err = {};

	if (json_read_string(call->parameters, "child", true, &child, &err) < 0 ||
		json_read_string(call->parameters, "generation", true, &generation, &err) < 0) {
		methods_invalid(connection, "child", err.msg);
		return;
	}
	/* First the answer: the last child's end may be the pod's. */
	connection_reply(connection, json_new_object(), NULL, 0, false);
	children_detached(pod->children, child, generation);
}

static void forget_child(struct pod *pod, const char *child)
{
	network_remove(pod->network, child);
	totals_forget(pod, child);
}

static void method_report(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	const struct json *attributes = NULL;
	const char *child = NULL, *type = NULL;
	struct err err = {};
	int r;

	r = json_read_string(call->parameters, "child", true, &child, &err);
	if (r == 0)
		r = json_read_string(call->parameters, "type", true, &type, &err);
	if (r == 0)
		r = json_read_object(call->parameters, "attributes", false, &attributes, &err);
	if (r == 0)
		r = name_check_component(child, &err);
	if (r == 0 && (!*type || strlen(type) > EVENT_TYPE_MAX))
		r = err_set(&err, -EINVAL, "a type has 1 to %d bytes", EVENT_TYPE_MAX);
	if (r < 0) {
		methods_invalid(connection, "child", err.msg);
		return;
	}
	r = containers_look(pod->containers, child, &err);
	/* One that was removed is told of all the same. */
	if (r == -ENOENT && text_equal(type, "remove"))
		forget_child(pod, child);
	else if (text_equal(type, "start"))
		network_up(pod->network, child);
	else if (text_equal(type, "died"))
		network_down(pod->network, child);
	if (r < 0 && r != -ENOENT) {
		connection_fail(connection, err.msg);
		return;
	}
	if (containers_count(pod->containers) > 0 || text_equal(type, "remove"))
		pod->had_container = true;
	methods_reply_settled(pod, connection);
	events_send_with(pod, type, child, attributes);
	pod_consider_end(pod);
}

static void method_launch(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	autoclose int client = connection_take_fd(connection);
	autoclose int childfd = -1;
	const char *child = NULL;
	struct err err = {};
	int64_t order = 0;

	if (json_read_string(call->parameters, "child", true, &child, &err) < 0 ||
		json_read_int(call->parameters, "order", true, 0, INT64_MAX, &order, &err) < 0 ||
		name_check_component(child, &err) < 0) {
		methods_invalid(connection, "child", err.msg);
		return;
	}
	if (pod->state.phase == POD_STOPPING) {
		connection_error(connection, VARLINK_INTERFACE ".Stopping", NULL);
		return;
	}
	if (hierarchy_open_child(pod->podfd, child, false, &childfd, NULL) < 0 ||
		!container_is_made(childfd)) {
		struct json *parameters = json_new_object();

		json_set_string(parameters, "child", child);
		connection_error(connection, VARLINK_INTERFACE ".NoSuchChild", parameters);
		return;
	}
	if (launch_shim(pod, child, (uint64_t)order, client, &err) < 0)
		connection_fail(connection, err.msg);
	else
		connection_reply(connection, json_new_object(), NULL, 0, false);
}

static void method_namespaces(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	cleanup(ns_set_done) struct ns_set set;
	struct json *reply, *array;
	autoclose int dir = -1;
	struct err err = {};
	int fds[NS_KINDS];
	size_t n = 0;
	int r;

	ns_set_init(&set);
	r = proc_open_dir(&pod->state.outer, &dir);
	if (r < 0)
		err_set(&err, r, "the outer container is gone");
	else
		r = ns_open(dir, pod->state.namespaces, &set, &err);
	if (r < 0) {
		connection_fail(connection, err.msg);
		return;
	}
	reply = json_new_object();
	array = json_set_array(reply, "namespaces");
	for (int i = 0; i < NS_KINDS; i++) {
		struct json *ns;

		if (set.fds[i] < 0)
			continue;
		fds[n++] = set.fds[i];
		ns = json_new_object();
		json_set_string(ns, "kind", ns_name((enum ns_kind)i));
		json_set_int(ns, "device", (int64_t)pod->state.namespaces[i].device);
		json_set_int(ns, "inode", (int64_t)pod->state.namespaces[i].inode);
		json_append(array, ns);
	}
	connection_reply(connection, reply, fds, n, false);
}

static void on_stopped(void *userdata, int result)
{
	server_finish_stops(userdata, result);
}

static void method_stop(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	struct err err = {};
	int64_t timeout = 0;
	int r;

	if (json_read_int(call->parameters, "timeout", true, 0, STOP_TIMEOUT_MAX_S, &timeout, &err) <
		0) {
		methods_invalid(connection, "timeout", err.msg);
		return;
	}
	/* A second caller waits for the same end. */
	connection_wait_for_stop(connection);
	r = pod_stop(pod, (unsigned)timeout, on_stopped, pod->server);
	if (r < 0 && r != -EALREADY)
		connection_fail(connection, strerror(-r));
}

static void method_events(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	if (!call->more) {
		connection_error(connection, SERVICE_INTERFACE ".ExpectedMore", NULL);
		return;
	}
	connection_subscribe(connection);
	connection_reply(connection, events_now(pod), NULL, 0, true);
}

static void method_get_info(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	static char *const interfaces[] = {(char *)SERVICE_INTERFACE, (char *)VARLINK_INTERFACE,
		NULL};
	struct json *reply = json_new_object();

	json_set_string(reply, "vendor", "podd");
	json_set_string(reply, "product", "podd");
	json_set_string(reply, "version", PACKAGE_VERSION);
	json_set_string(reply, "url", "");
	json_set_strv(reply, "interfaces", interfaces);
	connection_reply(connection, reply, NULL, 0, false);
}

static void method_get_interface(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	const char *name = NULL;
	struct json *parameters;
	struct err err = {};

	if (json_read_string(call->parameters, "interface", true, &name, &err) < 0) {
		methods_invalid(connection, "interface", err.msg);
		return;
	}
	parameters = json_new_object();
	if (text_equal(name, VARLINK_INTERFACE)) {
		json_set_string(parameters, "description", interface_description);
	} else if (text_equal(name, SERVICE_INTERFACE)) {
		json_set_string(parameters, "description", service_description);
	} else {
		json_set_string(parameters, "interface", name);
		connection_error(connection, SERVICE_INTERFACE ".InterfaceNotFound", parameters);
		return;
	}
	connection_reply(connection, parameters, NULL, 0, false);
}

static const struct {
	const char *name;
	method_function function;
	bool inside; /* may be called from within the pod: what hooks need, and what only tells */
} methods[] = {
	{VARLINK_INTERFACE ".Inspect", method_inspect, true},
	{VARLINK_INTERFACE ".Children", method_children, true},
	{VARLINK_INTERFACE ".Attach", method_attach, true},
	{VARLINK_INTERFACE ".Detach", method_detach, true},
	{VARLINK_INTERFACE ".Report", method_report, true},
	{VARLINK_INTERFACE ".Launch", method_launch, false},
	{VARLINK_INTERFACE ".Namespaces", method_namespaces, false},
	{VARLINK_INTERFACE ".Stop", method_stop, false},
	{VARLINK_INTERFACE ".Events", method_events, true},
	{VARLINK_INTERFACE ".PortAdd", method_port_add, false},
	{VARLINK_INTERFACE ".PortRemove", method_port_remove, false},
	{VARLINK_INTERFACE ".Publish", method_publish, false},
	{VARLINK_INTERFACE ".Ports", method_ports, true},
	{VARLINK_INTERFACE ".EgressAdd", method_egress_add, false},
	{VARLINK_INTERFACE ".EgressRemove", method_egress_remove, false},
	{VARLINK_INTERFACE ".Egress", method_egress, true},
	{VARLINK_INTERFACE ".Flows", method_flows, true},
	{VARLINK_INTERFACE ".Capture", method_capture, false},
	{VARLINK_INTERFACE ".Tenant", method_tenant, false},
	{VARLINK_INTERFACE ".RestoreRules", method_restore_rules, false},
	{VARLINK_INTERFACE ".Upgrade", method_upgrade, false},
	{VARLINK_INTERFACE ".ReplaceUplink", method_replace_uplink, false},
	{SERVICE_INTERFACE ".GetInfo", method_get_info, true},
	{SERVICE_INTERFACE ".GetInterfaceDescription", method_get_interface, true},
};

/* While the pod waits for its next start there is nothing to do it with. */
static bool is_possible(const struct pod *pod, const struct varlink_call *call)
{
	return pod->children ||
	       text_equal(call->method, VARLINK_INTERFACE ".Stop") ||
	       text_equal(call->method, VARLINK_INTERFACE ".Events") ||
	       text_starts_with(call->method, SERVICE_INTERFACE ".");
}

void methods_dispatch(struct pod *pod, struct connection *connection,
	const struct varlink_call *call)
{
	struct json *parameters;
	char interface[256];
	char *dot;

	if (!is_possible(pod, call)) {
		connection_fail(connection, "the pod has failed, and is about to be started again");
		return;
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!text_equal(methods[i].name, call->method))
			continue;
		if (connection_is_inside(connection) && !methods[i].inside)
			connection_error(connection, SERVICE_INTERFACE ".PermissionDenied", NULL);
		else
			methods[i].function(pod, connection, call);
		return;
	}
	parameters = json_new_object();
	if (!text_starts_with(call->method, VARLINK_INTERFACE ".") &&
		!text_starts_with(call->method, SERVICE_INTERFACE ".")) {
		text_copy(interface, sizeof(interface), call->method);
		dot = strrchr(interface, '.');
		if (dot)
			*dot = '\0';
		json_set_string(parameters, "interface", interface);
		connection_error(connection, SERVICE_INTERFACE ".InterfaceNotFound", parameters);
		return;
	}
	json_set_string(parameters, "method", call->method);
	connection_error(connection, SERVICE_INTERFACE ".MethodNotFound", parameters);
}
