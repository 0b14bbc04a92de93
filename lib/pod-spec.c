/* SPDX-License-Identifier: GPL-2.0-or-later */

/* pod.json: what a pod shall be. Written once, when it is created; see record.h. */

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cidr.h"
#include "cni.h"
#include "egress.h"
#include "publish.h"
#include "record-internal.h"
#include "stage.h"
#include "text.h"

#define DIRECTORIES_MAX 32
#define CIDR_PREFIX_MIN 8
/* The pod's own address is the 100th of the network. */
#define CIDR_PREFIX_MAX 25
/* 10.88.0.0/13: the bridges of CNI_NETWORK_DEFAULT, of pods in pods, too. */
#define BUILT_IN_NETWORK 0x0a580000U
#define BUILT_IN_MASK 0xfff80000U

static const char *const net_names[] = {
	[POD_NET_SLIRP] = "slirp",
	[POD_NET_NONE] = "none",
	[POD_NET_HOST] = "host",
	[POD_NET_CNI] = "cni",
};

const char *pod_net_name(enum pod_net net)
{
	return net_names[net];
}

int pod_net_from_name(const char *name, enum pod_net *ret)
{
	int r = record_find_name(net_names, sizeof(net_names) / sizeof(net_names[0]), name);

	if (r < 0)
		return r;
	*ret = (enum pod_net)r;
	return 0;
}

static const char *const path_names[] = {
	[POD_PATH_AUTO] = "auto",
	[POD_PATH_LIBSLIRP] = "libslirp",
};

const char *pod_path_name(enum pod_path path)
{
	return path_names[path];
}

