/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside the CNI client: what a network configuration is, and what of it one plugin gets.
 */

#include "cni.h"
#include "cni-result.h"

/* Longest network name; with a container id and an interface name it makes a file name. */
#define CNI_NAME_MAX 128
/* Longest plugin type: a file name. */
#define CNI_TYPE_MAX 128
/* Entries that are looked at in one configuration directory. */
#define CNI_DIR_ENTRIES_MAX 4096

struct cni_config {
	struct json *document;
	char *source;
	const char *name;  /* in the document, as are types and plugins */
	unsigned versions; /* bits, by enum cni_version, of those it allows */
	bool disable_check;
	bool disable_gc;
	bool only_inlined;
	size_t n_plugins;
	struct json *plugins[CNI_PLUGINS_MAX];
	const char *types[CNI_PLUGINS_MAX];
};

/* Return: 0, or -EINVAL with the grammar in the message. */
int cni_check_type(const char *type, struct err *err);

/* The highest version that the configuration allows below @below (CNI_VERSIONS: any). Return: 0,
 * or -ENOENT. */
int cni_config_version_below(
	const struct cni_config *config, enum cni_version below, enum cni_version *ret);

/* True when some plugin of the list asks for this capability. */
bool cni_config_wants(const struct cni_config *config, const char *capability);

/* Builds what plugin @index reads on its stdin (specification 1.1.0, section 3, "Deriving request
 * configuration"). @capability_args and @prev_result may be NULL. */
struct json *cni_config_request(const struct cni_config *config, size_t index,
	enum cni_version version, const struct json *capability_args,
	const struct json *prev_result);
