/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What makes a plan: apply-plan.c has pods and containers, apply-traffic.c their ports and rules. */

#include "apply-plan.h"

#include "pod-network.h"

struct planning {
	const struct ctl *ctl;
	const struct apply_pod *pod;
	struct json *plan;
	struct err *err;
	int podfd;    /* -1: there is no such pod */
	bool is_anew; /* it will be made, or made anew */
	bool runs;
	struct pod_spec wanted;
	struct pod_network network; /* what is published and let out now */
};

/* Appends a step. Return: the array of the command's words, for more. */
struct json *apply_add_step(struct json *plan, enum apply_action action, const char *path,
	const char *reason, const char *const *words);
#define STEP(plan, action, path, reason, ...) \
	apply_add_step(plan, action, path, reason, (const char *const[]){__VA_ARGS__, NULL})
void apply_add_words(struct json *command, char *const *words);

/* A vector of strings that is never NULL. */
char *const *apply_or_none(char *const *strv);

/* How the ports and egress rules that are wanted differ from those that there are. */
struct traffic {
	char **add_ports;
	char **remove_ports;
	char **rules; /* wanted */
	char **old_rules;
	bool own_goes; /* one of the container's own ports is not wanted any more */
};

void traffic_done(struct traffic *traffic);
bool traffic_differs(const struct traffic *traffic);
/* @own: ports that only the record of a container has; @first: rules that podd does not have yet.
 * Return: 0, -EINVAL, -ENOMEM. */
int traffic_compare(const struct planning *planning, const char *child, char *const *publish,
	char *const *egress, char *const *own, char *const *first, struct traffic *ret);
/* Adds the steps that make them so, while it runs. */
void traffic_plan(struct planning *planning, const char *path, const struct traffic *traffic);
