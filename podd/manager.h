/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The service manager that podd may run under: it is told what state the pod is in, keeps sockets
 * for the next podd, hands over those of socket units, and lends a cgroup. Without one every call
 * here is fine, and does nothing.
 */

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "json.h"

struct manager;
struct pod;

/* What the manager keeps under a name that begins so is podd's own. */
#define MANAGER_KEPT "podd-"

/* Reads what podd was started with, and moves podd into the subgroup of its unit's cgroup, if it is
 * in one. Return: 0, -ENOMEM. */
int manager_new(struct pod *pod, struct manager **ret, struct err *err);
void manager_free(struct manager *manager);

/* The cgroup of the pod's unit, or NULL. */
const char *manager_cgroup(const struct manager *manager);

/* Tells that the pod serves, or that it is being stopped. */
void manager_ready(struct pod *pod);
void manager_stopping(struct pod *pod);
/* ... that it failed, and will be started again. */
void manager_waiting(struct pod *pod);

/* Before what takes long, out of the loop: the watchdog waits from now on. */
void manager_alive(void);

/* Has a copy of the fd kept for the next podd, or all of that name given up. @name: printable
 * ASCII, no blank and no ':'. */
void manager_keep(struct manager *manager, const char *name, int fd);
void manager_drop(struct manager *manager, const char *name);

/* Copies those that were kept under the name and for which @is_it is true. Return: how many. */
unsigned manager_take(struct manager *manager, const char *name,
	bool (*is_it)(int fd, const void *opaque), const void *opaque, int *fds, unsigned max);

/* After the start: closes what was kept, and gives up what is not wanted any more. */
void manager_settle(struct manager *manager,
	bool (*is_wanted)(const char *name, const void *opaque), const void *opaque);

/* The listening socket control.sock of the pod, when a socket unit has made it; or -1. */
int manager_take_control(struct manager *manager);
/* Is it the socket unit's to remove? */
bool manager_owns_control(const struct manager *manager);

/* An event, for a journal that podd's messages go to: see messages.h. */
void manager_tell(
	const struct pod *pod, const char *event, const char *child, const struct json *attributes);
