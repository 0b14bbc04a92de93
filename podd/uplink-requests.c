/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The requests: see uplink-requests.h. */

#include "uplink-requests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trim.h"
#include "uplink-relay.h"
#include "uplink-report.h"
#include "uplink-sandbox.h"
#include "uplink-tenant.h"

void uplink_done(struct uplink *uplink)
{
	uplink_tenants_free(uplink);
	uplink_out_free(uplink->out);
	uplink_ports_free(uplink->ports);
	uplink_datagrams_free(uplink->datagrams);
	uplink_relay_free(uplink->relay);
	uplink_udp_free(uplink->udp);
	uplink_slirp_free(uplink->slirp);
	uplink_flows_free(uplink->flows);
	uplink_gate_free(uplink->gate);
	uplink_scopes_free(uplink->scopes);
	uplink_loop_free(uplink->loop);
	sd_event_unref(uplink->event);
}

static void write_frame(void *opaque, const uint8_t *frame, size_t length, bool to_slirp)
{
	struct uplink *uplink = opaque;

	if (to_slirp)
		uplink_slirp_input(uplink->slirp, frame, length);
	else
		uplink_slirp_write(uplink->slirp, frame, length);
}

static void write_datagram(void *opaque, const uint8_t *frame, size_t length)
{
	write_frame(opaque, frame, length, false);
}

static bool take_answer(void *opaque, struct uplink_scope *scope,
	const struct uplink_packet *packet)
{
	struct uplink *uplink = opaque;

	return uplink_datagrams_answer(uplink->datagrams, packet);
}

static bool take_outside(void *opaque, struct uplink_scope *scope,
	const struct uplink_packet *packet)
{
	struct uplink *uplink = opaque;

	return uplink_udp_send(uplink->udp, scope, packet);
}

static void on_pause(void *opaque)
{
	struct uplink *uplink = opaque;

	uplink_udp_flush(uplink->udp);
}

/* A flow that ended may have been anybody's: its fds are for all. */
static void on_tick(void *opaque)
{
	struct uplink *uplink = opaque;

	struct uplink *top = uplink->top ? uplink->top : uplink;

	if (top->out)
		uplink_out_resume(top->out);
	if (top->ports)
		uplink_ports_resume(top->ports);
	uplink_tenants_resume(top);
}

static int make_parts(struct uplink *uplink, int tap, struct err *err)
{
	const struct uplink_config *config = &uplink->config;
	int r;

	r = uplink_scopes_new(config, &uplink->scopes, err);
	if (r == 0)
		r = uplink_flows_new(uplink->loop, uplink->scopes, on_tick, uplink,
			&uplink->flows, err);
	if (r == 0)
		r = uplink_gate_new(uplink->scopes, config, &uplink->gate, err);
	if (r == 0)
		r = uplink_slirp_new(uplink->event, uplink->loop, uplink->gate, tap, config,
			&uplink->slirp, err);
	if (r == 0)
		r = uplink_datagrams_new(uplink->loop, uplink->scopes,
			write_datagram, uplink, &uplink->datagrams, err);
	if (r == 0)
		r = uplink_udp_new(uplink->loop, uplink->scopes, &uplink->target,
			uplink_slirp_mac(uplink->slirp), write_datagram, uplink, &uplink->udp, err);
	if (r < 0)
		return r;
	uplink_datagrams_set_mac(uplink->datagrams, uplink_slirp_mac(uplink->slirp));
	uplink_gate_set_writer(uplink->gate, write_frame, uplink);
	uplink_gate_set_takers(uplink->gate, take_answer,
		config->libslirp_only ? NULL : take_outside, on_pause, uplink);
	return 0;
}

static int serve_configure(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	int r;

	if (uplink->slirp || uplink->failed)
		return err_set(err, -EALREADY, "the uplink is configured already");
	if (fds[0] < 0 || fds[1] < 0)
		return err_set(err, -EBADF,
			"the tap and the pod's user namespace did not come with the configuration");
	uplink->config = uplink->target.config = request->config;
	/* From here on there is no way back. */
	uplink->failed = true;
	r = uplink_sandbox_enter(fds[1], err);
	if (r < 0)
		return err_wrap(err, r, "cannot enter the uplink's sandbox");
	r = uplink_sandbox_write_resolv(uplink->resolv, uplink->resolv_length, err);
	if (r == 0)
		r = make_parts(uplink, fds[0], err);
	if (r < 0)
		return err_wrap(err, r, "cannot start the uplink");
	(void)take_fd(&fds[0]);
	r = uplink_sandbox_seal(err);
	if (r < 0)
		return err_wrap(err, r, "cannot seal the uplink's sandbox");
	uplink->failed = false;
	trim_memory();
	return 0;
}

