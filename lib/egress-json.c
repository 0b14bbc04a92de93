/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Egress rules as JSON: Garden's NetOutRule (code.cloudfoundry.org/garden, net_out_rule.go), whose
 * protocol may be its number there, with "action" and "to" as our own members. See egress.h.
 */

#include <errno.h>
#include <string.h>

#include "egress-internal.h"
#include "endpoint.h"
#include "text.h"

/* What Garden's numbers stand for, in their order. */
static const uint8_t garden_protocols[] = {EGRESS_ALL, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};

#define GARDEN_PROTOCOLS_N (sizeof(garden_protocols) / sizeof(garden_protocols[0]))

static int read_action(const struct json *object, struct egress_parts *parts, struct err *err)
{
	const char *action = NULL;
	bool log = false;
	int r;

	r = json_read_string(object, "action", false, &action, err);
	if (r == 0)
		r = json_read_bool(object, "log", false, &log, err);
	if (r < 0)
		return r;
	parts->base.log = log;
	if (text_equal(action, "deny"))
		parts->base.action = EGRESS_DENY;
	else if (action && !text_equal(action, "allow"))
		return err_set(err, -EINVAL, "\"action\" must be allow or deny");
	return 0;
}

/* It is always said: in Garden, what is absent is the number 0. */
static int read_protocol(const struct json *object, struct egress_parts *parts, struct err *err)
{
	const struct json *protocol = json_get(object, "protocol");
	const char *name = json_string(protocol);
	int64_t number = 0;

	parts->has_protocol = true;
	if (json_type(protocol) == JSON_NULL)
		return 0;
	if (name && egress_protocol_from_name(name, &parts->base.protocol) == 0)
		return 0;
	if (json_int(protocol, &number) < 0 || number < 0 || number >= (int64_t)GARDEN_PROTOCOLS_N)
		return err_set(err, -EINVAL,
			"\"protocol\" must be tcp, udp, icmp or all, or its number: 1, 2, 3, 0");
	parts->base.protocol = garden_protocols[number];
	return 0;
}

/* One address alone may be either of the two. */
static int read_network(const struct json *network, struct egress_parts *parts, struct err *err)
{
	const char *start = NULL, *end = NULL;
	int r;

	r = json_read_string(network, "start", false, &start, err);
	if (r == 0)
		r = json_read_string(network, "end", false, &end, err);
	if (r < 0)
		return r;
	if (!start && !end)
		return err_set(err, -EINVAL, "\"start\" is missing");
	return egress_add_range(parts, start ? start : end, end ? end : start, err);
}

static int read_networks(const struct json *object, struct egress_parts *parts, struct err *err)
{
	const struct json *networks = NULL;
	const char *to = NULL;
	autofree char *copy = NULL;
	int r;

	r = json_read_string(object, "to", false, &to, err);
	if (r == 0)
		r = json_read_array(object, "networks", false, &networks, err);
	if (r < 0)
		return r;
	if (to && json_length(networks) > 0)
		return err_set(err, -EINVAL, "\"to\" goes without \"networks\"");
	for (size_t i = 0; r == 0 && i < json_length(networks); i++)
		r = read_network(json_at(networks, i), parts, err);
	if (r < 0)
		return err_wrap(err, r, "\"networks\"");
	if (!to)
		return 0;
	copy = strdup(to);
	return copy ? egress_add_destinations(parts, copy, err) : err_oom(err);
}

static int read_ports(const struct json *object, struct egress_parts *parts, struct err *err)
{
	const struct json *ports = NULL;
	int r;

	r = json_read_array(object, "ports", false, &ports, err);
	for (size_t i = 0; r == 0 && i < json_length(ports); i++) {
		const struct json *range = json_at(ports, i);
		int64_t start = 0, end = 0;

		r = json_read_int(range, "start", true, 1, UINT16_MAX, &start, err);
		end = start;
		if (r == 0)
			r = json_read_int(range, "end", false, start, UINT16_MAX, &end, err);
		if (r == 0)
			r = egress_add_ports(parts, (uint32_t)start, (uint32_t)end, err);
		if (r < 0)
			return err_wrap(err, r, "\"ports\"");
	}
	return r;
}

static int read_icmps(const struct json *object, struct egress_parts *parts, struct err *err)
{
	const struct json *icmps = NULL;
	int64_t type = -1, code = -1;
	int r;

	r = json_read_object(object, "icmps", false, &icmps, err);
	if (r < 0 || !icmps)
		return r;
	r = json_read_int(icmps, "type", true, 0, UINT8_MAX, &type, err);
	if (r == 0)
		r = json_read_int(icmps, "code", false, 0, UINT8_MAX, &code, err);
	if (r < 0)
		return err_wrap(err, r, "\"icmps\"");
	parts->has_type = true;
	parts->base.icmp_type = (int16_t)type;
	parts->base.icmp_code = (int16_t)code;
	return 0;
}

int egress_parse_json(const struct json *object, struct egress_rule *ret, size_t max, size_t *ret_n,
	struct err *err)
{
	struct egress_parts parts;
	int r;

	egress_parts_init(&parts);
	r = read_action(object, &parts, err);
	if (r == 0)
		r = read_protocol(object, &parts, err);
	if (r == 0)
		r = read_networks(object, &parts, err);
	if (r == 0)
		r = read_ports(object, &parts, err);
	if (r == 0)
		r = read_icmps(object, &parts, err);
	return r < 0 ? r : egress_expand(&parts, ret, max, ret_n, err);
}

static void set_network(const struct egress_rule *rule, struct json *object)
{
	struct json *network = json_new_object();
	char address[INET6_ADDRSTRLEN];

	endpoint_format_address(&rule->first, address);
	json_set_string(network, "start", address);
	endpoint_format_address(&rule->last, address);
	json_set_string(network, "end", address);
	json_append(json_set_array(object, "networks"), network);
}

static void set_ports(const struct egress_rule *rule, struct json *object)
{
	struct json *range = json_new_object();

	json_set_int(range, "start", rule->port_first);
	json_set_int(range, "end", rule->port_last);
	json_append(json_set_array(object, "ports"), range);
}

static void set_icmps(const struct egress_rule *rule, struct json *object)
{
	struct json *icmps = json_set_object(object, "icmps");

	json_set_int(icmps, "type", rule->icmp_type);
	if (rule->icmp_code >= 0)
		json_set_int(icmps, "code", rule->icmp_code);
}

void egress_set_json(const struct egress_rule *rule, struct json *object)
{
	json_set_string(object, "action", rule->action == EGRESS_DENY ? "deny" : "allow");
	json_set_string(object, "protocol", egress_protocol_name(rule->protocol));
	json_set_string(object, "to", egress_to_name(rule->to));
	if (rule->to == EGRESS_TO_RANGE && rule->family)
		set_network(rule, object);
	if (rule->port_first > 0)
		set_ports(rule, object);
	if (rule->icmp_type >= 0)
		set_icmps(rule, object);
	if (rule->log)
		json_set_bool(object, "log", true);
}

struct json *egress_to_json(const struct egress_rule *rule)
{
	struct json *object = json_new_object();

	egress_set_json(rule, object);
	return object;
}
