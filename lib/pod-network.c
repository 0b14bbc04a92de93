/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network.json, see pod-network.h. The two lists grow by one place at a time: they are short, and
 * change when a person says so.
 */

#include "pod-network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"
#include "record-internal.h"
#include "text.h"

void pod_network_init(struct pod_network *network)
{
	memset(network, 0, sizeof(*network));
}

void pod_network_done(struct pod_network *network)
{
	for (size_t i = 0; i < network->n_ports; i++)
		free(network->ports[i].spec);
	free(network->ports);
	free(network->rules);
	memset(network, 0, sizeof(*network));
}

static int copy_child(char target[NAME_COMPONENT_MAX + 1], const char *child, struct err *err)
{
	int r = *child ? name_check_component(child, err) : 0;

	return r < 0 ? r : text_copy(target, NAME_COMPONENT_MAX + 1, child);
}

/* ---- ports ---- */

static size_t find_port(const struct pod_network *network, const char *child, const char *spec)
{
	size_t i = 0;

	while (i < network->n_ports && !(text_equal(network->ports[i].child, child) &&
						text_equal(network->ports[i].spec, spec)))
		i++;
	return i;
}

static int append_port(struct pod_network *network, const struct pod_network_port *port,
	struct err *err)
{
	struct pod_network_port *ports =
		reallocarray(network->ports, network->n_ports + 1, sizeof(*ports));

	if (!ports)
		return err_oom(err);
	network->ports = ports;
	ports[network->n_ports] = *port;
	ports[network->n_ports].spec = strdup(port->spec);
	if (!ports[network->n_ports].spec)
		return err_oom(err);
	network->n_ports++;
	return 0;
}

int pod_network_add_port(struct pod_network *network, const char *child, const char *spec,
	uint32_t wait_ms, struct err *err)
{
	struct pod_network_port port = {.wait_ms = wait_ms, .spec = (char *)spec};
	struct publish publish;
	int r;

	r = copy_child(port.child, child, err);
	if (r == 0)
		r = publish_parse(spec, &publish, err);
	if (r < 0)
		return r;
	if (find_port(network, child, spec) < network->n_ports)
		return err_set(err, -EEXIST, "port \"%s\" is there already", spec);
	if (network->n_ports == POD_NETWORK_PORTS_MAX)
		return err_set(err, -E2BIG, "more than %d ports to publish", POD_NETWORK_PORTS_MAX);
	return append_port(network, &port, err);
}

static void remove_port_at(struct pod_network *network, size_t i)
{
	free(network->ports[i].spec);
	memmove(&network->ports[i], &network->ports[i + 1],
		(network->n_ports - i - 1) * sizeof(network->ports[0]));
	network->n_ports--;
}

int pod_network_remove_port(struct pod_network *network, const char *child, const char *spec)
{
	size_t i = find_port(network, child, spec);

	if (i == network->n_ports)
		return -ENOENT;
	remove_port_at(network, i);
	return 0;
}

bool pod_network_forget_ports(struct pod_network *network, const char *child)
{
	size_t before = network->n_ports;

	for (size_t i = before; i-- > 0;)
		if (text_equal(network->ports[i].child, child))
			remove_port_at(network, i);
	return network->n_ports < before;
}

/* ---- rules ---- */

static size_t count_rules(const struct pod_network *network, const char *child)
{
	size_t n = 0;

	for (size_t i = 0; i < network->n_rules; i++)
		n += text_equal(network->rules[i].child, child);
	return n;
}

/* Place in the list of all scopes; its end when there is no such position. */
static size_t find_rule(const struct pod_network *network, const char *child, size_t position)
{
	size_t i = 0;

	for (; i < network->n_rules; i++)
		if (text_equal(network->rules[i].child, child) && position-- == 1)
			break;
	return i;
}

static int check_room(const struct pod_network *network, const char *child, size_t n,
	struct err *err)
{
	if (n > EGRESS_RULES_MAX || count_rules(network, child) + n > EGRESS_RULES_MAX)
		return err_set(err, -E2BIG, "more than %d egress rules for %s %s", EGRESS_RULES_MAX,
			*child ? "container" : "the pod", child);
	if (network->n_rules + n > POD_NETWORK_RULES_MAX)
		return err_set(err, -E2BIG, "more than %d egress rules in the pod",
			POD_NETWORK_RULES_MAX);
	return 0;
}

int pod_network_add_rules(struct pod_network *network, const char *child, size_t position,
	const struct egress_rule *rules, size_t n, struct err *err)
{
	size_t at = find_rule(network, child, position);
	struct pod_network_rule one = {}, *grown;
	int r;

	r = copy_child(one.child, child, err);
	if (r == 0)
		r = check_room(network, child, n, err);
	if (r < 0 || n == 0)
		return r;
	grown = reallocarray(network->rules, network->n_rules + n, sizeof(*grown));
	if (!grown)
		return err_oom(err);
	network->rules = grown;
	memmove(&grown[at + n], &grown[at], (network->n_rules - at) * sizeof(*grown));
	for (size_t i = 0; i < n; i++) {
		one.rule = rules[i];
		grown[at + i] = one;
	}
	network->n_rules += n;
	return 0;
}

static void remove_rule_at(struct pod_network *network, size_t i)
{
	memmove(&network->rules[i], &network->rules[i + 1],
		(network->n_rules - i - 1) * sizeof(network->rules[0]));
	network->n_rules--;
}

