/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl create: makes a pod, or with --rootfs or --bundle a container in one. Nothing is left when
 * any of it fails.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni.h"
#include "quantity.h"
#include "record.h"
#include "text.h"

#include "create.h"
#include "make.h"
#include "options.h"
#include "pod.h"
#include "trees.h"
#include "verbs.h"

struct create_options {
	const char *net;
	const char *uplink;
	const char *cidr;
	const char *format;
	const char *shm_size;
	const char *uplink_path;
	const char *restart;
	uint32_t mtu;
	bool host_loopback;
	bool no_ipv6;
	char **uidmap;
	char **gidmap;
	char **labels;
	char **publish;
	char **egress;
	char **stages;
	const char *root;
	const char *host_at;
};

int create_options_new(struct create_options **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->mtu = POD_MTU_DEFAULT;
	return 0;
}

void create_options_free(struct create_options *options)
{
	if (!options)
		return;
	strv_free(options->uidmap);
	strv_free(options->gidmap);
	strv_free(options->labels);
	strv_free(options->publish);
	strv_free(options->egress);
	strv_free(options->stages);
	free(options);
}

/* "slirp" or "cni:NETWORK". */
static int set_uplink(struct pod_spec *spec, const char *text, struct err *err)
{
	static const char prefix[] = "cni:";
	int r;

	if (strcmp(text, pod_net_name(POD_NET_SLIRP)) == 0)
		return 0;
	if (!text_starts_with(text, prefix))
		return err_set(
			err, -EINVAL, "--uplink must be slirp or cni:NETWORK, not \"%s\"", text);
	r = cni_check_network_name(text + strlen(prefix), err);
	if (r < 0)
		return err_wrap(err, r, "--uplink");
	return pod_spec_set_cni(spec, text + strlen(prefix), err);
}

/* A pod in a pod goes out by a network of the one around it, unless it has no way out. */
static int set_way_out(struct pod_spec *spec, const struct create_options *options, struct err *err)
{
	bool nested = name_depth(spec->path) > 1;
	int r = 0;

	if (options->net && (pod_net_from_name(options->net, &spec->net) < 0 ||
				    spec->net == POD_NET_CNI))
		return err_set(err, -EINVAL, "--net must be slirp, none or host, not \"%s\"",
			options->net);
	if (options->uplink && spec->net != POD_NET_SLIRP)
		return err_set(err, -EINVAL, "--uplink goes without --net %s", options->net);
	if (options->uplink)
		r = set_uplink(spec, options->uplink, err);
	else if (nested && !options->net)
		r = pod_spec_set_cni(spec, NULL, err);
	if (r < 0)
		return r;
	if (nested && spec->net != POD_NET_CNI && spec->net != POD_NET_NONE)
		return err_set(err, -EINVAL,
			"a pod in another pod has its way out through that: --uplink cni:NETWORK "
			"names one "
			"of its networks (default: " CNI_NETWORK_DEFAULT
			"), --net none leaves it without");
	if (!nested && spec->net == POD_NET_CNI && geteuid() != 0)
		return err_set(err, -EINVAL,
			"--uplink cni:%s attaches the pod to a network of the host, which only "
			"root may do; "
			"without root the way out is slirp",
			spec->uplink_network);
	return 0;
}

static int set_network(struct pod_spec *spec, const struct create_options *options, struct err *err)
{
	int r = set_way_out(spec, options, err);

	if (r < 0)
		return r;
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
	if (name_depth(spec->path) > 1)
		return err_set(err, -EINVAL,
			"--%s: a pod in another pod has the ids of that one",
			options->uidmap ? "uidmap" : "gidmap");
	r = set_map(&spec->uids, uidmap, options->uidmap ? "--uidmap" : "--gidmap", err);
	if (r == 0)
		r = set_map(&spec->gids, gidmap, options->gidmap ? "--gidmap" : "--uidmap", err);
	if (r == 0)
		r = idmap_include_self(&spec->uids, IDMAP_UID, err);
	if (r == 0)
		r = idmap_include_self(&spec->gids, IDMAP_GID, err);
	return r;
}

static int set_shm_size(struct pod_spec *spec, const char *text, struct err *err)
{
	if (!text)
		return 0;
	if (quantity_parse_bytes(text, &spec->shm_size) < 0 || spec->shm_size == 0)
		return err_set(
			err, -EINVAL, "--shm-size must be a size like 64m, not \"%s\"", text);
	return 0;
}

