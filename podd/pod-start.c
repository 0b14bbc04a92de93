/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * How a pod comes to run. What the record says is believed only as far as /proc confirms it:
 *
 *   no record, stopped, failed,         clean up what is left, then start anew
 *   another boot, outer dead
 *   running or stopping, outer alive    adopt: connect to podd-outer and podd-uplink
 *   ... and uplink dead                 adopt, with a new uplink on the same tap
 *
 * With pod->no_start the first is cleaned up only.
 *
 * A new start runs in parallel what can be: the uplink starts while the ids are mapped, nft while
 * interfaces and mounts are made, files are written while libslirp gets ready.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include "cleanup.h"
#include "container.h"
#include "events.h"
#include "fd.h"
#include "file.h"
#include "hosts.h"
#include "network.h"
#include "outer.h"
#include "pod.h"
#include "resolv.h"
#include "text.h"
#include "uplink.h"

bool pod_has_uplink(const struct pod *pod)
{
	return pod->spec.net == POD_NET_SLIRP;
}

bool pod_takes_tcp(const struct pod *pod)
{
	return pod->uplink_net.queue != OUTER_QUEUE_NONE && !pod->uplink_net.refused;
}

static int choose_ids(struct pod *pod, struct err *err)
{
	cleanup(pod_state_done) struct pod_state parent = {};
	const char *warning;
	int r = 0;

	if (pod_spec_is_nested(&pod->spec)) {
		r = pod_load_parent(pod, NULL, &parent, err);
		pod->state.uids = parent.uids;
		pod->state.gids = parent.gids;
		return r;
	}
	pod->state.uids = pod->spec.uids;
	pod->state.gids = pod->spec.gids;
	if (pod->state.uids.n == 0) {
		r = idmap_default(IDMAP_UID, &pod->state.uids, &warning, err);
		if (r == 0 && warning)
			pod_warn(pod, "%s", warning);
	}
	if (r == 0 && pod->state.gids.n == 0) {
		r = idmap_default(IDMAP_GID, &pod->state.gids, &warning, err);
		if (r == 0 && warning)
			pod_warn(pod, "%s", warning);
	}
	return r;
}

/* *ret: what the pod's children read; *ret_host: what libslirp reads. */
static int build_resolv(struct pod *pod, char **ret, char **ret_host, struct err *err)
{
	autofree char *host = NULL;
	char dns4[INET_ADDRSTRLEN], dns6[INET6_ADDRSTRLEN];
	struct in_addr address4 = pod_address4(&pod->spec, POD_HOST_DNS);
	struct in6_addr address6 = pod_address6(POD_HOST_DNS);
	const char *nameservers[3] = {};
	size_t n = 0;
	int r;

	r = resolv_nameservers(UPLINK_TEXT_MAX - 1, &host, err);
	if (r < 0)
		return r;
	inet_ntop(AF_INET, &address4, dns4, sizeof(dns4));
	inet_ntop(AF_INET6, &address6, dns6, sizeof(dns6));
	/* libslirp forwards to a nameserver of the same family only. */
	if (strchr(host, '.') || !pod->spec.ipv6)
		nameservers[n++] = dns4;
	if (pod->spec.ipv6 && strstr(host, ":"))
		nameservers[n++] = dns6;
	if (n == 0)
		nameservers[n++] = dns4;
	r = resolv_for_children(pod_has_uplink(pod) ? nameservers : NULL, ret, err);
	if (r == 0)
		*ret_host = take_ptr(host);
	return r;
}

bool pod_has_parents_resolv(const struct pod *pod)
{
	return pod_spec_is_nested(&pod->spec) && pod->spec.net == POD_NET_CNI;
}

int pod_write_resolv(struct pod *pod, char **ret_text, struct err *err)
{
	autofree char *host = NULL;
	autofree char *text = NULL;
	autoclose int etc = -1;
	int r;

	if (pod_has_parents_resolv(pod))
		r = pod_copy_resolv(pod, &text, err);
	else
		r = build_resolv(pod, &text, &host, err);
	if (r == 0)
		r = file_open_dir(pod->podfd, "etc", &etc, err);
	if (r == 0)
		r = file_overwrite(etc, "resolv.conf", text, strlen(text), 0644, err);
	if (r == 0 && ret_text)
		*ret_text = take_ptr(host);
	return r;
}

