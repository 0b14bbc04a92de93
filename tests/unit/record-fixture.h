/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A full example of each record, and loading any of them. Include it after cmocka.h. */

#include "container.h"
#include "fixture.h"
#include "pod-network.h"
#include "record-internal.h"
#include "text.h"

/* Of another boot than this one. */
#define BOOT_ID "0123456789abcdef0123456789abcdef"
#define SOME_TIME "2024-01-31T12:00:00.000001Z"

/* ---- one full example of each ---- */

static inline char **make_strv(const char *a, const char *b)
{
	char **strv = NULL;

	assert_int_equal(strv_add(&strv, a), 0);
	assert_int_equal(strv_add(&strv, b), 0);
	return strv;
}

static inline void fill(char *target, size_t size, const char *text)
{
	assert_int_equal(text_copy(target, size, text), 0);
}

static inline void spec_example(struct pod_spec *spec)
{
	assert_int_equal(pod_spec_init(spec, NULL), 0);
	fill(spec->path, sizeof(spec->path), "net0/web");
	fill(spec->created, sizeof(spec->created), SOME_TIME);
	spec->net = POD_NET_NONE;
	spec->host_loopback = true;
	spec->ipv6 = false;
	spec->mtu = 1500;
	spec->shm_size = 8192;
	spec->auto_remove = true;
	spec->restart = POD_RESTART_ALWAYS;
	assert_int_equal(pod_spec_set_cidr(spec, "192.168.128.0/20", NULL), 0);
	assert_int_equal(idmap_add_triplet(&spec->uids, "0:1000:1", NULL), 0);
	assert_int_equal(idmap_add_triplet(&spec->uids, "1:100000:65536", NULL), 0);
	assert_int_equal(idmap_add_triplet(&spec->gids, "0:1001:1", NULL), 0);
	json_set_string(spec->labels, "team", "net");
	json_set_string(spec->labels, "", "caf\xc3\xa9\n");
	strv_free(spec->cni_config_dirs);
	strv_free(spec->cni_plugin_dirs);
	spec->cni_config_dirs = make_strv("/etc/cni/net.d", "/home/x/.config/cni/net.d");
	spec->cni_plugin_dirs = make_strv("/usr/lib/cni", "/opt/cni/bin");
	spec->publish = make_strv("8080:80", "[::1]:53:53/udp");
	spec->egress = make_strv("allow to dns", "deny to 10.0.0.0/8,fd00::/8 log");
	spec->stages = make_strv("/srv/plugins", "/srv/more");
	spec->root = strdup("/srv/debian");
	spec->host_at = strdup("/host");
}

static inline void state_example(struct pod_state *pod)
{
	pod_state_init(pod);
	pod->phase = POD_RUNNING;
	assert_int_equal(proc_boot_id(pod->boot_id), 0);
	fill(pod->since, sizeof(pod->since), SOME_TIME);
	pod->podd = (struct proc_id){.pid = 100, .start_time = 1001};
	fill(pod->podd_version, sizeof(pod->podd_version), "0.1.0");
	pod->restarts = 7;
	pod->outer = (struct proc_id){.pid = 101, .start_time = 1002};
	pod->uplink = (struct proc_id){.pid = INT32_MAX, .start_time = INT64_MAX};
	for (int i = 0; i < NS_KINDS; i++)
		if (i != NS_IPC)
			pod->namespaces[i] =
				(struct ns_id){.device = 4, .inode = 4026531840U + (unsigned)i};
	pod->host_mount = (struct ns_id){.device = 4, .inode = 4026531850U};
	assert_int_equal(idmap_add_triplet(&pod->uids, "0:1000:1", NULL), 0);
	assert_int_equal(idmap_add_triplet(&pod->gids, "0:1001:1", NULL), 0);
	pod->tap = strdup("tap0");
	pod->warnings = make_strv("no range in /etc/subuid", "no tun");
	pod->error = strdup("it failed");
}

