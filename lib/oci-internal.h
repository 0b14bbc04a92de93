/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Pieces of a config.json that oci-bundle.c and oci-container.c both write; for oci-*.c only. */

#include <stdbool.h>

#include "oci.h"

#define OCI_HOOK_NAME "podd-hook"

/* True for a path below @directory (NULL: none). */
bool oci_is_under(const char *path, const char *directory);
bool oci_is_own_hook(const char *path);

void oci_set_strings(struct json *object, const char *key, const char *const *strings);
/* Fills an object of "hooks" with podd's. */
void oci_write_hook(struct json *hook, const char *path, const char *root, const char *pod,
	const char *phase);
/* Sets the annotation to the values joined by spaces, or removes it when there are none. */
void oci_set_list(struct json *annotations, const char *key, char *const *values);
/* Fills an object of "mounts": the file @source, read-only. */
void oci_write_file_mount(struct json *mount, const char *destination, const char *source);