int pod_network_remove_rule(struct pod_network *network, const char *child, size_t position)
{
	size_t i = find_rule(network, child, position);

	if (i == network->n_rules)
		return -ENOENT;
	remove_rule_at(network, i);
	return 0;
}

bool pod_network_forget_rules(struct pod_network *network, const char *child)
{
	size_t before = network->n_rules;

	for (size_t i = before; i-- > 0;)
		if (text_equal(network->rules[i].child, child))
			remove_rule_at(network, i);
	return network->n_rules < before;
}

size_t pod_network_rules(const struct pod_network *network, const char *child,
	struct egress_rule ret[EGRESS_RULES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < network->n_rules && n < EGRESS_RULES_MAX; i++)
		if (text_equal(network->rules[i].child, child))
			ret[n++] = network->rules[i].rule;
	return n;
}

/* ---- the record ---- */

static void set_child(struct json *object, const char *child)
{
	if (*child)
		json_set_string(object, "child", child);
}

struct json *pod_network_to_json(const struct pod_network *network)
{
	struct json *document = record_new();
	struct json *ports = json_set_array(document, "ports");
	struct json *rules = json_set_array(document, "egress");

	for (size_t i = 0; i < network->n_ports; i++) {
		struct json *object = json_new_object();

		set_child(object, network->ports[i].child);
		json_set_string(object, "spec", network->ports[i].spec);
		if (network->ports[i].wait_ms)
			json_set_int(object, "wait_ms", network->ports[i].wait_ms);
		json_append(ports, object);
	}
	for (size_t i = 0; i < network->n_rules; i++) {
		struct json *object = json_new_object();

		set_child(object, network->rules[i].child);
		egress_set_json(&network->rules[i].rule, object);
		json_append(rules, object);
	}
	return document;
}

/* "": absent. What is empty in the record names nobody. */
static int read_child(const struct json *object, const char **ret, struct err *err)
{
	const char *child = NULL;
	int r;

	r = json_read_string(object, "child", false, &child, err);
	if (r == 0 && child)
		r = name_check_component(child, err);
	if (r < 0)
		return err_wrap(err, r, "'child'");
	*ret = child ? child : "";
	return 0;
}

static int read_port(const struct json *object, struct pod_network *network, struct err *err)
{
	const char *child = NULL, *spec = NULL;
	int64_t wait_ms = 0;
	int r;

	r = read_child(object, &child, err);
	if (r == 0)
		r = json_read_string(object, "spec", true, &spec, err);
	if (r == 0)
		r = json_read_int(
			object, "wait_ms", false, 0, POD_NETWORK_WAIT_MS_MAX, &wait_ms, err);
	if (r == 0)
		r = pod_network_add_port(network, child, spec, (uint32_t)wait_ms, err);
	return r;
}

static int read_rule(const struct json *object, struct pod_network *network, struct err *err)
{
	struct egress_rule rule;
	const char *child = NULL, *action = NULL;
	size_t n = 0;
	int r;

	r = read_child(object, &child, err);
	/* A rule that lost it must not become one that allows. */
	if (r == 0)
		r = json_read_string(object, "action", true, &action, err);
	if (r == 0)
		r = egress_parse_json(object, &rule, 1, &n, err);
	if (r == 0)
		r = pod_network_add_rules(network, child, 0, &rule, 1, err);
	return r;
}

static int read_list(const struct json *document, const char *key,
	int (*read)(const struct json *object, struct pod_network *network, struct err *err),
	struct pod_network *network, struct err *err)
{
	const struct json *array = NULL;
	int r;

	r = json_read_array(document, key, true, &array, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_length(array); i++) {
		r = read(json_at(array, i), network, err);
		/* Whatever it is, it is a fault of the record. */
		if (r < 0)
			return err_wrap(err, r == -ENOMEM ? r : -EINVAL, "'%s', entry %zu", key, i);
	}
	return 0;
}

int pod_network_load(int podfd, struct pod_network *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct pod_network network;
	int r;

	r = record_load(podfd, RECORD_NETWORK, &document, err);
	if (r < 0)
		return r;
	pod_network_init(&network);
	r = read_list(document, "ports", read_port, &network, err);
	if (r == 0)
		r = read_list(document, "egress", read_rule, &network, err);
	if (r < 0) {
		pod_network_done(&network);
		return err_wrap(err, r, "%s", RECORD_NETWORK);
	}
	*ret = network;
	return 0;
}

int pod_network_save(int podfd, const struct pod_network *network, struct err *err)
{
	return record_save(podfd, RECORD_NETWORK, pod_network_to_json(network), err);
}

/* ---- pod.json ---- */

static int add_text(struct pod_network *network, const char *text, struct err *err)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n = 0;
	int r;

	r = egress_parse(text, rules, EGRESS_RULES_MAX, &n, err);
	return r < 0 ? r : pod_network_add_rules(network, "", 0, rules, n, err);
}

int pod_network_from_spec(const struct pod_spec *spec, struct pod_network *ret, struct err *err)
{
	struct pod_network network;
	int r = 0;

	pod_network_init(&network);
	for (size_t i = 0; r == 0 && spec->publish && spec->publish[i]; i++) {
		r = pod_network_add_port(&network, "", spec->publish[i], 0, err);
		/* Twice is as good as once. */
		r = r == -EEXIST ? 0 : r;
	}
	for (size_t i = 0; r == 0 && spec->egress && spec->egress[i]; i++)
		r = add_text(&network, spec->egress[i], err);
	if (r < 0) {
		pod_network_done(&network);
		return r;
	}
	*ret = network;
	return 0;
}
