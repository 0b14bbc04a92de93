/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The shim is the subreaper of everything that the runtime starts (prctl(2),
 * PR_SET_CHILD_SUBREAPER). Processes that somebody waits for are known here by their pid; the others
 * are waited for so that no zombie stays, but not while a runtime works: it may have started one
 * whose pid is told only afterwards.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "err.h"

struct reaper;

/* Becomes the subreaper and takes SIGCHLD. */
int reaper_new(sd_event *event, struct reaper **ret, struct err *err);
void reaper_free(struct reaper *reaper);

/* @status is as waitpid(2) gives it; the process is forgotten before the call. */
typedef void (*reaper_callback)(void *userdata, pid_t pid, int status);

/* @pid is, or will be soon, a child; one that has ended is told from the loop, not from here.
 * Return: 0 or -ENOMEM. */
int reaper_watch(struct reaper *reaper, pid_t pid, reaper_callback callback, void *userdata);
void reaper_forget(struct reaper *reaper, pid_t pid);

/* Between the two, unknown children are not waited for. They nest. */
void reaper_hold(struct reaper *reaper);
void reaper_release(struct reaper *reaper);

/* SIGKILL to every child that is not known, with what is below it left to itself. */
void reaper_kill_unknown(struct reaper *reaper);
