/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Between egress.c and egress-json.c: what a rule is before it is expanded. One rule comes of every
 * destination with every protocol and every range of ports.
 */

#include <stdbool.h>

#include "egress.h"

struct egress_parts {
	struct egress_rule base; /* action, log, type and code */
	bool has_protocol;
	bool has_type;
	size_t n_destinations;   /* 0: any */
	size_t n_ports;          /* 0: any */
	struct egress_rule destinations[EGRESS_RULES_MAX]; /* to, family, first and last */
	struct egress_rule ports[EGRESS_RULES_MAX];        /* port_first and port_last */
};

void egress_parts_init(struct egress_parts *parts);

int egress_protocol_from_name(const char *name, uint8_t *ret);
const char *egress_protocol_name(uint8_t protocol);
const char *egress_to_name(uint8_t to);

/* "10.0.0.0/8,dns"; @text is cut to pieces. Return: 0, -EINVAL, -E2BIG. */
int egress_add_destinations(struct egress_parts *parts, char *text, struct err *err);
/* From one address to another of the same family. */
int egress_add_range(struct egress_parts *parts, const char *first, const char *last,
	struct err *err);
/* From 1 to 65535, @first not greater than @last. */
int egress_add_ports(struct egress_parts *parts, uint32_t first, uint32_t last, struct err *err);

/* Checks what belongs together, and makes the rules of it. */
int egress_expand(const struct egress_parts *parts, struct egress_rule *ret, size_t max,
	size_t *ret_n, struct err *err);
