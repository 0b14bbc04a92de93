/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Tenants: pods in the pod, whose supervisors publish ports by this uplink. Each has scopes, flows
 * and ports of its own, and gets its sockets from its own podd-outer, so that a connection goes from
 * the host straight into that pod, from its client's address.
 */

#include <stddef.h>

#include "err.h"
#include "uplink-requests.h"

#define UPLINK_TENANTS_MAX 1024

/* Serves the tenant @name (@length bytes) by *fd from now on, instead of by the connection that it had
 * before; *fd is taken over on success. Return: 0, -E2BIG, -EINVAL, -ENOMEM, -errno. */
int uplink_tenant_connect(struct uplink *uplink, const char *name, size_t length, int *fd,
	struct err *err);
/* Their ports accept what there were no fds for. */
void uplink_tenants_resume(struct uplink *uplink);
void uplink_tenants_free(struct uplink *uplink);