/* A tenant has neither a tap nor libslirp. */
static int make_tenants_parts(struct uplink *uplink, struct err *err)
{
	int r = uplink_scopes_new(&uplink->config, &uplink->scopes, err);

	if (r == 0)
		r = uplink_flows_new(uplink->loop, uplink->scopes, on_tick, uplink,
			&uplink->flows, err);
	if (r == 0)
		r = uplink_relay_new(uplink->loop, &uplink->relay, err);
	if (r == 0)
		r = uplink_datagrams_new(uplink->loop, uplink->scopes, uplink_relay_write,
			uplink->relay, &uplink->datagrams, err);
	return r;
}

static int serve_tenants_configure(struct uplink *uplink, const struct uplink_request *request,
	struct err *err)
{
	if (uplink->scopes || uplink->failed)
		return err_set(err, -EALREADY, "the uplink is configured already");
	uplink->config = request->config;
	uplink->failed = true;
	if (make_tenants_parts(uplink, err) < 0)
		return err->code;
	uplink->failed = false;
	return 0;
}

static int serve_start(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	uplink->started = true;
	return 0;
}

static int serve_resolv(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	memcpy(uplink->resolv, request->text, request->length);
	uplink->resolv_length = request->length;
	uplink_target_set_nameservers(&uplink->target, uplink->resolv, uplink->resolv_length);
	/* Before that it would be the host's. */
	if (!uplink->slirp)
		return 0;
	return uplink_sandbox_write_resolv(uplink->resolv, uplink->resolv_length, err);
}

static int serve_net(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	int r;

	if (uplink->ports || fds[UPLINK_NET_SOCKETS] < 0)
		return err_set(err, -EINVAL, "the uplink has this already, or its fds are missing");
	r = uplink_ports_new(uplink->loop, uplink->flows, uplink->scopes,
		uplink->datagrams, request->config.transparent, fds[UPLINK_NET_SOCKETS],
		&uplink->ports, err);
	if (r < 0)
		return r;
	(void)take_fd(&fds[UPLINK_NET_SOCKETS]);
	if (uplink->relay)
		uplink_relay_connect(uplink->relay, uplink_ports_sockets(uplink->ports),
			uplink->datagrams);
	if (uplink->relay || fds[UPLINK_NET_QUEUE] < 0)
		return 0;
	r = uplink_out_new(uplink->loop, uplink->flows, uplink->scopes, &uplink->target,
		fds[UPLINK_NET_QUEUE], fds[UPLINK_NET_LISTEN4], fds[UPLINK_NET_LISTEN6],
		&uplink->out, err);
	if (r < 0)
		return r;
	for (int i = UPLINK_NET_QUEUE; i < UPLINK_NET_FDS; i++)
		(void)take_fd(&fds[i]);
	return 0;
}

static int serve_child(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	int r = uplink_scopes_set(uplink->scopes, &request->child, err);

	if (r == 0 && uplink->ports && request->child.up)
		uplink_ports_retry(uplink->ports);
	return r;
}

static int serve_egress(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	int r = uplink_scopes_set_rules(uplink->scopes, request->egress.id, request->egress.rules,
		request->egress.n, err);

	if (r == 0)
		uplink_flows_apply_rules(uplink->flows);
	return r;
}

static int serve_port(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	if (!uplink->ports)
		return err_set(err, -EINVAL, "the uplink has no sockets to publish ports with");
	/* The first datagram of a client shall not wait for them. */
	if (uplink->relay && request->port.protocol == IPPROTO_UDP) {
		uplink_sockets_stock(uplink_ports_sockets(uplink->ports), AF_INET, SOCK_DGRAM);
		uplink_sockets_stock(uplink_ports_sockets(uplink->ports), AF_INET6, SOCK_DGRAM);
	}
	return uplink_ports_add(uplink->ports, &request->port, fds, err);
}

static int serve_port_remove(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	if (uplink->ports)
		uplink_ports_remove(uplink->ports, request->port.id);
	return 0;
}

static int serve_report(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	return uplink_report_write(uplink, fds[0], err);
}

