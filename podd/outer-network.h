/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The pod's own network: loopback, the tap with its addresses and routes, forwarding, one
 * masquerade rule. Needs CAP_NET_ADMIN and CAP_NET_RAW in the user namespace of the netns. */

#include "err.h"
#include "outer.h"

/* Sets it up. *ret_tap is the tap's fd, or -1 where there shall be none. Starts nft, whose result
 * comes by *ret_rules: see outer_network_rules(). Return: 0 or -errno. */
int outer_network_setup(const struct outer_setup *setup, int *ret_tap, int *ret_rules,
	struct err *err);

/* Waits for the masquerade rule and closes @rules. Return: 0, or a positive number with the
 * message of what did not work (the pod works, but bridged children cannot leave it). */
int outer_network_rules(int rules, char *text, size_t size);

/* Sends an echo request to the gateway and waits for its answer. Return: 0, -ETIMEDOUT, -errno. */
int outer_network_probe(const struct outer_setup *setup, struct err *err);
