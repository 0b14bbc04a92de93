/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel has of the pod's network and its children's, see doctor.h. Runs in the pod's
 * mount and network namespace; enters those of the children, and comes back.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni.h"
#include "ns.h"
#include "text.h"

#include "doctor.h"
#include "doctor-netlink.h"

#define TABLE "podd"

int doctor_enter(struct doctor *doctor, struct err *err)
{
	cleanup(ns_set_done) struct ns_set set;
	struct ns_id wanted[NS_KINDS] = {};
	autoclose int dir = -1;
	int r;

	ns_set_init(&set);
	wanted[NS_USER] = doctor->state.namespaces[NS_USER];
	wanted[NS_MNT] = doctor->state.namespaces[NS_MNT];
	wanted[NS_NET] = doctor->state.namespaces[NS_NET];
	r = proc_open_dir(&doctor->state.outer, &dir);
	if (r < 0)
		return err_set(err, r, "its outer container is gone");
	r = ns_open(dir, wanted, &set, err);
	return r < 0 ? r : ns_join(&set, err);
}

/* ---- one interface ---- */

/* What it shall have. */
struct wanted {
	const char *check;
	const char *what;    /* "its interface tap0" */
	const char *meaning; /* what it is like without */
	char *object;	     /* of DOCTOR_INTERFACE: all that it shall have */
	char **addresses;
	bool routes[2]; /* default routes: IPv4, IPv6 */
};

static void wanted_done(struct wanted *wanted)
{
	free(wanted->object);
	strv_free(wanted->addresses);
}

static void add_word(struct wanted *wanted, const char *prefix, const char *word)
{
	char *object = text_format("%s %s%s", wanted->object, prefix, word);

	if (!object)
		return;
	free(wanted->object);
	wanted->object = object;
}

static void want_address(struct wanted *wanted, const char *address)
{
	if (strv_add(&wanted->addresses, address) == 0)
		add_word(wanted, "", address);
}

static void want_route(struct wanted *wanted, const char *gateway)
{
	wanted->routes[strchr(gateway, ':') != NULL] = true;
	add_word(wanted, DOCTOR_VIA, gateway);
}

static void compare(struct doctor *doctor, const struct wanted *wanted, int netlink,
	const struct doctor_link *link)
{
	if (!link->up) {
		doctor_find(doctor, wanted->check, DOCTOR_INTERFACE, wanted->object,
			"%s is down: %s", wanted->what, wanted->meaning);
		return;
	}
	for (size_t i = 0; wanted->addresses && wanted->addresses[i]; i++)
		if (doctor_netlink_has_address(netlink, link->index, wanted->addresses[i]) == 0)
			doctor_find(doctor, wanted->check, DOCTOR_INTERFACE, wanted->object,
				"%s lacks the address %s: %s", wanted->what, wanted->addresses[i],
				wanted->meaning);
	for (int i = 0; i < 2; i++)
		if (wanted->routes[i] && doctor_netlink_has_default(
						 netlink, i ? AF_INET6 : AF_INET, link->index) == 0)
			doctor_find(doctor, wanted->check, DOCTOR_INTERFACE, wanted->object,
				"%s has no default %s route: %s", wanted->what, i ? "IPv6" : "IPv4",
				wanted->meaning);
}

/* ---- the tap ---- */

static void want_family(struct wanted *wanted, const struct doctor *doctor, int family)
{
	struct in_addr self4 = pod_address4(&doctor->spec, POD_HOST_SELF);
	struct in_addr gateway4 = pod_address4(&doctor->spec, POD_HOST_GATEWAY);
	struct in6_addr self6 = pod_address6(POD_HOST_SELF);
	struct in6_addr gateway6 = pod_address6(POD_HOST_GATEWAY);
	bool ipv6 = family == AF_INET6;
	char host[INET6_ADDRSTRLEN], address[INET6_ADDRSTRLEN + 8];

	inet_ntop(family, ipv6 ? (void *)&self6 : (void *)&self4, host, sizeof(host));
	snprintf(address, sizeof(address), "%s/%u", host,
		ipv6 ? (unsigned)POD_PREFIX6 : doctor->spec.prefix4);
	want_address(wanted, address);
	inet_ntop(family, ipv6 ? (void *)&gateway6 : (void *)&gateway4, host, sizeof(host));
	want_route(wanted, host);
}

