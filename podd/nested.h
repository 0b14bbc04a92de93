/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The pods in a pod, as far as its supervisor has to do with them: each has a supervisor of its own.
 * They end with the pod, since their first processes are in its pid namespace; a stop of the pod lets
 * them stop in order first. */

#include "cleanup.h"
#include "err.h"

struct pod;
struct nested;

int nested_new(struct pod *pod, struct nested **ret, struct err *err);
void nested_free(struct nested *nested);

/* Asks those that run to stop, with so much time for their containers; pod_stop_continue() is called
 * when one's supervisor has ended. A pod whose supervisor is gone is killed. */
void nested_stop(struct nested *nested, unsigned timeout_s);
/* Brings the resolv.conf of the pods in a pod, and of those in them, to what the pod's says: names are
 * looked up where the pod around has them looked up. Needs nothing but to be their owner. */
void nested_write_resolv(int podfd);
/* How many of them have not ended yet. */
unsigned nested_count(const struct nested *nested);
/* Logs how many did not end in time. */
void nested_tell_left(const struct nested *nested);
