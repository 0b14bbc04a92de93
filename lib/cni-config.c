/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network configurations: checked once, here, so that everything later can rely on a name that
 * is fit for a file name, on types that cannot leave the plugin directories, and on versions that
 * we speak. A single configuration is a list of one. The document stays as it was read; what a
 * plugin gets is derived from it for each call.
 */
#include <string.h>

#include "cni-config.h"
#include "text.h"

#define QUOTE_SIZE 256
/* Versions that one configuration may name. */
#define VERSIONS_LISTED_MAX 32

static bool matches(const char *text, const char *extra)
{
	for (; *text; text++) {
		/* isalnum() would ask the locale. */
		bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			      (*text >= '0' && *text <= '9');

		if (!letter && !strchr(extra, *text))
			return false;
	}
	return true;
}

int cni_check_network_name(const char *name, struct err *err)
{
	char quoted[QUOTE_SIZE];

	if (*name && strlen(name) <= CNI_NAME_MAX && matches(name, "._-") && !strchr("._-", *name))
		return 0;
	return err_set(err, -EINVAL,
		"the network name \"%s\" is invalid: a letter or digit, then letters, digits, '.', "
		"'_' or '-', at most %d characters",
		text_sanitize(quoted, sizeof(quoted), name), CNI_NAME_MAX);
}

int cni_check_type(const char *type, struct err *err)
{
	char quoted[QUOTE_SIZE];

	if (*type && strlen(type) <= CNI_TYPE_MAX && matches(type, "._-") &&
		strcmp(type, ".") != 0 && strcmp(type, "..") != 0)
		return 0;
	return err_set(err, -EINVAL,
		"the type \"%s\" is invalid: it is the plugin's file name without a path, of "
		"letters, digits, '.', '_' and '-'",
		text_sanitize(quoted, sizeof(quoted), type));
}

/* "true" and "false" as strings are seen in real files, so both forms are taken. */
static int read_switch(const struct json *document, const char *key, bool *ret, struct err *err)
{
	const char *text = json_string(json_get(document, key));

	if (!text)
		return json_read_bool(document, key, false, ret, err);
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return err_set(err, -EINVAL, "\"%s\" must be true or false", key);
	*ret = strcmp(text, "true") == 0;
	return 0;
}

static int unknown_version(const char *name, struct err *err)
{
	char quoted[QUOTE_SIZE];

	return err_set(err, -EINVAL, "cniVersion \"%s\" is not supported, supported are %s",
		text_sanitize(quoted, sizeof(quoted), name), CNI_VERSIONS_TEXT);
}

/* Versions in "cniVersions" that we do not speak are for others; only when nothing is left is it
 * an error (specification 1.1.0, "Version considerations"). */
static int read_versions(struct cni_config *config, struct err *err)
{
	autostrv listed = NULL;
	const char *name = NULL;
	enum cni_version version;
	int r;

	r = json_read_string(config->document, "cniVersion", false, &name, err);
	if (r == 0)
		r = json_read_strv(config->document, "cniVersions", false, &listed, err);
	if (r < 0)
		return r;
	if (strv_length(listed) > VERSIONS_LISTED_MAX)
		return err_set(err, -EINVAL,
			"\"cniVersions\" has %zu entries, at most %d are allowed",
			strv_length(listed), VERSIONS_LISTED_MAX);
	if (!name && strv_length(listed) == 0)
		return err_set(err, -EINVAL, "\"cniVersion\" is missing, supported are %s",
			CNI_VERSIONS_TEXT);
	if (name && cni_version_from_name(name, &version) == 0)
		config->versions |= 1U << version;
	for (size_t i = 0; listed && listed[i]; i++) {
		if (cni_version_from_name(listed[i], &version) == 0)
			config->versions |= 1U << version;
	}
	return config->versions ? 0 : unknown_version(name ? name : listed[0], err);
}

static int read_plugin(struct cni_config *config, struct json *plugin, struct err *err)
{
	const struct json *capabilities = NULL;
	const struct json *ipam = NULL;
	const char *type = NULL;
	const char *ipam_type = NULL;
	int r;

	if (json_type(plugin) != JSON_OBJECT)
		return err_set(err, -EINVAL, "it must be an object, not %s",
			json_type_name(json_type(plugin)));
	r = json_read_string(plugin, "type", true, &type, err);
	if (r == 0)
		r = cni_check_type(type, err);
	if (r == 0)
		r = json_read_object(plugin, "capabilities", false, &capabilities, err);
	if (r == 0)
		r = json_read_object(plugin, "ipam", false, &ipam, err);
	if (r == 0 && ipam)
		r = json_read_string(ipam, "type", false, &ipam_type, err);
	/* Empty means none. The plugin runs it from the same directories. */
	if (r == 0 && ipam_type && *ipam_type) {
		r = cni_check_type(ipam_type, err);
		if (r < 0)
			err_wrap(err, r, "ipam");
	}
	if (r < 0)
		return r;
	config->types[config->n_plugins] = type;
	config->plugins[config->n_plugins++] = plugin;
	return 0;
}

