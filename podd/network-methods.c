/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Ports and rules that are added and removed while the pod runs: see network.c. What is done is
 * recorded first, so that it holds when podd comes back; what cannot be done is taken back. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container.h"
#include "hierarchy.h"
#include "network-internal.h"
#include "text.h"

static enum port_origin origin_of(const struct network *network, const char *child,
	const char *spec)
{
	char *const *publish = network->pod->spec.publish;

	return !*child && publish && strv_contains(publish, spec) ? PORT_OF_POD : PORT_ADDED;
}

/* ---- ports ---- */

static void append_ports(const struct network *network, const char *child, char *const *specs,
	struct json *array)
{
	const struct network_port *port = network->ports;

	for (; port; port = port->next)
		if (text_equal(port->child, child) && (!specs || strv_contains(specs, port->spec)))
			json_append(array, network_port_to_json(network, port));
}

static bool is_of_spec(const struct network_port *port, const void *opaque)
{
	return text_equal(port->spec, opaque);
}

static void take_back(struct network *network, const char *child, char *const *specs, size_t n)
{
	while (n-- > 0) {
		(void)pod_network_remove_port(&network->record, child, specs[n]);
		network_give_up_ports(network, child, is_of_spec, specs[n]);
	}
}

static bool has_spec(const struct network *network, const char *child, const char *spec)
{
	const struct network_port *port = network->ports;

	while (port && !(text_equal(port->child, child) && text_equal(port->spec, spec)))
		port = port->next;
	return port;
}

/* The host's port of a child that was never there is taken when it comes. */
static int add_port(struct network *network, const char *child, const char *spec,
	uint32_t wait_ms, struct err *err)
{
	int r;

	if (has_spec(network, child, spec))
		return err_set(err, -EEXIST, "%s is published already", spec);
	r = pod_network_add_port(&network->record, child, spec, wait_ms, err);
	if (r < 0 || (*child && !network_scope(network, child)))
		return r;
	r = network_take_ports(network, child, spec, origin_of(network, child, spec), wait_ms, err);
	if (r < 0)
		(void)pod_network_remove_port(&network->record, child, spec);
	return r;
}

int network_add_ports(struct network *network, const char *child, char *const *specs,
	uint32_t wait_ms, struct json **ret, const char **ret_failed, struct err *err)
{
	autoptr(json) array = json_new_array();
	size_t n = 0;
	int r = 0;

	while (r == 0 && specs[n]) {
		r = add_port(network, child, specs[n], wait_ms, err);
		if (r < 0)
			*ret_failed = specs[n];
		else
			n++;
	}
	if (r == 0)
		r = network_save(network, err);
	if (r < 0) {
		take_back(network, child, specs, n);
		return r;
	}
	append_ports(network, child, specs, array);
	*ret = take_ptr(array);
	return 0;
}

static bool is_recorded(const struct network *network, const char *child, const char *spec)
{
	for (size_t i = 0; i < network->record.n_ports; i++)
		if (text_equal(network->record.ports[i].child, child) &&
			text_equal(network->record.ports[i].spec, spec))
			return true;
	return false;
}

/* Every specification of a child, once. Return: 0 or -ENOMEM. */
static int all_specs(const struct network *network, const char *child, char ***ret)
{
	autostrv specs = NULL;
	int r = 0;

	for (const struct network_port *port = network->ports; r == 0 && port; port = port->next)
		if (text_equal(port->child, child) && !(specs && strv_contains(specs, port->spec)))
			r = strv_add(&specs, port->spec);
	for (size_t i = 0; r == 0 && i < network->record.n_ports; i++) {
		const struct pod_network_port *port = &network->record.ports[i];

		if (text_equal(port->child, child) && !(specs && strv_contains(specs, port->spec)))
			r = strv_add(&specs, port->spec);
	}
	if (r == 0)
		*ret = take_ptr(specs);
	return r;
}

int network_remove_ports(struct network *network, const char *child, char *const *specs, bool all,
	struct json **ret, const char **ret_failed, struct err *err)
{
	autoptr(json) array = json_new_array();
	autostrv every = NULL;
	char *const none[] = {NULL};

	if (all && all_specs(network, child, &every) < 0)
		return err_oom(err);
	if (all)
		specs = every ? every : none;
	for (size_t i = 0; specs[i]; i++) {
		if (has_spec(network, child, specs[i]) || is_recorded(network, child, specs[i]))
			continue;
		*ret_failed = specs[i];
		return err_set(err, -ENOENT, "%s is not published", specs[i]);
	}
	append_ports(network, child, specs, array);
	for (size_t i = 0; specs[i]; i++) {
		(void)pod_network_remove_port(&network->record, child, specs[i]);
		network_give_up_ports(network, child, is_of_spec, specs[i]);
	}
	*ret = take_ptr(array);
	return network_save(network, err);
}