/* ns/user and so on: paths that a bundle can name for as long as the pod exists. */
static int link_namespaces(struct pod *pod, struct err *err)
{
	autoclose int dir = -1;
	int r;

	r = file_open_dir(pod->podfd, "ns", &dir, err);
	for (int i = 0; r == 0 && i < NS_KINDS; i++) {
		const char *name = ns_name((enum ns_kind)i);
		char target[64];

		snprintf(target, sizeof(target), "/proc/%d/ns/%s", (int)pod->state.outer.pid, name);
		unlinkat(dir, name, 0);
		if (pod->state.namespaces[i].inode != 0 && symlinkat(target, dir, name) < 0)
			r = err_errno(err, "linking the pod's %s namespace", name);
	}
	return r;
}

/* Names the namespaces that are the pod's own: those that differ from podd's. */
static int identify_namespaces(struct pod *pod, struct err *err)
{
	struct ns_id own[NS_KINDS], its[NS_KINDS];
	autoclose int dir = -1;
	int r;

	r = proc_open_dir(&pod->state.outer, &dir);
	if (r < 0)
		return err_set(err, r, "podd-outer ended while it started");
	r = ns_identify(-1, own, err);
	if (r == 0)
		r = ns_identify(dir, its, err);
	if (r < 0)
		return r;
	for (int i = 0; i < NS_KINDS; i++)
		pod->state.namespaces[i] =
			ns_equal(&own[i], &its[i]) ? (struct ns_id){} : its[i];
	return 0;
}

static int set_up_outer(struct pod *pod, struct err *err)
{
	const struct pod_spec *spec = &pod->spec;
	const struct outer_setup setup = {
		.has_tap = pod_has_uplink(pod),
		.take_tcp = pod_has_uplink(pod) && spec->uplink_path == POD_PATH_AUTO,
		.own_resolv = pod_has_uplink(pod) || spec->net == POD_NET_CNI,
		.masquerade = spec->net == POD_NET_CNI,
		.own_net = spec->net != POD_NET_HOST,
		.ipv6 = spec->ipv6,
		.mtu = spec->mtu,
		.shm_size = spec->shm_size,
		.prefix4 = spec->prefix4,
		.prefix6 = POD_PREFIX6,
		.self4 = pod_address4(spec, POD_HOST_SELF),
		.gateway4 = pod_address4(spec, POD_HOST_GATEWAY),
		.self6 = pod_address6(POD_HOST_SELF),
		.gateway6 = pod_address6(POD_HOST_GATEWAY),
	};
	int fds[OUTER_REPLY_FDS_MAX] = {-1, -1, -1, -1};
	int r;

	r = pod_send_trees(pod, err);
	if (r < 0)
		return r;
	r = pod_ask_outer(pod, OUTER_SETUP, &setup, fds, err);
	if (r == 0)
		pod->tap = fds[0];
	if (r == 0)
		r = identify_namespaces(pod, err);
	if (r == 0)
		r = pod_identify_host_mount(pod, err);
	if (r == 0 && pod_has_uplink(pod)) {
		pod->state.tap = strdup(OUTER_TAP_NAME);
		r = pod->state.tap ? 0 : err_oom(err);
	}
	return r;
}

void pod_refuse_net(struct pod *pod, const struct err *problem)
{
	pod->uplink_net.refused = true;
	text_copy(pod->uplink_net.reason, sizeof(pod->uplink_net.reason), problem->msg);
}

/* It has its configuration: one answer for the nameservers, one for the rest. */
static int start_uplink(struct pod *pod, struct err *err)
{
	int r = pod_await_uplink(pod, NULL, err);

	if (r == 0)
		r = pod_await_uplink(pod, NULL, err);
	if (r == 0)
		r = network_tell_rules_all(pod->network, err);
	return r == 0 ? pod_send_start(pod, err) : r;
}

static int start_net(struct pod *pod, struct err *err)
{
	struct err problem = {};
	int r;

	r = pod_send_net(pod, err);
	if (r < 0)
		return r;
	r = pod_await_uplink(pod, NULL, &problem);
	if (r < 0)
		pod_refuse_net(pod, &problem);
	if (r == -ECONNRESET || r == -ETIMEDOUT)
		return err_set(err, r, "%s", problem.msg);
	r = network_tell_ports(pod->network, err);
	if (r < 0)
		return r;
	if (pod_takes_tcp(pod) || pod->spec.uplink_path == POD_PATH_LIBSLIRP)
		return 0;
	pod_warn(pod, "TCP goes by libslirp, which is slower: %s", pod->uplink_net.reason);
	return 0;
}

/* Without an uplink at the top the pod has its way out all the same, but nothing is published. */
static int connect_tenant(struct pod *pod, struct err *err)
{
	int r = pod_connect_tenant(pod, err);

	if (r != -EOPNOTSUPP)
		return r;
	if (pod->spec.publish)
		return err_set(err, r,
			"its ports cannot be published: the pod at the top has no uplink");
	network_close(pod->network);
	return 0;
}

