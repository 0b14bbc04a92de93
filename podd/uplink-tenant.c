/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The tenants of an uplink: see uplink-tenant.h.
 *
 *   (none) ──connect──▶ served ◀──connect── kept, while its podd is away
 *                         │  └──connection ends──▶ │
 *                         └── UPLINK_LEAVE, or its podd-outer ends ──▶ buried in the next turn
 */

#include "uplink-tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "name.h"
#include "text.h"
#include "uplink-relay.h"

/* What a tenant has: struct uplink without a tap, libslirp and rules. */
struct parts {
	struct uplink uplink;
	struct uplink_work burial;
	struct uplink_tenant *whose; /* goes with them; or NULL */
};

struct uplink_tenant {
	struct uplink_tenant *next;
	struct uplink *owner;
	char name[NAME_PATH_SIZE];
	struct parts *parts; /* NULL: it has left */
	struct uplink_control *control;
};

static struct parts *parts_new(struct uplink *owner)
{
	struct parts *parts = calloc(1, sizeof(*parts));

	if (!parts)
		return NULL;
	parts->uplink.event = owner->event;
	parts->uplink.loop = owner->loop;
	parts->uplink.top = owner;
	return parts;
}

static void parts_free(struct parts *parts)
{
	uplink_ports_free(parts->uplink.ports);
	uplink_datagrams_free(parts->uplink.datagrams);
	uplink_relay_free(parts->uplink.relay);
	uplink_flows_free(parts->uplink.flows);
	uplink_scopes_free(parts->uplink.scopes);
	free(parts);
}

static void tenant_free(struct uplink_tenant *tenant)
{
	uplink_control_free(tenant->control);
	if (tenant->parts)
		parts_free(tenant->parts);
	free(tenant);
}

static void bury(struct uplink_work *work)
{
	struct parts *parts = container_of(work, struct parts, burial);
	struct uplink_tenant *whose = parts->whose;

	parts_free(parts);
	if (whose)
		tenant_free(whose);
}

/* May be called from within one of their own events: what is freed is freed later, after everything
 * that they have in the loop. @whose (may be NULL) goes with them. */
static void close_parts(struct parts *parts, struct uplink_tenant *whose)
{
	if (parts->uplink.ports)
		uplink_ports_close(parts->uplink.ports);
	if (parts->uplink.relay)
		uplink_relay_close(parts->uplink.relay);
	parts->whose = whose;
	parts->burial.run = bury;
	uplink_loop_defer(parts->uplink.loop, &parts->burial);
}

static void leave(struct uplink_tenant *tenant)
{
	struct uplink_tenant **link = &tenant->owner->tenants;

	while (*link != tenant)
		link = &(*link)->next;
	*link = tenant->next;
	close_parts(take_ptr(tenant->parts), tenant);
}

/* Its podd has lost count of what is here, or never came to an end with it. */
static int begin_anew(struct uplink_tenant *tenant, struct err *err)
{
	struct parts *parts = parts_new(tenant->owner);

	if (!parts)
		return err_oom(err);
	close_parts(tenant->parts, NULL);
	tenant->parts = parts;
	return 0;
}

static void on_sockets(void *opaque)
{
	struct uplink_tenant *tenant = opaque;
	const struct uplink *parts = &tenant->parts->uplink;

	if (uplink_sockets_are_over(uplink_ports_sockets(parts->ports)))
		leave(tenant);
	else if (parts->relay)
		uplink_relay_retry(parts->relay);
}

static int serve(struct uplink_control *control, const struct uplink_request *request, int *fds,
	void *opaque, struct err *err)
{
	struct uplink_tenant *tenant = opaque;
	int r = 0;

	if (!tenant->parts)
		return err_set(err, -ESHUTDOWN, "the pod has left the uplink");
	if (request->operation == UPLINK_LEAVE) {
		leave(tenant);
		return 0;
	}
	if (request->operation == UPLINK_CONFIGURE)
		r = begin_anew(tenant, err);
	if (r == 0)
		r = uplink_requests_serve_tenant(
			control, request, fds, &tenant->parts->uplink, err);
	if (r == 0 && request->operation == UPLINK_NET)
		uplink_ports_set_listener(tenant->parts->uplink.ports, on_sockets, tenant);
	return r;
}

static struct uplink_tenant *find(const struct uplink *uplink, const char *name)
{
	struct uplink_tenant *tenant = uplink->tenants;

	while (tenant && !text_equal(tenant->name, name))
		tenant = tenant->next;
	return tenant;
}

/* Of one that went before it had sockets nobody tells that its podd-outer ended. */
static void remove_unfinished(struct uplink *uplink)
{
	struct uplink_tenant *next;

	for (struct uplink_tenant *tenant = uplink->tenants; tenant; tenant = next) {
		next = tenant->next;
		if (!tenant->parts->uplink.ports &&
			(!tenant->control || !uplink_control_connected(tenant->control)))
			leave(tenant);
	}
}

static int tenant_new(struct uplink *uplink, const char *name, struct uplink_tenant **ret,
	struct err *err)
{
	struct uplink_tenant *tenant;
	unsigned n = 0;

	remove_unfinished(uplink);
	for (tenant = uplink->tenants; tenant; tenant = tenant->next)
		n++;
	if (n >= UPLINK_TENANTS_MAX)
		return err_set(err, -E2BIG, "more than %d pods publish ports by this one",
			UPLINK_TENANTS_MAX);
	tenant = calloc(1, sizeof(*tenant));
	if (tenant)
		tenant->parts = parts_new(uplink);
	if (!tenant || !tenant->parts) {
		free(tenant);
		return err_oom(err);
	}
	text_copy(tenant->name, sizeof(tenant->name), name);
	tenant->owner = uplink;
	tenant->next = uplink->tenants;
	uplink->tenants = tenant;
	*ret = tenant;
	return 0;
}

int uplink_tenant_connect(struct uplink *uplink, const char *name, size_t length, int *fd,
	struct err *err)
{
	struct uplink_control *control = NULL;
	struct uplink_tenant *tenant;
	char copy[NAME_PATH_SIZE];
	int r = 0;

	if (length >= sizeof(copy) || *fd < 0)
		return err_set(err, -EINVAL, "a tenant needs a name and a connection");
	memcpy(copy, name, length);
	copy[length] = '\0';
	tenant = find(uplink, copy);
	if (!tenant)
		r = tenant_new(uplink, copy, &tenant, err);
	if (r == 0)
		r = uplink_control_new(uplink->event, *fd, -1, serve, tenant, &control, err);
	if (r < 0)
		return r;
	(void)take_fd(fd);
	uplink_control_free(tenant->control);
	tenant->control = control;
	return 0;
}

void uplink_tenants_resume(struct uplink *uplink)
{
	for (struct uplink_tenant *tenant = uplink->tenants; tenant; tenant = tenant->next)
		if (tenant->parts->uplink.ports)
			uplink_ports_resume(tenant->parts->uplink.ports);
}

void uplink_tenants_free(struct uplink *uplink)
{
	while (uplink->tenants) {
		struct uplink_tenant *tenant = uplink->tenants;

		uplink->tenants = tenant->next;
		tenant_free(tenant);
	}
}
