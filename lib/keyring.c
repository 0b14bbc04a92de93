/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Keyrings: see keyring.h. /proc/key-users has a line for each user of the namespace (keyrings(7)):
 *
 *     0:     5 4/4 3/200 58/20000
 *
 * uid, uses, keys in all and with a type, then quotas of keys and of bytes: used and most. */

#include "keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "text.h"

#define KEY_USERS "/proc/key-users"
#define KEY_USERS_MAX (64 * 1024)
#define DESCRIPTION_MAX 1024
/* What is left for others, and for containers that are being made now. */
#define KEYS_LEFT 16
#define BYTES_LEFT 2000
/* keyctl(2), KEYCTL_SETPERM: all for who possesses it; view, read, search and link for the user,
 * since only what may be searched can be joined by its name. */
#define SHARED_PERMISSIONS 0x3f1b0000

static bool is_low(const char *text, uid_t uid)
{
	const char *line = text;

	while (line && *line) {
		unsigned found, uses, keys, typed, used, most, bytes, most_bytes;

		if (sscanf(line, "%u: %u %u/%u %u/%u %u/%u", &found, &uses, &keys, &typed, &used,
			    &most, &bytes, &most_bytes) == 8 &&
			found == uid)
			return used + KEYS_LEFT > most || bytes + BYTES_LEFT > most_bytes;
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return false;
}

bool keyring_quota_is_low(uid_t uid)
{
	autofclose FILE *file = fopen(KEY_USERS, "re");
	autofree char *text = NULL;
	size_t length;

	/* A kernel without keys has no such file. */
	return file && fd_read_all(fileno(file), KEY_USERS_MAX, &text, &length) == 0 &&
	       is_low(text, uid);
}

int keyring_join(const char *name)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0)
		return -errno;
	/* Fails where another has made it, and done so. */
	(void)syscall(SYS_keyctl, KEYCTL_SETPERM, KEY_SPEC_SESSION_KEYRING, SHARED_PERMISSIONS);
	return 0;
}

/* "keyring;1000;1000;3f1b0000;NAME" */
bool keyring_is_joined(const char *name)
{
	char text[DESCRIPTION_MAX + 1] = "";
	const char *last;

	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text,
		    DESCRIPTION_MAX) < 0)
		return false;
	last = strrchr(text, ';');
	return last && text_equal(last + 1, name);
}
