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

struct uplink_tenant {
	struct uplink_tenant *next;
	struct uplink *owner;
	char name[NAME_PATH_SIZE];
	struct uplink parts; /* without a tap, libslirp and rules */
	struct uplink_control *control;
	struct uplink_work burial;
};

static void tenant_free(struct uplink_tenant *tenant)
{
	uplink_control_free(tenant->control);
	uplink_ports_free(tenant->parts.ports);
	uplink_datagrams_free(tenant->parts.datagrams);
	uplink_relay_free(tenant->parts.relay);
	uplink_flows_free(tenant->parts.flows);
	uplink_scopes_free(tenant->parts.scopes);
	free(tenant);
}

static void remove_tenant(struct uplink_tenant *tenant)
{
	struct uplink_tenant **link = &tenant->owner->tenants;

	while (*link && *link != tenant)
		link = &(*link)->next;
	if (*link)
		*link = tenant->next;
}

static void bury(struct uplink_work *work)
{
	struct uplink_tenant *tenant = container_of(work, struct uplink_tenant, burial);

	remove_tenant(tenant);
	tenant_free(tenant);
}

/* Not from within one of its own events. */
static void leave(struct uplink_tenant *tenant)
{
	tenant->burial.run = bury;
	uplink_loop_defer(tenant->owner->loop, &tenant->burial);
}

static void on_sockets(void *opaque)
{
	struct uplink_tenant *tenant = opaque;

	if (uplink_sockets_are_over(uplink_ports_sockets(tenant->parts.ports)))
		leave(tenant);
	else if (tenant->parts.relay)
		uplink_relay_retry(tenant->parts.relay);
}

static int serve(struct uplink_control *control, const struct uplink_request *request, int *fds,
	void *opaque, struct err *err)
{
	struct uplink_tenant *tenant = opaque;
	int r;

	if (request->operation == UPLINK_LEAVE) {
		leave(tenant);
		return 0;
	}
	r = uplink_requests_serve_tenant(control, request, fds, &tenant->parts, err);
	if (r == 0 && request->operation == UPLINK_NET)
		uplink_ports_set_listener(tenant->parts.ports, on_sockets, tenant);
	return r;
}

static struct uplink_tenant *find(const struct uplink *uplink, const char *name)
{
	struct uplink_tenant *tenant = uplink->tenants;

	while (tenant && !text_equal(tenant->name, name))
		tenant = tenant->next;
	return tenant;
}

static int tenant_new(struct uplink *uplink, const char *name, struct uplink_tenant **ret,
	struct err *err)
{
	struct uplink_tenant *tenant;
	unsigned n = 0;

	for (tenant = uplink->tenants; tenant; tenant = tenant->next)
		n++;
	if (n >= UPLINK_TENANTS_MAX)
		return err_set(err, -E2BIG, "more than %d pods publish ports by this one",
			UPLINK_TENANTS_MAX);
	tenant = calloc(1, sizeof(*tenant));
	if (!tenant)
		return err_oom(err);
	text_copy(tenant->name, sizeof(tenant->name), name);
	tenant->owner = uplink;
	tenant->parts.event = uplink->event;
	tenant->parts.loop = uplink->loop;
	tenant->parts.top = uplink;
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
	/* What is to be buried is as good as gone. */
	if (tenant && tenant->burial.queued) {
		remove_tenant(tenant);
		tenant = NULL;
	}
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
		if (tenant->parts.ports)
			uplink_ports_resume(tenant->parts.ports);
}

void uplink_tenants_free(struct uplink *uplink)
{
	while (uplink->tenants) {
		struct uplink_tenant *tenant = uplink->tenants;

		uplink->tenants = tenant->next;
		tenant_free(tenant);
	}
}
