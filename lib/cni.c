/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations of the CNI specification 1.1.0, section 3, on a whole configuration list.
 *
 * ADD leaves nothing half-made: all plugins are found before the first one runs, and after a
 * failure those that ran are called with DEL, the one that failed included, since a plugin that
 * was killed at its deadline may have done half of its work.
 *
 * Versions are negotiated by the configuration alone; to ask each plugin first would double the
 * number of processes. A plugin that refuses the version (code 1) is called with the next lower
 * one that the configuration allows: ADD then begins the list anew, because all plugins of one
 * attachment speak one version; the others follow the version of the kept result.
 */
#include <string.h>

#include "cni-args.h"
#include "cni-cache.h"
#include "cni-exec.h"
#include "deadline.h"
#include "text.h"

#define QUOTE_SIZE 256

/* One operation on one attachment. */
struct chain {
	const struct cni_config *config;
	const struct cni_runtime *runtime;
	enum cni_version version;
	struct cni_args args;
	struct json *cached;	  /* the cache's entry, or NULL */
	const struct json *valid; /* GC only: "cni.dev/valid-attachments" */
	struct cni_plugin plugins[CNI_PLUGINS_MAX];
};

static void chain_done(struct chain *chain)
{
	for (size_t i = 0; i < CNI_PLUGINS_MAX; i++)
		cni_plugin_done(&chain->plugins[i]);
	cni_args_done(&chain->args);
	json_free(chain->cached);
}

static void chain_init(
	struct chain *chain, const struct cni_config *config, const struct cni_runtime *runtime)
{
	*chain = (struct chain){.config = config, .runtime = runtime};
	for (size_t i = 0; i < CNI_PLUGINS_MAX; i++)
		chain->plugins[i].fd = -1;
	cni_config_version_below(config, CNI_VERSIONS, &chain->version);
}

/* ---- parameters ---- */

