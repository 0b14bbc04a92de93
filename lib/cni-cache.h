/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside the CNI client: the cache of results, one file for each attachment.
 */

#include "cni-config.h"

/* Most entries that cni_cache_list() returns. */
#define CNI_CACHE_ENTRIES_MAX 65536

/* Checks, before anything is done, that the entry's file name is possible. Return: 0 or
 * -ENAMETOOLONG. */
int cni_cache_check_name(
	const struct cni_config *config, const struct cni_runtime *runtime, struct err *err);

/* Writes the entry. @args is an array of [key, value] arrays, @capability_args an object; both
 * may be NULL. Return: 0 or -errno. */
int cni_cache_save(const struct cni_config *config, const struct cni_runtime *runtime,
	const struct json *args, const struct json *capability_args, const struct json *result,
	struct err *err);

/* Reads the entry. Return: 0, -ENOENT, -EINVAL when it is not one, -errno. */
int cni_cache_load(const struct cni_config *config, const struct cni_runtime *runtime,
	struct json **ret, struct err *err);

/* Return: 0, also when there is none; -errno. */
int cni_cache_remove(
	const struct cni_config *config, const struct cni_runtime *runtime, struct err *err);