int pod_start_tenant(struct pod *pod, struct err *err)
{
	struct err problem = {};
	int r;

	/* What is taken already stays; where no uplink could be reached so far, nothing was. */
	if (pod->uplink_async && network_open(pod->network, &problem) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, problem.msg);
	r = connect_tenant(pod, err);
	if (r < 0 || pod->uplink < 0)
		return r;
	r = pod_send_tenants_config(pod, err);
	if (r == 0)
		r = network_tell_rules_all(pod->network, err);
	if (r == 0)
		r = pod_send_net(pod, err);
	if (r == 0 && !pod->uplink_async)
		r = pod_await_uplink(pod, NULL, err);
	return r == 0 ? network_tell_ports(pod->network, err) : r;
}

static int start_new(struct pod *pod, struct err *err)
{
	autofree char *nameservers = NULL;
	int r;

	r = network_open(pod->network, err);
	if (r == 0)
		r = choose_ids(pod, err);
	if (r == 0)
		r = pod_set_phase(pod, POD_STARTING, err);
	if (r == 0)
		r = pod_write_resolv(pod, &nameservers, err);
	if (r == 0 && pod_has_uplink(pod))
		r = pod_spawn_uplink(pod, err);
	if (r == 0)
		r = pod_spawn_outer(pod, err);
	if (r == 0)
		r = set_up_outer(pod, err);
	if (r == 0 && pod_has_uplink(pod))
		r = pod_send_config(pod, nameservers, err);
	if (r == 0)
		r = link_namespaces(pod, err);
	/* Its own address is in there. */
	if (r == 0)
		r = pod_attach_outside(pod, err);
	if (r == 0)
		r = hosts_update(pod->podfd, err);
	if (r == 0 && pod_has_uplink(pod))
		r = start_uplink(pod, err);
	if (r == 0)
		r = pod_ask_outer(pod, OUTER_PROBE, NULL, NULL, err);
	if (r == 0 && pod_has_uplink(pod))
		r = start_net(pod, err);
	else if (r == 0 && pod_is_tenant(pod))
		r = pod_start_tenant(pod, err);
	return r;
}

/* A record that cannot be written (the disk is full) must not leave the pod without its way out. */
int pod_replace_uplink(struct pod *pod, struct err *err)
{
	autofree char *nameservers = NULL;
	struct err problem = {};
	int r;

	pod_kill_uplink(pod);
	pod_uplink_forget(pod);
	pod->uplink_net.refused = false;
	r = pod_write_resolv(pod, &nameservers, &problem);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, problem.msg);
	r = pod_spawn_uplink(pod, err);
	if (r < 0)
		return r;
	if (pod_state_save(pod->podfd, &pod->state, &problem) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, problem.msg);
	r = pod_send_config(pod, nameservers ? nameservers : "", err);
	if (r == 0 && !pod->uplink_async)
		r = start_uplink(pod, err);
	else if (r == 0)
		r = network_tell_rules_all(pod->network, err);
	if (r == 0 && pod->uplink_async)
		r = pod_send_start(pod, err);
	if (r == 0)
		r = pod_send_net(pod, err);
	/* While podd starts, this is after its answer: see adopt_uplink(). */
	if (r == 0 && pod->uplink_async)
		r = network_tell_ports(pod->network, err);
	/* Nobody watches it yet. */
	if (r < 0)
		pod_end_uplink(pod);
	return r;
}

static int await_adopted(struct pod *pod, struct err *err)
{
	uint32_t operation = UPLINK_RESOLV;
	struct err problem = {};
	int r = pod_await_uplink(pod, &operation, &problem);

	if (r < 0 && operation == UPLINK_NET) {
		pod_refuse_net(pod, &problem);
		return 0;
	}
	return r < 0 ? err_set(err, r, "%s", problem.msg) : 0;
}

static int adopt_uplink(struct pod *pod, struct err *err)
{
	int fds[OUTER_REPLY_FDS_MAX] = {-1, -1, -1, -1};
	struct err problem = {};
	int r;

	r = pod_ask_outer(pod, OUTER_TAP, NULL, fds, err);
	if (r < 0)
		return r;
	pod->tap = fds[0];
	if (proc_alive(&pod->state.uplink) && pod_connect(pod, "uplink.sock", &pod->uplink) == 0) {
		r = network_adopt(pod->network, &problem);
		if (r == 0)
			return 0;
		fprintf(stderr, "podd: pod %s: adopting podd-uplink: %s; starting another\n",
			pod->path, problem.msg);
		/* Ports are not for this one. */
		pod_kill_uplink(pod);
	}
	if (network_open(pod->network, &problem) < 0)
		pod_warn(pod, "%s", problem.msg);
	r = pod_replace_uplink(pod, err);
	if (r == 0)
		r = await_adopted(pod, err);
	return r == 0 ? network_tell_ports(pod->network, err) : r;
}

