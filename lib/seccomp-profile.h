/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * seccomp profiles for containers: files in the form that container engines share (defaultAction,
 * archMap, syscalls with includes and excludes), turned into what the OCI runtime specification has
 * as linux.seccomp (config-linux, "Seccomp").
 */

#include "err.h"
#include "json.h"

/* Loads @path, or with NULL the profile that comes with podd. @capabilities are those that the
 * container has (NULL terminated, "CAP_..."): rules may depend on them, on the machine's
 * architecture and on the kernel's version. A file in the OCI form is taken as it is. Return: 0,
 * -ENOENT, -EINVAL (the message says where), -errno. */
int seccomp_profile_load(const char *path, char *const *capabilities, struct json **ret,
	struct err *err);

/* The same from a parsed file, for tests. Return: 0 or -EINVAL. */
int seccomp_profile_convert(const struct json *profile, char *const *capabilities,
	struct json **ret, struct err *err);
