/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, ids and what --network takes: a valid one survives the way to an id and back. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "name.h"
#include "oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *text)
{
	char id[NAME_PATH_SIZE], path[NAME_PATH_SIZE], parent[NAME_PATH_SIZE];
	char leaf[NAME_COMPONENT_MAX + 1];

	if (name_check_path(text, NULL) < 0)
		return;
	name_path_to_id(text, id);
	if (name_id_to_path(id, path, NULL) < 0 || strcmp(path, text) != 0)
		abort();
	name_split(path, parent, leaf);
	if (name_check_component(leaf, NULL) < 0)
		abort();
	if (name_depth(path) > 1 && name_check_path(parent, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = strndup(size > 0 ? (const char *)data : "", size);
	cleanup(oci_network_done) struct oci_network network = {0};
	char path[NAME_PATH_SIZE];
	struct err err;

	if (!text)
		return 0;
	check_path(text);
	name_check_component(text, &err);
	if (name_id_to_path(text, path, &err) == 0 && name_check_path(path, NULL) < 0)
		abort();
	if (oci_check_id(text, &err) == 0 && strchr(text, '/'))
		abort();
	oci_network_parse(text, &network, &err);
	return 0;
}
