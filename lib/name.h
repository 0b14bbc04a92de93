/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Names. A component is [a-z0-9][a-z0-9_-]{0,62}; a path is components joined by '/', an OCI
 * container id is the same path joined by '.'.
 */

#include <stddef.h>

#include "err.h"

#define NAME_COMPONENT_MAX 63
/* Pods nest at most this deep; a container may lie in the deepest. */
#define NAME_PODS_MAX 8
#define NAME_COMPONENTS_MAX (NAME_PODS_MAX + 1)
/* Bytes for any path or id, the NUL included. */
#define NAME_PATH_SIZE (NAME_COMPONENTS_MAX * (NAME_COMPONENT_MAX + 1))

/* Return: 0 or -EINVAL; the message quotes the name and states the grammar. */
int name_check_component(const char *name, struct err *err);
int name_check_path(const char *path, struct err *err);

/* Return: components in a valid path. */
size_t name_depth(const char *path);

/* @path must be valid. */
void name_path_to_id(const char *path, char ret_id[NAME_PATH_SIZE]);
int name_id_to_path(const char *id, char ret_path[NAME_PATH_SIZE], struct err *err);
/* @text is a path or an OCI container id. Return: 0 or -EINVAL. */
int name_read_path(const char *text, char ret_path[NAME_PATH_SIZE], struct err *err);

/* A name for a UTS namespace, at most 64 bytes (sethostname(2)). Return: 0 or -EINVAL. */
int name_check_hostname(const char *name, struct err *err);

/* Splits a valid path at its last '/': "a/b/c" gives "a/b" and "c", "a" gives "" and "a". */
void name_split(const char *path, char ret_parent[NAME_PATH_SIZE],
	char ret_leaf[NAME_COMPONENT_MAX + 1]);
