/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Session keyrings of containers. A runtime makes one for each container, so that it does not possess
 * its caller's keys; but a user has a quota of 200 keys, and containers beyond it could not be made.
 */

#include <stdbool.h>

#include "place.h"

/* When the quota is nearly used up, this process, and with it its container, joins a keyring that the
 * pod's containers share, or at the very end keeps the one that all shims share (lib/shim.h).
 * Return: true when it did: the runtime shall make none. */
bool session_keyring_share(const struct place *place);
