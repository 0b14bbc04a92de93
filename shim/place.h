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
void place_done(struct place *place);

/* One message in the shim's own log; newlines in it are kept. */
void place_log(const struct place *place, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
