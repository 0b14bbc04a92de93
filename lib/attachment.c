/* SPDX-License-Identifier: GPL-2.0-or-later */

/* attachment.json: how a container is connected. Written by the hook only; see record.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci.h"
#include "record-internal.h"
#include "text.h"

#define ADDRESSES_MAX 64

static const char *const phase_names[] = {
	[ATTACHMENT_ADDING] = "adding",
	[ATTACHMENT_ATTACHED] = "attached",
	[ATTACHMENT_DETACHING] = "detaching",
};

static const char *const share_names[] = {
	[ATTACHMENT_BRIDGED] = "bridged",
	[ATTACHMENT_SHARED] = "shared",
};

void attachment_init(struct attachment *attachment)
{
	memset(attachment, 0, sizeof(*attachment));
}

static void network_done(struct attachment_network *network)
{
	free(network->name);
	free(network->ifname);
	free(network->ip);
	free(network->mac);
	json_free(network->config);
	strv_free(network->addresses);
}

void attachment_cut_networks(struct attachment *attachment, size_t n)
{
	while (attachment->n_networks > n) {
		struct attachment_network *last = &attachment->networks[--attachment->n_networks];

		network_done(last);
		memset(last, 0, sizeof(*last));
	}
}

void attachment_done(struct attachment *attachment)
{
	attachment_cut_networks(attachment, 0);
	free(attachment->bundle);
	free(attachment->hostname);
	strv_free(attachment->aliases);
	strv_free(attachment->publish);
	json_free(attachment->capability_args);
	memset(attachment, 0, sizeof(*attachment));
}

static struct json *network_to_json(const struct attachment_network *network)
{
	struct json *object = json_new_object();

	json_set_string(object, "name", network->name);
	json_set_string(object, "ifname", network->ifname);
	json_set_string(object, "ip", network->ip);
	json_set_string(object, "mac", network->mac);
	if (network->addresses)
		json_set_strv(object, "addresses", network->addresses);
	json_set(object, "config", json_copy(network->config));
	return object;
}

struct json *attachment_to_json(const struct attachment *attachment)
{
	struct json *document = record_new();
	struct json *networks;

	if (*attachment->pod)
		json_set_string(document, "pod", attachment->pod);
	json_set_string(document, "child", attachment->child);
	json_set_string(document, "id", attachment->id);
	json_set_string(document, "generation", attachment->generation);
	json_set_string(document, "created", attachment->created);
	json_set_string(document, "bootId", attachment->boot_id);
	json_set_string(document, "phase", phase_names[attachment->phase]);
	json_set_string(document, "share", share_names[attachment->share]);
	record_set_proc(document, "init", &attachment->init);
	record_set_ns(document, "netns", &attachment->netns);
	json_set_string(document, "bundle", attachment->bundle);
	json_set_string(document, "hostname", attachment->hostname);
	if (attachment->aliases)
		json_set_strv(document, "aliases", attachment->aliases);
	if (attachment->publish)
		json_set_strv(document, "publish", attachment->publish);
	if (attachment->capability_args)
		json_set(document, "capabilityArgs", json_copy(attachment->capability_args));
	networks = json_set_array(document, "networks");
	for (size_t i = 0; i < attachment->n_networks; i++)
		json_append(networks, network_to_json(&attachment->networks[i]));
	return document;
}

static int read_network(const struct json *object, struct attachment_network *network,
	struct err *err)
{
	const struct json *config = NULL;
	int r;

	r = record_read_string(object, "name", true, &network->name, err);
	if (r == 0)
		r = record_read_string(object, "ifname", true, &network->ifname, err);
	if (r == 0)
		r = record_read_string(object, "ip", false, &network->ip, err);
	if (r == 0)
		r = record_read_string(object, "mac", false, &network->mac, err);
	if (r == 0)
		r = record_read_strv(object, "addresses", false, ADDRESSES_MAX,
			&network->addresses, err);
	if (r == 0)
		r = json_read_object(object, "config", true, &config, err);
	if (r < 0)
		return r;
	network->config = json_copy(config);
	return network->config ? 0 : err_oom(err);
}

static int read_networks(const struct json *document, struct attachment *attachment,
	struct err *err)
{
	const struct json *networks = NULL;
	int r;

	r = json_read_array(document, "networks", true, &networks, err);
	if (r < 0)
		return r;
	if (json_length(networks) > RECORD_NETWORKS_MAX)
		return err_set(err, -EINVAL, "more than %d networks", RECORD_NETWORKS_MAX);
	for (size_t i = 0; i < json_length(networks); i++) {
		r = read_network(json_at(networks, i),
			&attachment->networks[attachment->n_networks++], err);
		if (r < 0)
			return err_wrap(err, r, "'networks', entry %zu", i);
	}
	return 0;
}

static int read_names(const struct json *document, struct attachment *attachment, struct err *err)
{
	int r = 0;

	if (json_get(document, "pod"))
		r = record_read_name(document, "pod", name_check_path, attachment->pod,
			sizeof(attachment->pod), err);
	if (r == 0)
		r = record_read_name(document, "child", name_check_component, attachment->child,
			sizeof(attachment->child), err);
	/* It becomes a file name and CNI_CONTAINERID. */
	if (r == 0)
		r = record_read_name(document, "id", oci_check_id, attachment->id,
			sizeof(attachment->id), err);
	if (r == 0)
		r = record_read_text(document, "generation", true, attachment->generation,
			sizeof(attachment->generation), err);
	if (r == 0)
		r = record_read_text(document, "created", true, attachment->created,
			sizeof(attachment->created), err);
	if (r == 0)
		r = record_read_text(document, "bootId", true, attachment->boot_id,
			sizeof(attachment->boot_id), err);
	return r;
}

