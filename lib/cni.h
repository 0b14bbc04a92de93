/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The client side of the Container Network Interface specification 1.1.0 (and configurations of
 * 0.3.1 to 1.0.0): finds network configurations, runs the plugins' chains, keeps results in
 * libcni's cache format. The caller is already in the namespaces where the plugins must run.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "err.h"
#include "json.h"

/* Most plugins in one configuration list, most bytes of one configuration or result. */
#define CNI_PLUGINS_MAX 32
#define CNI_CONFIG_BYTES_MAX JSON_BYTES_MAX
#define CNI_RESULT_BYTES_MAX JSON_BYTES_MAX
#define CNI_STDERR_BYTES_MAX (16 * 1024)
#define CNI_TIMEOUT_MS 30000
#define CNI_UNDO_MS 20000
#define CNI_DEL_MIN_MS 5000

/* The network that is there without any file. */
#define CNI_NETWORK_DEFAULT "podd"

/* A network configuration list; a single ".conf" is one with one plugin. */
struct cni_config;

/* Parses and checks a configuration (list or single); @source names it in errors. */
int cni_config_parse(const char *source, const char *text, size_t length,
	struct cni_config **ret, struct err *err);
int cni_config_from_json(const char *source, const struct json *document,
	struct cni_config **ret, struct err *err);
/* The document, as parsed; owned by the configuration. */
const struct json *cni_config_document(const struct cni_config *config);
const char *cni_config_name(const struct cni_config *config);
const char *cni_config_version(const struct cni_config *config);
/* Path of the file it came from, or "built in". */
const char *cni_config_source(const struct cni_config *config);
size_t cni_config_plugins(const struct cni_config *config);
const char *cni_config_plugin_type(const struct cni_config *config, size_t index);
void cni_config_free(struct cni_config *config);
CLEANUP_DEFINE(cni_config, cni_config_free)

/* A network's name, as the specification allows it. Return: 0 or -EINVAL. */
int cni_check_network_name(const char *name, struct err *err);

/* What the built-in network is for a pod. Pods in pods reach the networks that are around them, so
 * each level has subnets of its own. */
#define CNI_LEVEL_HOST (-1)
struct cni_builtin {
	unsigned mtu; /* of its bridge */
	bool ipv6;
	int level;    /* how many pods there are around the pod; CNI_LEVEL_HOST: it is the host's */
};

/* Finds a network by name in the directories, in order: .conflist files before .conf and .json,
 * alphabetically; the built-in one when no file has its name. A broken
 * file is an error only when it is the one (its name in it matches); otherwise skipped.
 * Return: 0, -ENOENT (names the directories and the networks that there are), -EINVAL, -errno. */
int cni_config_find(char *const *dirs, const char *name,
	const struct cni_builtin *builtin, struct cni_config **ret, struct err *err);
/* All networks, the built-in one included, one of each name; broken files are reported in
 * *ret_problems (messages, may be NULL). */
int cni_config_list(char *const *dirs, const struct cni_builtin *builtin,
	struct cni_config ***ret, size_t *ret_n, char ***ret_problems, struct err *err);
/* The caller's directories: $XDG_CONFIG_HOME/cni/net.d (or ~/.config), /etc/cni/net.d; and
 * $CNI_PATH, /usr/lib/cni, /opt/cni/bin, /usr/libexec/cni. Allocated vectors. */
int cni_default_config_dirs(char ***ret);
int cni_default_plugin_dirs(char ***ret);
/* Leaves out (with a message in *ret_problems) directories that are missing, or that somebody else
 * than root and the caller owns or can write. To be called in the host's namespaces. */
int cni_trusted_dirs(char *const *dirs, char ***ret, char ***ret_problems);

/* What cni_trusted_dirs() looks for, for one path without links. Return: 0, -EPERM, -errno. */
int cni_check_trusted(const char *path, struct err *err);

/* What a pod sees beside or in place of the host's file system; see stage.h. Paths are absolute and
 * without links; each may be NULL. */
struct cni_trees {
	char *const *stages;
	const char *root;
	const char *host_at;
};
/* Plugin directories as the pod sees them, in order: the host's that $CNI_PATH names, the usual
 * ones that stages have (the last stage's first), the usual ones of the root directory, and the
 * other ones of the host's. @host_dirs are the host's trusted ones; with a root directory the
 * host's are found below host_at, or not at all. */