/* Those of children that were never there are only recorded. */
static void append_recorded(const struct network *network, struct json *array)
{
	for (size_t i = 0; i < network->record.n_ports; i++) {
		const struct pod_network_port *recorded = &network->record.ports[i];
		struct network_port port = {.spec = recorded->spec, .origin = PORT_ADDED};

		if (has_spec(network, recorded->child, recorded->spec) ||
			publish_parse(recorded->spec, &port.publish, NULL) < 0)
			continue;
		text_copy(port.child, sizeof(port.child), recorded->child);
		for (; port.offset < port.publish.n; port.offset++)
			json_append(array, network_port_to_json(network, &port));
	}
}

struct json *network_ports(const struct network *network)
{
	struct json *array = json_new_array();
	const struct network_port *port = network->ports;

	for (; port; port = port->next)
		json_append(array, network_port_to_json(network, port));
	append_recorded(network, array);
	return array;
}

/* ---- rules ---- */

static void append_rule(struct json *array, const char *child, size_t position,
	const struct egress_rule *rule)
{
	struct json *object = json_new_object();
	char text[EGRESS_TEXT_SIZE];

	egress_format(rule, text);
	if (*child)
		json_set_string(object, "child", child);
	json_set_int(object, "position", (int64_t)position);
	json_set_string(object, "rule", text);
	json_append(array, object);
}

static int parse_rules(char *const *texts, struct egress_rule rules[EGRESS_RULES_MAX],
	size_t *ret_n, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; texts[i]; i++) {
		size_t added = 0;
		int r = egress_parse(texts[i], rules + n, EGRESS_RULES_MAX - n, &added, err);

		if (r < 0)
			return r;
		n += added;
	}
	*ret_n = n;
	return 0;
}

/* What shares the pod's network cannot be told apart there. */
static bool shares_network(const struct network *network, const char *child)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	const struct network_scope *scope = network_scope(network, child);
	autoclose int childfd = -1;

	if (scope)
		return scope->shared;
	/* One that was not started yet. */
	return hierarchy_open_child(network->pod->podfd, child, false, &childfd, NULL) == 0 &&
	       container_spec_load(childfd, &spec, NULL) == 0 && spec.net == CONTAINER_NET_POD;
}

static int check_scope(const struct network *network, const char *child, struct err *err)
{
	if (!*child || !shares_network(network, child))
		return 0;
	return err_set(err, -EINVAL,
		"container %s shares the pod's network, so the pod's rules hold for it: give the rule to "
		"pod %s, or the container a network of its own (--network)",
		child, network->pod->path);
}

/* An uplink that cannot have the rules (it has no memory) is ended: see network.c. */
static int carry_out(struct network *network, const char *child, struct err *err)
{
	int r = network_save(network, err);

	return r == 0 ? network_tell_rules(network, child, err) : r;
}

int network_add_rules(struct network *network, const char *child, char *const *texts,
	unsigned position, struct json **ret, struct err *err)
{
	struct egress_rule rules[EGRESS_RULES_MAX], all[EGRESS_RULES_MAX];
	autoptr(json) array = json_new_array();
	size_t n, count, first;
	int r;

	r = parse_rules(texts, rules, &n, err);
	if (r == 0)
		r = check_scope(network, child, err);
	if (r < 0)
		return r;
	count = pod_network_rules(&network->record, child, all);
	first = position == 0 || position > count ? count + 1 : position;
	r = pod_network_add_rules(&network->record, child, position, rules, n, err);
	if (r < 0)
		return r;
	r = carry_out(network, child, err);
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			(void)pod_network_remove_rule(&network->record, child, first);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		append_rule(array, child, first + i, &rules[i]);
	*ret = take_ptr(array);
	return 0;
}


int network_remove_rules(struct network *network, const char *child, const int64_t *positions,
	size_t n, bool all, struct json **ret, int64_t *ret_failed, struct err *err)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t count = pod_network_rules(&network->record, child, rules);
	bool removed[EGRESS_RULES_MAX] = {};
	autoptr(json) array = json_new_array();

	for (size_t i = 0; !all && i < n; i++) {
		if (positions[i] < 1 || (size_t)positions[i] > count) {
			*ret_failed = positions[i];
			return err_set(err, -ENOENT, "there is no such rule");
		}
		removed[positions[i] - 1] = true;
	}
	for (size_t i = 0; i < count; i++) {
		removed[i] |= all;
		if (removed[i])
			append_rule(array, child, i + 1, &rules[i]);
	}
	/* From the last, so that the positions of the others stay. */
	for (size_t i = count; i > 0; i--)
		if (removed[i - 1])
			(void)pod_network_remove_rule(&network->record, child, i);
	*ret = take_ptr(array);
	return carry_out(network, child, err);
}

static void append_rules(const struct network *network, const char *child, struct json *array)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n = pod_network_rules(&network->record, child, rules);

	for (size_t i = 0; i < n; i++)
		append_rule(array, child, i + 1, &rules[i]);
}

struct json *network_rules(const struct network *network)
{
	const struct pod_network *record = &network->record;
	struct json *array = json_new_array();

	append_rules(network, "", array);
	for (size_t i = 0; i < record->n_rules; i++) {
		const char *child = record->rules[i].child;
		size_t first = 0;

		while (!text_equal(record->rules[first].child, child))
			first++;
		if (*child && first == i)
			append_rules(network, child, array);
	}
	return array;
}
