/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Session keyrings, and the quota that a user has of keys: 200, as a rule (keyrings(7)).
 */

#include <stdbool.h>
#include <sys/types.h>

/* True when there is not much left of the quota of @uid, as the caller's user namespace shows it. */
bool keyring_quota_is_low(uid_t uid);

/* Makes the calling process a possessor of the session keyring of that name, which is made if the
 * caller's user namespace has none yet, and of no other. Return: 0, -EDQUOT, -errno. */
int keyring_join(const char *name);

/* Is the calling process's session keyring one of that name? */
bool keyring_is_joined(const char *name);
