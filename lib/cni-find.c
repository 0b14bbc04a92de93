/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding networks: configuration files in directories, the plugin files in a list's own
 * subdirectory ("loadOnlyInlinedPlugins"), and the network that is built in.
 *
 * These directories are the administrator's and the user's; links in them are followed. A file
 * that is broken must not take the other networks away.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cni-config.h"
#include "fd.h"
#include "file.h"
#include "text.h"

/* Networks that are listed, and names that a message shows. */
#define NETWORKS_MAX 1024
#define SHOWN_SIZE 1024

/* 10.N.0.0/16 of the first level. */
#define FIRST_SUBNET 88

/* What the walk over the directories is for. */
struct search {
	const char *name; /* the one wanted; NULL: all */
	struct cni_config **found;
	size_t n_found;
	char **names; /* of every network seen */
	char **problems;
};

static void search_done(struct search *search)
{
	for (size_t i = 0; i < search->n_found; i++)
		cni_config_free(search->found[i]);
	free(search->found);
	strv_free(search->names);
	strv_free(search->problems);
}

/* ---- files ---- */

static int read_document(
	int dirfd, const char *name, const char *path, struct json **ret, struct err *err)
{
	autofree char *text = NULL;
	autoclose int fd = -1;
	struct stat st;
	size_t length;
	int r;

	fd = openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: it is not a regular file", path);
	r = fd_read_all(fd, CNI_CONFIG_BYTES_MAX, &text, &length);
	if (r == -EFBIG)
		return err_set(
			err, r, "%s: it is larger than %d bytes", path, CNI_CONFIG_BYTES_MAX);
	if (r < 0)
		return err_set(err, r, "%s: %s", path, strerror(-r));
	return json_parse(path, text, length, ret, err);
}

