/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What CNI plugins have left in files, and what they say themselves: see doctor.h. The leases are
 * host-local's, one file for each address with the container's id and the interface in it; the
 * results are libcni's. What other programs name in the pod is theirs.
 */

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cni.h"
#include "file.h"
#include "hierarchy.h"
#include "spawn.h"
#include "text.h"

#include "doctor.h"

#define NETNS_DIR "/run/netns"
#define HOOK_TIMEOUT_MS 25000
#define HOOK_OUTPUT_MAX (1024 * 1024)
#define HOOK_ERRORS_MAX 4096

static const struct attachment_network *find_network(
	const struct doctor_child *child, const char *name, const char *ifname)
{
	for (size_t i = 0; child && i < child->attachment.n_networks; i++) {
		const struct attachment_network *network = &child->attachment.networks[i];

		if (text_equal(network->name, name) &&
			(!ifname || text_equal(network->ifname, ifname)))
			return network;
	}
	return NULL;
}

static bool is_attached(const struct doctor_child *child)
{
	return child->is_attached && child->attachment.phase == ATTACHMENT_ATTACHED &&
	       child->attachment.share == ATTACHMENT_BRIDGED && proc_alive(&child->attachment.init);
}

/* ---- leases ---- */

static void check_lease(struct doctor *doctor, int dirfd, const char *network, const char *address)
{
	autostrv lease = NULL;

	if (cni_lease_read(dirfd, address, &lease) < 0 ||
		find_network(doctor_child_of_id(doctor, lease[0]), network, lease[1]))
		return;
	doctor_find(doctor, "lease", DOCTOR_COLLECT, NULL,
		"network %s: the address %s is kept for %s, which is not attached: nobody else "
		"gets it",
		network, address, lease[0]);
}

