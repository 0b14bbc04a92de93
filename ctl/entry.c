/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes entries from records, see entry.h. An entry owns everything in it. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

#include "entry.h"

static const char *const attachment_status[] = {
	[ATTACHMENT_ADDING] = "adding",
	[ATTACHMENT_ATTACHED] = "attached",
	[ATTACHMENT_DETACHING] = "detaching",
};

void entry_done(struct entry *entry)
{
	strv_free(entry->addresses);
	strv_free(entry->networks);
	strv_free(entry->command);
	json_free(entry->labels);
	free(entry->problem);
	memset(entry, 0, sizeof(*entry));
}

static int set_problem(struct entry *entry, const struct err *err)
{
	entry->status = "invalid";
	entry->problem = strdup(err->msg);
	return entry->problem ? 0 : -ENOMEM;
}

static int add_address(struct entry *entry, int family, const void *address, unsigned prefix)
{
	char text[INET6_ADDRSTRLEN];
	autofree char *full = NULL;

	inet_ntop(family, address, text, sizeof(text));
	full = text_format("%s/%u", text, prefix);
	return full ? strv_add(&entry->addresses, full) : -ENOMEM;
}

/* Its addresses are those that it has got there. */
static int add_cni_network(struct entry *entry, int podfd, const char *network)
{
	cleanup(attachment_done) struct attachment attachment = {};
	autofree char *name = text_format("cni:%s", network);
	char **addresses;
	int r = name ? strv_add(&entry->networks, name) : -ENOMEM;

	if (r < 0 || attachment_load(podfd, &attachment, NULL) < 0 || attachment.n_networks == 0)
		return r;
	addresses = attachment.networks[0].addresses;
	for (size_t i = 0; r == 0 && addresses && addresses[i]; i++)
		r = strv_add(&entry->addresses, addresses[i]);
	return r;
}

static int fill_from_spec(struct entry *entry, int podfd, const struct pod_spec *spec)
{
	struct in_addr self4 = pod_address4(spec, POD_HOST_SELF);
	struct in6_addr self6 = pod_address6(POD_HOST_SELF);
	int r;

	memcpy(entry->created, spec->created, sizeof(entry->created));
	entry->labels = json_copy(spec->labels);
	if (spec->net == POD_NET_CNI)
		return add_cni_network(entry, podfd, spec->uplink_network);
	r = strv_add(&entry->networks, pod_net_name(spec->net));
	if (r == 0 && spec->net == POD_NET_SLIRP)
		r = add_address(entry, AF_INET, &self4, spec->prefix4);
	if (r == 0 && spec->net == POD_NET_SLIRP && spec->ipv6)
		r = add_address(entry, AF_INET6, &self6, POD_PREFIX6);
	return r;
}

static int fill_from_state(struct entry *entry, const struct pod_state *state)
{
	enum pod_phase phase = pod_state_phase_now(state);

	entry->status = pod_phase_name(phase);
	if (phase == POD_RUNNING || phase == POD_STOPPING) {
		entry->pid = state->outer.pid;
		memcpy(entry->podd, state->podd_version, sizeof(entry->podd));
	}
	if ((phase == POD_FAILED || phase == POD_RESTARTING) && state->error &&
		!(entry->problem = strdup(state->error)))
		return -ENOMEM;
	return 0;
}

int entry_pod(int podfd, const char *path, struct entry *ret)
{
	struct entry entry = {.is_pod = true};
	struct pod_spec spec;
	struct pod_state state;
	struct err err = {};
	int r;

	text_copy(entry.path, sizeof(entry.path), path);
	if (pod_spec_load(podfd, &spec, &err) < 0) {
		r = set_problem(&entry, &err);
	} else {
		r = fill_from_spec(&entry, podfd, &spec);
		pod_spec_done(&spec);
	}
	if (r == 0 && !entry.problem) {
		if (pod_state_load(podfd, &state, &err) < 0) {
			r = set_problem(&entry, &err);
		} else {
			r = fill_from_state(&entry, &state);
			pod_state_done(&state);
		}
	}
	if (r < 0) {
		entry_done(&entry);
		return r;
	}
	*ret = entry;
	return 0;
}

static int fill_from_attachment(struct entry *entry, const struct attachment *attachment)
{
	char boot_id[PROC_BOOT_ID_SIZE];
	bool same_boot =
		proc_boot_id(boot_id) == 0 && strcmp(boot_id, attachment->boot_id) == 0;
	int r = 0;

	memcpy(entry->created, attachment->created, sizeof(entry->created));
	entry->status = attachment_status[attachment->phase];
	if (same_boot && proc_alive(&attachment->init))
		entry->pid = attachment->init.pid;
	else if (attachment->phase == ATTACHMENT_ATTACHED)
		entry->status = "exited";
	if (attachment->share == ATTACHMENT_SHARED)
		r = strv_add(&entry->networks, "pod");
	for (size_t i = 0; r == 0 && i < attachment->n_networks; i++) {
		const struct attachment_network *network = &attachment->networks[i];

		r = strv_add(&entry->networks, network->name);
		for (size_t j = 0; r == 0 && network->addresses && network->addresses[j]; j++)
			r = strv_add(&entry->addresses, network->addresses[j]);
	}
	return r;
}