static int read_capability_args(const struct json *document, struct attachment *attachment,
	struct err *err)
{
	const struct json *args = NULL;
	int r;

	r = json_read_object(document, "capabilityArgs", false, &args, err);
	if (r < 0 || !args)
		return r;
	attachment->capability_args = json_copy(args);
	return attachment->capability_args ? 0 : err_oom(err);
}

static int read_document(const struct json *document, struct attachment *attachment,
	struct err *err)
{
	unsigned phase = 0, share = 0;
	int r;

	r = read_names(document, attachment, err);
	if (r == 0)
		r = record_read_enum(document, "phase", phase_names,
			sizeof(phase_names) / sizeof(phase_names[0]), &phase, err);
	if (r == 0)
		r = record_read_enum(document, "share", share_names,
			sizeof(share_names) / sizeof(share_names[0]), &share, err);
	if (r == 0)
		r = record_read_proc(document, "init", false, &attachment->init, err);
	if (r == 0)
		r = record_read_ns(document, "netns", false, &attachment->netns, err);
	if (r == 0)
		r = record_read_string(document, "bundle", false, &attachment->bundle, err);
	if (r == 0)
		r = record_read_string(document, "hostname", false, &attachment->hostname, err);
	if (r == 0)
		r = record_read_strv(document, "aliases", false, RECORD_ALIASES_MAX,
			&attachment->aliases, err);
	if (r == 0)
		r = record_read_strv(document, "publish", false, RECORD_PUBLISH_MAX,
			&attachment->publish, err);
	if (r == 0)
		r = read_capability_args(document, attachment, err);
	if (r == 0)
		r = read_networks(document, attachment, err);
	if (r < 0)
		return r;
	attachment->phase = (enum attachment_phase)phase;
	attachment->share = (enum attachment_share)share;
	return 0;
}

int attachment_load(int childfd, struct attachment *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct attachment attachment;
	int r;

	r = record_load(childfd, RECORD_ATTACHMENT, &document, err);
	if (r < 0)
		return r;
	attachment_init(&attachment);
	r = read_document(document, &attachment, err);
	if (r < 0) {
		attachment_done(&attachment);
		return err_wrap(err, r, "%s", RECORD_ATTACHMENT);
	}
	if (!record_is_of_this_boot(attachment.boot_id)) {
		attachment.init = (struct proc_id){};
		attachment.netns = (struct ns_id){};
	}
	*ret = attachment;
	return 0;
}

int attachment_save(int childfd, const struct attachment *attachment, struct err *err)
{
	return record_save(childfd, RECORD_ATTACHMENT, attachment_to_json(attachment), err);
}
