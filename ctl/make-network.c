/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A container's network, ports, host name, and what else it shares with its pod. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni.h"
#include "oci.h"
#include "publish.h"
#include "quantity.h"
#include "text.h"

#include "make-internal.h"

/* ---- networks ---- */

static int check_cni_network(const struct making *making, const char *text)
{
	autoptr(cni_config) config = NULL;
	struct cni_builtin builtin;
	struct oci_network network;
	int r;

	pod_spec_builtin(&making->pod, &builtin);
	r = oci_network_parse(text, &network, making->err);
	if (r < 0)
		return err_wrap(making->err, r, "--network");
	r = cni_config_find(
		making->pod.cni_config_dirs, network.name, &builtin, &config, making->err);
	oci_network_done(&network);
	return r;
}

static int add_cni_network(struct making *making, const char *text)
{
	struct container_spec *spec = &making->spec;
	int r;

	if (making->pod.net == POD_NET_HOST)
		return err_set(making->err, -EINVAL,
			"pod %s uses the host's network (--net host), where no CNI network can be made",
			spec->pod);
	if (strv_length(spec->networks) >= RECORD_NETWORKS_MAX)
		return err_set(making->err, -EINVAL, "--network may be given at most %d times",
			RECORD_NETWORKS_MAX);
	r = check_cni_network(making, text);
	if (r < 0)
		return r;
	spec->net = CONTAINER_NET_CNI;
	return strv_add(&spec->networks, text) < 0 ? err_oom(making->err) : 0;
}

/* The words for what is no CNI network: they stand alone. */
static int read_networks(struct making *making)
{
	char *const *networks = making->options->networks;
	int r = 0;

	making->spec.net = CONTAINER_NET_POD;
	for (size_t i = 0; r == 0 && networks && networks[i]; i++) {
		enum container_net net;
		bool is_word = container_net_from_name(networks[i], &net) == 0 &&
			       net != CONTAINER_NET_CNI;

		if (is_word && strv_length(networks) > 1)
			return err_set(making->err, -EINVAL,
				"--network %s goes with no other --network", networks[i]);
		if (is_word)
			making->spec.net = net;
		else
			r = add_cni_network(making, networks[i]);
	}
	return r;
}

static int read_publish(struct making *making)
{
	char *const *publish = making->options->publish;
	struct container_spec *spec = &making->spec;

	if (strv_length(publish) > RECORD_PUBLISH_MAX)
		return err_set(making->err, -EINVAL, "--publish may be given at most %d times",
			RECORD_PUBLISH_MAX);
	for (size_t i = 0; publish && publish[i]; i++) {
		struct publish checked;
		int r = publish_parse(publish[i], &checked, making->err);

		if (r < 0)
			return err_wrap(making->err, r, "--publish");
	}
	if (publish && (spec->net == CONTAINER_NET_NONE || spec->net == CONTAINER_NET_HOST)) {
		ctl_warning("--publish has no effect with --network %s",
			container_net_name(spec->net));
		return 0;
	}
	if (publish && spec->net == CONTAINER_NET_POD && !pod_spec_can_publish(&making->pod))
		ctl_warning("--publish has no effect in a pod with --net %s",
			pod_net_name(making->pod.net));
	if (publish)
		spec->publish = strv_copy(publish);
	return publish && !spec->publish ? err_oom(making->err) : 0;
}

/* Rules that would not hold must not seem to. */
static int check_egress_network(const struct making *making)
{
	const struct container_spec *spec = &making->spec;

	switch (spec->net) {
	case CONTAINER_NET_CNI:
		break;
	case CONTAINER_NET_POD:
		return err_set(making->err, -EINVAL,
			"--egress needs a CNI network (--network): the container shares the pod's "
			"network, so the pod's rules hold for it (podctl egress add %s RULE)",
			spec->pod);
	default:
		return err_set(making->err, -EINVAL,
			"--egress needs a CNI network: nothing leaves by the pod with --network %s",
			container_net_name(spec->net));
	}
	if (pod_spec_is_nested(&making->pod) && making->pod.net == POD_NET_CNI)
		return err_set(making->err, -EINVAL,
			"--egress: what a pod in a pod sends is ruled by the one around it, for "
			"all that is "
			"in it (podctl egress add %s RULE)",
			spec->pod);
	if (making->pod.net != POD_NET_SLIRP)
		return err_set(making->err, -EINVAL,
			"--egress has no effect in a pod with --net %s: nothing leaves it by "
			"podd-uplink",
			pod_net_name(making->pod.net));
	return 0;
}

static int read_egress(struct making *making)
{
	char *const *egress = making->options->egress;
	struct container_spec *spec = &making->spec;
	int r;

	if (!egress)
		return 0;
	r = pod_spec_check_traffic(NULL, egress, making->err);
	if (r < 0)
		return err_wrap(making->err, r, "--egress");
	r = check_egress_network(making);
	if (r < 0)
		return r;
	spec->egress = strv_copy(egress);
	return spec->egress ? 0 : err_oom(making->err);
}

/* ---- names and namespaces ---- */

static int read_hostname(const struct making *making)
{
	int r = name_check_hostname(making->options->hostname, making->err);

	return r < 0 ? err_wrap(making->err, r, "--hostname") : 0;
}

static int add_share(struct making *making, const char *kind)
{
	static const struct {
		const char *name;
		unsigned bit;
	} kinds[] = {{"ipc", OCI_SHARE_IPC}, {"uts", OCI_SHARE_UTS}, {"pid", OCI_SHARE_PID},
		{"none", 0}};

	if (strcmp(kind, "net") == 0 && making->spec.net == CONTAINER_NET_POD)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i].name) == 0) {
			making->share |= kinds[i].bit;
			return 0;
		}
	}
	return err_set(making->err, -EINVAL,
		"--share takes ipc, uts and pid joined by commas, not \"%s\"", kind);
}

static int read_share(struct making *making)
{
	autostrv kinds = NULL;
	int r = 0;

	if (!making->options->share)
		return 0;
	if (strv_split(making->options->share, ',', &kinds) < 0)
		return err_oom(making->err);
	for (size_t i = 0; r == 0 && kinds && kinds[i]; i++)
		r = add_share(making, kinds[i]);
	making->spec.share_pid = making->share & OCI_SHARE_PID;
	return r;
}

static int read_shm(struct making *making)
{
	const char *text = making->options->shm_size;

	if (text && (quantity_parse_bytes(text, &making->shm_size) < 0 || making->shm_size == 0))
		return err_set(making->err, -EINVAL,
			"--shm-size must be a size such as 64m, not \"%s\"", text);
	return 0;
}

int make_read_network(struct making *making)
{
	int r;

	r = read_networks(making);
	if (r == 0)
		r = read_publish(making);
	if (r == 0)
		r = read_egress(making);
	if (r == 0)
		r = read_share(making);
	if (r == 0 && making->options->hostname)
		r = read_hostname(making);
	return r < 0 ? r : read_shm(making);
}
