/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A whole pod instead of one container, for podctl doctor: what the CNI plugins say of each
 * attachment (check), and removing what no attachment has (gc). Both enter the pod's namespaces for
 * good.
 */

#include "err.h"
#include "request.h"

/* Prints a JSON array: {"child", "network", "message"} for each attachment in which a plugin found
 * something wrong. Return: 0, -EHOSTDOWN when the pod does not run, -errno. */
int survey_check(const struct request *request, struct err *err);

/* Has plugins delete the attachments that no record names: those of which results or host-local's
 * leases are kept (DEL), and whatever else they find themselves (GC, CNI 1.1.0); then mends
 * /run/netns. Return: 0, or the first error after all was tried. */
int survey_gc(const struct request *request, struct err *err);
