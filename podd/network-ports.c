/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Published ports, as podd has them: see network.c. One struct network_port for each port of a
 * range. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "manager.h"
#include "network-internal.h"
#include "text.h"

/* ---- to the uplink ---- */

static void on_told(struct pod *pod, void *opaque, int result, const char *text)
{
	if (result < 0 && result != -ECONNRESET)
		fprintf(stderr, "podd: pod %s: podd-uplink: %s\n", pod->path, text);
}

/* How a later podd knows it again: child, specification, place in its range, origin. */
static void format_tag(const struct network_port *port, char ret[UPLINK_TAG_SIZE])
{
	snprintf(ret, UPLINK_TAG_SIZE, "%s %s %u %d", *port->child ? port->child : "-", port->spec,
		port->offset, port->origin);
}

int network_tell_port(struct network *network, struct network_port *port, struct err *err)
{
	const struct network_scope *scope =
		*port->child ? network_scope(network, port->child) : NULL;
	struct uplink_request request = {
		.operation = UPLINK_PORT,
		.length = sizeof(request.port),
		.port = {
			.id = port->id,
			.child = scope ? scope->id : 0,
			.wait_ms = port->wait_ms,
			.port = (uint16_t)(port->publish.container_port + port->offset),
			.protocol = port->publish.protocol,
			.n_fds = (uint8_t)port->n_fds,
		},
	};
	int r;

	if (!network->uplink || port->n_fds == 0)
		return 0;
	/* Number 0 would be the pod's own server. */
	if (*port->child && !scope)
		return err_set(err, -ESRCH, "no child %s is known", port->child);
	format_tag(port, request.port.tag);
	r = pod_ask_uplink(network->pod, &request, port->fds, port->n_fds, on_told, NULL, err);
	port->told = r == 0;
	return r == -ENOTCONN ? 0 : r;
}

