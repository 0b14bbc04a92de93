/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Ports to publish: see publish.h. */

#include "publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "text.h"

/* Most ports that one container can ask a plugin for. */
#define PORT_MAPPINGS_MAX 4096

/* "80" or "80-89". */
static int parse_range(const char *text, uint16_t *ret_first, uint16_t *ret_n)
{
	autofree char *copy = strdup(text);
	uint32_t first, last;
	char *dash;

	if (!copy)
		return -ENOMEM;
	dash = strchr(copy, '-');
	if (dash)
		*dash++ = '\0';
	if (text_to_uint32(copy, 1, UINT16_MAX, &first) < 0)
		return -EINVAL;
	last = first;
	if (dash && text_to_uint32(dash, first, UINT16_MAX, &last) < 0)
		return -EINVAL;
	*ret_first = (uint16_t)first;
	*ret_n = (uint16_t)(last - first + 1);
	return 0;
}

static int take_protocol(char *text, uint8_t *ret)
{
	char *slash = strchr(text, '/');

	*ret = IPPROTO_TCP;
	if (!slash)
		return 0;
	*slash++ = '\0';
	if (text_equal(slash, "udp"))
		*ret = IPPROTO_UDP;
	else if (!text_equal(slash, "tcp"))
		return -EINVAL;
	return 0;
}

/* Takes "address:" off the front, if there is one. Return: what follows, or NULL. */
static char *take_address(char *text, char address[INET6_ADDRSTRLEN])
{
	unsigned char binary[sizeof(struct in6_addr)];
	char *end;
	int family = AF_INET;

	address[0] = '\0';
	if (*text == '[') {
		family = AF_INET6;
		text++;
		end = strstr(text, "]:");
		if (!end)
			return NULL;
		*end++ = '\0';
	} else {
		end = strchr(text, ':');
		/* One colon only: what is before it is a port. */
		if (!end || !strchr(end + 1, ':'))
			return text;
	}
	*end++ = '\0';
	if (text_copy(address, INET6_ADDRSTRLEN, text) < 0 || inet_pton(family, text, binary) != 1)
		return NULL;
	return end;
}

static const char *parse(char *text, struct publish *publish)
{
	uint16_t host_n = 0;
	char *container, *colon;

	if (take_protocol(text, &publish->protocol) < 0)
		return "the protocol must be tcp or udp";
	container = take_address(text, publish->host_ip);
	if (!container)
		return "the host's address must be an IPv4 address, or an IPv6 address in brackets";
	colon = strchr(container, ':');
	if (colon) {
		char *host = container;

		*colon = '\0';
		container = colon + 1;
		/* "address::80": any port of that address. */
		if (*host && parse_range(host, &publish->host_port, &host_n) < 0)
			return "the host's port must be from 1 to 65535, or a range of these";
	}
	if (parse_range(container, &publish->container_port, &publish->n) < 0)
		return "the container's port must be from 1 to 65535, or a range of these";
	if (host_n > 0 && host_n != publish->n)
		return "the two ranges must be of the same size";
	return NULL;
}

int publish_parse(const char *text, struct publish *ret, struct err *err)
{
	autofree char *copy = strdup(text);
	struct publish publish = {};
	const char *problem;
	char quoted[128];

	if (!copy)
		return err_oom(err);
	problem = parse(copy, &publish);
	if (problem)
		return err_set(err, -EINVAL,
			"port \"%s\": %s; the form is "
			"[hostIP:][hostPort[-end]:]containerPort[-end][/tcp|udp]",
			text_sanitize(quoted, sizeof(quoted), text), problem);
	*ret = publish;
	return 0;
}

static void add_mappings(struct json *array, const struct publish *publish)
{
	for (unsigned i = 0; i < publish->n; i++) {
		struct json *mapping = json_new_object();

		json_set_int(mapping, "hostPort", publish->host_port + i);
		json_set_int(mapping, "containerPort", publish->container_port + i);
		json_set_string(mapping, "protocol",
			publish->protocol == IPPROTO_UDP ? "udp" : "tcp");
		if (publish->host_ip[0])
			json_set_string(mapping, "hostIP", publish->host_ip);
		json_append(array, mapping);
	}
}

int publish_to_port_mappings(char *const *specs, struct json **ret, struct err *err)
{
	autoptr(json) array = json_new_array();

	for (size_t i = 0; specs && specs[i]; i++) {
		struct publish publish;
		int r = publish_parse(specs[i], &publish, err);

		if (r < 0)
			return r;
		if (publish.host_port == 0)
			continue;
		if (json_length(array) + publish.n > PORT_MAPPINGS_MAX)
			return err_set(err, -E2BIG, "more than %d ports to publish",
				PORT_MAPPINGS_MAX);
		add_mappings(array, &publish);
	}
	*ret = take_ptr(array);
	return 0;
}
