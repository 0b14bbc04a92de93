/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A container while it is made; for make*.c and container-options.c only. */

#include <stdint.h>

#include "container.h"
#include "idmap.h"
#include "make.h"
#include "oci-container.h"
#include "record.h"
#include "rootfs.h"
#include "volume.h"

#define MAKE_VOLUMES_MAX 512

struct container_options {
	/* ---- what and where ---- */
	const char *name;
	const char *pod;
	const char *rootfs;
	const char *bundle;
	const char *entrypoint;
	const char *runtime;
	const char *cidfile;
	const char *pidfile;
	bool auto_remove;
	bool interactive;
	bool terminal;
	bool init;
	char **labels;
	char **label_files;
	char **annotations;

	/* ---- the process ---- */
	char **env;
	char **env_files;
	const char *cwd;
	const char *user;
	char **group_add;
	char **cap_add;
	char **cap_drop;
	char **ulimits;
	char **security;

	/* ---- files ---- */
	char **volumes;
	char **mounts;
	char **tmpfs;
	bool read_only;
	bool read_only_tmpfs;
	const char *shm_size;

	/* ---- namespaces and network ---- */
	const char *hostname;
	const char *share;
	char **networks;
	char **publish;
	char **egress;

	/* ---- limits ---- */
	const char *memory;
	const char *memory_swap;
	const char *cpus;
	const char *pids_limit;

	/* ---- its life ---- */
	const char *restart;
	const char *stop_signal;
	uint32_t stop_timeout;
	const char *health_command;
	const char *health_interval;
	const char *health_timeout;
	const char *health_retries;
	const char *health_start_period;
	bool no_health;
	const char *log_driver;
	char **log_options;
};

struct making {
	const struct ctl *ctl;
	const struct container_options *options;
	char *const *command;
	struct err *err;
	bool only_described; /* nothing is made of it: no warnings */

	/* ---- the pod ---- */
	int podfd;
	char *pod_dir;
	struct pod_spec pod;
	struct pod_state state;
	struct idmap uids; /* in force, or as they will be */
	struct idmap gids;

	/* ---- what it will be ---- */
	struct container_spec spec;
	char *child_dir;
	struct json *base;
	int rootfd;                 /* its root file system, without an overlay */
	char *rootfs;               /* for root.path */
	char **args;
	char **env;
	struct rootfs_user user;
	bool has_user;
	uint32_t groups[ROOTFS_GROUPS_MAX];
	size_t n_groups;
	struct volume *volumes;
	size_t n_volumes;
	char **capabilities;
	char **added_capabilities;
	struct json *seccomp;
	bool no_seccomp;
	const char *seccomp_file;
	bool no_new_privileges;
	bool unmask;
	const char *init;
	unsigned share;
	uint64_t shm_size;
	bool cgroup2;
};

/* Each fills its part; on failure the message is there. Return: 0 or -errno. */

/* make-spec.c: what of the options goes into container.json as it is. */
int make_read_spec(struct making *making);
/* make-runtime.c: the runtime, the init program, limits and the cgroup for them. */
int make_find_runtime(struct making *making);
int make_find_init(struct making *making);
int make_read_limits(struct making *making);
/* make-network.c */
int make_read_network(struct making *making);
/* make-rootfs.c: the root file system or the bundle, mounts. */
int make_open_rootfs(struct making *making);
int make_read_volumes(struct making *making);
/* make-process.c: the user, the environment, the command, capabilities and seccomp. */
int make_read_process(struct making *making);

/* An absolute path, of one that need not exist. Return: NULL when memory is short. */
char *make_absolute(const char *path);

/* Removes what is in children/NAME, the locked directory itself and container.json included, as
 * the pod's root where it is not the caller's. What was mounted or written in overlay/ goes first,
 * so that a container whose files cannot be removed stays one. */
struct make_place {
	int podfd;
	const char *pod;
	const char *name;
	const struct pod_spec *spec;
	const struct pod_state *state;
};
int make_remove_files(const struct make_place *place, struct err *err);

/* Tells podd, when it is there, that a container was made ("create"), or that one or a pod in the
 * pod was removed ("remove"). */
void make_report(int podfd, const char *name, const char *type);