static void tell_removal(struct network *network, const struct network_port *port)
{
	const struct uplink_request request = {
		.operation = UPLINK_PORT_REMOVE,
		.length = sizeof(request.port),
		.port = {.id = port->id},
	};
	struct err err = {};

	if (network->uplink && port->told &&
		pod_ask_uplink(network->pod, &request, NULL, 0, on_told, NULL, &err) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", network->pod->path, err.msg);
}

static unsigned count_ports(const struct network *network)
{
	unsigned n = 0;

	for (const struct network_port *port = network->ports; port; port = port->next)
		n++;
	return n;
}

/* ---- in the manager's hands, for a podd that comes when the uplink is dead as well ---- */

#define KEPT_PREFIX MANAGER_KEPT "port~"
/* What the manager takes; a tag, which is written from the same, is shorter. */
#define KEPT_NAME_SIZE 256

/* The manager's own separator is ':', which no specification goes without. */
static void format_kept(const struct network_port *port, char ret[KEPT_NAME_SIZE])
{
	snprintf(ret, KEPT_NAME_SIZE, KEPT_PREFIX "%s~%s~%u", port->child, port->spec, port->offset);
	for (; *ret; ret++)
		if (*ret == ':')
			*ret = ',';
}

static void keep_port(struct network *network, const struct network_port *port)
{
	char name[KEPT_NAME_SIZE];

	format_kept(port, name);
	for (unsigned i = 0; i < port->n_fds; i++)
		manager_keep(network->pod->manager, name, port->fds[i]);
}

static void drop_kept(struct network *network, const struct network_port *port)
{
	char name[KEPT_NAME_SIZE];

	format_kept(port, name);
	if (port->n_fds > 0)
		manager_drop(network->pod->manager, name);
}

static bool is_of_port(int fd, const void *opaque)
{
	const struct network_port *port = opaque;

	return port_is_of(fd, &port->publish, port->offset);
}

static bool take_kept(struct network *network, struct network_port *port)
{
	char name[KEPT_NAME_SIZE];

	format_kept(port, name);
	port->n_fds = manager_take(
		network->pod->manager, name, is_of_port, port, port->fds, PORT_FDS_MAX);
	port->host_port = port->n_fds > 0 ? port_number(port->fds[0]) : 0;
	return port->n_fds > 0;
}

/* Names that are in use, sorted: there may be thousands. */
struct kept_names {
	char (*names)[KEPT_NAME_SIZE];
	size_t n;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool is_in_use(const char *name, const void *opaque)
{
	const struct kept_names *kept = opaque;

	return bsearch(name, kept->names, kept->n, KEPT_NAME_SIZE, compare_names);
}

void network_settle(struct network *network)
{
	struct kept_names kept = {};

	kept.names = calloc(count_ports(network) + 1, KEPT_NAME_SIZE);
	/* Without memory everything stays with the manager: the next podd looks at it again. */
	if (!kept.names)
		return;
	for (const struct network_port *port = network->ports; port; port = port->next)
		if (port->n_fds > 0)
			format_kept(port, kept.names[kept.n++]);
	qsort(kept.names, kept.n, KEPT_NAME_SIZE, compare_names);
	manager_settle(network->pod->manager, is_in_use, &kept);
	free(kept.names);
}

/* ---- the ports ---- */

static void port_free(struct network_port *port)
{
	for (unsigned i = 0; i < PORT_FDS_MAX; i++)
		cleanup_close(&port->fds[i]);
	free(port->spec);
	free(port);
}

static struct network_port *port_new(struct network *network, const char *child, const char *spec,
	unsigned offset)
{
	struct network_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->spec = strdup(spec);
	if (!port->spec) {
		free(port);
		return NULL;
	}
	for (unsigned i = 0; i < PORT_FDS_MAX; i++)
		port->fds[i] = -1;
	text_copy(port->child, sizeof(port->child), child);
	port->offset = offset;
	port->id = network->next_id++;
	return port;
}

static void link_port(struct network *network, struct network_port *port)
{
	struct network_port **last = &network->ports;

	while (*last)
		last = &(*last)->next;
	*last = port;
}

static bool has_port(const struct network *network, const char *child, const char *spec,
	unsigned offset)
{
	const struct network_port *port = network->ports;

	while (port && !(text_equal(port->child, child) && text_equal(port->spec, spec) &&
			       port->offset == offset))
		port = port->next;
	return port;
}

void network_give_up_ports(struct network *network, const char *child,
	bool (*gives_up)(const struct network_port *port, const void *opaque), const void *opaque)
{
	struct network_port **link = &network->ports;

	while (*link) {
		struct network_port *port = *link;

		if ((child && !text_equal(port->child, child)) || !gives_up(port, opaque)) {
			link = &port->next;
			continue;
		}
		*link = port->next;
		tell_removal(network, port);
		drop_kept(network, port);
		port_free(port);
	}
}

static int take_port(struct network *network, const char *child, const char *spec,
	const struct publish *publish, unsigned offset, enum port_origin origin, uint32_t wait_ms,
	struct err *err)
{
	struct network_port *port = port_new(network, child, spec, offset);
	int r;

	if (!port)
		return err_oom(err);
	port->origin = origin;
	port->publish = *publish;
	port->wait_ms = wait_ms;
	r = take_kept(network, port) ? 0
				     : port_open(publish, offset, port->fds, &port->n_fds,
					       &port->host_port, err);
	if (r == 0)
		r = network_tell_port(network, port, err);
	if (r < 0) {
		port_free(port);
		return r;
	}
	link_port(network, port);
	keep_port(network, port);
	return 0;
}

struct new_ports {
	const char *spec;
	uint32_t first_id;
};

static bool is_new(const struct network_port *port, const void *opaque)
{
	const struct new_ports *new = opaque;

	return port->id >= new->first_id && text_equal(port->spec, new->spec);
}

int network_take_ports(struct network *network, const char *child, const char *spec,
	enum port_origin origin, uint32_t wait_ms, struct err *err)
{
	const struct new_ports new = {.spec = spec, .first_id = network->next_id};
	struct publish publish;
	int r = publish_parse(spec, &publish, err);

	if (r == 0 && count_ports(network) + publish.n > NETWORK_PORTS_MAX)
		r = err_set(err, -E2BIG, "more than %d ports of a pod: publish fewer",
			NETWORK_PORTS_MAX);
	for (unsigned offset = 0; r == 0 && offset < publish.n; offset++)
		if (!has_port(network, child, spec, offset))
			r = take_port(network, child, spec, &publish, offset, origin, wait_ms, err);
	if (r < 0)
		network_give_up_ports(network, child, is_new, &new);
	return r;
}

/* ---- those of an uplink that another podd has started ---- */

/* Return: false for a tag that is none of ours. */
static bool parse_tag(const char *tag, char child[NAME_COMPONENT_MAX + 1], char spec[128],
	unsigned *ret_offset, enum port_origin *ret_origin)
{
	unsigned origin;

	if (memchr(tag, '\0', UPLINK_TAG_SIZE) == NULL ||
		sscanf(tag, "%63s %127s %u %u", child, spec, ret_offset, &origin) != 4 ||
		origin > PORT_ADDED)
		return false;
	if (text_equal(child, "-"))
		child[0] = '\0';
	else if (name_check_component(child, NULL) < 0)
		return false;
	*ret_origin = (enum port_origin)origin;
	return true;
}
_Static_assert(NAME_COMPONENT_MAX == 63, "the format above");

void network_adopt_port(struct network *network, const struct uplink_port *has, int fds[2])
{
	char child[NAME_COMPONENT_MAX + 1], spec[128];
	struct network_port *port;
	enum port_origin origin;
	struct publish publish;
	unsigned offset;

	if (!network_id_is_free(network, has->id) || count_ports(network) >= NETWORK_PORTS_MAX ||
		!parse_tag(has->tag, child, spec, &offset, &origin) ||
		publish_parse(spec, &publish, NULL) < 0 || has_port(network, child, spec, offset))
		return;
	for (unsigned i = 0; i < PORT_FDS_MAX && fds[i] >= 0; i++)
		if (!port_is_of(fds[i], &publish, offset))
			return;
	port = port_new(network, child, spec, offset);
	if (!port)
		return;
	port->id = has->id;
	if (network->next_id <= has->id)
		network->next_id = has->id + 1;
	port->origin = origin;
	port->publish = publish;
	port->wait_ms = has->wait_ms;
	port->told = true;
	for (unsigned i = 0; i < PORT_FDS_MAX && fds[i] >= 0; i++)
		port->fds[port->n_fds++] = take_fd(&fds[i]);
	port->host_port = port->n_fds > 0 ? port_number(port->fds[0]) : 0;
	link_port(network, port);
	keep_port(network, port);
}

/* ---- to be shown ---- */

struct json *network_port_to_json(const struct network *network, const struct network_port *port)
{
	static const char *const origins[] = {
		[PORT_OF_POD] = "pod",
		[PORT_OF_CONTAINER] = "container",
		[PORT_ADDED] = "added",
	};
	struct json *object = json_new_object();

	if (*port->child)
		json_set_string(object, "child", port->child);
	json_set_string(object, "spec", port->spec);
	json_set_string(object, "protocol", port->publish.protocol == IPPROTO_UDP ? "udp" : "tcp");
	json_set_string(object, "host_ip", port->publish.host_ip);
	json_set_int(object, "host_port",
		port->host_port > 0 ? port->host_port :
		port->publish.host_port > 0 ? port->publish.host_port + (int)port->offset : 0);
	json_set_int(object, "container_port", port->publish.container_port + (int)port->offset);
	json_set_string(object, "state", port->n_fds > 0 ? "listening" : "waiting");
	json_set_bool(object, "source_kept",
		port->publish.protocol == IPPROTO_UDP || network->pod->uplink_net.transparent);
	json_set_string(object, "origin", origins[port->origin]);
	return object;
}
