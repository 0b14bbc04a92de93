/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Checking and collecting: see survey.h. A network's lock keeps ADD and DEL away from it. Records
 * are read once it is held: a hook writes an attachment's record before it takes that lock, and
 * removes it after it has let go.
 */

#include "survey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni.h"
#include "deadline.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "inside.h"
#include "text.h"

#define LOCK_TIMEOUT_MS 5000
#define ATTACHMENTS_MAX (HIERARCHY_CHILDREN_MAX / 4)
#define NETNS_DIR "/run/netns"

struct survey {
	const struct request *request;
	int podfd;
	int cache;
	struct pod_spec spec;
	struct pod_state state;
	char **names;		    /* of children: containers, and pods in the pod */
	struct attachment *records; /* of those that have one; loaded by load_records() */
	size_t n;
};

static void forget_records(struct survey *survey)
{
	for (size_t i = 0; i < survey->n; i++)
		attachment_done(&survey->records[i]);
	free(survey->records);
	strv_free(survey->names);
	survey->records = NULL;
	survey->names = NULL;
	survey->n = 0;
}

static void survey_done(struct survey *survey)
{
	forget_records(survey);
	cleanup_close(&survey->cache);
	cleanup_close(&survey->podfd);
	pod_spec_done(&survey->spec);
	pod_state_done(&survey->state);
}

/* Return: 0, or -errno: a record that cannot be read may be of anything. */
static int load_records(struct survey *survey, struct err *err)
{
	int r;

	forget_records(survey);
	r = hierarchy_children(survey->podfd, HIERARCHY_ANY, &survey->names, err);
	if (r < 0)
		return r;
	survey->records = calloc(strv_length(survey->names) + 1, sizeof(*survey->records));
	if (!survey->records)
		return err_oom(err);
	for (size_t i = 0; survey->names[i]; i++) {
		autoclose int childfd = -1;

		r = hierarchy_open_any_child(survey->podfd, survey->names[i], &childfd, err);
		if (r == 0)
			r = attachment_load(childfd, &survey->records[survey->n], err);
		if (r == 0)
			survey->n++;
		else if (r != -ENOENT)
			return err_wrap(err, r, "%s", survey->names[i]);
	}
	return 0;
}

static int survey_open(struct survey *survey, const struct request *request, struct err *err)
{
	autoclose int rootfd = -1;
	int r;

	survey->request = request;
	r = hierarchy_open_root(request->root, false, &rootfd, err);
	if (r == 0)
		r = hierarchy_open_pod(rootfd, request->pod, &survey->podfd, err);
	if (r == 0)
		r = file_open_dir(survey->podfd, "cni", &survey->cache, err);
	if (r == 0)
		r = pod_spec_load(survey->podfd, &survey->spec, err);
	if (r == 0)
		r = pod_state_load(survey->podfd, &survey->state, err);
	if (r < 0)
		return r;
	if (pod_state_phase_now(&survey->state) != POD_RUNNING)
		return err_set(err, -EHOSTDOWN, "pod '%s' does not run", request->pod);
	return inside_enter(&survey->state, request->pod, err);
}

static int lock_network(const struct survey *survey, const char *network, int *ret, struct err *err)
{
	autofree char *name = text_format("net-%s", network);
	autoclose int locks = -1;
	int r;

	if (!name)
		return err_oom(err);
	r = file_open_dir(survey->podfd, "locks", &locks, err);
	if (r == 0)
		r = file_lock(locks, name, LOCK_TIMEOUT_MS, ret, err);
	return r < 0 ? err_wrap(err, r, "network %s", network) : 0;
}

static struct cni_runtime runtime_of(const struct survey *survey)
{
	return (struct cni_runtime){
		.plugin_dirs = survey->spec.cni_plugin_dirs,
		.cache_fd = survey->cache,
		.deadline_ms = survey->request->deadline,
	};
}

static const struct attachment *find_id(const struct survey *survey, const char *id)
{
	for (size_t i = 0; i < survey->n; i++)
		if (text_equal(survey->records[i].id, id))
			return &survey->records[i];
	return NULL;
}

/* ---- check ---- */

static int check_network(const struct survey *survey, const struct attachment *attachment,
	const struct attachment_network *network, struct err *err)
{
	struct cni_runtime runtime = runtime_of(survey);
	autofree char *netns = text_format(NETNS_DIR "/%s", attachment->id);
	autoptr(cni_config) config = NULL;
	int r;

	if (!netns)
		return err_oom(err);
	runtime.container_id = attachment->id;
	runtime.netns = netns;
	runtime.ifname = network->ifname;
	r = cni_config_from_json(network->name, network->config, &config, err);
	if (r == 0)
		r = cni_check(config, &runtime, err);
	if (r == -ENODATA)
		return err_set(err, r, "network %s: its result is not kept", network->name);
	return r == -EOPNOTSUPP ? 0 : r;
}

