/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * podctl doctor: compares what the records say with what there is. The checks stand in a table
 * (doctor.c), one function each, and only look; what --fix does is a table as well (doctor-fix.c).
 * A pod is examined in a process of its own, which enters the pod's namespaces for the second half
 * of the table.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "container.h"
#include "ctl.h"

/* What --fix does about a difference: see doctor-fix.c. */
enum doctor_action {
	DOCTOR_NOTHING,	     /* a person has to */
	DOCTOR_CLEAN,	     /* of a pod that does not run: podd --no-start */
	DOCTOR_SUPERVISE,    /* another podd */
	DOCTOR_REPLACE_PODD, /* the same, after the one that does not answer is killed */
	DOCTOR_RULES,	     /* io.podd.Pod.RestoreRules */
	DOCTOR_REMOVE_POD,   /* its directory: nothing was ever in it */
	DOCTOR_REMOVE_CHILD, /* the same of a child; object: its name */
	DOCTOR_REMOVE_LOCK,  /* of a child that is gone; object: its name */
	DOCTOR_REMOVE_FILE,  /* object: below the pod's directory */
	DOCTOR_DETACH,	     /* podd-hook detach; object: the child's name */
	DOCTOR_REAP,	     /* podd-shim --reap; object: the child's name */
	DOCTOR_KILL_SHIM,    /* a shim that no record names; object: its pid and start time */
	DOCTOR_CGROUP,	     /* object: its path */
	DOCTOR_LINK,	     /* ns/; object: the kind */
	DOCTOR_COLLECT,	     /* podd-hook gc */
	DOCTOR_LEASE,	     /* object: NETWORK ADDRESS ID IFNAME, as host-local has them */
	DOCTOR_INTERFACE, /* object: ID ("-": the pod's netns) IFNAME ADDRESS... via=GATEWAY... */
	DOCTOR_ACTIONS,
};

#define DOCTOR_VIA "via="

struct doctor_child {
	const char *name;
	int fd;	    /* its directory; -1: cannot be opened */
	bool is_pod; /* in the pod: examined by itself, but attached to this one's networks */
	bool is_made;
	bool is_attached; /* has an attachment, loaded */
	struct attachment attachment;
	bool has_state; /* of one that podctl made, loaded */
	struct container_state state;
	char *cgroup; /* that it has while it runs, or NULL */
};

/* One pod under examination. */
struct doctor_shims;
struct doctor {
	const struct ctl *ctl;
	const struct doctor_shims *shims;
	const char *path;
	int podfd;
	bool plugins; /* ask CNI plugins for every attachment, not only where something is odd */
	bool has_spec;
	bool has_state;
	struct pod_spec spec;
	struct pod_state state;
	enum pod_phase phase; /* as it is now */
	bool podd_alive;
	bool runs; /* its outer container lives, and nobody ends it */
	char **names;
	struct doctor_child *children;
	size_t n_children;
	struct json *findings;
};

/* Adds a difference. @object is what @action is about, and may be NULL. */
void doctor_find(struct doctor *doctor, const char *check, enum doctor_action action,
	const char *object, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Loads the records of a pod, and finds those that cannot be loaded. */
void doctor_load(struct doctor *doctor);
void doctor_done(struct doctor *doctor);
/* "container" or "pod" */
const char *doctor_child_kind(const struct doctor_child *child);
/* What belongs to the netns of that name in the pod's /run/netns. */
const struct doctor_child *doctor_child_of_id(const struct doctor *doctor, const char *id);

/* True while somebody holds the lock (flock(2)) on a file. */
bool doctor_is_locked(int dirfd, const char *name);
/* True while a hook attaches or detaches the child. */
bool doctor_child_is_busy(const struct doctor *doctor, const char *child);

/* The podd-shim of containers that run, as their command lines name them. */
struct doctor_shims {
	struct doctor_shim {
		struct proc_id id;
		char pod[NAME_PATH_SIZE];
		char name[NAME_COMPONENT_MAX + 1];
	} * all;
	size_t n;
};
/* Those of the hierarchy. Looks at every process. */
void doctor_find_shims(const char *root, struct doctor_shims *ret);

/* ---- the checks ---- */

/* doctor-records.c: files, in the host's namespaces */
void doctor_check_records(struct doctor *doctor);
void doctor_check_unfinished(struct doctor *doctor);
void doctor_check_links(struct doctor *doctor);
void doctor_check_sockets(struct doctor *doctor);
void doctor_check_locks(struct doctor *doctor);
/* doctor-processes.c: processes and cgroups, there */
void doctor_check_boot(struct doctor *doctor);
void doctor_check_podd(struct doctor *doctor);
void doctor_check_outer(struct doctor *doctor);
void doctor_check_uplink(struct doctor *doctor);
void doctor_check_left_over(struct doctor *doctor);
void doctor_check_containers(struct doctor *doctor);
void doctor_check_attachments(struct doctor *doctor);
void doctor_check_shims(struct doctor *doctor);
void doctor_check_cgroups(struct doctor *doctor);
/* doctor-cni.c: what plugins have left in files, and what they say; in the pod's mount namespace */
void doctor_check_leases(struct doctor *doctor);
void doctor_check_caches(struct doctor *doctor);
void doctor_check_netns(struct doctor *doctor);
void doctor_check_plugins(struct doctor *doctor);
/* doctor-network.c: what the kernel has, in the pod's network namespace and its children's */
void doctor_check_tap(struct doctor *doctor);
void doctor_check_rules(struct doctor *doctor);
void doctor_check_interfaces(struct doctor *doctor);

/* Enters the pod's namespaces: for good. Return: 0 or -errno. */
int doctor_enter(struct doctor *doctor, struct err *err);

/* ---- running and mending ---- */

/* Examines the pods (paths, or names of what lies in the root), several at a time, and then what
 * belongs to none. *ret_findings: an array of objects as in schemas/podctl-doctor.schema.json, with
 * "action" and "object" beside. *ret_failed: pods that could not be examined are in it as findings.
 */
struct doctor_count {
	size_t pods;
	size_t containers;
};
int doctor_run(const struct ctl *ctl, char *const *paths, bool all, bool plugins,
	struct json **ret_findings, struct doctor_count *ret_count, struct err *err);

/* "removes what is left of it"; NULL: nothing can be done. */
const char *doctor_action_text(enum doctor_action action);
const char *doctor_action_name(enum doctor_action action);
/* Does what each finding asks for, once; those that failed get an "error". */
void doctor_fix(const struct ctl *ctl, struct json *findings);
