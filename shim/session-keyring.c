/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The container's session keyring: see session-keyring.h. */

#include "session-keyring.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "keyring.h"
#include "shim.h"
#include "text.h"

bool session_keyring_share(const struct place *place)
{
	autofree char *name = NULL;
	int r;

	if (!keyring_quota_is_low(geteuid()))
		return false;
	name = text_format("podd:%s", place->pod);
	r = name ? keyring_join(name) : -ENOMEM;
	if (r < 0 && !keyring_is_joined(SHIM_KEYRING)) {
		place_log(place, "joining the pod's keyring: %s", strerror(-r));
		return false;
	}
	place_log(place, "the user's quota of keys is nearly used up (/proc/key-users): it shares a "
			 "session keyring with others%s",
		r < 0 ? "" : " of the pod");
	return true;
}