/* One that has restarted meanwhile knows nothing of the pod. */
static int adopt_tenant(struct pod *pod, struct err *err)
{
	struct err problem = {};
	int r = connect_tenant(pod, err);

	if (r < 0 || pod->uplink < 0)
		return r;
	if (network_adopt(pod->network, &problem) == 0)
		return 0;
	/* It is told of ports when it has its configuration: see pod_start_tenant(). */
	cleanup_close(&pod->uplink);
	pod->uplink = -1;
	if (network_open(pod->network, &problem) < 0)
		pod_warn(pod, "%s", problem.msg);
	return pod_start_tenant(pod, err);
}

static int adopt(struct pod *pod, struct err *err)
{
	struct err problem = {};
	int r;

	r = pod_connect(pod, "outer.sock", &pod->outer);
	if (r < 0)
		return err_set(err, r, "connecting to podd-outer (process %d): %s",
			(int)pod->state.outer.pid, strerror(-r));
	if (pod_has_uplink(pod)) {
		r = adopt_uplink(pod, err);
		if (r < 0)
			return r;
	}
	/* A pod without its ports is better than none; they are tried again. */
	if (pod_is_tenant(pod) && adopt_tenant(pod, &problem) < 0) {
		pod_warn(pod, "its ports are not published yet: %s", problem.msg);
		cleanup_close(&pod->uplink);
		pod->uplink = -1;
	}
	return link_namespaces(pod, err);
}

void pod_take_back(struct pod *pod, const struct err *err)
{
	if (pod->adopted)
		return;
	free(pod->state.error);
	pod->state.error = strdup(err->msg);
	pod_leave_uplink(pod);
	pod_end_uplink(pod);
	network_close(pod->network);
	if (pod->outer_pidfd >= 0)
		proc_signal(pod->outer_pidfd, SIGKILL);
	pod_clean(pod, true);
	pod_set_phase(pod, POD_FAILED, NULL);
}

/* Of a pod that does not run, and shall not. */
static int remove_rest(struct pod *pod, struct err *err)
{
	pod_clean(pod, true);
	pod->state.podd = (struct proc_id){};
	proc_boot_id(pod->state.boot_id);
	if (pod->state.phase == POD_CREATED)
		return 1;
	return pod_set_phase(pod, POD_STOPPED, err) < 0 ? -EIO : 1;
}

int pod_start(struct pod *pod, struct err *err)
{
	enum pod_phase phase = pod_state_phase_now(&pod->state);
	struct proc_id self;
	struct err local = {};
	autoclose int runtime = -1;
	int r;

	r = proc_self(&self);
	if (r < 0)
		return err_set(err, r, "finding podd's own process in /proc: %s", strerror(-r));
	pod->adopted = phase == POD_RUNNING || phase == POD_STOPPING;
	if (!pod->adopted && pod->no_start)
		return remove_rest(pod, err);
	if (pod->adopted) {
		r = adopt(pod, err);
		/* A pod that cannot be adopted is left as it is: containers may live in it. But no
		 * uplink that nobody watches. */
		if (r < 0 && pod->uplink_pidfd >= 0)
			pod_kill_uplink(pod);
		if (r < 0)
			return err_wrap(err, r, "adopting the running pod '%s'", pod->path);
	} else {
		pod_clean(pod, false);
		/* One that was created before pods had it. */
		file_make_dir(pod->podfd, CONTAINER_RUNTIME_ROOT, &runtime, NULL);
		pod_state_done(&pod->state);
		pod->state.podd = self;
		pod->state.restarts = pod->restarts;
		text_copy(pod->state.podd_version, sizeof(pod->state.podd_version),
			PACKAGE_VERSION);
		proc_boot_id(pod->state.boot_id);
		r = start_new(pod, &local);
	}
	pod->state.podd = self;
	text_copy(pod->state.podd_version, sizeof(pod->state.podd_version), PACKAGE_VERSION);
	if (r == 0)
		r = pod_set_phase(pod, POD_RUNNING, &local);
	if (r == 0)
		events_send_once(pod, pod->adopted ? "adopted" : "started", NULL, NULL,
			pod->adopted ? pod->started : pod->state.since);
	if (r < 0) {
		pod_take_back(pod, &local);
		return err_set(err, r, "%s", local.msg);
	}
	return 0;
}