int entry_load_error(int childfd, struct json **ret, struct err *err)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	r = file_read(childfd, RECORD_ERROR, JSON_BYTES_MAX, &text, &length, err);
	return r < 0 ? r : json_parse(RECORD_ERROR, text, length, ret, err);
}

/* A child without an attachment: the attempt failed, and error.json says why. */
static int fill_from_error(struct entry *entry, int childfd)
{
	autoptr(json) document = NULL;
	struct err err = {};
	const char *message, *created;
	int r;

	r = entry_load_error(childfd, &document, &err);
	if (r == -ENOENT) {
		entry->status = "detached";
		return 0;
	}
	if (r < 0)
		return set_problem(entry, &err);
	message = json_string(json_get(document, "message"));
	created = json_string(json_get(document, "time"));
	entry->status = "failed";
	if (created)
		text_copy(entry->created, sizeof(entry->created), created);
	if (message && !(entry->problem = strdup(message)))
		return -ENOMEM;
	return 0;
}

int entry_pod_unreadable(const char *path, const struct err *why, struct entry *ret)
{
	struct entry entry = {.is_pod = true};

	if (text_copy(entry.path, sizeof(entry.path), path) < 0 || set_problem(&entry, why) < 0)
		return -ENOMEM;
	*ret = entry;
	return 0;
}

int entry_container(int podfd, const char *pod, const char *name, struct entry *ret,
	struct err *err)
{
	autofree char *path = text_format("%s/%s", pod, name);
	autoclose int childfd = -1;
	struct entry entry = {};
	struct attachment attachment;
	struct err reason = {};
	int r;

	if (!path)
		return err_oom(err);
	if (text_copy(entry.path, sizeof(entry.path), path) < 0)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	r = hierarchy_open_child(podfd, name, false, &childfd, &reason);
	if (r == -ENOENT)
		return err_set(err, r, "%s", reason.msg);
	if (r == 0 && container_is_made(childfd)) {
		r = entry_fill_made(&entry, childfd);
		if (r < 0) {
			entry_done(&entry);
			return err_oom(err);
		}
		*ret = entry;
		return 0;
	}
	/* A stray file or link hides no other child. */
	if (r == 0)
		r = attachment_load(childfd, &attachment, &reason);
	if (childfd < 0) {
		r = set_problem(&entry, &reason);
	} else if (r == 0) {
		r = fill_from_attachment(&entry, &attachment);
		attachment_done(&attachment);
	} else if (r == -ENOENT) {
		r = fill_from_error(&entry, childfd);
	} else {
		r = set_problem(&entry, &reason);
	}
	if (r < 0) {
		entry_done(&entry);
		return err_oom(err);
	}
	*ret = entry;
	return 0;
}

static void set_made(struct json *object, const struct entry *entry)
{
	char id[NAME_PATH_SIZE];
	char *none[] = {NULL};

	name_path_to_id(entry->path, id);
	json_set_string(object, "id", id);
	json_set_strv(object, "command", entry->command ? entry->command : none);
	json_set_string(object, "health", entry->health);
	json_set(object, "exitCode",
		entry->exit_code >= 0 ? json_new_int(entry->exit_code) : json_new_null());
}

struct json *entry_to_json(const struct entry *entry)
{
	struct json *object = json_new_object();
	char *none[] = {NULL};

	json_set_string(object, "path", entry->path);
	json_set_string(object, "kind", entry->is_pod ? "pod" : "container");
	json_set_string(object, "status", entry->status);
	json_set(object, "created",
		entry->created[0] ? json_new_string(entry->created) : json_new_null());
	json_set_strv(object, "addresses", entry->addresses ? entry->addresses : none);
	json_set_strv(object, "networks", entry->networks ? entry->networks : none);
	json_set(object, "pid", entry->pid ? json_new_int(entry->pid) : json_new_null());
	if (entry->is_pod || entry->is_made)
		json_set(object, "labels",
			entry->labels ? json_copy(entry->labels) : json_new_object());
	if (entry->podd[0]) {
		json_set_string(object, "poddVersion", entry->podd);
		json_set_bool(object, "outdated", strcmp(entry->podd, PACKAGE_VERSION) != 0);
	}
	if (entry->is_made)
		set_made(object, entry);
	if (entry->problem)
		json_set_string(object, "error", entry->problem);
	return object;
}
