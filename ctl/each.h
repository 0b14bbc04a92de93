/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Verbs that do one thing to several containers: named by path, those of a pod, or all. */

#include <stdbool.h>

#include "target.h"

/* What is done to one container. Return: 0, or -errno with the reason. */
typedef int each_action(const struct ctl *ctl, const struct target *target, void *userdata,
	struct err *err);

struct each {
	const struct ctl_verb *verb;
	char **paths;        /* operands, ended by NULL */
	bool all;            /* instead of them: every container that podctl made */
	bool running_only;   /* with all, or a pod: those that do not run are passed over */
	bool quiet;          /* the path of what succeeded is not printed */
	each_action *action;
	void *userdata;
};

/* Does it to each; a failure is told and hinders no other. A pod stands for the containers in it.
 * Return: the exit status. */
int each_run(const struct ctl *ctl, const struct each *each);

/* Paths of the containers that the operands name, in their order; with all, of every one. Return:
 * 0, -errno. */
int each_expand(const struct ctl *ctl, char *const *paths, bool all, char ***ret, struct err *err);

/* What a container's records and /proc say about its state. */
int each_phase(const struct target *target, enum container_phase *ret, struct err *err);
/* True for what has a first process, or may get one again without a person's help. */
bool each_is_running(const struct target *target);
