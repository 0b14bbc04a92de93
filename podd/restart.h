/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Starting a pod again whose outer container was killed, by the pod's restart policy: how long is
 * waited before, and what is done then. While podd waits it serves control.sock, so that the pod
 * can be stopped for good.
 */

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct pod;

/* Of one podd, from start to start. */
struct restart {
	uint32_t total;    /* goes on from what the record of an adopted pod says */
	bool is_due;       /* the policy wants the next start */
	unsigned in_a_row; /* without that the pod ran for long in between */
	uint64_t since_us; /* CLOCK_MONOTONIC: since when it runs; 0: it does not */
};

/* Does the policy want it? Never for a pod that was made for its containers. */
bool restart_is_wanted(const struct pod *pod);

/* The pod runs, from now on or, adopted, all the time. After a restart the containers that ran when
 * it was killed, and want it, are started, in the order in which they were started before. */
void restart_note_start(struct restart *restart, struct pod *pod);
/* It does not any more, or could not be started again: the next delay, in microseconds. */
uint64_t restart_delay_us(struct restart *restart);

/* Arms the end of the wait: then pod->next is POD_NEXT_START and the loop ends. */
int restart_wait(struct pod *pod, uint64_t delay_us, struct err *err);
