/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Health checks: a command that is executed in the container every now and then. */

#include <systemd/sd-event.h>

#include "exec.h"
#include "place.h"

struct health;

/* @changed is called with every result. */
int health_new(sd_event *event, const struct place *place, struct execs *execs,
	void (*changed)(void *userdata, enum container_healthiness health, uint32_t failures),
	void *userdata, struct health **ret, struct err *err);
void health_free(struct health *health);

/* The container runs; does nothing when there is no check. */
void health_begin(struct health *health, pid_t init, const char *cgroup);
void health_end(struct health *health);