void doctor_check_tap(struct doctor *doctor)
{
	cleanup(wanted_done) struct wanted wanted = {
		.check = "tap", .meaning = "nothing leaves the pod"};
	autofree char *what = NULL;
	autoclose int netlink = -1;
	struct doctor_link link;

	if (!doctor->state.tap || doctor_netlink_open(NETLINK_ROUTE, &netlink) < 0)
		return;
	what = text_format("its interface %s", doctor->state.tap);
	wanted.what = what;
	wanted.object = text_format("- %s", doctor->state.tap);
	if (!what || !wanted.object)
		return;
	if (doctor_netlink_link(netlink, doctor->state.tap, &link) < 0) {
		doctor_find(doctor, "tap", DOCTOR_NOTHING, NULL,
			"%s is gone: nothing leaves the pod; stop the pod and start it", what);
		return;
	}
	want_family(&wanted, doctor, AF_INET);
	if (doctor->spec.ipv6)
		want_family(&wanted, doctor, AF_INET6);
	compare(doctor, &wanted, netlink, &link);
}

/* ---- rules ---- */

static void check_chain(struct doctor *doctor, int netlink, const char *name, int rules)
{
	int found = doctor_netlink_rules(netlink, NFPROTO_INET, TABLE, name);

	if (found == -ENOENT)
		doctor_find(doctor, "rules", DOCTOR_RULES, NULL,
			"the table inet " TABLE
			" lacks the chain %s: connections fail or go by libslirp",
			name);
	else if (found >= 0 && found != rules)
		doctor_find(doctor, "rules", DOCTOR_RULES, NULL,
			"the chain %s of the table inet " TABLE
			" has %d rules, not %d: connections fail or go by libslirp",
			name, found, rules);
}

/* The rule that holds first packets back: nftables' own, or the NFQUEUE target of iptables. */
static void check_queue(struct doctor *doctor, int netlink)
{
	const bool by_nft =
		doctor_netlink_rules(netlink, NFPROTO_INET, TABLE, "queue_prerouting") > 0 &&
		doctor_netlink_rules(netlink, NFPROTO_INET, TABLE, "queue_output") > 0;
	const bool by_iptables =
		doctor_netlink_rules(netlink, NFPROTO_IPV4, "mangle", "PREROUTING") > 0 &&
		doctor_netlink_rules(netlink, NFPROTO_IPV4, "mangle", "OUTPUT") > 0 &&
		(!doctor->spec.ipv6 ||
			(doctor_netlink_rules(netlink, NFPROTO_IPV6, "mangle", "PREROUTING") > 0 &&
				doctor_netlink_rules(netlink, NFPROTO_IPV6, "mangle", "OUTPUT") >
					0));

	if (!by_nft && !by_iptables)
		doctor_find(doctor, "rules", DOCTOR_RULES, NULL,
			"no rule puts new connections into the queue: TCP goes by libslirp, which "
			"is "
			"slower");
}

/* Of a pod whose way out is a CNI network: who is there has no routes back into the pod. */
static void check_leaving(struct doctor *doctor)
{
	autoclose int netlink = -1;
	int found;

	if (doctor_netlink_open(NETLINK_NETFILTER, &netlink) < 0)
		return;
	found = doctor_netlink_rules(netlink, NFPROTO_INET, TABLE, "leave");
	if (found == -ENOENT || (found >= 0 && found != 1))
		doctor_find(doctor, "rules", DOCTOR_RULES, NULL,
			"the chain leave of the table inet " TABLE
			" is not as it was set: what is sent by containers with networks of their "
			"own gets no answers");
}

static bool warned_of_libslirp(const struct doctor *doctor)
{
	for (size_t i = 0; doctor->state.warnings && doctor->state.warnings[i]; i++)
		if (strstr(doctor->state.warnings[i], "libslirp"))
			return true;
	return false;
}

/* As podd/outer-rules.c sets them. A pod that could not have them has said so when it started. */
void doctor_check_rules(struct doctor *doctor)
{
	static const struct {
		const char *name;
		int rules;
		int rules_ipv6; /* beyond them */
	} taking[] = {{"first_in", 3, 0}, {"first_out", 3, 0}, {"take_prerouting", 1, 1},
		{"take_output", 1, 1}, {"answer", 4, 0}, {"answer_forward", 1, 0},
		{"answer_input", 1, 0}, {"answer_output", 1, 0}};
	autoclose int netlink = -1;

	if (doctor->spec.net == POD_NET_CNI)
		check_leaving(doctor);
	if (!doctor->state.tap || warned_of_libslirp(doctor) ||
		doctor_netlink_open(NETLINK_NETFILTER, &netlink) < 0)
		return;
	if (doctor->spec.uplink_path != POD_PATH_AUTO) {
		check_chain(doctor, netlink, "first_in", 2);
		check_chain(doctor, netlink, "first_out", 2);
		return;
	}
	for (size_t i = 0; i < sizeof(taking) / sizeof(taking[0]); i++)
		check_chain(doctor, netlink, taking[i].name,
			taking[i].rules + (doctor->spec.ipv6 ? taking[i].rules_ipv6 : 0));
	check_queue(doctor, netlink);
}

/* ---- interfaces of children ---- */

/* The kept results of the pod's attachments. */
struct results {
	struct json **entries;
	size_t n;
};

