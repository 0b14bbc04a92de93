/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl create: checks the options, makes the pod's directory and writes pod.json, the only
 * record that podctl writes. Nothing is left when any of it fails.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni.h"
#include "file.h"
#include "hierarchy.h"
#include "record.h"
#include "text.h"

#include "options.h"
#include "verbs.h"

struct create_options {
	const char *net;
	const char *cidr;
	const char *format;
	uint32_t mtu;
	bool host_loopback;
	bool no_ipv6;
	char **uidmap;
	char **gidmap;
	char **labels;
};

static void create_options_done(struct create_options *options)
{
	strv_free(options->uidmap);
	strv_free(options->gidmap);
	strv_free(options->labels);
}

static int set_network(struct pod_spec *spec, const struct create_options *options, struct err *err)
{
	if (options->net && pod_net_from_name(options->net, &spec->net) < 0)
		return err_set(err, -EINVAL, "--net must be slirp, none or host, not \"%s\"",
			options->net);
	if (spec->net != POD_NET_SLIRP && options->host_loopback)
		return err_set(err, -EINVAL, "--host-loopback needs --net slirp");
	if (spec->net != POD_NET_SLIRP && options->cidr)
		return err_set(err, -EINVAL, "--cidr needs --net slirp");
	spec->host_loopback = options->host_loopback;
	spec->ipv6 = !options->no_ipv6;
	spec->mtu = options->mtu;
	if (options->cidr && pod_spec_set_cidr(spec, options->cidr, err) < 0)
		return err_wrap(err, -EINVAL, "--cidr");
	return 0;
}

static int set_map(struct idmap *map, char *const *triplets, const char *option, struct err *err)
{
	uint32_t host;
	int r;

	for (size_t i = 0; triplets && triplets[i]; i++) {
		r = idmap_add_triplet(map, triplets[i], err);
		if (r < 0)
			return err_wrap(err, r, "%s", option);
	}
	if (map->n && idmap_to_host(map, 0, &host) < 0)
		return err_set(err, -EINVAL, "%s: container id 0, the pod's root, must be mapped",
			option);
	return 0;
}

/* As podman: with one map only, the other is the same. */
static int set_maps(struct pod_spec *spec, const struct create_options *options, struct err *err)
{
	char *const *uidmap = options->uidmap ? options->uidmap : options->gidmap;
	char *const *gidmap = options->gidmap ? options->gidmap : options->uidmap;
	int r;

	if (!uidmap)
		return 0;
	r = set_map(&spec->uids, uidmap, options->uidmap ? "--uidmap" : "--gidmap", err);
	if (r == 0)
		r = set_map(&spec->gids, gidmap, options->gidmap ? "--gidmap" : "--uidmap", err);
	if (r == 0)
		r = idmap_include_self(&spec->uids, IDMAP_UID, err);
	if (r == 0)
		r = idmap_include_self(&spec->gids, IDMAP_GID, err);
	return r;
}

static int set_labels(struct pod_spec *spec, char *const *labels, struct err *err)
{
	for (size_t i = 0; labels && labels[i]; i++) {
		const char *separator = strchr(labels[i], '=');
		size_t length = separator ? (size_t)(separator - labels[i]) : strlen(labels[i]);
		autofree char *key = strndup(labels[i], length);

		if (!key)
			return err_oom(err);
		if (length == 0)
			return err_set(err, -EINVAL, "--label must be KEY=VALUE, not \"%s\"",
				labels[i]);
		json_set_string(spec->labels, key, separator ? separator + 1 : "");
	}
	if (json_length(spec->labels) > RECORD_LABELS_MAX)
		return err_set(err, -EINVAL, "a pod has at most %d labels", RECORD_LABELS_MAX);
	return 0;
}

/* What is said on the command line. Every failure here is one of the caller's. */
static int apply_options(struct pod_spec *spec, const struct create_options *options,
	struct err *err)
{
	int r;

	r = set_network(spec, options, err);
	if (r == 0)
		r = set_maps(spec, options, err);
	return r < 0 ? r : set_labels(spec, options->labels, err);
}

/* A directory that the caller named gets a warning when it cannot be used; one of the usual ones
 * that this machine does not have goes without saying. */
static void warn_of_untrusted(const char *variable)
{
	autostrv named = NULL;
	autostrv trusted = NULL;
	autostrv problems = NULL;

	if (!variable || strv_split(variable, ':', &named) < 0)
		return;
	if (cni_trusted_dirs(named, &trusted, &problems) < 0)
		return;
	for (size_t i = 0; problems && problems[i]; i++)
		ctl_warning("CNI_PATH: %s", problems[i]);
}

static int keep_trusted_dirs(struct pod_spec *spec, struct err *err)
{
	autostrv trusted = NULL;
	autostrv problems = NULL;
	int r;

	r = cni_trusted_dirs(spec->cni_plugin_dirs, &trusted, &problems);
	if (r < 0)
		return err_set(err, r, "checking the directories of CNI plugins: %s", strerror(-r));
	warn_of_untrusted(getenv("CNI_PATH"));
	strv_free(spec->cni_plugin_dirs);
	spec->cni_plugin_dirs = take_ptr(trusted);
	return 0;
}

