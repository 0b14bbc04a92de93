/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where the shim's container is, and what it shall be: read once at the start. */

#include "container.h"
#include "err.h"

struct place {
	const char *root;  /* of the hierarchy, absolute */
	const char *pod;   /* path */
	const char *name;
	char *pod_dir;     /* absolute */
	int podfd;
	int childfd;       /* children/NAME */
	int runfd;         /* children/NAME/run */
	int lock;          /* children/NAME/lock, held */
	struct proc_id self;
	struct container_spec spec;
};

/* Opens the directories and takes the lock. Return: 0; -EBUSY when another shim runs; -errno. */
int place_open(const char *root, const char *pod, const char *name, struct place *ret,
	struct err *err);
/* Removes what is in the container's run directory, and makes it again. */
int place_make_run(struct place *place, struct err *err);
/* The path of a file in it for the runtime. Return: 0 or -ENAMETOOLONG. */
#define PLACE_RUN_PATH_MAX 96
int place_run_path(const struct place *place, const char *name, char *ret, size_t size);
/* The pid in a file that the runtime has written there. Return: 0 or -errno. */
int place_read_pid(const struct place *place, const char *name, pid_t *ret);
void place_done(struct place *place);

/* What the container has outside of its directory is removed, as far as it is still its: the cidfile
 * with its id, the pidfile with the pid of @init. */
void place_remove_cidfile(const struct place *place);
void place_remove_pidfile(const struct place *place, pid_t init);
/* The container itself (--rm). What fails is logged. */
void place_remove_container(const struct place *place);

/* One message in the shim's own log; newlines in it are kept. */
void place_log(const struct place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
