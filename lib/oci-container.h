/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The config.json of a container in a pod, as podctl create and run make it. The runtime is run by
 * podd-shim inside the pod's user and mount namespaces: so the document names no user namespace,
 * and host paths in it are those of the pod's mount namespace.
 */

#include "container.h"
#include "err.h"
#include "json.h"
#include "rootfs.h"
#include "volume.h"

/* Where the program of --init is inside. */
#define OCI_INIT_PATH "/dev/init"

/* Files in the container's directory that it gets as /etc/hostname, and with the host's network as
 * /etc/resolv.conf. */
#define OCI_HOSTNAME_NAME "hostname"
#define OCI_RESOLV_NAME "resolv.conf"

enum oci_share { OCI_SHARE_IPC = 1, OCI_SHARE_UTS = 2, OCI_SHARE_PID = 4 };

/* Everything is borrowed. NULL and 0 mean: not asked for. */
struct oci_container {
	/* ---- where it is ---- */
	const char *root;              /* of the hierarchy, absolute */
	const char *pod_dir; /* absolute; <pod_dir>/ns/net and so on name its namespaces */
	const char *hook;              /* absolute path of podd-hook */
	const struct pod_spec *pod;
	const char *child_dir;         /* absolute, children/NAME */
	const struct container_spec *spec;
	const struct idmap *gids;      /* the pod's; NULL: not known */
	bool cgroup2;                  /* /sys/fs/cgroup is cgroup2: it can be shown inside */

	/* ---- what it is made of ---- */
	const struct json *base;       /* a bundle's config.json; NULL: podd's own defaults */
	const char *rootfs;            /* absolute, for root.path; overlays are already in it */
	bool read_only;
	char *const *args;             /* NULL: the base's */
	char *const *env;              /* "NAME=VALUE", already merged from --env-file, -e */
	const char *cwd;
	const struct rootfs_user *user; /* NULL: the base's, or root */
	const uint32_t *groups;        /* --group-add */
	size_t n_groups;
	const char *hostname;
	const struct volume
		*volumes; /* sources absolute, overlays replaced by their mount points */
	size_t n_volumes;
	char *const *ulimits;          /* "nofile=1024:2048" */
	char *const *capabilities;     /* from oci_choose_capabilities() */
	char *const *added_capabilities;
	const struct json *seccomp;    /* linux.seccomp; NULL: none */
	bool no_new_privileges;
	bool unmask;                   /* no masked and read-only paths */
	const char *init; /* absolute path of a static init program on the host, or NULL */
	unsigned share;                /* of enum oci_share */
	uint64_t shm_size;             /* a /dev/shm of its own of so many bytes; 0: the pod's */
};

/* Makes the document. Options replace what the base says. Return: 0; -EINVAL (an unknown
 * capability, a malformed ulimit, a base that is no Linux bundle: the message says which); -E2BIG
 * when it would be larger than a bundle may be; -ENOMEM. */
int oci_container_config(const struct oci_container *container, struct json **ret, struct err *err);

/* Writes resources.memory, cpu and pids of a "linux" section, and removes those that are no longer
 * limited. */
void oci_set_limits(struct json *linux_section, const struct container_limits *limits);

/* What it is called in its uts namespace. */
const char *oci_container_hostname(const struct oci_container *container);

/* The capabilities that a container has without --cap-add and --cap-drop, podman's: NULL
 * terminated, "CAP_CHOWN" and so on. */
extern const char *const oci_default_capabilities[];

/* What a container gets with --cap-add and --cap-drop ("NET_ADMIN", "cap_net_admin", "all"),
 * beginning with what @base (a config.json; NULL: none) says: *ret. *ret_added: those that were
 * added, which processes of other users than root have as well. Return: 0, -EINVAL, -ENOMEM. */
int oci_choose_capabilities(const struct json *base, char *const *add, char *const *drop,
	char ***ret, char ***ret_added, struct err *err);

/* "nofile=1024:2048", "core=unlimited"; RLIM_INFINITY is UINT64_MAX. Return: 0 or -EINVAL. */
struct oci_ulimit {
	const char *name; /* "nofile"; static */
	uint64_t soft;
	uint64_t hard;
};
int oci_ulimit_parse(const char *text, struct oci_ulimit *ret, struct err *err);

/* The "process" for podctl exec: that of @config (a made config.json) with other args. */
struct oci_exec {
	char *const *args;
	char *const *env;              /* added to the container's */
	const char *cwd;               /* NULL: the container's */
	const struct rootfs_user *user; /* NULL: the container's */
	bool terminal;
	bool privileged;               /* all capabilities that the pod's root has */
};
int oci_exec_process(const struct json *config, const struct oci_exec *exec, struct json **ret,
	struct err *err);

/* Most variables of an environment, and bytes of an --env-file. */
#define OCI_ENV_MAX 4096
#define OCI_ENV_FILE_MAX (1024 * 1024)

/* Adds the lines of an --env-file: NAME=VALUE, or NAME alone for the caller's value, '#' comments.
 * Return: 0, -EINVAL with file and line, -E2BIG, -errno. */
int oci_env_file(const char *path, char ***env, struct err *err);
/* Adds one -e: NAME=VALUE, or NAME alone for the caller's value (none: nothing). A later one
 * replaces an earlier one of its name. */
int oci_env_add(char ***env, const char *text, struct err *err);
/* The same for NAME=VALUE. */
int oci_env_set(char ***env, const char *entry, struct err *err);
/* The lines of oci_env_file(), already read; @text is changed. */
int oci_env_parse(const char *source, char *text, char ***env, struct err *err);