/* The record as text, read once more the way that podd will read it: its size has a limit. */
static int record_text(const struct pod_spec *spec, char **ret, size_t *ret_length, struct err *err)
{
	autoptr(json) document = pod_spec_to_json(spec);
	autoptr(json) again = NULL;
	autofree char *text = NULL;
	size_t length;
	int r;

	r = json_write(document, true, &text, &length);
	if (r < 0)
		return err_set(err, r, "writing %s: %s", RECORD_POD, strerror(-r));
	r = json_parse(RECORD_POD, text, length, &again, err);
	if (r < 0)
		return err_wrap(err, r, "the pod's labels are too long");
	*ret = take_ptr(text);
	*ret_length = length;
	return 0;
}

/* The tree of records has room for pods in pods; the supervisor does not connect them yet. */
static int refuse_nested(const char *path, struct err *err)
{
	int r = name_check_path(path, err);

	if (r == 0 && name_depth(path) > 1)
		return err_set(err, -EOPNOTSUPP,
			"pod '%s': this version makes no pod inside another; give it a name without '/'",
			path);
	return r;
}

static int make_pod(const struct ctl *ctl, const struct pod_spec *spec, struct err *err)
{
	autofree char *text = NULL;
	autoclose int rootfd = -1;
	autoclose int podfd = -1;
	size_t length = 0;
	int r;

	r = record_text(spec, &text, &length, err);
	if (r == 0)
		r = hierarchy_open_root(ctl->root, true, &rootfd, err);
	if (r == 0)
		r = refuse_nested(spec->path, err);
	if (r == 0)
		r = hierarchy_make_pod(rootfd, spec->path, &podfd, err);
	if (r < 0)
		return r;
	r = file_write(podfd, RECORD_POD, text, length, 0600, err);
	if (r < 0)
		hierarchy_remove_pod(rootfd, spec->path, NULL);
	return r;
}

static int create_pod(const struct ctl *ctl, const char *path, const struct create_options *options)
{
	struct ctl_report report;
	struct pod_spec spec;
	struct err err = {};
	bool json;
	int r;

	if (ctl_format_is_json(options->format, &json) < 0)
		return ctl_usage_error(&verb_create, "--format must be json or table");
	r = pod_spec_init(&spec, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	if (apply_options(&spec, options, &err) < 0) {
		pod_spec_done(&spec);
		return ctl_usage_error(&verb_create, "%s", err.msg);
	}
	ctl_report_begin(&report, json);
	r = name_check_path(path, &err);
	if (r == 0)
		r = text_copy(spec.path, sizeof(spec.path), path);
	if (r == 0)
		r = keep_trusted_dirs(&spec, &err);
	if (r == 0)
		r = make_pod(ctl, &spec, &err);
	ctl_report_add(&report, path, r, &err, CTL_FAILED);
	pod_spec_done(&spec);
	return ctl_report_end(&report);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(create_options_done)
	struct create_options values = {.mtu = POD_MTU_DEFAULT};
	const struct option options[] = {
		{.name = "net", .argument = "slirp|none|host", .text = &values.net,
			.help = "the pod's way out (default: slirp)"},
		{.name = "host-loopback", .flag = &values.host_loopback,
			.help = "let the gateway's address reach the host's loopback"},
		{.name = "mtu", .argument = "N", .number = &values.mtu, .min = POD_MTU_MIN,
			.max = POD_MTU_MAX, .help = "of the pod's interface (default: 65520)"},
		{.name = "cidr", .argument = "A.B.C.D/N", .text = &values.cidr,
			.help = "the pod's IPv4 network (default: 10.0.2.0/24)"},
		{.name = "no-ipv6", .flag = &values.no_ipv6, .help = "IPv4 only"},
		{.name = "uidmap", .argument = "CONTAINER:HOST:SIZE", .list = &values.uidmap,
			.help = "map these user ids (repeatable; default: all of /etc/subuid)"},
		{.name = "gidmap", .argument = "CONTAINER:HOST:SIZE", .list = &values.gidmap,
			.help = "map these group ids (repeatable)"},
		{.name = "label", .letter = 'l', .argument = "KEY=VALUE", .list = &values.labels,
			.help = "attach a label (repeatable)"},
		OPTION_FORMAT(&values.format), {}};
	size_t n;
	int status = options_parse(&verb_create, options, argc, argv, &n);

	return status >= 0 ? status : create_pod(ctl, argv[0], &values);
}

const struct ctl_verb verb_create = {
	.name = "create",
	.operands = "POD",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Create a pod and print its path",
	.details = "POD is a name without '/': this version makes no pod inside another one. The\n"
		   "pod is not started. CNI configurations and plugins are looked up in the\n"
		   "directories that $XDG_CONFIG_HOME and $CNI_PATH name now.",
	.example = "podctl create --label team=red net0",
	.run = run,
};
