/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The records of a container that podctl made, in its directory children/NAME beside what the hook
 * writes there:
 *
 *   container.json   what it shall be; writer: podctl (create, update)
 *   bundle/          the OCI bundle that the runtime is given; writer: podctl
 *   state.json       what it is; writer: podd-shim, and podd when the shim was killed
 *   exit.json        how it last ended; the same writers
 *   lock             held (flock) by podd-shim as long as it lives, and by who removes the
 * container shim.sock        podd-shim's socket, see shim.h shim.log         what podd-shim, the
 * runtime and hooks said ctr.log[.N]      the container's output, see log.h; .1 is the youngest of
 * the rotated files run/             podd-shim's temporary files; gone with it overlay/ where
 * podd-shim mounts overlays, while the container runs
 */

#include "record.h"

#define RECORD_CONTAINER "container.json"
#define RECORD_CONTAINER_STATE "state.json"
#define RECORD_CONTAINER_EXIT "exit.json"
#define CONTAINER_BUNDLE "bundle"
#define CONTAINER_LOCK "lock"
#define CONTAINER_SOCKET "shim.sock"
#define CONTAINER_LOG "ctr.log"
#define CONTAINER_SHIM_LOG "shim.log"
#define CONTAINER_RUN "run"
#define CONTAINER_OVERLAY "overlay"

/* Where the runtime of a pod's containers keeps its state: <pod>/runtime, given to it as --root. */
#define CONTAINER_RUNTIME_ROOT "runtime"

#define CONTAINER_OVERLAYS_MAX 32
#define CONTAINER_CHOWN_MAX 64
#define CONTAINER_COMMAND_MAX 65536
#define CONTAINER_STOP_SECONDS 10
#define CONTAINER_STOP_SECONDS_MAX 86400
#define CONTAINER_HEALTH_SECONDS_MAX (7 * 86400)
#define CONTAINER_LOG_FILES_MAX 1000

enum container_restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED };
enum container_log { LOG_K8S_FILE, LOG_JSON_FILE, LOG_JOURNALD, LOG_NONE };
enum container_net {
	CONTAINER_NET_POD,  /* the pod's network namespace */
	CONTAINER_NET_CNI,  /* an own one, connected by podd-hook to spec.networks */
	CONTAINER_NET_NONE, /* an own one, loopback only */
	CONTAINER_NET_HOST, /* the host's */
};
const char *container_restart_name(enum container_restart restart);
int container_restart_from_name(const char *name, enum container_restart *ret);
const char *container_log_name(enum container_log log);
int container_log_from_name(const char *name, enum container_log *ret);
const char *container_net_name(enum container_net net);
int container_net_from_name(const char *name, enum container_net *ret);

#define CONTAINER_SWAP_UNLIMITED INT64_C(-1)

/* 0 in each but swap: no limit. */
struct container_limits {
	uint64_t memory;     /* bytes */
	int64_t swap; /* bytes, of swap alone (0: none may be used), or CONTAINER_SWAP_UNLIMITED;
		       * counts only where memory is limited */
	uint32_t cpu_milli;  /* thousandths of a CPU */
	uint32_t pids;
};

struct container_health {
	char **command;          /* what is executed in the container; NULL: no check */
	uint32_t interval_s;     /* 30 */
	uint32_t timeout_s;      /* 30 */
	uint32_t retries;        /* 3; failures in a row that make it unhealthy */
	uint32_t start_period_s; /* 0; failures in it do not count */
};

struct container_spec {
	char pod[NAME_PATH_SIZE];
	char name[NAME_COMPONENT_MAX + 1];
	char id[NAME_PATH_SIZE];        /* OCI id: the path joined by '.' */
	char created[RECORD_TIME_SIZE];
	char *runtime;                  /* absolute path of the OCI runtime */
	char *rootfs;                   /* absolute, as asked for; NULL with bundle */
	char *bundle;                   /* absolute, the bundle it was made from; or NULL */
	char **command;                 /* args of its process */
	bool terminal;
	bool interactive;               /* its stdin is kept open */
	bool auto_remove;               /* --rm */
	bool keep_groups;               /* the caller's supplementary groups */
	bool share_pid;                 /* in the pod's pid namespace */
	char **overlays;                /* lower directories; number N is mounted by podd-shim at
					 * <child>/overlay/N/merged for each run */
	char **chown; /* directories whose owner becomes the process's (-v ..:U) */
	enum container_net net;
	char **networks;                /* with CONTAINER_NET_CNI, as given to --network */
	char **publish;
	char **egress;                  /* rules as text that podd is still to be given, before the
					 * first start; then they are in network.json; or NULL */
	enum container_restart restart;
	uint32_t restart_max;           /* with on-failure; 0: without end */
	uint32_t stop_signal;           /* number */
	uint32_t stop_timeout_s;
	struct container_limits limits;
	char *cgroup; /* "/a/b" below /sys/fs/cgroup, that the runtime makes for it;
		       * NULL: none was delegated */
	struct container_health health;
	enum container_log log;
	char *log_path;                 /* absolute; NULL: ctr.log in its directory */
	uint64_t log_max_size;          /* bytes of one file; 0: no limit */
	uint32_t log_max_files;         /* with log_max_size: files kept in all, at least 1 */
	char *pidfile;                  /* absolute, or NULL */
	char *cidfile;                  /* absolute, or NULL; removed with the container */
	struct json *labels;            /* object of strings, never NULL */
	struct json *annotations;       /* object of strings, never NULL */
};

