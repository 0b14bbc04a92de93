/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What addresses outside the pod's names stand for: the gateway for the host, the DNS address for
 * its name server; and what is not to be reached at all. */

#include <stdbool.h>
#include <stddef.h>

#include "uplink-packet.h"
#include "uplink.h"

struct uplink_target {
	struct uplink_config config;
	struct uplink_address nameservers[2]; /* IPv4, IPv6; port 0: none */
};

/* The contents of the host's resolv.conf. */
void uplink_target_set_nameservers(struct uplink_target *target, const char *resolv,
	size_t length);

/* Where a packet's destination is. Return: false when it may not be reached. */
bool uplink_target_of(const struct uplink_target *target, const struct uplink_packet *packet,
	struct uplink_address *ret);

/* The other way round: the address that an answer from there has in the pod. @asked_dns: the pod's
 * side has asked the DNS address. @family is its own. */
struct uplink_address uplink_target_name(const struct uplink_target *target, int family,
	const struct uplink_address *from, bool asked_dns);
bool uplink_target_is_dns(const struct uplink_target *target, const struct uplink_address *address);