static void check_leases_of(struct doctor *doctor, int networks, const char *network)
{
	autoclose int dirfd =
		openat(networks, network, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autostrv names = NULL;

	if (dirfd < 0 || file_list(dirfd, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++)
		if (!text_starts_with(names[i], "last_reserved_ip") &&
			strcmp(names[i], "lock") != 0)
			check_lease(doctor, dirfd, network, names[i]);
}

/* Does a plugin of it take addresses from host-local, where that keeps them by default? */
static bool has_leases(const struct attachment_network *network)
{
	const struct json *plugins = json_get(network->config, "plugins");

	for (size_t i = 0; i < json_length(plugins); i++) {
		const struct json *ipam = json_get(json_at(plugins, i), "ipam");

		if (text_equal(json_string(json_get(ipam, "type")), "host-local") &&
			!json_get(ipam, "dataDir"))
			return true;
	}
	return false;
}

static void find_missing_leases(struct doctor *doctor, int networks,
	const struct doctor_child *child, const struct attachment_network *network)
{
	if (!has_leases(network))
		return;
	for (size_t i = 0; network->addresses && network->addresses[i]; i++) {
		autofree char *address =
			strndup(network->addresses[i], strcspn(network->addresses[i], "/"));
		autofree char *file = text_format("%s/%s", network->name, address ? address : "");
		autofree char *object = text_format("%s %s %s %s", network->name,
			address ? address : "", child->attachment.id, network->ifname);

		if (!address || !file || !object ||
			(networks >= 0 &&
				faccessat(networks, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0))
			continue;
		doctor_find(doctor, "lease", DOCTOR_LEASE, object,
			"network %s: the address %s of %s %s is not kept for it: another one could "
			"get it",
			network->name, address, doctor_child_kind(child), child->name);
	}
}

void doctor_check_leases(struct doctor *doctor)
{
	autoclose int networks = openat(
		doctor->podfd, "cni/networks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autostrv names = NULL;

	if (networks >= 0 && file_list(networks, HIERARCHY_CHILDREN_MAX, &names, NULL) == 0)
		for (size_t i = 0; names[i]; i++)
			check_leases_of(doctor, networks, names[i]);
	for (size_t i = 0; i < doctor->n_children; i++)
		for (size_t j = 0; is_attached(&doctor->children[i]) &&
				   j < doctor->children[i].attachment.n_networks;
			j++)
			find_missing_leases(doctor, networks, &doctor->children[i],
				&doctor->children[i].attachment.networks[j]);
}

/* ---- results ---- */

static void check_result(struct doctor *doctor, const struct json *entry)
{
	const char *id = json_string(json_get(entry, "containerId"));
	const char *network = json_string(json_get(entry, "networkName"));

	if (!find_network(doctor_child_of_id(doctor, id), network,
		    json_string(json_get(entry, "ifName"))))
		doctor_find(doctor, "cache", DOCTOR_COLLECT, NULL,
			"network %s: a result is kept of %s, which is not attached", network, id);
}

static bool has_result(struct json *const *entries, size_t n, const char *id,
	const struct attachment_network *network)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(json_string(json_get(entries[i], "containerId")), id) &&
			text_equal(
				json_string(json_get(entries[i], "networkName")), network->name) &&
			text_equal(json_string(json_get(entries[i], "ifName")), network->ifname))
			return true;
	return false;
}

static void find_missing_results(struct doctor *doctor, struct json *const *entries, size_t n,
	const struct doctor_child *child)
{
	for (size_t i = 0; i < child->attachment.n_networks; i++)
		if (!has_result(entries, n, child->attachment.id, &child->attachment.networks[i]))
			doctor_find(doctor, "cache", DOCTOR_NOTHING, NULL,
				"network %s: its result for %s %s is gone: its plugins will have "
				"to do without; start the %s again",
				child->attachment.networks[i].name, doctor_child_kind(child),
				child->name, doctor_child_kind(child));
}

void doctor_check_caches(struct doctor *doctor)
{
	autoclose int cache =
		openat(doctor->podfd, "cni", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct json **entries = NULL;
	struct err err = {};
	size_t n = 0;

	if (cache < 0)
		return;
	if (cni_cache_list(cache, &entries, &n, &err) < 0) {
		doctor_find(doctor, "cache", DOCTOR_NOTHING, NULL, "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < n; i++)
		check_result(doctor, entries[i]);
	for (size_t i = 0; i < doctor->n_children; i++)
		if (is_attached(&doctor->children[i]))
			find_missing_results(doctor, entries, n, &doctor->children[i]);
	for (size_t i = 0; i < n; i++)
		json_free(entries[i]);
	free(entries);
}

/* ---- /run/netns ---- */

/* Is that the netns of its record? */
static bool is_bound(int dirfd, const struct attachment *attachment)
{
	autoclose int fd =
		openat(dirfd, attachment->id, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct ns_id id = {};
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC &&
	       ns_identify_fd(fd, &id) == 0 && ns_equal(&id, &attachment->netns);
}

void doctor_check_netns(struct doctor *doctor)
{
	autoclose int dirfd = open(NETNS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char id[NAME_PATH_SIZE + 1];
	autostrv names = NULL;

	if (dirfd < 0 || file_list(dirfd, HIERARCHY_CHILDREN_MAX, &names, NULL) < 0)
		return;
	name_path_to_id(doctor->path, id);
	strncat(id, ".", sizeof(id) - strlen(id) - 1);
	for (size_t i = 0; names[i]; i++)
		if (text_starts_with(names[i], id) && !doctor_child_of_id(doctor, names[i]))
			doctor_find(doctor, "netns", DOCTOR_COLLECT, NULL,
				NETNS_DIR
				"/%s in the pod is left of a container that is not attached",
				names[i]);
	for (size_t i = 0; i < doctor->n_children; i++) {
		const struct doctor_child *child = &doctor->children[i];

		if (is_attached(child) && !is_bound(dirfd, &child->attachment))
			doctor_find(doctor, "netns", DOCTOR_COLLECT, NULL,
				NETNS_DIR
				"/%s in the pod is not the network namespace of %s %s: its plugins "
				"cannot work on it",
				child->attachment.id, doctor_child_kind(child), child->name);
	}
}

/* ---- what plugins say ---- */

static void take_verdicts(struct doctor *doctor, const struct spawn_result *result)
{
	autoptr(json) verdicts = NULL;
	struct err err = {};

	if (json_parse("podd-hook check", result->output, result->output_length, &verdicts, &err) <
		0) {
		doctor_find(doctor, "plugin", DOCTOR_NOTHING, NULL, "asking CNI plugins: %s",
			result->errors[0] ? result->errors : err.msg);
		return;
	}
	for (size_t i = 0; i < json_length(verdicts); i++) {
		const struct json *verdict = json_at(verdicts, i);
		const char *child = json_string(json_get(verdict, "child"));
		const char *message = json_string(json_get(verdict, "message"));

		doctor_find(doctor, "plugin", DOCTOR_NOTHING, NULL,
			"container %s: CHECK: %s; start the container again", child ? child : "",
			message ? message : "");
	}
}

void doctor_check_plugins(struct doctor *doctor)
{
	const char *const argv[] = {
		"podd-hook", "check", "--root", doctor->ctl->root, "--pod", doctor->path, NULL};
	const struct spawn spawn = {
		.path = PODD_LIBEXECDIR "/podd-hook",
		.argv = (char *const *)argv,
		.program_fd = -1,
		.timeout_ms = HOOK_TIMEOUT_MS,
		.output_max = HOOK_OUTPUT_MAX,
		.stderr_max = HOOK_ERRORS_MAX,
	};
	struct spawn_result result = {};
	struct err err = {};

	if (!doctor->plugins || !doctor->runs || !doctor->has_spec)
		return;
	if (spawn_run(&spawn, &result, &err) < 0)
		doctor_find(
			doctor, "plugin", DOCTOR_NOTHING, NULL, "asking CNI plugins: %s", err.msg);
	else
		take_verdicts(doctor, &result);
	spawn_result_done(&result);
}
