/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Changing the bundle of a container that podctl made. */

#include "err.h"
#include "json.h"

/* Has @edit change the section "linux" of the config.json, which is made where it is missing, and
 * writes the file anew. Return: 0, -errno; the file is untouched then. */
int bundle_edit_linux(int childfd, void (*edit)(struct json *section, const void *opaque),
	const void *opaque, struct err *err);
