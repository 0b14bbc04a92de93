/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What methods*.c share. */

#include "methods.h"
#include "pod.h"

/* io.podd.Pod.InvalidParameter. */
void methods_invalid(struct connection *connection, const char *parameter, const char *reason);

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
void method_capture(struct pod *pod, struct connection *connection,
	const struct varlink_call *call);