static int check_container_id(const char *id, struct err *err)
{
	static const char allowed[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-";
	char quoted[QUOTE_SIZE];

	if (id && *id && id[strspn(id, allowed)] == '\0' && !strchr("_.-", *id))
		return 0;
	return err_set(err, -EINVAL, "the container id \"%s\" is invalid",
		text_sanitize(quoted, sizeof(quoted), id ? id : ""));
}

/* The kernel's dev_valid_name(), and no '/' for the sake of file names. */
static int check_ifname(const char *name, struct err *err)
{
	char quoted[QUOTE_SIZE];

	if (name && *name && strlen(name) < 16 && !strpbrk(name, "/: \t\n\v\f\r") &&
		strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		return 0;
	return err_set(err, -EINVAL,
		"the interface name \"%s\" is invalid: 1 to 15 characters without '/', ':' and "
		"blanks",
		text_sanitize(quoted, sizeof(quoted), name ? name : ""));
}

static int check_attachment(const struct chain *chain, struct err *err)
{
	int r = check_container_id(chain->runtime->container_id, err);

	if (r == 0)
		r = check_ifname(chain->runtime->ifname, err);
	if (r == 0)
		r = cni_cache_check_name(chain->config, chain->runtime, err);
	return r;
}

static int open_plugins(struct chain *chain, struct err *err)
{
	for (size_t i = 0; i < chain->config->n_plugins; i++) {
		int r = cni_plugin_open(
			chain->config->types[i], chain->runtime, &chain->plugins[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Takes what the cache knows of the attachment: its arguments and the version in use. */
static int load_kept(struct chain *chain, struct err *err)
{
	int r = cni_cache_load(chain->config, chain->runtime, &chain->cached, err);
	enum cni_version version;

	if (r < 0)
		return r;
	if (cni_result_version(json_get(chain->cached, "result"), &version) == 0 &&
		(chain->config->versions & (1U << version)))
		chain->version = version;
	return 0;
}

/* The kept result in the form of @version, or NULL. DEL and CHECK have it from 0.4.0 on. */
static struct json *kept_result(const struct chain *chain, enum cni_version version)
{
	const struct json *kept = json_get(chain->cached, "result");
	autoptr(json) result = NULL;

	if (!kept || version < CNI_0_4_0)
		return NULL;
	result = json_copy(kept);
	return cni_result_convert(result, version, NULL) < 0 ? NULL : take_ptr(result);
}

/* ---- calls ---- */

/* What one plugin has of the time that there is for all. Return: 0 when that is none. */
static unsigned plugin_timeout_ms(const struct cni_runtime *runtime, const char *command)
{
	unsigned most = runtime->timeout_ms ? runtime->timeout_ms : CNI_TIMEOUT_MS;
	unsigned least = 0;
	unsigned left;

	if (runtime->deadline_ms == 0)
		return most;
	if (strcmp(command, "ADD") == 0)
		return deadline_left_ms(runtime->deadline_ms - CNI_UNDO_MS, most);
	if (strcmp(command, "DEL") == 0)
		least = most < CNI_DEL_MIN_MS ? most : CNI_DEL_MIN_MS;
	left = deadline_left_ms(runtime->deadline_ms, most);
	return left < least ? least : left;
}

static int call_plugin(const struct chain *chain, size_t index, const char *command,
	enum cni_version version, const struct json *prev_result, struct json **ret_output,
	int64_t *ret_code, struct err *err)
{
	struct cni_runtime runtime = *chain->runtime;
	autoptr(json) request = cni_config_request(
		chain->config, index, version, chain->args.capabilities, prev_result);

	*ret_code = 0;
	runtime.timeout_ms = plugin_timeout_ms(chain->runtime, command);
	if (runtime.timeout_ms == 0)
		return err_set(err, -ETIMEDOUT, "no time is left for plugin \"%s\", %s",
			chain->config->types[index], command);
	if (chain->valid)
		json_set(request, "cni.dev/valid-attachments", json_copy(chain->valid));
	return cni_plugin_call(&chain->plugins[index],
		&(struct cni_call){
			.command = command,
			.args = chain->args.text,
			.runtime = &runtime,
			.request = request,
			.has_result = strcmp(command, "ADD") == 0,
		},
		ret_output, ret_code, err);
}

/* Asks a plugin whether it speaks a version. One that cannot even say that is not excused. */
static bool speaks(const struct chain *chain, size_t index, enum cni_version version)
{
	autostrv versions = NULL;

	return cni_plugin_versions(chain->config->types[index], chain->runtime, &versions, NULL) <
		       0 ||
	       strv_contains(versions, cni_version_name(version));
}

/* Calls a plugin for an operation without a result, with lower versions, while it refuses the one
 * in use. Return: as cni_plugin_call(). */
static int call_without_result(
	const struct chain *chain, size_t index, const char *command, struct err *err)
{
	enum cni_version version = chain->version;
	int64_t code;
	int r;

	do {
		autoptr(json) prev_result = kept_result(chain, version);
		autoptr(json) output = NULL;

		r = call_plugin(chain, index, command, version, prev_result, &output, &code, err);
	} while (r == -EREMOTEIO && code == CNI_ERROR_VERSION &&
		 cni_config_version_below(chain->config, version, &version) == 0);
	/* Deleting what is not there is what was wanted. */
	if (strcmp(command, "DEL") == 0 && code == CNI_ERROR_UNKNOWN_CONTAINER)
		return 0;
	return r;
}

/* The same for the operations that came with 1.1.0: older plugins refuse them in many ways.
 * Return: as cni_plugin_call(); -EOPNOTSUPP when the plugin is older. */
static int call_1_1(const struct chain *chain, size_t index, const char *command, struct err *err)
{
	autoptr(json) output = NULL;
	int64_t code;
	int r = call_plugin(chain, index, command, CNI_1_1_0, NULL, &output, &code, err);

	if (r == -EREMOTEIO && !speaks(chain, index, CNI_1_1_0))
		return err_set(err, -EOPNOTSUPP, "plugin \"%s\" does not speak %s, which %s needs",
			chain->config->types[index], cni_version_name(CNI_1_1_0), command);
	return r;
}

/* ---- ADD ---- */

/* Takes the first @n plugins back; what goes wrong there is added to the message. */
static void roll_back(struct chain *chain, size_t n, const struct json *result, struct err *err)
{
	while (n-- > 0) {
		autoptr(json) output = NULL;
		struct err why = {0};
		char message[ERR_MSG_MAX];
		int64_t code;
		int r = call_plugin(chain, n, "DEL", chain->version,
			chain->version < CNI_0_4_0 ? NULL : result, &output, &code, &why);

		if (r == 0 || code == CNI_ERROR_UNKNOWN_CONTAINER)
			continue;
		if (chain->runtime->left)
			*chain->runtime->left = true;
		if (!err)
			continue;
		memcpy(message, err->msg, sizeof(message));
		err_set(err, err->code, "%s; taking it back failed, too: %s", message, why.msg);
	}
}

static int add_one(
	struct chain *chain, size_t index, struct json **result, int64_t *ret_code, struct err *err)
{
	autoptr(json) output = NULL;
	int r = call_plugin(chain, index, "ADD", chain->version, *result, &output, ret_code, err);

	if (r < 0)
		return r;
	if (!output)
		r = err_set(err, -EPROTO, "it printed no result");
	else
		r = cni_result_convert(output, chain->version, err);
	if (r < 0)
		return err_wrap(err, r, "plugin \"%s\", ADD", chain->plugins[index].type);
	json_free(*result);
	*result = take_ptr(output);
	return 0;
}

static bool never_ran(int code)
{
	return code == -ENOENT || code == -EACCES || code == -ENOEXEC;
}

/* Runs the list at one version. Return: 0; 1 when a plugin refused the version and all is as it
 * was before; else the error, after the roll-back. */
static int add_all(struct chain *chain, struct json **ret_result, struct err *err)
{
	autoptr(json) result = NULL;

	for (size_t i = 0; i < chain->config->n_plugins; i++) {
		int64_t code = 0;
		int r = add_one(chain, i, &result, &code, err);
		bool refused = code == CNI_ERROR_VERSION;

		if (r == 0)
			continue;
		roll_back(chain, refused || never_ran(r) ? i : i + 1, result, err);
		return refused ? 1 : r;
	}
	*ret_result = take_ptr(result);
	return 0;
}

static int add_negotiating(struct chain *chain, struct json **ret_result, struct err *err)
{
	int r;

	do {
		r = add_all(chain, ret_result, err);
	} while (r > 0 &&
		 cni_config_version_below(chain->config, chain->version, &chain->version) == 0);
	return r > 0 ? -EREMOTEIO : r;
}

static int prepare_add(struct chain *chain, struct err *err)
{
	const struct cni_runtime *runtime = chain->runtime;
	int r = check_attachment(chain, err);

	if (r == 0 && (!runtime->netns || *runtime->netns != '/'))
		r = err_set(err, -EINVAL, "there is no network namespace to add to");
	if (r == 0)
		r = cni_args_init(&chain->args, chain->config, runtime, NULL, err);
	if (r == 0)
		r = open_plugins(chain, err);
	return r;
}

int cni_add(const struct cni_config *config, const struct cni_runtime *runtime,
	struct json **ret_result, char ***ret_addresses, struct err *err)
{
	cleanup(chain_done) struct chain chain;
	autoptr(json) result = NULL;
	autostrv addresses = NULL;
	int r;

	chain_init(&chain, config, runtime);
	r = prepare_add(&chain, err);
	if (r == 0)
		r = add_negotiating(&chain, &result, err);
	if (r < 0)
		return err_wrap(err, r, "network \"%s\"", config->name);
	r = cni_result_addresses(result, runtime->ifname, &addresses, err);
	if (r == 0)
		r = cni_cache_save(
			config, runtime, chain.args.pairs, chain.args.capabilities, result, err);
	if (r < 0) {
		roll_back(&chain, config->n_plugins, result, err);
		return r;
	}
	*ret_result = take_ptr(result);
	*ret_addresses = take_ptr(addresses);
	return 0;
}

/* ---- DEL ---- */

static int del_one(struct chain *chain, size_t index, struct err *err)
{
	int r = cni_plugin_open(
		chain->config->types[index], chain->runtime, &chain->plugins[index], err);

	return r < 0 ? r : call_without_result(chain, index, "DEL", err);
}

/* Every plugin gets its chance to clean up. Return: 0, or the first error. */
static int del_all(struct chain *chain, struct err *err)
{
	int first = 0;

	for (size_t i = chain->config->n_plugins; i-- > 0;) {
		struct err why = {0};
		int r = del_one(chain, i, &why);

		if (r < 0 && first == 0)
			first = err_set(err, r, "%s", why.msg);
	}
	return first;
}

int cni_del(const struct cni_config *config, const struct cni_runtime *runtime, struct err *err)
{
	cleanup(chain_done) struct chain chain;
	int r;

	chain_init(&chain, config, runtime);
	r = check_attachment(&chain, err);
	if (r < 0)
		return r;
	/* Without a kept result, or with a broken one, plugins clean up what they can find. */
	load_kept(&chain, NULL);
	r = cni_args_init(&chain.args, config, runtime, chain.cached, err);
	if (r == 0)
		r = del_all(&chain, err);
	if (r == 0)
		r = cni_cache_remove(config, runtime, err);
	return r < 0 ? err_wrap(err, r, "network \"%s\"", config->name) : 0;
}

/* ---- CHECK, STATUS, GC, VERSION ---- */

static int too_old(const struct cni_config *config, const char *command, enum cni_version lowest,
	struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "network \"%s\": %s needs cniVersion %s, it has %s",
		config->name, command, cni_version_name(lowest), cni_config_version(config));
}

static int check_chain(struct chain *chain, struct err *err)
{
	int r = check_attachment(chain, err);

	if (r == 0)
		r = load_kept(chain, err);
	if (r == -ENOENT)
		return -ENODATA;
	if (r == 0)
		r = cni_args_init(&chain->args, chain->config, chain->runtime, chain->cached, err);
	if (r == 0)
		r = open_plugins(chain, err);
	for (size_t i = 0; r == 0 && i < chain->config->n_plugins; i++)
		r = call_without_result(chain, i, "CHECK", err);
	return r;
}

int cni_check(const struct cni_config *config, const struct cni_runtime *runtime, struct err *err)
{
	cleanup(chain_done) struct chain chain;
	int r;

	chain_init(&chain, config, runtime);
	if (chain.version < CNI_0_4_0)
		return too_old(config, "CHECK", CNI_0_4_0, err);
	if (config->disable_check)
		return 0;
	r = check_chain(&chain, err);
	return r < 0 ? err_wrap(err, r, "network \"%s\"", config->name) : 0;
}

/* What of a runtime is left without an attachment. */
static struct cni_runtime without_attachment(const struct cni_runtime *runtime)
{
	return (struct cni_runtime){
		.plugin_dirs = runtime->plugin_dirs,
		.host_at = runtime->host_at,
		.cache_fd = runtime->cache_fd,
		.timeout_ms = runtime->timeout_ms,
		.deadline_ms = runtime->deadline_ms,
	};
}

int cni_status(const struct cni_config *config, const struct cni_runtime *runtime, struct err *err)
{
	struct cni_runtime bare = without_attachment(runtime);
	cleanup(chain_done) struct chain chain;
	int r;

	chain_init(&chain, config, &bare);
	if (chain.version < CNI_1_1_0)
		return too_old(config, "STATUS", CNI_1_1_0, err);
	r = open_plugins(&chain, err);
	for (size_t i = 0; r == 0 && i < config->n_plugins; i++)
		r = call_1_1(&chain, i, "STATUS", err);
	return r < 0 ? err_wrap(err, r, "network \"%s\"", config->name) : 0;
}

static bool is_valid(const struct cni_attachment *valid, size_t n_valid, const char *container_id,
	const char *ifname)
{
	for (size_t i = 0; i < n_valid; i++) {
		if (text_equal(valid[i].container_id, container_id) &&
			text_equal(valid[i].ifname, ifname))
			return true;
	}
	return false;
}

static bool is_netns_of(
	const struct cni_attachment *valid, size_t n_valid, const char *netns)
{
	for (size_t i = 0; i < n_valid; i++)
		if (valid[i].netns && text_equal(valid[i].netns, netns))
			return true;
	return false;
}

/* Deletes the attachment of a cache entry; a namespace that is gone, or is somebody else's by now,
 * is not passed on. */
static int del_stale(const struct cni_config *config, const struct cni_attachment *valid,
	size_t n_valid, const struct cni_runtime *bare, const struct json *entry, struct err *err)
{
	struct cni_runtime stale = *bare;

	stale.container_id = json_string(json_get(entry, "containerId"));
	stale.ifname = json_string(json_get(entry, "ifName"));
	stale.netns = json_string(json_get(entry, "netns"));
	if (stale.netns &&
		(access(stale.netns, F_OK) < 0 || is_netns_of(valid, n_valid, stale.netns)))
		stale.netns = NULL;
	return cni_del(config, &stale, err);
}

/* Return: 0, or the first error after all were tried. */
static int del_all_stale(const struct cni_config *config, const struct cni_attachment *valid,
	size_t n_valid, const struct cni_runtime *bare, struct err *err)
{
	struct json **entries = NULL;
	size_t n = 0;
	int first = cni_cache_list(bare->cache_fd, &entries, &n, err);

	for (size_t i = 0; i < n; i++) {
		autoptr(json) entry = entries[i];
		struct err why = {0};
		int r;

		if (!text_equal(json_string(json_get(entry, "networkName")), config->name) ||
			is_valid(valid, n_valid, json_string(json_get(entry, "containerId")),
				json_string(json_get(entry, "ifName"))))
			continue;
		r = del_stale(config, valid, n_valid, bare, entry, &why);
		if (r < 0 && first == 0)
			first = err_set(err, r, "%s", why.msg);
	}
	free(entries);
	return first;
}

static struct json *describe_valid(const struct cni_attachment *valid, size_t n_valid)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < n_valid; i++) {
		struct json *attachment = json_new_object();

		json_set_string(attachment, "containerID", valid[i].container_id);
		json_set_string(attachment, "ifname", valid[i].ifname);
		json_append(list, attachment);
	}
	return list;
}

/* Return: 0, or the first error after all were called. */
static int gc_plugins(const struct cni_config *config, const struct cni_attachment *valid,
	size_t n_valid, const struct cni_runtime *bare, struct err *err)
{
	autoptr(json) list = describe_valid(valid, n_valid);
	cleanup(chain_done) struct chain chain;
	int first = 0;
	int r;

	chain_init(&chain, config, bare);
	chain.valid = list;
	r = open_plugins(&chain, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < config->n_plugins; i++) {
		struct err why = {0};

		r = call_1_1(&chain, i, "GC", &why);
		/* An older plugin has no GC; that is no failure. */
		if (r < 0 && r != -EOPNOTSUPP && first == 0)
			first = err_set(err, r, "%s", why.msg);
	}
	return first;
}

int cni_gc(const struct cni_config *config, const struct cni_attachment *valid, size_t n_valid,
	const struct cni_runtime *runtime, struct err *err)
{
	struct cni_runtime bare = without_attachment(runtime);
	struct err why = {0};
	int first;
	int r = 0;

	if (config->disable_gc)
		return 0;
	first = del_all_stale(config, valid, n_valid, &bare, err);
	if (config->versions & (1U << CNI_1_1_0))
		r = gc_plugins(config, valid, n_valid, &bare, &why);
	if (first == 0 && r < 0)
		first = err_set(err, r, "network \"%s\": %s", config->name, why.msg);
	return first;
}

int cni_plugin_versions(
	const char *type, const struct cni_runtime *runtime, char ***ret, struct err *err)
{
	struct cni_runtime bare = without_attachment(runtime);
	cleanup(cni_plugin_done) struct cni_plugin plugin = {.fd = -1};
	autoptr(json) request = json_new_object();
	autoptr(json) output = NULL;
	autostrv versions = NULL;
	int64_t code;
	int r = cni_plugin_open(type, runtime, &plugin, err);

	if (r < 0)
		return r;
	json_set_string(request, "cniVersion", cni_version_name(CNI_VERSIONS - 1));
	r = cni_plugin_call(&plugin,
		&(struct cni_call){.command = "VERSION",
			.runtime = &bare,
			.request = request,
			.has_result = true},
		&output, &code, err);
	if (r < 0)
		return r;
	if (json_read_strv(output, "supportedVersions", true, &versions, err) < 0)
		return err_wrap(err, -EPROTO, "plugin \"%s\", VERSION", type);
	*ret = take_ptr(versions);
	return 0;
}