/* The defaults. Return: 0 or -ENOMEM. */
int container_spec_init(struct container_spec *spec, struct err *err);
void container_spec_done(struct container_spec *spec);
struct json *container_spec_to_json(const struct container_spec *spec);
/* Return: 0, -ENOENT when podctl did not make this child, -EINVAL, -errno. */
int container_spec_load(int childfd, struct container_spec *ret, struct err *err);
int container_spec_save(int childfd, const struct container_spec *spec, struct err *err);
/* True when children/NAME has a container.json. */
bool container_is_made(int childfd);

/* ---- state.json ---- */

enum container_phase {
	CONTAINER_CREATED,    /* there is no state.json yet */
	CONTAINER_STARTING,
	CONTAINER_RUNNING,
	CONTAINER_RESTARTING, /* waits for its next start */
	CONTAINER_STOPPING,
	CONTAINER_EXITED,
};
const char *container_phase_name(enum container_phase phase);

enum container_healthiness { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
const char *container_healthiness_name(enum container_healthiness health);

struct container_state {
	enum container_phase phase;
	char boot_id[PROC_BOOT_ID_SIZE];
	char since[RECORD_TIME_SIZE];   /* of the phase */
	char started[RECORD_TIME_SIZE]; /* of the last run; "" before the first */
	struct proc_id shim;
	struct proc_id init;            /* first process, as the host sees it; pid 0: none */
	uint64_t order;                 /* those with the greater one are stopped first */
	uint32_t restarts;              /* by its restart policy, since podctl started it */
	bool stop_requested;            /* a person ended it: no restart */
	enum container_healthiness health;
	uint32_t health_failures;       /* in a row */
	char *cgroup;                   /* of the first process, when it is its own; or NULL */
	struct ns_id mounts; /* its mount namespace, of a shared pid namespace only: its other
			      * processes do not end with it */
};

void container_state_init(struct container_state *state);
void container_state_done(struct container_state *state);
struct json *container_state_to_json(const struct container_state *state);
/* Without a record the phase is CONTAINER_CREATED. Return: 0 or -errno. */
int container_state_load(int childfd, struct container_state *ret, struct err *err);
int container_state_save(int childfd, const struct container_state *state, struct err *err);

/* What is true now, whatever the record says: without its shim (or in another boot) a container is
 * CONTAINER_EXITED, or, as long as its first process is there, CONTAINER_STOPPING: podd ends it.
 * Looks at /proc only. */
enum container_phase container_phase_now(const struct container_state *state);

/* ---- exit.json ---- */

struct container_exit {
	bool known;                     /* false: nobody saw the end */
	uint8_t status;                 /* 0 to 255; 128 + signal; 125, 126, 127: it never ran */
	uint32_t signal;                /* 0: none */
	bool oom;                       /* the cgroup counts a kill for want of memory */
	char started[RECORD_TIME_SIZE]; /* "": it never ran */
	char ended[RECORD_TIME_SIZE];
	char *error;                    /* why it did not run, or NULL */
};

void container_exit_done(struct container_exit *exit);
struct json *container_exit_to_json(const struct container_exit *exit);
/* Return: 0, -ENOENT when it has not ended yet, -errno. */
int container_exit_load(int childfd, struct container_exit *ret, struct err *err);
int container_exit_save(int childfd, const struct container_exit *exit, struct err *err);
/* The status that a command which waited for the container ends with; 255 for an unknown one. */
int container_exit_status(const struct container_exit *exit);

/* True for a regular file whose content is just @text: a pidfile or cidfile that is still ours. */
bool container_is_own_file(const char *path, const char *text);
/* Removes such a file; what somebody else has put there stays. */
void container_remove_own_file(const char *path, const char *text);