int cni_tree_dirs(const struct cni_trees *trees, char *const *host_dirs, char ***ret,
	char ***ret_problems);

/* One attachment: what a plugin gets in its environment and as runtimeConfig. */
struct cni_runtime {
	const char *container_id;   /* CNI_CONTAINERID */
	const char *netns;          /* CNI_NETNS; NULL or "" at DEL when it is gone */
	const char *ifname;         /* CNI_IFNAME */
	const char *ip;             /* asked for, or NULL: as "ips" capability where a plugin
					declares that, else as IP= in CNI_ARGS */
	const char *mac;            /* asked for, or NULL: "mac" capability or MAC= likewise */
	const struct json *capability_args; /* object: portMappings, aliases, bandwidth, dns,
					       cgroupPath, ...; or NULL */
	char *const *plugin_dirs;   /* searched in order */
	const char *host_at;        /* where the caller's root directory shows the host's, or NULL:
				       what is found below it runs with that as its root */
	int cache_fd;               /* directory <pod>/cni: results/ lies in it */
	unsigned timeout_ms;        /* for each plugin; 0: CNI_TIMEOUT_MS */
	int64_t deadline_ms;        /* for all of it, see deadline.h; 0: none. ADD keeps the last
				       CNI_UNDO_MS for its roll-back; a DEL has CNI_DEL_MIN_MS
				       even when no time is left */
	bool *left;                 /* set when a roll-back of ADD failed, so that something may
				       be left that DEL would have to delete; or NULL */
};

/* ADD along the chain with prevResult; on failure everything that was added is deleted again
 * before it returns, or runtime->left is set. *ret_result is the last plugin's result,
 * *ret_addresses ("10.88.0.2/16") the addresses on the container's interface. The result is in the
 * cache afterwards.
 * Return: 0, -ENOENT (no such plugin), -EREMOTEIO (the plugin said no: the message has its name,
 * code, msg, details and the end of its stderr), -EPROTO (what it printed is no result),
 * -ETIMEDOUT, -errno. */
int cni_add(const struct cni_config *config, const struct cni_runtime *runtime,
	struct json **ret_result, char ***ret_addresses, struct err *err);

/* DEL in reverse order, with the cached result as prevResult where there is one (CNI 0.4.0 and
 * later); every plugin is called even when one fails; the cache entry is removed when all
 * succeeded. Deleting twice is fine. Return: 0, or the first error. */
int cni_del(const struct cni_config *config, const struct cni_runtime *runtime, struct err *err);

/* CHECK (0.4.0 and later), unless "disableCheck". Return: 0, -EREMOTEIO with what is wrong,
 * -ENODATA without a cached result, -EOPNOTSUPP. */
int cni_check(const struct cni_config *config, const struct cni_runtime *runtime,
	struct err *err);

/* Deletes every attachment that the cache has beyond @valid, then calls GC with them (1.1.0 and
 * later); nothing of it with "disableGC". No ADD or DEL of this network may run meanwhile.
 * Return: 0, or the first error after everything was tried. */
struct cni_attachment {
	const char *container_id;
	const char *ifname;
	const char *netns; /* no other attachment's plugins get it; or NULL */
};
int cni_gc(const struct cni_config *config, const struct cni_attachment *valid, size_t n_valid,
	const struct cni_runtime *runtime, struct err *err);

/* STATUS (1.1.0 and later). Return: 0 ready, -EREMOTEIO with why not, -EOPNOTSUPP. */
int cni_status(const struct cni_config *config, const struct cni_runtime *runtime,
	struct err *err);

/* VERSION of one plugin: its supportedVersions. */
int cni_plugin_versions(const char *type, const struct cni_runtime *runtime, char ***ret,
	struct err *err);

/* Lists what the cache in <cache_fd>/results has: for recovery. Each entry is libcni's document. */
int cni_cache_list(int cache_fd, struct json ***ret, size_t *ret_n, struct err *err);
/* Reads host-local's lease of an address, a file in <cache_fd>/networks/NETWORK: *ret is the
 * container's id and, unless that is left out, the interface's name. Return: 0, -EINVAL, -errno. */
int cni_lease_read(int dirfd, const char *address, char ***ret);
/* The configuration that such an entry was made with. Return: 0, -EINVAL, -errno. */
int cni_cache_config(const struct json *entry, struct cni_config **ret, struct err *err);