/* What goes through podd-uplink. */
static int set_traffic(struct pod_spec *spec, const struct create_options *options, struct err *err)
{
	int r;

	if (options->publish && spec->net != POD_NET_SLIRP && spec->net != POD_NET_CNI)
		return err_set(err, -EINVAL, "--publish needs a way out of the pod, not --net %s",
			pod_net_name(spec->net));
	if (options->egress && name_depth(spec->path) > 1 && spec->net == POD_NET_CNI)
		return err_set(err, -EINVAL,
			"--egress: what a pod in a pod sends is ruled by the one around it (podctl egress "
			"add %s RULE, once it is there)",
			spec->path);
	if (options->egress && spec->net != POD_NET_SLIRP)
		return err_set(err, -EINVAL, "--egress needs --net slirp");
	r = pod_spec_check_traffic(options->publish, NULL, err);
	if (r < 0)
		return err_wrap(err, r, "--publish");
	r = pod_spec_check_traffic(NULL, options->egress, err);
	if (r < 0)
		return err_wrap(err, r, "--egress");
	if (options->publish && !(spec->publish = strv_copy(options->publish)))
		return err_oom(err);
	if (options->egress && !(spec->egress = strv_copy(options->egress)))
		return err_oom(err);
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
	if (r == 0)
		r = set_shm_size(spec, options->shm_size, err);
	if (r == 0)
		r = set_traffic(spec, options, err);
	if (r == 0)
		r = trees_take(spec, options->stages, options->root, options->host_at, err);
	if (r == 0 && options->uplink_path &&
		pod_path_from_name(options->uplink_path, &spec->uplink_path) < 0)
		r = err_set(err, -EINVAL, "--uplink-path must be auto or libslirp, not \"%s\"",
			options->uplink_path);
	if (r == 0 && options->restart &&
		pod_restart_from_name(options->restart, &spec->restart) < 0)
		r = err_set(err, -EINVAL, "--restart must be no, on-failure or always, not \"%s\"",
			options->restart);
	return r < 0 ? r : make_add_pairs(spec->labels, options->labels, "--label", err);
}

int create_read_spec(const struct create_options *options, const char *path, struct pod_spec *ret,
	struct err *err)
{
	struct pod_spec spec;
	int r = name_check_path(path, err);

	if (r == 0)
		r = pod_spec_init(&spec, err);
	if (r < 0)
		return r;
	text_copy(spec.path, sizeof(spec.path), path);
	r = apply_options(&spec, options, err);
	if (r < 0)
		pod_spec_done(&spec);
	else
		*ret = spec;
	return r;
}

static int create_pod(const struct ctl *ctl, const char *path, const struct create_options *options)
{
	struct ctl_report report;
	struct pod_spec spec = {};
	struct err err = {};
	bool json;
	int r;

	if (ctl_format_is_json(options->format, &json) < 0)
		return ctl_usage_error(&verb_create, "--format must be json or table");
	r = name_check_path(path, &err);
	if (r == 0 && create_read_spec(options, path, &spec, &err) < 0)
		return ctl_usage_error(&verb_create, "%s", err.msg);
	ctl_report_begin(&report, json);
	if (r == 0)
		r = trees_check(ctl, &spec, &err);
	if (r == 0)
		r = pod_make(ctl, &spec, &err);
	ctl_report_add(&report, path, r, &err, CTL_FAILED);
	pod_spec_done(&spec);
	return ctl_report_end(&report);
}

void create_options_table(struct create_options *values, struct option *table, size_t *n)
{
	const struct option options[] = {
		{.name = "net", .argument = "slirp|none|host", .text = &values->net,
			.help = "the pod's way out (default: slirp)"},
		{.name = "uplink", .argument = "slirp|cni:NETWORK", .text = &values->uplink,
			.help = "go out by a CNI network: of the pod around this one, or as root the host"},
		{.name = "host-loopback", .flag = &values->host_loopback,
			.help = "let the gateway's address reach the host's loopback"},
		{.name = "mtu", .argument = "N", .number = &values->mtu, .min = POD_MTU_MIN,
			.max = POD_MTU_MAX, .help = "of the pod's tap and its built-in network (default: 65520)"},
		{.name = "cidr", .argument = "A.B.C.D/N", .text = &values->cidr,
			.help = "the pod's IPv4 network (default: 10.0.2.0/24)"},
		{.name = "no-ipv6", .flag = &values->no_ipv6, .help = "IPv4 only"},
		{.name = "uidmap", .argument = "CONTAINER:HOST:SIZE", .list = &values->uidmap,
			.help = "map these user ids (repeatable; default: all of /etc/subuid)"},
		{.name = "gidmap", .argument = "CONTAINER:HOST:SIZE", .list = &values->gidmap,
			.help = "map these group ids (repeatable)"},
		{.name = "uplink-path", .argument = "PATH", .text = &values->uplink_path,
			.help = "how TCP leaves the pod: auto (the fastest that works here), libslirp"},
		{.name = "restart", .argument = "POLICY", .text = &values->restart,
			.help = "when the pod's own process is killed: no, on-failure, always"},
		{.name = "shm-size", .argument = "SIZE", .text = &values->shm_size,
			.help = "of the /dev/shm that its containers share (default: 64m)"},
		{.name = "publish", .letter = 'p', .argument = "SPEC", .list = &values->publish,
			.help = "publish a port of the pod's own network (repeatable)"},
		{.name = "egress", .argument = "RULE", .list = &values->egress,
			.help = "where the pod may send to: deny to 10.0.0.0/8 (repeatable)"},
		{.name = "stage", .argument = "DIR", .list = &values->stages,
			.help = "show DIR's files over the pod's file system (repeatable)"},
		{.name = "root", .argument = "DIR", .text = &values->root,
			.help = "the pod's file system is DIR, not the host's"},
		{.name = "host-at", .argument = "PATH", .text = &values->host_at,
			.help = "with --root: where it shows the host's"},
		{.name = "label", .letter = 'l', .argument = "KEY=VALUE", .list = &values->labels,
			.help = "attach a label (repeatable)"},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		table[(*n)++] = options[i];
}

static int parse_pod(struct create_options *values, int argc, char **argv)
{
	/* For --help: with one of the first two, it is create_container() that parses. */
	const char *of_container = NULL;
	const struct option own[] = {
		{.name = "rootfs", .argument = "DIR[:O]", .text = &of_container,
			.help = "make a container; its options are those of 'podctl run'"},
		{.name = "bundle", .argument = "DIR", .text = &of_container,
			.help = "the same"},
		OPTION_FORMAT(&values->format), {}};
	struct option options[CREATE_OPTIONS_MAX + sizeof(own) / sizeof(own[0])];
	size_t n = 0;

	create_options_table(values, options, &n);
	memcpy(options + n, own, sizeof(own));
	return options_parse(&verb_create, options, argc, argv, &n);
}

/* ---- a container ---- */

static const struct ctl_verb verb_create_container = {
	.name = "create",
	.operands = "[CONTAINER] [COMMAND [ARGUMENT...]]",
	.operands_max = SIZE_MAX,
	.command_follows = true,
	.passes_status = true,
	.summary = "Make a container in a pod, and print its path",
	.details = "CONTAINER is its path (POD/NAME), unless --name says it: then the command begins\n"
		   "there. A pod that is not there is made, and removed with its last container.\n"
		   "Nothing is started.",
	.example = "podctl create net0/web --rootfs /srv/debian -- nginx -g 'daemon off;'",
};

/* The options are those of one or the other; which, must be known before they are parsed. */
static bool wants_container(int argc, char *const *argv)
{
	static const char *const names[] = {"--rootfs", "--bundle"};

	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t length = strcspn(argv[i], "=");

		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			if (length == strlen(names[j]) && strncmp(argv[i], names[j], length) == 0)
				return true;
	}
	return false;
}

