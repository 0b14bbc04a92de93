/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Egress rules: where a pod and its children may send to. As people write them,
 *
 *   allow|deny [to DEST[,DEST...]] [proto tcp|udp|icmp|all] [port P[-P][,...]] [type T[/C]] [log]
 *
 * DEST is an address, a network (10.0.0.0/8), a range (10.0.0.1-10.0.0.9), dns, gateway or any. Or
 * as JSON in the form that Garden's net-out has (garden, NetOutRule), which is an allow rule unless
 * our own member "action" says something else; "to" is our own as well, a text of DESTs.
 *
 * The first rule that matches decides; where none does, what is sent is let out.
 */

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "json.h"

/* Most rules of a pod, and of each child. One text expands to no more than these either. */
#define EGRESS_RULES_MAX 128
/* Longest text of rules that is read, in bytes. */
#define EGRESS_INPUT_MAX 16384
/* What egress_format() needs, for any rule. */
#define EGRESS_TEXT_SIZE 192

enum egress_action { EGRESS_ALLOW, EGRESS_DENY };

/* The pod's own addresses are known to podd-uplink only: rules name them. */
enum egress_to { EGRESS_TO_RANGE, EGRESS_TO_DNS, EGRESS_TO_GATEWAY };

/* Of egress_rule.protocol, beside IPPROTO_TCP, IPPROTO_UDP and IPPROTO_ICMP. */
#define EGRESS_ALL 0

/* Goes through a socket as it is: no pointers, and no byte that is not set. */
struct egress_rule {
	uint8_t action;               /* enum egress_action */
	uint8_t protocol;             /* IPPROTO_ICMP stands for ICMPv6 too */
	uint8_t log;                  /* 1: tell what matches */
	uint8_t to;                   /* enum egress_to */
	uint8_t family;               /* AF_INET, AF_INET6: of the range; 0: both are meant */
	uint8_t reserved[3];          /* 0 */
	struct in6_addr first, last;  /* of the range, IPv4 as ::ffff:a.b.c.d; any: :: to ff..ff */
	uint16_t port_first;          /* in the host's byte order; 0 to 65535: any */
	uint16_t port_last;
	int16_t icmp_type, icmp_code; /* -1: any */
};
_Static_assert(sizeof(struct egress_rule) == 48, "is sent to podd-uplink as it is");

/* What the names in rules stand for: IPv4 (as ::ffff:a.b.c.d) and IPv6; :: where there is none. */
struct egress_addresses {
	struct in6_addr dns[2];
	struct in6_addr gateway[2];
};

/* What is about to leave. */
struct egress_packet {
	struct in6_addr destination;              /* IPv4 as ::ffff:a.b.c.d */
	const struct egress_addresses *addresses; /* NULL: no rule for a name matches */
	uint16_t port;                            /* TCP, UDP: in the host's byte order */
	uint8_t protocol;                         /* IPPROTO_ICMPV6 as well */
	uint8_t icmp_type, icmp_code;
};

/* The rule that matches anything: what is not said in a text. */
void egress_rule_init(struct egress_rule *rule);

/* Reads one text, JSON when it begins with '{', into at most @max rules, *ret_n of them (at least
 * one). Without proto, port is for tcp and udp. Return: 0, -E2BIG, -EINVAL with the text and what
 * is wrong with it, -ENOMEM; @ret is untouched then. */
int egress_parse(const char *text, struct egress_rule *ret, size_t max, size_t *ret_n,
	struct err *err);

/* The same for JSON that was parsed. Members that it does not know are ignored: egress_parse() is
 * who refuses them, since a restriction may have been meant. */
int egress_parse_json(const struct json *object, struct egress_rule *ret, size_t max, size_t *ret_n,
	struct err *err);

/* One rule as text and as JSON; either is read as just this rule again. */
void egress_format(const struct egress_rule *rule, char ret[EGRESS_TEXT_SIZE]);
struct json *egress_to_json(const struct egress_rule *rule);
/* Sets the members of the rule in @object. */
void egress_set_json(const struct egress_rule *rule, struct json *object);

/* Is it one that egress_parse() could have made? For what came through a socket. Return: 0 or
 * -EINVAL. */
int egress_check(const struct egress_rule *rule);

/* Return: index of the first rule that matches, or -1: then the default holds, which is to allow.
 * Allocates nothing. */
int egress_match(const struct egress_rule *rules, size_t n, const struct egress_packet *packet);