static inline void attachment_example(struct attachment *attachment)
{
	struct attachment_network *network = attachment->networks;

	attachment_init(attachment);
	fill(attachment->pod, sizeof(attachment->pod), "net0/web");
	fill(attachment->child, sizeof(attachment->child), "nginx");
	fill(attachment->id, sizeof(attachment->id), "net0.web.nginx");
	fill(attachment->generation, sizeof(attachment->generation), BOOT_ID);
	fill(attachment->created, sizeof(attachment->created), SOME_TIME);
	assert_int_equal(proc_boot_id(attachment->boot_id), 0);
	attachment->phase = ATTACHMENT_DETACHING;
	attachment->share = ATTACHMENT_SHARED;
	attachment->init = (struct proc_id){.pid = 200, .start_time = 2001};
	attachment->netns = (struct ns_id){.device = 4, .inode = 4026531999};
	attachment->bundle = strdup("/home/x/bundle");
	attachment->hostname = strdup("www");
	attachment->aliases = make_strv("a", "b");
	attachment->publish = make_strv("8080:80", "53:53/udp");
	attachment->capability_args = json_new_object();
	json_set_int(json_set_object(attachment->capability_args, "bandwidth"), "ingressRate", 8);
	attachment->n_networks = 2;
	network[0].name = strdup("podd");
	network[0].ifname = strdup("eth0");
	network[0].ip = strdup("10.88.0.9");
	network[0].mac = strdup("02:00:00:00:00:01");
	network[0].config = json_new_object();
	json_set_array(network[0].config, "plugins");
	network[0].addresses = make_strv("10.88.0.9/16", "fd00:88::9/64");
	network[1].name = strdup("other");
	network[1].ifname = strdup("eth1");
	network[1].config = json_new_object();
}

static inline void network_example(struct pod_network *network)
{
	static const char *const texts[] = {
		"allow to dns proto udp port 53", "deny to 10.0.0.0/8 log", "deny proto icmp type 8/0"};

	pod_network_init(network);
	assert_int_equal(pod_network_add_port(network, "", "8080:80", 0, NULL), 0);
	assert_int_equal(pod_network_add_port(network, "web", "443/tcp", 10000, NULL), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct egress_rule rule;
		size_t n = 0;

		assert_int_equal(egress_parse(texts[i], &rule, 1, &n, NULL), 0);
		assert_int_equal(pod_network_add_rules(
					 network, i == 1 ? "web" : "", 0, &rule, 1, NULL),
			0);
	}
}

static inline void box_settings_example(struct container_spec *spec)
{
	spec->restart = RESTART_ON_FAILURE;
	spec->restart_max = 5;
	spec->stop_signal = 15;
	spec->stop_timeout_s = 0;
	spec->limits = (struct container_limits){
		.memory = UINT64_C(1) << 40, .swap = 4096, .cpu_milli = 1500, .pids = 7};
	spec->cgroup = strdup("/user.slice/podd/net0.web.nginx");
	spec->health.command = make_strv("/bin/test", "-e");
	spec->health.interval_s = 1;
	spec->health.timeout_s = 2;
	spec->health.retries = 4;
	spec->health.start_period_s = 8;
	spec->log = LOG_JSON_FILE;
	spec->log_path = strdup("/var/log/x.log");
	spec->log_max_size = 65536;
	spec->log_max_files = 3;
}

static inline void box_example(struct container_spec *spec)
{
	assert_int_equal(container_spec_init(spec, NULL), 0);
	fill(spec->pod, sizeof(spec->pod), "net0/web");
	fill(spec->name, sizeof(spec->name), "nginx");
	fill(spec->id, sizeof(spec->id), "net0.web.nginx");
	fill(spec->created, sizeof(spec->created), SOME_TIME);
	spec->runtime = strdup("/usr/bin/crun");
	spec->rootfs = strdup("/home/x/rootfs");
	spec->command = make_strv("/bin/sh", "-c");
	spec->terminal = true;
	spec->interactive = true;
	spec->auto_remove = true;
	spec->keep_groups = true;
	spec->share_pid = true;
	spec->overlays = make_strv("/home/x/rootfs", "/home/x/data");
	spec->chown = make_strv("/srv/a", "/srv/b");
	spec->net = CONTAINER_NET_CNI;
	spec->networks = make_strv("podd", "blue:ip=10.0.0.9");
	spec->publish = make_strv("8080:80", "53:53/udp");
	spec->egress = make_strv("allow to dns", "deny");
	spec->pidfile = strdup("/run/x.pid");
	spec->cidfile = strdup("/run/x.cid");
	json_set_string(spec->labels, "team", "net");
	json_set_string(spec->annotations, "a", "b");
	box_settings_example(spec);
}

