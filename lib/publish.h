/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Ports to publish: "[hostIP:][hostPort[-end]:]containerPort[-end][/tcp|udp]", an IPv6 address in
 * brackets.
 */

#include <netinet/in.h>
#include <stdint.h>

#include "err.h"
#include "json.h"

struct publish {
	char host_ip[INET6_ADDRSTRLEN]; /* "": every address */
	uint16_t host_port;             /* first of the range; 0: any free one */
	uint16_t container_port;        /* first of the range */
	uint16_t n;                     /* ports in the range */
	uint8_t protocol;               /* IPPROTO_TCP or IPPROTO_UDP */
};

/* Return: 0 or -EINVAL; the message quotes the text and says what is wrong with it. */
int publish_parse(const char *text, struct publish *ret, struct err *err);

/* The "portMappings" capability argument for CNI (CNI conventions, "Dynamic Plugin specific
 * Fields"): one entry for each port; those without a host port are left out. */
int publish_to_port_mappings(char *const *specs, struct json **ret, struct err *err);