static void check_attachment(
	const struct survey *survey, const struct attachment *attachment, struct json *verdicts)
{
	for (size_t i = 0; i < attachment->n_networks; i++) {
		struct err err = {};
		struct json *verdict;

		if (check_network(survey, attachment, &attachment->networks[i], &err) == 0)
			continue;
		verdict = json_new_object();
		json_set_string(verdict, "child", attachment->child);
		json_set_string(verdict, "network", attachment->networks[i].name);
		json_set_string(verdict, "message", err.msg);
		json_append(verdicts, verdict);
	}
}

static bool is_checked(const struct attachment *attachment)
{
	return attachment->phase == ATTACHMENT_ATTACHED &&
	       attachment->share == ATTACHMENT_BRIDGED && proc_alive(&attachment->init);
}

int survey_check(const struct request *request, struct err *err)
{
	cleanup(survey_done) struct survey survey = {.podfd = -1, .cache = -1};
	autoptr(json) verdicts = json_new_array();
	autofree char *text = NULL;
	size_t length;
	int r;

	r = survey_open(&survey, request, err);
	if (r == 0)
		r = load_records(&survey, err);
	for (size_t i = 0; r == 0 && i < survey.n; i++)
		if (is_checked(&survey.records[i]))
			check_attachment(&survey, &survey.records[i], verdicts);
	if (r == 0 && json_write(verdicts, true, &text, &length) < 0)
		r = err_oom(err);
	return r < 0 ? r : fd_write_all(STDOUT_FILENO, text, length);
}

/* ---- gc ---- */

/* Of one network, whose lock is held. */
struct collection {
	struct survey *survey;
	const char *network;
	struct cni_config *config; /* NULL: nobody knows it any more */
	struct cni_attachment *valid;
	size_t n_valid;
	char **paths; /* of their network namespaces */
};

static void collection_done(struct collection *collection)
{
	cni_config_free(collection->config);
	free(collection->valid);
	strv_free(collection->paths);
}

static int add_valid(struct collection *collection, const struct attachment *attachment,
	const char *ifname, struct err *err)
{
	autofree char *netns = text_format(NETNS_DIR "/%s", attachment->id);

	if (!netns || strv_add(&collection->paths, netns) < 0)
		return err_oom(err);
	collection->valid[collection->n_valid++] =
		(struct cni_attachment){.container_id = attachment->id,
			.ifname = ifname,
			.netns = collection->paths[strv_length(collection->paths) - 1]};
	return 0;
}

static int find_valid(struct collection *collection, struct err *err)
{
	const struct survey *survey = collection->survey;

	collection->valid = calloc(survey->n * RECORD_NETWORKS_MAX + 1, sizeof(*collection->valid));
	if (!collection->valid)
		return err_oom(err);
	for (size_t i = 0; i < survey->n; i++)
		for (size_t j = 0; j < survey->records[i].n_networks; j++) {
			const struct attachment_network *network = &survey->records[i].networks[j];

			if (!text_equal(network->name, collection->network))
				continue;
			if (add_valid(collection, &survey->records[i], network->ifname, err) < 0)
				return -ENOMEM;
			if (!collection->config)
				cni_config_from_json(
					network->name, network->config, &collection->config, NULL);
		}
	return 0;
}

/* As it was used: by an attachment, by one whose result is kept; else as it is defined now. */
static int find_config(struct collection *collection)
{
	const struct survey *survey = collection->survey;
	struct cni_builtin builtin;
	struct json **entries = NULL;
	size_t n = 0;

	pod_spec_builtin(&survey->spec, &builtin);
	if (!collection->config && cni_cache_list(survey->cache, &entries, &n, NULL) == 0) {
		for (size_t i = 0; i < n; i++) {
			autoptr(json) entry = entries[i];

			if (!collection->config &&
				text_equal(json_string(json_get(entry, "networkName")),
					collection->network))
				cni_cache_config(entry, &collection->config, NULL);
		}
		free(entries);
	}
	if (!collection->config)
		cni_config_find(survey->spec.cni_config_dirs, collection->network, &builtin,
			&collection->config, NULL);
	return collection->config ? 0 : -ENOENT;
}

static bool is_valid(const struct collection *collection, const char *id, const char *ifname)
{
	for (size_t i = 0; i < collection->n_valid; i++)
		if (text_equal(collection->valid[i].container_id, id) &&
			(!ifname || text_equal(collection->valid[i].ifname, ifname)))
			return true;
	return false;
}

