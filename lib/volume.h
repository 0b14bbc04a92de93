/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a container gets mounted, as people say it: -v SRC:DST[:OPTION,...],
 * --mount type=bind|tmpfs,KEY=VALUE,..., --tmpfs DST[:OPTION,...]; podman-run(1) has the grammar.
 * Parsing looks at nothing but the text.
 */

#include <stdbool.h>

#include "err.h"

enum volume_type { VOLUME_BIND, VOLUME_TMPFS };

struct volume {
	enum volume_type type;
	char *source;      /* of a bind: as given, absolute or beginning with '.'; else NULL */
	char *target;      /* absolute in the container, without "..", "." and "//" */
	char **options; /* mount options for the runtime: "ro", "rbind", "rprivate", "noexec" ... */
	bool chown;        /* U: its owner becomes the container's user */
	bool overlay;      /* O: changes are thrown away */
};

/* Options of -v: ro rw z Z U O exec noexec dev nodev suid nosuid bind rbind and the propagations.
 * z and Z are taken and do nothing: there is no SELinux label to set. Return: 0 or -EINVAL; the
 * message quotes the text and says what is wrong with it. */
int volume_parse(const char *text, struct volume *ret, struct err *err);
int volume_parse_mount(const char *text, struct volume *ret, struct err *err);
int volume_parse_tmpfs(const char *text, struct volume *ret, struct err *err);
void volume_done(struct volume *volume);
