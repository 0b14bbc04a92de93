/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Detaching a container from its pod: poststop, podd's detach, and undoing a failed attachment. */

#include "common.h"
#include "err.h"
#include "request.h"

/* Return: 0 when nothing of the container is left, also when nothing was there or the name belongs
 * to a container that runs; or -errno, the record and error.json kept. */
int detach(const struct request *request, struct err *err);

/* The same for a record that is loaded, its child locked. With @keep_place the child's directory
 * stays, for its next record. */
int detach_attachment(const struct place *place, const struct request *request,
	struct attachment *attachment, bool keep_place, struct err *err);