static inline void box_state_example(struct container_state *box)
{
	container_state_init(box);
	box->phase = CONTAINER_RESTARTING;
	assert_int_equal(proc_boot_id(box->boot_id), 0);
	fill(box->since, sizeof(box->since), SOME_TIME);
	fill(box->started, sizeof(box->started), SOME_TIME);
	box->shim = (struct proc_id){.pid = 300, .start_time = 3001};
	box->init = (struct proc_id){.pid = INT32_MAX, .start_time = INT64_MAX};
	box->order = 77;
	box->restarts = 3;
	box->stop_requested = true;
	box->health = HEALTH_UNHEALTHY;
	box->health_failures = 9;
	box->cgroup = strdup("/a/b");
}

static inline void box_exit_example(struct container_exit *box)
{
	*box = (struct container_exit){.known = true, .status = 137, .signal = 9, .oom = true};
	fill(box->started, sizeof(box->started), SOME_TIME);
	fill(box->ended, sizeof(box->ended), SOME_TIME);
	box->error = strdup("no such command");
}

/* The last three are those of a container that podctl made. */
enum kind { SPEC, STATE, ATTACHMENT, NETWORK, BOX, BOX_STATE, BOX_EXIT, KINDS };

static const char *const file_names[KINDS] = {RECORD_POD, RECORD_STATE, RECORD_ATTACHMENT,
	RECORD_NETWORK, RECORD_CONTAINER, RECORD_CONTAINER_STATE, RECORD_CONTAINER_EXIT};

static inline struct json *box_document(enum kind kind)
{
	cleanup(container_spec_done) struct container_spec spec = {0};
	cleanup(container_state_done) struct container_state box = {0};
	cleanup(container_exit_done) struct container_exit end = {0};

	switch (kind) {
	case BOX:
		box_example(&spec);
		return container_spec_to_json(&spec);
	case BOX_STATE:
		box_state_example(&box);
		return container_state_to_json(&box);
	default:
		box_exit_example(&end);
		return container_exit_to_json(&end);
	}
}

static inline int load_box(enum kind kind, int dirfd, struct json **ret, struct err *err)
{
	cleanup(container_spec_done) struct container_spec spec = {0};
	cleanup(container_state_done) struct container_state box = {0};
	cleanup(container_exit_done) struct container_exit end = {0};
	int r;

	switch (kind) {
	case BOX:
		r = container_spec_load(dirfd, &spec, err);
		if (r == 0)
			*ret = container_spec_to_json(&spec);
		return r;
	case BOX_STATE:
		r = container_state_load(dirfd, &box, err);
		if (r == 0)
			*ret = container_state_to_json(&box);
		return r;
	default:
		r = container_exit_load(dirfd, &end, err);
		if (r == 0)
			*ret = container_exit_to_json(&end);
		return r;
	}
}

static inline struct json *example(enum kind kind)
{
	cleanup(pod_spec_done) struct pod_spec spec = {0};
	cleanup(pod_state_done) struct pod_state pod = {0};
	cleanup(attachment_done) struct attachment attachment = {0};
	cleanup(pod_network_done) struct pod_network network = {0};

	switch (kind) {
	case SPEC:
		spec_example(&spec);
		return pod_spec_to_json(&spec);
	case STATE:
		state_example(&pod);
		return pod_state_to_json(&pod);
	case ATTACHMENT:
		attachment_example(&attachment);
		return attachment_to_json(&attachment);
	case NETWORK:
		network_example(&network);
		return pod_network_to_json(&network);
	default:
		return box_document(kind);
	}
}

/* Loads a record; @ret is what it says when it is written again. */
static inline int load(enum kind kind, int dirfd, struct json **ret, struct err *err)
{
	cleanup(pod_spec_done) struct pod_spec spec = {0};
	cleanup(pod_state_done) struct pod_state pod = {0};
	cleanup(attachment_done) struct attachment attachment = {0};
	cleanup(pod_network_done) struct pod_network network = {0};
	int r;

	switch (kind) {
	case SPEC:
		r = pod_spec_load(dirfd, &spec, err);
		if (r == 0)
			*ret = pod_spec_to_json(&spec);
		return r;
	case STATE:
		r = pod_state_load(dirfd, &pod, err);
		if (r == 0)
			*ret = pod_state_to_json(&pod);
		return r;
	case ATTACHMENT:
		r = attachment_load(dirfd, &attachment, err);
		if (r == 0)
			*ret = attachment_to_json(&attachment);
		return r;
	case NETWORK:
		r = pod_network_load(dirfd, &network, err);
		if (r == 0)
			*ret = pod_network_to_json(&network);
		return r;
	default:
		return load_box(kind, dirfd, ret, err);
	}
}