/* The plugins delete what they have of it; a lease that is there even then is nobody's. */
static int collect_lease(
	const struct collection *collection, int dirfd, const char *address, struct err *err)
{
	struct cni_runtime runtime = runtime_of(collection->survey);
	autofree char *netns = NULL;
	autostrv lease = NULL;
	int r = 0;

	if (cni_lease_read(dirfd, address, &lease) < 0 || is_valid(collection, lease[0], lease[1]))
		return 0;
	netns = text_format(NETNS_DIR "/%s", lease[0]);
	runtime.container_id = lease[0];
	runtime.ifname = lease[1] ? lease[1] : "eth0";
	runtime.netns = netns && access(netns, F_OK) == 0 ? netns : NULL;
	if (collection->config)
		r = cni_del(collection->config, &runtime, err);
	if (r == 0)
		r = file_remove(dirfd, address, err);
	return r;
}

static int collect_leases(const struct collection *collection, struct err *err)
{
	autofree char *dir = text_format("networks/%s", collection->network);
	autoclose int dirfd = -1;
	autostrv names = NULL;
	int first = 0;

	dirfd = dir ? openat(collection->survey->cache, dir,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
		    : -1;
	if (dirfd < 0 || file_list(dirfd, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return 0;
	for (size_t i = 0; names[i]; i++) {
		int r = 0;

		if (!text_starts_with(names[i], "last_reserved_ip") &&
			strcmp(names[i], "lock") != 0)
			r = collect_lease(collection, dirfd, names[i], first < 0 ? NULL : err);
		first = first < 0 ? first : r;
	}
	return first;
}

static int collect_network(struct survey *survey, const char *network, struct err *err)
{
	cleanup(collection_done) struct collection collection = {
		.survey = survey, .network = network};
	struct cni_runtime runtime = runtime_of(survey);
	autoclose int lock = -1;
	int r, leases;

	r = lock_network(survey, network, &lock, err);
	if (r == 0)
		r = load_records(survey, err);
	if (r == 0)
		r = find_valid(&collection, err);
	if (r < 0)
		return r;
	if (find_config(&collection) == 0)
		r = cni_gc(collection.config, collection.valid, collection.n_valid, &runtime, err);
	leases = collect_leases(&collection, r < 0 ? NULL : err);
	return r < 0 ? r : leases;
}

static int add_name(char ***names, const char *name, struct err *err)
{
	if (!name || strv_contains(*names, name))
		return 0;
	return strv_add(names, name) < 0 ? err_oom(err) : 0;
}

/* Of attachments, of results, of leases. */
static int find_networks(const struct survey *survey, char ***ret, struct err *err)
{
	autoclose int dirfd =
		openat(survey->cache, "networks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct json **entries = NULL;
	autostrv names = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < survey->n; i++)
		for (size_t j = 0; r == 0 && j < survey->records[i].n_networks; j++)
			r = add_name(ret, survey->records[i].networks[j].name, err);
	if (r == 0)
		r = cni_cache_list(survey->cache, &entries, &n, err);
	for (size_t i = 0; i < n; i++) {
		autoptr(json) entry = entries[i];

		if (r == 0)
			r = add_name(ret, json_string(json_get(entry, "networkName")), err);
	}
	free(entries);
	if (r == 0 && dirfd >= 0 && file_list(dirfd, HIERARCHY_CHILDREN_MAX, &names, NULL) == 0)
		for (size_t i = 0; r == 0 && names[i]; i++)
			r = add_name(ret, names[i], err);
	return r;
}

/* Those of the pod's children; others are whoever's. */
static int mend_netns(struct survey *survey, struct err *err)
{
	autoclose int dirfd = open(NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char id[NAME_PATH_SIZE + 1];
	autostrv names = NULL;
	int r = 0;

	name_path_to_id(survey->request->pod, id);
	strncat(id, ".", sizeof(id) - strlen(id) - 1);
	if (dirfd < 0 || file_list(dirfd, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return 0;
	r = load_records(survey, err);
	for (size_t i = 0; r == 0 && names[i]; i++)
		if (text_starts_with(names[i], id) && !find_id(survey, names[i]))
			inside_unbind(names[i]);
	for (size_t i = 0; r == 0 && i < survey->n; i++)
		if (is_checked(&survey->records[i]))
			r = inside_bind(&survey->records[i], err);
	return r;
}

int survey_gc(const struct request *request, struct err *err)
{
	cleanup(survey_done) struct survey survey = {.podfd = -1, .cache = -1};
	autostrv networks = NULL;
	int r, first;

	r = survey_open(&survey, request, err);
	if (r == 0)
		r = load_records(&survey, err);
	if (r == 0)
		r = find_networks(&survey, &networks, err);
	first = r;
	for (size_t i = 0; r == 0 && networks && networks[i]; i++) {
		int one = collect_network(&survey, networks[i], first < 0 ? NULL : err);

		first = first < 0 ? first : one;
	}
	if (r == 0)
		r = mend_netns(&survey, first < 0 ? NULL : err);
	return first < 0 ? first : r;
}
