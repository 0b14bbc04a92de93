/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Replacing podd by the program that is installed now, while the pod runs: podd executes it in its
 * own place, so that a service manager sees the same process. It adopts the pod as after podd's
 * death.
 */

#include "err.h"

struct connection;
struct pod;
struct varlink_call;

/* io.podd.Pod.Upgrade: the reply has a pipe on which the next program says when it is ready, as on
 * --ready-fd. Then the loop ends with POD_NEXT_UPGRADE. */
void method_upgrade(
	struct pod *pod, struct connection *connection, const struct varlink_call *call);
/* io.podd.Pod.ReplaceUplink: ends podd-uplink, with its connections; another one is started. */
void method_replace_uplink(
	struct pod *pod, struct connection *connection, const struct varlink_call *call);

/* Executes the installed program, with @ready_fd (-1: none); @root may be NULL. Returns only when
 * that fails, having said so there; all is as before then. */
void upgrade_execute(const char *root, const char *path, int ready_fd);

/* podd --check: could this program take the pod over? Reads all its records. */
int upgrade_check(const char *root, const char *path, struct err *err);

/* What podd had started before the pod's present loop, by an earlier program as well, is waited
 * for, but for podd-outer and podd-uplink of the pod's record. */
void upgrade_adopt_helpers(struct pod *pod);