/* Sorted names in a directory. Return: 0, also with none when there is no such directory. */
static int list_dir(int parent, const char *dir, int *ret_fd, char ***ret_names, struct err *err)
{
	autoclose int fd = openat(parent, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return err_errno(err, "%s", dir);
	r = file_list(fd, CNI_DIR_ENTRIES_MAX, ret_names, err);
	if (r < 0)
		return err_wrap(err, r, "%s", dir);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Appends the plugins of the directory NAME next to the list (specification 1.1.0, section 1). */
static int add_plugin_files(int dirfd, const char *path, struct json *document, struct err *err)
{
	const char *name = json_string(json_get(document, "name"));
	autostrv files = NULL;
	autoclose int fd = -1;
	int r;

	if (!name || cni_check_network_name(name, NULL) < 0)
		return 0;
	r = list_dir(dirfd, name, &fd, &files, err);
	for (size_t i = 0; r == 0 && files && files[i]; i++) {
		autofree char *file = NULL;
		struct json *plugin = NULL;

		if (!text_ends_with(files[i], ".conf"))
			continue;
		file = text_format("%s, %s/%s", path, name, files[i]);
		if (!file)
			return err_oom(err);
		r = read_document(fd, files[i], file, &plugin, err);
		if (r < 0)
			break;
		if (!json_get(document, "plugins"))
			json_set_array(document, "plugins");
		json_append(json_get(document, "plugins"), plugin);
		/* One too many is enough for the error. */
		if (json_length(json_get(document, "plugins")) > CNI_PLUGINS_MAX)
			break;
	}
	return r;
}

static bool only_inlined(const struct json *document)
{
	const struct json *value = json_get(document, "loadOnlyInlinedPlugins");

	return json_is_true(value) || text_equal(json_string(value), "true");
}

/* ---- the walk ---- */

static bool is_known(const struct search *search, const char *name)
{
	return strv_contains(search->names, name);
}

static int keep(struct search *search, struct cni_config **config)
{
	struct cni_config **longer;

	longer = reallocarray(search->found, search->n_found + 1, sizeof(*longer));
	if (!longer)
		return -ENOMEM;
	search->found = longer;
	search->found[search->n_found++] = take_ptr(*config);
	return 0;
}

/* Return: 0 (used or not), or what is wrong with the file; -EINVAL and the like are for the
 * caller to judge by *ret_wanted. */
static int load_file(struct search *search, int dirfd, const char *file, const char *path,
	bool *ret_wanted, struct err *err)
{
	autoptr(cni_config) config = NULL;
	autoptr(json) document = NULL;
	const char *name;
	int r = read_document(dirfd, file, path, &document, err);

	if (r < 0)
		return r;
	name = json_string(json_get(document, "name"));
	if (name && is_known(search, name))
		return 0;
	if (search->name && !text_equal(name, search->name))
		return name && cni_check_network_name(name, NULL) == 0
			       ? strv_add(&search->names, name)
			       : 0;
	*ret_wanted = search->name != NULL;
	if (text_ends_with(file, ".conflist") && !only_inlined(document))
		r = add_plugin_files(dirfd, path, document, err);
	if (r == 0)
		r = cni_config_from_json(path, document, &config, err);
	if (r == 0)
		r = strv_add(&search->names, name);
	return r < 0 ? r : keep(search, &config);
}

static int visit_file(
	struct search *search, int dirfd, const char *dir, const char *file, struct err *err)
{
	autofree char *path = text_format("%s/%s", dir, file);
	struct err why = {0};
	bool wanted = false;
	int r;

	if (!path)
		return err_oom(err);
	r = load_file(search, dirfd, file, path, &wanted, &why);
	if (r == 0)
		return 0;
	if (r == -ENOMEM)
		return err_oom(err);
	if (wanted)
		return err_set(err, r, "%s", why.msg);
	return strv_add(&search->problems, why.msg) < 0 ? err_oom(err) : 0;
}

static bool is_complete(const struct search *search)
{
	return search->n_found >= (search->name ? 1 : NETWORKS_MAX);
}

static int visit_dir(struct search *search, const char *dir, struct err *err)
{
	/* Lists go before single configurations, whatever their names are. */
	static const char *const passes[][2] = {{".conflist", ".conflist"}, {".conf", ".json"}};
	autostrv files = NULL;
	autoclose int fd = -1;
	struct err why = {0};
	int r = list_dir(AT_FDCWD, dir, &fd, &files, &why);

	if (r < 0 && (r == -ENOMEM || strv_add(&search->problems, why.msg) < 0))
		return err_oom(err);
	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; files && files[i]; i++) {
			if (is_complete(search))
				return 0;
			if (!text_ends_with(files[i], passes[pass][0]) &&
				!text_ends_with(files[i], passes[pass][1]))
				continue;
			r = visit_file(search, fd, dir, files[i], err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int visit_dirs(struct search *search, char *const *dirs, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && dirs && dirs[i] && !is_complete(search); i++)
		r = visit_dir(search, dirs[i], err);
	return r;
}

/* ---- the built-in network ---- */

static void add_range(struct json *ipam, const char *subnet)
{
	struct json *ranges = json_get(ipam, "ranges");
	struct json *range = json_new_object();
	struct json *set = json_new_array();

	json_set_string(range, "subnet", subnet);
	json_append(set, range);
	json_append(ranges, set);
}

static struct json *build_bridge(const struct cni_builtin *builtin)
{
	struct json *bridge = json_new_object();
	struct json *capabilities;
	struct json *ipam;
	char subnet[32];

	json_set_string(bridge, "type", "bridge");
	json_set_string(bridge, "bridge", "podd0");
	json_set_bool(bridge, "isGateway", true);
	json_set_bool(bridge, "isDefaultGateway", true);
	/* Not in a pod: the uplink knows every child by its own address, and bridge would call
	 * iptables for each. */
	json_set_bool(bridge, "ipMasq", builtin->level == CNI_LEVEL_HOST);
	json_set_bool(bridge, "hairpinMode", true);
	json_set_int(bridge, "mtu", builtin->mtu);
	capabilities = json_set_object(bridge, "capabilities");
	json_set_bool(capabilities, "ips", true);
	json_set_bool(capabilities, "mac", true);
	ipam = json_set_object(bridge, "ipam");
	json_set_string(ipam, "type", "host-local");
	json_set_array(ipam, "ranges");
	snprintf(subnet, sizeof(subnet), "10.%d.0.0/16", FIRST_SUBNET + builtin->level);
	add_range(ipam, subnet);
	/* The one of the first level is fd00:88::/64. */
	snprintf(subnet, sizeof(subnet), "fd00:88:%x::/64", (unsigned)builtin->level & 0xffff);
	if (builtin->ipv6)
		add_range(ipam, builtin->level == 0 ? "fd00:88::/64" : subnet);
	return bridge;
}

/* Where there is no uplink, ports are published by the stock plugin for it. */
static struct json *build_portmap(void)
{
	struct json *portmap = json_new_object();

	json_set_string(portmap, "type", "portmap");
	json_set_bool(json_set_object(portmap, "capabilities"), "portMappings", true);
	return portmap;
}

static struct json *build_default(const struct cni_builtin *builtin)
{
	struct json *document = json_new_object();
	struct json *plugins;

	json_set_string(document, "cniVersion", "1.0.0");
	json_set_string(document, "name", CNI_NETWORK_DEFAULT);
	plugins = json_set_array(document, "plugins");
	json_append(plugins, build_bridge(builtin));
	if (builtin->level == CNI_LEVEL_HOST)
		json_append(plugins, build_portmap());
	return document;
}

static int load_default(const struct cni_builtin *builtin, struct cni_config **ret, struct err *err)
{
	autoptr(json) document = build_default(builtin);

	return cni_config_from_json("built in", document, ret, err);
}

/* ---- results ---- */

/* Appends as much of a list as fits. */
static void join(char *target, size_t size, char *const *strv, const char *separator)
{
	size_t used = 0;

	*target = '\0';
	for (size_t i = 0; strv && strv[i] && used < size; i++)
		used += snprintf(target + used, size - used, "%s%s", i ? separator : "", strv[i]);
}

static int no_such_network(const struct search *search, char *const *dirs, struct err *err)
{
	char where[SHOWN_SIZE];
	char names[SHOWN_SIZE];
	char problems[SHOWN_SIZE];

	join(where, sizeof(where), dirs, ", ");
	join(names, sizeof(names), search->names, ", ");
	join(problems, sizeof(problems), search->problems, "; ");
	return err_set(err, -ENOENT, "there is no network \"%s\" in %s; there are: %s%s%s%s%s",
		search->name, *where ? where : "any directory", CNI_NETWORK_DEFAULT,
		*names ? ", " : "", names, *problems ? "; could not be read: " : "", problems);
}

int cni_config_find(char *const *dirs, const char *name,
	const struct cni_builtin *builtin, struct cni_config **ret, struct err *err)
{
	cleanup(search_done) struct search search = {.name = name};
	int r = cni_check_network_name(name, err);

	if (r == 0)
		r = visit_dirs(&search, dirs, err);
	if (r < 0)
		return r;
	if (search.n_found > 0)
		*ret = take_ptr(search.found[0]);
	else if (strcmp(name, CNI_NETWORK_DEFAULT) == 0)
		return load_default(builtin, ret, err);
	else
		return no_such_network(&search, dirs, err);
	return 0;
}

int cni_config_list(char *const *dirs, const struct cni_builtin *builtin,
	struct cni_config ***ret, size_t *ret_n, char ***ret_problems, struct err *err)
{
	cleanup(search_done) struct search search = {0};
	autoptr(cni_config) default_one = NULL;
	int r = visit_dirs(&search, dirs, err);

	if (r < 0)
		return r;
	if (!is_known(&search, CNI_NETWORK_DEFAULT)) {
		r = load_default(builtin, &default_one, err);
		if (r == 0 && keep(&search, &default_one) < 0)
			r = err_oom(err);
		if (r < 0)
			return r;
	}
	if (ret_problems && !search.problems)
		search.problems = calloc(1, sizeof(*search.problems));
	if (ret_problems && !search.problems)
		return err_oom(err);
	*ret = take_ptr(search.found);
	*ret_n = search.n_found;
	search.n_found = 0;
	if (ret_problems)
		*ret_problems = take_ptr(search.problems);
	return 0;
}
