/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Who has what of the pod's network beyond its start:
 *
 *   network.json    what the pod was created with and what was added later; podd writes it
 *   attachments     the addresses of children, and the ports that they ask for themselves
 *   podd            the host's sockets, so that a port outlives an uplink and a child's restart
 *   podd-uplink     a copy of all of it, by numbers; a new podd gets them back from there
 *
 * network.c has the children and the rules, network-ports.c the ports, network-methods.c what the
 * control socket asks for.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "hierarchy.h"
#include "network-internal.h"
#include "text.h"

static void complain(const struct network *network, const struct err *err)
{
	fprintf(stderr, "podd: pod %s: %s\n", network->pod->path, err->msg);
}

int network_new(struct pod *pod, struct network **ret, struct err *err)
{
	struct network *network = calloc(1, sizeof(*network));
	int r;

	if (!network)
		return err_oom(err);
	network->pod = pod;
	network->uplink = pod->spec.net == POD_NET_SLIRP || pod_is_tenant(pod);
	network->next_id = 1;
	r = pod_network_load(pod->podfd, &network->record, err);
	if (r == -ENOENT)
		r = pod_network_from_spec(&pod->spec, &network->record, err);
	if (r < 0) {
		free(network);
		return r;
	}
	*ret = network;
	return 0;
}

static void scope_free(struct network_scope *scope)
{
	strv_free(scope->publish);
	free(scope);
}

void network_free(struct network *network)
{
	if (!network)
		return;
	network_close(network);
	while (network->scopes) {
		struct network_scope *scope = network->scopes;

		network->scopes = scope->next;
		scope_free(scope);
	}
	pod_network_done(&network->record);
	free(network);
}

int network_save(struct network *network, struct err *err)
{
	return pod_network_save(network->pod->podfd, &network->record, err);
}

/* ---- scopes ---- */

struct network_scope *network_scope(const struct network *network, const char *child)
{
	struct network_scope *scope = network->scopes;

	while (scope && !text_equal(scope->child, child))
		scope = scope->next;
	return scope;
}

static struct network_scope *scope_new(struct network *network, const char *child, uint32_t id)
{
	struct network_scope *scope = calloc(1, sizeof(*scope));

	if (!scope)
		return NULL;
	scope->id = id;
	text_copy(scope->child, sizeof(scope->child), child);
	scope->next = network->scopes;
	network->scopes = scope;
	if (network->next_id <= id)
		network->next_id = id + 1;
	return scope;
}

struct network_scope *network_scope_make(struct network *network, const char *child)
{
	struct network_scope *scope = network_scope(network, child);

	return scope ? scope : scope_new(network, child, network->next_id);
}

bool network_id_is_free(const struct network *network, uint32_t id)
{
	const struct network_port *port = network->ports;

	while (port && port->id != id)
		port = port->next;
	return id != 0 && id < INT32_MAX && !port && !network_child(network, id);
}

const char *network_child(const struct network *network, uint32_t id)
{
	const struct network_scope *scope = network->scopes;

	while (scope && scope->id != id)
		scope = scope->next;
	return scope ? scope->child : NULL;
}

/* An uplink that cannot have them must not carry anything: the next one may have it better. */
static void on_rules_told(struct pod *pod, void *opaque, int result, const char *text)
{
	if (result >= 0 || result == -ECONNRESET)
		return;
	fprintf(stderr, "podd: pod %s: podd-uplink: %s\n", pod->path, text);
	pod_kill_uplink(pod);
}

/* An uplink that is being started is told everything once it runs. */
static int tell(struct network *network, const struct uplink_request *request, struct err *err)
{
	int r = pod_ask_uplink(network->pod, request, NULL, 0, on_rules_told, NULL, err);

	return r == -ENOTCONN ? 0 : r;
}

int network_tell_child(struct network *network, const struct network_scope *scope, bool gone,
	struct err *err)
{
	struct uplink_request request = {
		.operation = UPLINK_CHILD,
		.length = sizeof(request.child),
		.child = {
			.id = scope->id,
			.gone = gone,
			.up = scope->up,
			.shared = scope->shared,
			.n_addresses = scope->n_addresses,
		},
	};