static int make_in_place(const struct ctl *ctl, const struct container_options *values,
	char *const *command, const struct pod_place *place, struct err *err)
{
	bool made_pod = false;
	int r;

	r = pod_provide(ctl, place, &made_pod, err);
	if (r == 0)
		r = make_container(ctl, place->pod, place->name, values, command, err);
	if (r < 0 && made_pod)
		pod_take_back(ctl, place->pod);
	return r;
}

static int parse_container(struct container_options *values, const char **format, int argc,
	char **argv, size_t *ret_operands)
{
	const struct option own[] = {OPTION_FORMAT(format), {}};
	struct option options[CONTAINER_OPTIONS_MAX + sizeof(own) / sizeof(own[0])];
	size_t n = 0;

	container_options_table(values, options, &n);
	for (size_t i = 0; i < n; i++)
		options[i].stands_for_operand =
			strcmp(options[i].name, "name") == 0 || strcmp(options[i].name, "pod") == 0;
	memcpy(options + n, own, sizeof(own));
	return options_parse(&verb_create_container, options, argc, argv, ret_operands);
}

static int create_container(const struct ctl *ctl, int argc, char **argv)
{
	autoptr(container_options) values = NULL;
	struct container_request request;
	struct ctl_report report;
	struct pod_place place;
	const char *format = NULL;
	struct err err = {};
	bool has_operand, json;
	size_t n = 0;
	int status;
	int r;

	r = container_options_new(&values);
	if (r < 0)
		return ctl_fail(r, &err);
	status = parse_container(values, &format, argc, argv, &n);
	if (status >= 0)
		return status;
	if (ctl_format_is_json(format, &json) < 0)
		return ctl_usage_error(&verb_create_container, "--format must be json or table");
	request = container_options_request(values);
	has_operand = n > 0 && !request.name && !request.pod;
	r = pod_place(has_operand ? argv[0] : request.name, request.pod, &place, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	ctl_report_begin(&report, json);
	r = make_in_place(ctl, values, argv + has_operand, &place, &err);
	ctl_report_add(&report, place.path, r, &err, CTL_FAILED);
	return ctl_report_end(&report);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	autoptr(create_options) values = NULL;
	int status;

	if (wants_container(argc, argv))
		return create_container(ctl, argc, argv);
	if (create_options_new(&values) < 0) {
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	status = parse_pod(values, argc, argv);
	return status >= 0 ? status : create_pod(ctl, argv[0], values);
}

const struct ctl_verb verb_create = {
	.name = "create",
	.operands = "POD",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Create a pod, or a container in one, and print its path",
	.details = "POD is a name, or for a pod in another one the path of that, a '/', and a name. The\n"
		   "pod is not started. CNI configurations and plugins are looked up in the\n"
		   "directories that $XDG_CONFIG_HOME and $CNI_PATH name now. With --rootfs or\n"
		   "--bundle a container is made (see podctl create --rootfs DIR --help).",
	.example = "podctl create --label team=red net0",
	.run = run,
};
