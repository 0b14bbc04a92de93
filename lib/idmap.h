/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * User and group id mappings: triplets container:host:size (user_namespaces(7)), the ranges of
 * subuid(5) and subgid(5), and writing them, directly or by newuidmap(1)/newgidmap(1).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"

/* The kernel takes 340 extents (user_namespaces(7)); nobody needs that many here. */
#define IDMAP_EXTENTS_MAX 32

struct idmap_extent {
	uint32_t container;
	uint32_t host;
	uint32_t size;
};

struct idmap {
	size_t n;
	struct idmap_extent extents[IDMAP_EXTENTS_MAX];
};

enum idmap_kind { IDMAP_UID, IDMAP_GID };

/* Adds "container:host:size". Return: 0, -EINVAL (grammar, zero size, beyond 32 bits, overlap
 * with an extent that is there, too many). */
int idmap_add_triplet(struct idmap *map, const char *text, struct err *err);
int idmap_add(struct idmap *map, uint32_t container, uint32_t host, uint32_t size, struct err *err);

/* What a pod gets when nothing was asked for. For a caller with CAP_SETUID in its user namespace:
 * every id of that namespace, unchanged. For others: 0 -> own id, 1.. -> the ranges in
 * /etc/sub[ug]id. *ret_warning is set (static text) when there was no range and the map has one id
 * only. Return: 0, -EINVAL (ranges that overlap or are malformed; the message names file and
 * line), -errno. */
int idmap_default(enum idmap_kind kind, struct idmap *ret, const char **ret_warning,
	struct err *err);

/* Makes sure that the caller's own id is mapped, adding it after the last container id when it is
 * not: the pod's root must reach the pod's directory. */
int idmap_include_self(struct idmap *map, enum idmap_kind kind, struct err *err);

/* Return: 0 with the id, or -ENOENT. */
int idmap_to_host(const struct idmap *map, uint32_t container, uint32_t *ret);
int idmap_to_container(const struct idmap *map, uint32_t host, uint32_t *ret);

/* Writes both maps of process @pid, which is in a new child user namespace. Both helpers run side
 * by side, for 15 seconds at most (-ETIMEDOUT). Needs CAP_SETUID and CAP_SETGID in the caller's
 * user namespace, or newuidmap(1) and newgidmap(1); for a map of only the caller's own id
 * neither. */
int idmap_write(pid_t pid, const struct idmap *uids, const struct idmap *gids, struct err *err);

/* Runs @function as root of a new user namespace with these maps, in a child, and waits for it:
 * for files whose owner only such a root may touch. Return: what @function returns (0 or -errno),
 * or -errno. */
int idmap_run(const struct idmap *uids, const struct idmap *gids, int (*function)(void *userdata),
	void *userdata, struct err *err);

/* [{"container": 0, "host": 1000, "size": 1}, ...] in our records. */
struct json *idmap_to_json(const struct idmap *map);
int idmap_from_json(const struct json *array, struct idmap *ret, struct err *err);
/* [{"containerID", "hostID", "size"}] as in config.json (OCI runtime specification, config-linux,
 * "User namespace mappings"). */
struct json *idmap_to_oci(const struct idmap *map);