	if (!network->uplink)
		return 0;
	memcpy(request.child.name, scope->child, sizeof(request.child.name));
	memcpy(request.child.addresses, scope->addresses, sizeof(request.child.addresses));
	return tell(network, &request, err);
}

int network_tell_rules(struct network *network, const char *child, struct err *err)
{
	const struct network_scope *scope = *child ? network_scope(network, child) : NULL;
	struct uplink_request request = {.operation = UPLINK_EGRESS};

	if (!network->uplink || (*child && !scope))
		return 0;
	request.egress.id = scope ? scope->id : 0;
	request.egress.n =
		(uint32_t)pod_network_rules(&network->record, child, request.egress.rules);
	request.length = (uint32_t)(offsetof(struct uplink_egress, rules) +
				    request.egress.n * sizeof(struct egress_rule));
	return tell(network, &request, err);
}

int network_tell_rules_all(struct network *network, struct err *err)
{
	int r = network_tell_rules(network, "", err);

	for (struct network_scope *scope = network->scopes; r == 0 && scope; scope = scope->next) {
		r = network_tell_child(network, scope, false, err);
		if (r == 0)
			r = network_tell_rules(network, scope->child, err);
	}
	return r;
}

int network_tell_ports(struct network *network, struct err *err)
{
	int r = 0;

	for (struct network_port *port = network->ports; r == 0 && port; port = port->next)
		r = network_tell_port(network, port, err);
	return r;
}

/* ---- start, adoption, end ---- */

int network_open(struct network *network, struct err *err)
{
	const struct pod_network *record = &network->record;
	int r = 0;

	if (!network->uplink)
		return 0;
	for (size_t i = 0; r == 0 && i < record->n_ports; i++)
		if (!*record->ports[i].child)
			r = network_take_ports(network, "", record->ports[i].spec, PORT_OF_POD,
				record->ports[i].wait_ms, err);
	return r;
}

static void on_has(void *opaque, const struct uplink_reply *reply, int fds[2])
{
	struct network *network = opaque;
	char name[NAME_COMPONENT_MAX + 1];

	if (reply->is_port) {
		network_adopt_port(network, &reply->port, fds);
		return;
	}
	/* It may be in somebody else's hands. */
	memcpy(name, reply->child.name, sizeof(name));
	if (!memchr(name, '\0', sizeof(name)) || name_check_component(name, NULL) < 0 ||
		!network_id_is_free(network, reply->child.id) || network_scope(network, name))
		return;
	(void)scope_new(network, name, reply->child.id);
}

int network_adopt(struct network *network, struct err *err)
{
	struct network_port *port;
	struct err problem = {};
	int r = pod_adopt_uplink(network->pod, on_has, network, err);

	if (r < 0)
		return r;
	/* What was recorded, but not carried out any more: the pod runs, with or without it. */
	if (network_open(network, &problem) < 0)
		pod_warn(network->pod, "%s", problem.msg);
	for (port = network->ports; r == 0 && port; port = port->next)
		if (!port->told)
			r = network_tell_port(network, port, err);
	return r == 0 ? network_tell_rules(network, "", err) : r;
}

void network_clean(struct network *network)
{
	struct network_scope *next;

	for (struct network_scope *scope = network->scopes; scope; scope = next) {
		autoclose int childfd = -1;
		char child[NAME_COMPONENT_MAX + 1];

		next = scope->next;
		text_copy(child, sizeof(child), scope->child);
		if (hierarchy_open_any_child(network->pod->podfd, child, &childfd, NULL) == -ENOENT)
			network_remove(network, child);
	}
}

static bool any(const struct network_port *port, const void *opaque)
{
	return true;
}

bool network_has_uplink(const struct network *network)
{
	return network->uplink;
}

void network_close(struct network *network)
{
	network->uplink = false;
	network_give_up_ports(network, NULL, any, NULL);
}