static int read_plugins(struct cni_config *config, struct err *err)
{
	struct json *list = json_get(config->document, "plugins");
	size_t n = json_length(list);

	if (!list && json_get(config->document, "type"))
		return read_plugin(config, config->document, err);
	if (json_type(list) != JSON_ARRAY)
		return err_set(err, -EINVAL, "it has neither a \"type\" nor a list of \"plugins\"");
	if (n == 0)
		return err_set(err, -EINVAL, "\"plugins\" is empty");
	if (n > CNI_PLUGINS_MAX)
		return err_set(err, -EINVAL, "\"plugins\" has %zu entries, at most %d are allowed",
			n, CNI_PLUGINS_MAX);
	for (size_t i = 0; i < n; i++) {
		int r = read_plugin(config, json_at(list, i), err);

		if (r < 0)
			return err_wrap(err, r, "plugins[%zu]", i);
	}
	return 0;
}

static int read_config(struct cni_config *config, struct err *err)
{
	int r;

	if (json_type(config->document) != JSON_OBJECT)
		return err_set(err, -EINVAL, "a network configuration must be an object, not %s",
			json_type_name(json_type(config->document)));
	r = json_read_string(config->document, "name", true, &config->name, err);
	if (r == 0)
		r = cni_check_network_name(config->name, err);
	if (r == 0)
		r = read_versions(config, err);
	if (r == 0)
		r = read_switch(config->document, "disableCheck", &config->disable_check, err);
	if (r == 0)
		r = read_switch(config->document, "disableGC", &config->disable_gc, err);
	if (r == 0)
		r = read_switch(
			config->document, "loadOnlyInlinedPlugins", &config->only_inlined, err);
	if (r == 0)
		r = read_plugins(config, err);
	return r;
}

int cni_config_from_json(
	const char *source, const struct json *document, struct cni_config **ret, struct err *err)
{
	autoptr(cni_config) config = calloc(1, sizeof(*config));
	int r;

	if (!config)
		return err_oom(err);
	config->source = strdup(source);
	config->document = json_copy(document);
	if (!config->source || !config->document)
		return err_oom(err);
	r = read_config(config, err);
	if (r < 0)
		return err_wrap(err, r, "%s", source);
	*ret = take_ptr(config);
	return 0;
}

int cni_config_parse(const char *source, const char *text, size_t length, struct cni_config **ret,
	struct err *err)
{
	autoptr(json) document = NULL;
	int r = json_parse(source, text, length, &document, err);

	if (r < 0)
		return r;
	return cni_config_from_json(source, document, ret, err);
}

void cni_config_free(struct cni_config *config)
{
	if (!config)
		return;
	json_free(config->document);
	free(config->source);
	free(config);
}

const struct json *cni_config_document(const struct cni_config *config)
{
	return config->document;
}

const char *cni_config_name(const struct cni_config *config)
{
	return config->name;
}

const char *cni_config_source(const struct cni_config *config)
{
	return config->source;
}

size_t cni_config_plugins(const struct cni_config *config)
{
	return config->n_plugins;
}

const char *cni_config_plugin_type(const struct cni_config *config, size_t index)
{
	return index < config->n_plugins ? config->types[index] : NULL;
}

int cni_config_version_below(
	const struct cni_config *config, enum cni_version below, enum cni_version *ret)
{
	for (int version = below - 1; version >= 0; version--) {
		if (config->versions & (1U << version)) {
			*ret = version;
			return 0;
		}
	}
	return -ENOENT;
}

const char *cni_config_version(const struct cni_config *config)
{
	enum cni_version version = CNI_0_3_0;

	cni_config_version_below(config, CNI_VERSIONS, &version);
	return cni_version_name(version);
}

bool cni_config_wants(const struct cni_config *config, const char *capability)
{
	for (size_t i = 0; i < config->n_plugins; i++) {
		if (json_is_true(
			    json_get(json_get(config->plugins[i], "capabilities"), capability)))
			return true;
	}
	return false;
}

/* Keys that a request has from the runtime only. */
static void remove_reserved(struct json *request)
{
	json_remove(request, "capabilities");
	json_remove(request, "runtimeConfig");
	json_remove(request, "prevResult");
	for (size_t i = json_length(request); i-- > 0;) {
		const char *key = json_key_at(request, i);

		if (text_starts_with(key, "cni.dev/"))
			json_remove(request, key);
	}
}

/* Only what this plugin declares, and only if there is any. */
static void add_runtime_config(
	struct json *request, const struct json *capabilities, const struct json *capability_args)
{
	struct json *target = NULL;

	for (size_t i = 0; i < json_length(capability_args); i++) {
		const char *key = json_key_at(capability_args, i);

		if (!json_is_true(json_get(capabilities, key)))
			continue;
		if (!target)
			target = json_set_object(request, "runtimeConfig");
		json_set(target, key, json_copy(json_at(capability_args, i)));
	}
}

struct json *cni_config_request(const struct cni_config *config, size_t index,
	enum cni_version version, const struct json *capability_args,
	const struct json *prev_result)
{
	const struct json *plugin = config->plugins[index];
	struct json *request = json_copy(plugin);

	remove_reserved(request);
	json_set_string(request, "cniVersion", cni_version_name(version));
	json_set_string(request, "name", config->name);
	add_runtime_config(request, json_get(plugin, "capabilities"), capability_args);
	if (prev_result)
		json_set(request, "prevResult", json_copy(prev_result));
	return request;
}
