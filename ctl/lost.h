/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Pods that run though their records are gone or cannot be read. Their podd is asked to end them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"

/* True when there is no state.json that could be read. That of a pod that was never started is none
 * either. */
bool lost_state(int podfd);

/* True when a process of the pod is seen, or somebody has its lock. */
bool lost_runs(int podfd);

/* The pid of the podd-outer of a pod that runs, or 0. */
int lost_outer(int podfd);

/* Asks podd to end the pod, and waits for its end. Return: 0; -ENOENT or -ECONNREFUSED when nobody
 * listens; -errno. */
int lost_stop(int podfd, uint32_t seconds, struct err *err);

/* Has a pod without a state that can be read be one that never ran: it is ended, and what is left
 * of the record removed. Return: 0; -EBUSY when it still runs; -errno. */
int lost_give_up(int podfd, uint32_t seconds, struct err *err);

/* Removes a directory that podctl create was killed over: nothing in it but empty directories.
 * Return: 0; -ENOENT when it is none; -EBUSY when a pod runs there that has lost its pod.json;
 * -errno. */
int lost_remove_unfinished(const struct ctl *ctl, const char *path, struct err *err);
