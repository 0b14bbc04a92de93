/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The parts of oci_container_config(); for oci-container*.c only. */

#include "oci-container.h"
#include "oci-internal.h"

/* What a container has for its bundle's: messages about a base begin so. */
#define OCI_CONFIG_SOURCE "config.json"

/* The object or array @key of @parent, made where it is absent or null. Return: 0, or -EINVAL for
 * one of another type. */
int oci_need_member(struct json *parent, const char *key, const char *field, enum json_type type,
	struct json **ret, struct err *err);
/* The same for one that need not be there: *ret may be NULL. */
int oci_get_member(const struct json *parent, const char *key, const char *field,
	enum json_type type, struct json **ret, struct err *err);

/* process.capabilities of the capabilities @names for a process that is root or not. @added are
 * those that another user's process has as well. */
void oci_set_capabilities(struct json *process, char *const *names, char *const *added,
	bool is_root);

/* The ids of process.user: those of @from, and no other group. */
void oci_set_user(struct json *process, const struct rootfs_user *from);

/* process.rlimits: "nofile=1024:2048". */
int oci_set_rlimits(struct json *process, char *const *ulimits, struct err *err);

/* "mounts", for what the base has and what the options say. */
int oci_container_mounts(struct json *config, const struct oci_container *container,
	struct err *err);

/* True when the container's network namespace belongs to the pod's user namespace, so that a sysfs
 * of it can be mounted. */
bool oci_has_own_network(const struct oci_container *container);
