/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What attaching and detaching have in common. */

#include "err.h"
#include "request.h"

/* The pod and the place of the child in it, the child locked. */
struct place {
	bool is_host;         /* there is no pod: see hierarchy_open_host() */
	bool child_is_pod;
	int podfd;
	int childfd;
	int lock;
	struct pod_spec spec; /* the pod's, or on the host the child's */
	struct pod_state state;
	enum pod_phase phase; /* as it is now */
};

void place_init(struct place *place);
void place_done(struct place *place);
/* With @create makes the child's directory. Return: 0, -ENOENT without pod or (not @create) child,
 * -EWOULDBLOCK when another hook does not let go of the child, -errno. */
int place_open(struct place *place, const struct request *request, bool create, struct err *err);

/* Tells podd, which may be away: it reads the records when it comes back. Return: 0;
 * TELL_PODD_AWAY; -ESHUTDOWN when it said that the pod stops, -EREMOTEIO when it refused for
 * another reason. */
#define TELL_PODD_AWAY 1
int tell_podd(const struct place *place, const char *method, const struct attachment *attachment,
	struct err *err);

/* Writes the child's error.json; or removes it. What goes wrong here is not reported: the error
 * itself is. */
void keep_error(const struct place *place, const struct request *request, const struct err *err);
void drop_error(const struct place *place);
bool has_error(const struct place *place);

/* Removes the record, and the child's directory unless an error is kept in it. */
int drop_record(const struct place *place, const struct request *request, struct err *err);