/* ---- children ---- */

static void add_address(struct network_scope *scope, const char *text)
{
	struct in6_addr *address = &scope->addresses[scope->n_addresses];
	char plain[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	struct in_addr four;

	if (scope->n_addresses == UPLINK_ADDRESSES_MAX || length >= sizeof(plain))
		return;
	memcpy(plain, text, length);
	plain[length] = '\0';
	if (inet_pton(AF_INET, plain, &four) == 1) {
		memset(address, 0, 10);
		memset(&address->s6_addr[10], 0xff, 2);
		memcpy(&address->s6_addr[12], &four, sizeof(four));
		scope->n_addresses++;
	} else if (inet_pton(AF_INET6, plain, address) == 1) {
		scope->n_addresses++;
	}
}

static void add_addresses(struct network_scope *scope, const struct attachment *attachment)
{
	for (size_t i = 0; i < attachment->n_networks; i++) {
		char *const *addresses = attachment->networks[i].addresses;

		for (size_t n = 0; addresses && addresses[n]; n++)
			add_address(scope, addresses[n]);
	}
}

/* Of a pod in a pod: what it has got there. */
static void share_attached_addresses(const struct network *network, struct network_scope *scope)
{
	cleanup(attachment_done) struct attachment attachment = {};

	if (attachment_load(network->pod->podfd, &attachment, NULL) == 0)
		add_addresses(scope, &attachment);
}

static void share_addresses(const struct network *network, struct network_scope *scope)
{
	const struct pod_spec *spec = &network->pod->spec;
	struct in_addr self4 = pod_address4(spec, POD_HOST_SELF);
	struct in6_addr self6 = pod_address6(POD_HOST_SELF);
	char text[INET6_ADDRSTRLEN];

	scope->shared = true;
	scope->n_addresses = 0;
	if (pod_is_tenant(network->pod)) {
		share_attached_addresses(network, scope);
		return;
	}
	add_address(scope, inet_ntop(AF_INET, &self4, text, sizeof(text)));
	if (spec->ipv6)
		add_address(scope, inet_ntop(AF_INET6, &self6, text, sizeof(text)));
}

static void set_addresses(const struct network *network, struct network_scope *scope,
	const struct attachment *attachment)
{
	if (attachment->share == ATTACHMENT_SHARED) {
		share_addresses(network, scope);
		return;
	}
	scope->shared = false;
	scope->n_addresses = 0;
	add_addresses(scope, attachment);
}

static bool is_not_asked_for(const struct network_port *port, const void *opaque)
{
	return port->origin == PORT_OF_CONTAINER &&
	       !strv_contains((char *const *)opaque, port->spec);
}

/* Those of the container's own, and those that were added to it while it ran before. */
static int take_childs_ports(struct network *network, const char *child, char *const *publish,
	struct err *err)
{
	const struct pod_network *record = &network->record;
	char *const none[] = {NULL};
	int r = 0;

	if (!publish)
		publish = none;
	network_give_up_ports(network, child, is_not_asked_for, publish);
	for (size_t i = 0; r == 0 && publish[i]; i++)
		r = network_take_ports(network, child, publish[i], PORT_OF_CONTAINER,
			NETWORK_WAIT_MS, err);
	for (size_t i = 0; r == 0 && i < record->n_ports; i++)
		if (text_equal(record->ports[i].child, child))
			r = network_take_ports(network, child, record->ports[i].spec, PORT_ADDED,
				record->ports[i].wait_ms, err);
	return r;
}

static int check_rules(const struct network *network, const struct attachment *attachment,
	struct err *err)
{
	struct egress_rule rules[EGRESS_RULES_MAX];

	if (attachment->share != ATTACHMENT_SHARED ||
		pod_network_rules(&network->record, attachment->child, rules) == 0)
		return 0;
	return err_set(err, -EINVAL,
		"container %s has egress rules of its own, but shares the pod's network, for which the "
		"pod's rules hold: remove its rules (podctl egress rm %s/%s --all), or give it a network "
		"(--network)",
		attachment->child, network->pod->path, attachment->child);
}

int network_attach(struct network *network, const struct attachment *attachment, struct err *err)
{
	struct network_scope *scope;
	bool known;
	int r;

	if (!network->uplink)
		return 0;
	r = check_rules(network, attachment, err);
	if (r < 0)
		return r;
	known = network_scope(network, attachment->child) != NULL;
	scope = network_scope_make(network, attachment->child);
	if (!scope)
		return err_oom(err);
	scope->attached = true;
	text_copy(scope->generation, sizeof(scope->generation), attachment->generation);
	scope->up = attachment->phase == ATTACHMENT_ATTACHED;
	set_addresses(network, scope, attachment);
	r = network_tell_child(network, scope, false, err);
	/* Before its program can send anything. */
	if (r == 0)
		r = network_tell_rules(network, attachment->child, err);
	if (r == 0)
		r = take_childs_ports(network, attachment->child, attachment->publish, err);
	if (r < 0 && !known)
		network_detach(network, attachment->child);
	return r;
}

int network_publish(struct network *network, const char *child, char *const *publish,
	struct err *err)
{
	struct network_scope *scope;
	bool known = network_scope(network, child) != NULL;
	int r;

	if (!network->uplink)
		return 0;
	scope = network_scope_make(network, child);
	if (!scope)
		return err_oom(err);
	share_addresses(network, scope);
	r = network_tell_child(network, scope, false, err);
	if (r == 0)
		r = take_childs_ports(network, child, publish, err);
	if (r < 0 && !known)
		network_detach(network, child);
	return r;
}

/* One with a network of its own is up once it is attached. */
void network_up(struct network *network, const char *child)
{
	struct network_scope *scope = network_scope(network, child);
	struct err err = {};

	if (!scope || !scope->shared || scope->up)
		return;
	scope->up = true;
	if (network_tell_child(network, scope, false, &err) < 0)
		complain(network, &err);
}

static void set_down(struct network *network, struct network_scope *scope)
{
	struct err err = {};

	if (!scope->up)
		return;
	scope->up = false;
	if (network_tell_child(network, scope, false, &err) < 0)
		complain(network, &err);
}

void network_down(struct network *network, const char *child)
{
	struct network_scope *scope = network_scope(network, child);

	if (scope && scope->shared)
		set_down(network, scope);
}

void network_end(struct network *network, const char *child, const char *generation)
{
	struct network_scope *scope = network_scope(network, child);

	if (scope && text_equal(scope->generation, generation))
		set_down(network, scope);
}

static bool may_start_again(const struct network *network, const char *child)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;

	return hierarchy_open_child(network->pod->podfd, child, false, &childfd, NULL) == 0 &&
	       container_spec_load(childfd, &spec, NULL) == 0;
}

static void forget_scope(struct network *network, const char *child)
{
	struct network_scope **link = &network->scopes;
	struct network_scope *scope;
	struct err err = {};

	while (*link && !text_equal((*link)->child, child))
		link = &(*link)->next;
	scope = *link;
	if (!scope)
		return;
	*link = scope->next;
	if (network_tell_child(network, scope, true, &err) < 0)
		complain(network, &err);
	scope_free(scope);
}

void network_detach(struct network *network, const char *child)
{
	struct network_scope *scope = network_scope(network, child);
	struct err err = {};

	if (!scope)
		return;
	scope->attached = scope->up = false;
	scope->n_addresses = 0;
	if (may_start_again(network, child)) {
		if (network_tell_child(network, scope, false, &err) < 0)
			complain(network, &err);
		return;
	}
	network_give_up_ports(network, child, any, NULL);
	forget_scope(network, child);
}

void network_remove(struct network *network, const char *child)
{
	struct err err = {};
	bool changed = pod_network_forget_ports(&network->record, child);

	changed |= pod_network_forget_rules(&network->record, child);
	network_give_up_ports(network, child, any, NULL);
	forget_scope(network, child);
	if (changed && network_save(network, &err) < 0)
		complain(network, &err);
}
