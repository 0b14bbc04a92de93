/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What methods*.c share. */

#include <stdint.h>

#include "methods.h"
#include "pod.h"

/* io.podd.Pod.InvalidParameter. */
void methods_invalid(struct connection *connection, const char *parameter, const char *reason);

/* What Inspect answers; @stats (taken over, may be NULL) is what the uplinks have counted. */
struct json *methods_inspection(const struct pod *pod, struct json *stats);
/* Has podd-uplink counted: @on_stats gets it, or NULL when that failed. Return: 0, -ENOTCONN, -errno. */
typedef void (*methods_on_stats)(struct pod *pod, uint64_t serial, struct json *stats);
int methods_ask_stats(struct pod *pod, uint64_t serial, methods_on_stats on_stats);

/* Is there an uplink for this: one of the pod's own, or at least one that publishes its ports? False when
 * the connection has its answer (NoUplink). */
bool methods_has_uplink(const struct pod *pod, struct connection *connection);
bool methods_has_own_uplink(const struct pod *pod, struct connection *connection);

/* Replies with the array in the member @key: at once, or, where it is long and the caller allows it, in
 * several parts. Takes the array over. */
void methods_reply_list(struct connection *connection, const char *key, struct json *array);

/* An empty reply, once the uplink has what it was told so far. */
void methods_reply_settled(struct pod *pod, struct connection *connection);

void method_inspect(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_port_add(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_port_remove(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_restore_rules(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_publish(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_ports(struct pod *pod, struct connection *connection, const struct varlink_call *call);
void method_egress_add(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_egress_remove(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_egress(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_flows(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_tenant(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
void method_capture(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
