/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Leases of the plugin host-local, which keeps a file for each address that it has given. */

#include <errno.h>
#include <stdlib.h>

#include "cni.h"
#include "file.h"
#include "text.h"

#define LEASE_BYTES_MAX 4096

int cni_lease_read(int dirfd, const char *address, char ***ret)
{
	autofree char *text = NULL;
	autostrv lines = NULL;
	size_t length;
	int r;

	r = file_read(dirfd, address, LEASE_BYTES_MAX, &text, &length, NULL);
	if (r < 0)
		return r;
	for (char *c = text; *c; c++)
		if (*c == '\r')
			*c = '\n';
	r = strv_split(text, '\n', &lines);
	if (r < 0)
		return r;
	if (!lines || !lines[0])
		return -EINVAL;
	*ret = take_ptr(lines);
	return 0;
}