int pod_path_from_name(const char *name, enum pod_path *ret)
{
	for (size_t i = 0; i < sizeof(path_names) / sizeof(*path_names); i++) {
		if (text_equal(path_names[i], name)) {
			*ret = (enum pod_path)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const char *const restart_names[] = {
	[POD_RESTART_NO] = "no",
	[POD_RESTART_ON_FAILURE] = "on-failure",
	[POD_RESTART_ALWAYS] = "always",
};

const char *pod_restart_name(enum pod_restart restart)
{
	return restart_names[restart];
}

int pod_restart_from_name(const char *name, enum pod_restart *ret)
{
	int r = record_find_name(
		restart_names, sizeof(restart_names) / sizeof(restart_names[0]), name);

	if (r < 0)
		return r;
	*ret = (enum pod_restart)r;
	return 0;
}

int pod_spec_set_cidr(struct pod_spec *spec, const char *text, struct err *err)
{
	struct in_addr network;
	uint32_t prefix, mask;
	struct cidr cidr;

	if (cidr_parse(text, &cidr) < 0 || cidr.family != AF_INET)
		return err_set(err, -EINVAL, "'%s' is not an IPv4 network such as 10.0.2.0/24",
			text);
	network = cidr.in;
	prefix = cidr.prefix;
	if (prefix < CIDR_PREFIX_MIN || prefix > CIDR_PREFIX_MAX)
		return err_set(err, -EINVAL, "network '%s': the prefix must be from %d to %d", text,
			CIDR_PREFIX_MIN, CIDR_PREFIX_MAX);
	mask = UINT32_MAX << (32 - prefix);
	if (ntohl(network.s_addr) & ~mask)
		return err_set(err, -EINVAL, "network '%s': the address has bits beyond its prefix",
			text);
	/* ipv4 unicast, not "this network", loopback or multicast (RFC 6890) */
	if (ntohl(network.s_addr) >> 24 == 0 || ntohl(network.s_addr) >> 24 == 127 ||
		ntohl(network.s_addr) >> 28 >= 14)
		return err_set(err, -EINVAL, "network '%s' cannot be used for hosts", text);
	if ((ntohl(network.s_addr) & BUILT_IN_MASK & mask) ==
		(BUILT_IN_NETWORK & mask & BUILT_IN_MASK))
		return err_set(err, -EINVAL,
			"network '%s' overlaps 10.88.0.0/13, which the built-in network has", text);
	spec->net4 = network;
	spec->prefix4 = prefix;
	return 0;
}

int pod_spec_init(struct pod_spec *spec, struct err *err)
{
	memset(spec, 0, sizeof(*spec));
	record_time_now(spec->created);
	spec->net = POD_NET_SLIRP;
	spec->ipv6 = true;
	spec->mtu = POD_MTU_DEFAULT;
	spec->net4.s_addr = htonl(0x0a000200);
	spec->prefix4 = 24;
	spec->shm_size = POD_SHM_SIZE_DEFAULT;
	spec->labels = json_new_object();
	if (!spec->labels || cni_default_config_dirs(&spec->cni_config_dirs) < 0 ||
		cni_default_plugin_dirs(&spec->cni_plugin_dirs) < 0) {
		pod_spec_done(spec);
		return err_oom(err);
	}
	return 0;
}

bool pod_spec_is_nested(const struct pod_spec *spec)
{
	return name_depth(spec->path) > 1;
}

bool pod_spec_can_publish(const struct pod_spec *spec)
{
	return spec->net == POD_NET_SLIRP || (spec->net == POD_NET_CNI && pod_spec_is_nested(spec));
}

void pod_spec_builtin(const struct pod_spec *spec, struct cni_builtin *ret)
{
	*ret = (struct cni_builtin){
		.mtu = spec->mtu, .ipv6 = spec->ipv6, .level = (int)name_depth(spec->path) - 1};
}

int pod_spec_set_cni(struct pod_spec *spec, const char *network, struct err *err)
{
	char *copy = strdup(network ? network : CNI_NETWORK_DEFAULT);

	if (!copy)
		return err_oom(err);
	free(spec->uplink_network);
	spec->uplink_network = copy;
	spec->net = POD_NET_CNI;
	return 0;
}

void pod_spec_done(struct pod_spec *spec)
{
	free(spec->uplink_network);
	json_free(spec->labels);
	strv_free(spec->cni_config_dirs);
	strv_free(spec->cni_plugin_dirs);
	strv_free(spec->publish);
	strv_free(spec->egress);
	strv_free(spec->stages);
	free(spec->root);
	free(spec->host_at);
	memset(spec, 0, sizeof(*spec));
}

struct json *pod_spec_to_json(const struct pod_spec *spec)
{
	struct json *document = record_new();
	char address[INET_ADDRSTRLEN], cidr[INET_ADDRSTRLEN + 4];

	inet_ntop(AF_INET, &spec->net4, address, sizeof(address));
	snprintf(cidr, sizeof(cidr), "%s/%u", address, spec->prefix4);
	json_set_string(document, "path", spec->path);
	json_set_string(document, "created", spec->created);
	json_set_string(document, "net", pod_net_name(spec->net));
	if (spec->uplink_network)
		json_set_string(document, "uplinkNetwork", spec->uplink_network);
	json_set_string(document, "uplinkPath", pod_path_name(spec->uplink_path));
	json_set_bool(document, "hostLoopback", spec->host_loopback);
	json_set_bool(document, "ipv6", spec->ipv6);
	json_set_int(document, "mtu", spec->mtu);
	json_set_string(document, "cidr", cidr);
	if (spec->uids.n > 0)
		json_set(document, "uidMappings", idmap_to_json(&spec->uids));
	if (spec->gids.n > 0)
		json_set(document, "gidMappings", idmap_to_json(&spec->gids));
	json_set_int(document, "shmSize", (int64_t)spec->shm_size);
	json_set_bool(document, "autoRemove", spec->auto_remove);
	json_set_string(document, "restart", pod_restart_name(spec->restart));
	json_set(document, "labels", json_copy(spec->labels));
	json_set_strv(document, "cniConfigDirs", spec->cni_config_dirs);
	json_set_strv(document, "cniPluginDirs", spec->cni_plugin_dirs);
	if (spec->publish)
		json_set_strv(document, "publish", spec->publish);
	if (spec->egress)
		json_set_strv(document, "egress", spec->egress);
	if (spec->stages)
		json_set_strv(document, "stages", spec->stages);
	if (spec->root)
		json_set_string(document, "root", spec->root);
	if (spec->host_at)
		json_set_string(document, "hostAt", spec->host_at);
	return document;
}

static int read_uplink_network(const struct json *document, struct pod_spec *spec, struct err *err)
{
	const char *name = NULL;
	int r = json_read_string(document, "uplinkNetwork", spec->net == POD_NET_CNI, &name, err);

	if (r < 0 || spec->net != POD_NET_CNI)
		return r;
	r = cni_check_network_name(name, err);
	return r == 0 ? pod_spec_set_cni(spec, name, err) : r;
}

static int read_network(const struct json *document, struct pod_spec *spec, struct err *err)
{
	const char *net = NULL, *cidr = NULL, *path = "auto";
	int64_t mtu;
	int r;

	r = json_read_string(document, "net", true, &net, err);
	if (r == 0 && pod_net_from_name(net, &spec->net) < 0)
		r = err_set(err, -EINVAL, "'net' must be slirp, none, host or cni");
	if (r == 0)
		r = read_uplink_network(document, spec, err);
	if (r == 0)
		r = json_read_string(document, "uplinkPath", false, &path, err);
	if (r == 0 && pod_path_from_name(path, &spec->uplink_path) < 0)
		r = err_set(err, -EINVAL, "'uplinkPath' must be auto or libslirp");
	if (r == 0)
		r = json_read_bool(document, "hostLoopback", true, &spec->host_loopback, err);
	if (r == 0)
		r = json_read_bool(document, "ipv6", true, &spec->ipv6, err);
	if (r == 0)
		r = json_read_int(document, "mtu", true, POD_MTU_MIN, POD_MTU_MAX, &mtu, err);
	if (r == 0)
		r = json_read_string(document, "cidr", true, &cidr, err);
	if (r == 0)
		r = pod_spec_set_cidr(spec, cidr, err);
	if (r < 0)
		return r;
	spec->mtu = (unsigned)mtu;
	return 0;
}

/* Records of pods that were made before there were these do not have them. */
static int read_container_settings(const struct json *document, struct pod_spec *spec,
	struct err *err)
{
	int64_t size = (int64_t)POD_SHM_SIZE_DEFAULT;
	const char *restart = "no";
	int r;

	r = json_read_int(document, "shmSize", false, 1, INT64_MAX, &size, err);
	if (r == 0)
		r = json_read_bool(document, "autoRemove", false, &spec->auto_remove, err);
	if (r == 0)
		r = json_read_string(document, "restart", false, &restart, err);
	if (r == 0 && pod_restart_from_name(restart, &spec->restart) < 0)
		r = err_set(err, -EINVAL, "'restart' must be no, on-failure or always");
	if (r < 0)
		return r;
	spec->shm_size = (uint64_t)size;
	return 0;
}

int pod_spec_check_traffic(char *const *publish, char *const *egress, struct err *err)
{
	struct egress_rule rules[EGRESS_RULES_MAX];
	size_t n = 0, total = 0;
	struct publish port;
	int r = 0;

	if (strv_length(publish) > RECORD_PUBLISH_MAX)
		return err_set(err, -EINVAL, "more than %d ports to publish", RECORD_PUBLISH_MAX);
	for (size_t i = 0; r == 0 && publish && publish[i]; i++)
		r = publish_parse(publish[i], &port, err);
	for (size_t i = 0; r == 0 && egress && egress[i]; i++) {
		r = egress_parse(egress[i], rules, EGRESS_RULES_MAX, &n, err);
		total += n;
		if (r == 0 && total > EGRESS_RULES_MAX)
			r = err_set(err, -EINVAL, "more than %d egress rules", EGRESS_RULES_MAX);
	}
	return r == -E2BIG ? -EINVAL : r;
}

static int read_traffic(const struct json *document, struct pod_spec *spec, struct err *err)
{
	int r;

	r = record_read_strv(document, "publish", false, RECORD_PUBLISH_MAX, &spec->publish, err);
	if (r == 0)
		r = record_read_strv(
			document, "egress", false, EGRESS_RULES_MAX, &spec->egress, err);
	if (r < 0)
		return r;
	r = pod_spec_check_traffic(spec->publish, NULL, err);
	if (r < 0)
		return err_wrap(err, r, "'publish'");
	r = pod_spec_check_traffic(NULL, spec->egress, err);
	return r < 0 ? err_wrap(err, r, "'egress'") : 0;
}

static int check_absolute(char *const *dirs, const char *key, struct err *err)
{
	for (size_t i = 0; dirs && dirs[i]; i++)
		if (dirs[i][0] != '/')
			return err_set(err, -EINVAL, "'%s': '%s' is not an absolute path", key,
				dirs[i]);
	return 0;
}

static int check_tree(const char *path, const char *key, struct err *err)
{
	if (path && (path[0] != '/' || strlen(path) >= PATH_MAX || strstr(path, "/../")))
		return err_set(err, -EINVAL, "'%s' is not an absolute path", key);
	return 0;
}

static int read_trees(const struct json *document, struct pod_spec *spec, struct err *err)
{
	int r;

	r = record_read_strv(document, "stages", false, STAGE_MAX, &spec->stages, err);
	if (r == 0)
		r = record_read_string(document, "root", false, &spec->root, err);
	if (r == 0)
		r = record_read_string(document, "hostAt", false, &spec->host_at, err);
	for (size_t i = 0; r == 0 && spec->stages && spec->stages[i]; i++)
		r = check_tree(spec->stages[i], "stages", err);
	if (r == 0)
		r = check_tree(spec->root, "root", err);
	if (r == 0)
		r = check_tree(spec->host_at, "hostAt", err);
	if (r == 0 && spec->host_at && !spec->root)
		r = err_set(err, -EINVAL, "'hostAt' needs 'root'");
	return r;
}

static int read_document(const struct json *document, struct pod_spec *spec, struct err *err)
{
	int r;

	r = record_read_name(
		document, "path", name_check_path, spec->path, sizeof(spec->path), err);
	if (r == 0)
		r = record_read_text(document, "created", true, spec->created,
			sizeof(spec->created), err);
	if (r == 0)
		r = read_network(document, spec, err);
	if (r == 0)
		r = record_read_idmap(document, "uidMappings", &spec->uids, err);
	if (r == 0)
		r = record_read_idmap(document, "gidMappings", &spec->gids, err);
	if (r == 0)
		r = read_container_settings(document, spec, err);
	if (r == 0)
		r = record_read_labels(document, "labels", "label", &spec->labels, err);
	if (r == 0)
		r = record_read_strv(document, "cniConfigDirs", true, DIRECTORIES_MAX,
			&spec->cni_config_dirs, err);
	if (r == 0)
		r = record_read_strv(document, "cniPluginDirs", true, DIRECTORIES_MAX,
			&spec->cni_plugin_dirs, err);
	if (r == 0)
		r = check_absolute(spec->cni_config_dirs, "cniConfigDirs", err);
	if (r == 0)
		r = check_absolute(spec->cni_plugin_dirs, "cniPluginDirs", err);
	if (r == 0)
		r = read_traffic(document, spec, err);
	if (r == 0)
		r = read_trees(document, spec, err);
	return r;
}

int pod_spec_load(int podfd, struct pod_spec *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct pod_spec spec = {};
	int r;

	r = record_load(podfd, RECORD_POD, &document, err);
	if (r < 0)
		return r;
	r = read_document(document, &spec, err);
	if (r < 0) {
		pod_spec_done(&spec);
		return err_wrap(err, r, "%s", RECORD_POD);
	}
	*ret = spec;
	return 0;
}

struct in_addr pod_address4(const struct pod_spec *spec, unsigned host)
{
	return (struct in_addr){htonl(ntohl(spec->net4.s_addr) + host)};
}

/* fd00::/64, as libslirp has it by default. The host part is written in hexadecimal with the
 * digits of the IPv4 one: fd00::100 beside 10.0.2.100. */
struct in6_addr pod_address6(unsigned host)
{
	struct in6_addr address = {.s6_addr = {0xfd}};

	address.s6_addr[14] = (uint8_t)(host / 100);
	address.s6_addr[15] = (uint8_t)(host / 10 % 10 << 4 | host % 10);
	return address;
}
