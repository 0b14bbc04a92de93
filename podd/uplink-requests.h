/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What podd asks of the uplink, one function a request; and the parts that the uplink consists of
 * once it is configured. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "err.h"
#include "uplink-control.h"
#include "uplink-flow.h"
#include "uplink-gate.h"
#include "uplink-loop.h"
#include "uplink-out.h"
#include "uplink-port.h"
#include "uplink-scope.h"
#include "uplink-slirp.h"
#include "uplink-target.h"
#include "uplink-udp.h"
#include "uplink.h"

struct uplink {
	sd_event *event;
	struct uplink_config config;
	struct uplink_loop *loop;
	struct uplink_scopes *scopes;
	struct uplink_flows *flows;
	struct uplink_gate *gate;
	struct uplink_slirp *slirp; /* NULL: not configured */
	bool started;               /* packets flow */
	struct uplink_target target;
	struct uplink_datagrams *datagrams;
	struct uplink_udp *udp;
	struct uplink_ports *ports; /* NULL: none can be published yet */
	struct uplink_out *out;     /* NULL: TCP goes by libslirp */
	struct uplink_tenant *tenants;
	struct uplink *top;         /* of a tenant: whose it is */
	struct uplink_relay *relay; /* of a tenant: in the tap's place */
	struct uplink_control *control; /* who asks at present */
	bool failed;                /* configured half: to end after the reply */
	size_t resolv_length;
	char resolv[UPLINK_TEXT_MAX]; /* the host's nameservers */
};

struct uplink_tenant;

/* As uplink_control_serve; @opaque is struct uplink, and for a tenant that of its own. */
int uplink_requests_serve(struct uplink_control *control, const struct uplink_request *request,
	int *fds, void *opaque, struct err *err);
int uplink_requests_serve_tenant(struct uplink_control *control,
	const struct uplink_request *request, int *fds, void *opaque, struct err *err);
void uplink_done(struct uplink *uplink);