static void results_done(struct results *results)
{
	for (size_t i = 0; i < results->n; i++)
		json_free(results->entries[i]);
	free(results->entries);
}

static const struct json *find_result(
	const struct results *results, const char *id, const struct attachment_network *network)
{
	for (size_t i = 0; i < results->n; i++) {
		const struct json *entry = results->entries[i];

		if (text_equal(json_string(json_get(entry, "containerId")), id) &&
			text_equal(json_string(json_get(entry, "networkName")), network->name) &&
			text_equal(json_string(json_get(entry, "ifName")), network->ifname))
			return json_get(entry, "result");
	}
	return NULL;
}

/* The gateway of a route is its own, or else that of the address of its family. */
static const char *gateway_of(const struct json *result, const struct json *route, bool ipv6)
{
	const char *gateway = json_string(json_get(route, "gw"));
	const struct json *ips = json_get(result, "ips");

	for (size_t i = 0; !gateway && i < json_length(ips); i++) {
		const char *other = json_string(json_get(json_at(ips, i), "gateway"));

		if (other && (strchr(other, ':') != NULL) == ipv6)
			gateway = other;
	}
	return gateway;
}

/* Plugins need not make an interface, nor say so: those before 0.3.0 could not. */
static bool has_interface(const struct json *result, const char *ifname)
{
	const struct json *interfaces = json_get(result, "interfaces");

	for (size_t i = 0; i < json_length(interfaces); i++) {
		const struct json *interface = json_at(interfaces, i);

		if (text_equal(json_string(json_get(interface, "name")), ifname) &&
			json_get(interface, "sandbox"))
			return true;
	}
	return false;
}

static void want_routes(struct wanted *wanted, const struct json *result)
{
	const struct json *routes = json_get(result, "routes");

	for (size_t i = 0; i < json_length(routes); i++) {
		const char *to = json_string(json_get(json_at(routes, i), "dst"));
		bool ipv6 = text_equal(to, "::/0");
		const char *gateway = ipv6 || text_equal(to, "0.0.0.0/0")
					      ? gateway_of(result, json_at(routes, i), ipv6)
					      : NULL;

		if (gateway)
			want_route(wanted, gateway);
	}
}

static void check_interface(struct doctor *doctor, const struct doctor_child *child,
	const struct attachment_network *network, const struct results *results, int netlink)
{
	cleanup(wanted_done) struct wanted wanted = {.check = "interface"};
	autofree char *what = text_format("interface %s of %s %s", network->ifname,
		doctor_child_kind(child), child->name);
	autofree char *meaning =
		text_format("network %s does not reach it as it did", network->name);
	const struct json *result = find_result(results, child->attachment.id, network);
	struct doctor_link link;
	int r = doctor_netlink_link(netlink, network->ifname, &link);

	if (!has_interface(result, network->ifname))
		return;
	wanted.what = what;
	wanted.meaning = meaning;
	wanted.object = text_format("%s %s", child->attachment.id, network->ifname);
	if (!what || !meaning || !wanted.object)
		return;
	if (r == -ENODEV)
		doctor_find(doctor, "interface", DOCTOR_NOTHING, NULL,
			"%s is gone: %s; start the %s again", what, meaning,
			doctor_child_kind(child));
	if (r < 0)
		return;
	for (size_t i = 0; network->addresses && network->addresses[i]; i++)
		want_address(&wanted, network->addresses[i]);
	want_routes(&wanted, result);
	compare(doctor, &wanted, netlink, &link);
}

static void check_child(
	struct doctor *doctor, const struct doctor_child *child, const struct results *results)
{
	autofree char *path = text_format("/run/netns/%s", child->attachment.id);
	autoclose int netns =
		path ? open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) : -1;
	autoclose int netlink = -1;

	/* That it is missing is told by another check. */
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0 ||
		doctor_netlink_open(NETLINK_ROUTE, &netlink) < 0)
		return;
	for (size_t i = 0; i < child->attachment.n_networks; i++)
		check_interface(doctor, child, &child->attachment.networks[i], results, netlink);
}

void doctor_check_interfaces(struct doctor *doctor)
{
	cleanup(results_done) struct results results = {};
	autoclose int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	autoclose int cache =
		openat(doctor->podfd, "cni", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (cache >= 0)
		cni_cache_list(cache, &results.entries, &results.n, NULL);
	for (size_t i = 0; own >= 0 && i < doctor->n_children; i++) {
		const struct doctor_child *child = &doctor->children[i];

		if (!child->is_attached || child->attachment.phase != ATTACHMENT_ATTACHED ||
			child->attachment.share != ATTACHMENT_BRIDGED ||
			!proc_alive(&child->attachment.init))
			continue;
		check_child(doctor, child, &results);
		if (setns(own, CLONE_NEWNET) < 0)
			return;
	}
}