static int serve_capture(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	int r;

	if (fds[0] < 0)
		return err_set(err, -EBADF, "the capture's pipe did not come with the request");
	r = uplink_gate_capture(uplink->gate, fds[0], request->snaplen, err);
	if (r == 0)
		(void)take_fd(&fds[0]);
	return r;
}

static int tell_child(struct uplink *uplink, const struct uplink_scope *scope)
{
	struct uplink_reply reply = {
		.operation = UPLINK_ADOPT,
		.result = UPLINK_MORE,
		.child = {.id = scope->id},
	};

	memcpy(reply.child.name, scope->name, sizeof(reply.child.name));
	return uplink_control_reply(uplink->control, &reply, NULL);
}

static int tell_port(void *opaque, const struct uplink_port *port, const int *fds)
{
	struct uplink *uplink = opaque;
	const struct uplink_reply reply = {
		.operation = UPLINK_ADOPT,
		.result = UPLINK_MORE,
		.is_port = 1,
		.n_fds = port->n_fds,
		.port = *port,
	};

	return uplink_control_reply(uplink->control, &reply, fds);
}

/* podd waits for this, and reads while it is written. */
static int serve_adopt(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	const struct uplink_scope *scope = uplink_scopes_first(uplink->scopes);
	int r = 0;

	for (; r == 0 && scope; scope = scope->next)
		if (scope->id != 0 && !scope->leaving)
			r = tell_child(uplink, scope);
	if (r == 0 && uplink->ports)
		r = uplink_ports_each(uplink->ports, tell_port, uplink);
	return r < 0 ? err_set(err, r, "telling podd what is there: %s", strerror(-r)) : 0;
}

static int serve_tenant(struct uplink *uplink, const struct uplink_request *request, int *fds,
	struct err *err)
{
	return uplink_tenant_connect(uplink, request->text, request->length, &fds[0], err);
}

static const struct {
	int (*serve)(struct uplink *uplink, const struct uplink_request *request, int *fds,
		struct err *err);
	bool configured; /* comes after UPLINK_CONFIGURE only */
	bool of_tenants; /* may come from one */
} requests[] = {
	[UPLINK_CONFIGURE] = {serve_configure, false, true},
	[UPLINK_START] = {serve_start, true, true},
	[UPLINK_RESOLV] = {serve_resolv, false, false},
	[UPLINK_NET] = {serve_net, true, true},
	[UPLINK_CHILD] = {serve_child, true, true},
	[UPLINK_EGRESS] = {serve_egress, true, true},
	[UPLINK_PORT] = {serve_port, true, true},
	[UPLINK_PORT_REMOVE] = {serve_port_remove, true, true},
	[UPLINK_ADOPT] = {serve_adopt, true, true},
	[UPLINK_REPORT] = {serve_report, true, true},
	[UPLINK_CAPTURE] = {serve_capture, true, false},
	[UPLINK_TENANT] = {serve_tenant, true, false},
};

static int check(const struct uplink *uplink, uint32_t operation, struct err *err)
{
	if (operation >= sizeof(requests) / sizeof(*requests) || !requests[operation].serve)
		return err_set(err, -EOPNOTSUPP, "the uplink knows no operation %u", operation);
	if (requests[operation].configured && (!uplink->scopes || uplink->failed))
		return err_set(err, -EINVAL, "the uplink is not configured yet");
	return 0;
}

int uplink_requests_serve(struct uplink_control *control, const struct uplink_request *request,
	int *fds, void *opaque, struct err *err)
{
	struct uplink *uplink = opaque;
	int r = check(uplink, request->operation, err);

	if (r < 0)
		return r;
	uplink->control = control;
	uplink_control_note_tcp(control, uplink->out != NULL);
	return requests[request->operation].serve(uplink, request, fds, err);
}

/* No rules: what a pod in the pod sends is its whole's, and comes by the pod's own networks. */
int uplink_requests_serve_tenant(struct uplink_control *control,
	const struct uplink_request *request, int *fds, void *opaque, struct err *err)
{
	struct uplink *uplink = opaque;
	int r = check(uplink, request->operation, err);

	if (r < 0)
		return r;
	if (!requests[request->operation].of_tenants ||
		(request->operation == UPLINK_EGRESS && request->egress.n > 0))
		return err_set(err, -EPERM, "that is for the supervisor of the pod at the top");
	uplink->control = control;
	if (request->operation == UPLINK_CONFIGURE)
		return serve_tenants_configure(uplink, request, err);
	return requests[request->operation].serve(uplink, request, fds, err);
}
