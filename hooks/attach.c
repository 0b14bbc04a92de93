/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Attaching a container: see attach.h. The record is there before anything is done, so that
 * whoever dies in between leaves something that says what to undo:
 *
 *   (none) ──record "adding"──▶ ADD ──▶ record "attached" ──▶ (container runs)
 *                                │ fails
 *                                ├──▶ undone here, record removed, error.json written
 *                                └──▶ not all could be undone: record "detaching", for podd
 *
 * A runtime whose createRuntime hook fails may not run poststop (crun), so nothing is left to it.
 * A stop of the pod that comes between the record and ADD is seen by one of the two: podd sets the
 * state before it reads the records, the hook writes its record before it reads the state again.
 */

#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni.h"
#include "common.h"
#include "detach.h"
#include "hosts.h"
#include "inside.h"
#include "pod-network.h"
#include "shm.h"
#include "text.h"

/* What leaves the host by an ordinary link is not longer. */
#define HOST_MTU_MAX 1500

static int check_phase(const struct request *request, enum pod_phase phase, struct err *err)
{
	if (phase == POD_RUNNING)
		return 0;
	if (phase == POD_STOPPING)
		return err_set(err, -ESHUTDOWN, "pod '%s' is stopping", request->pod);
	if (phase == POD_STARTING)
		return err_set(err, -EAGAIN, "pod '%s' is not ready yet", request->pod);
	return err_set(err, -EHOSTDOWN, "pod '%s' is %s; start it with: podctl start %s",
		request->pod, pod_phase_name(phase), request->pod);
}

/* The container's first process, as the host sees it. */
static int find_outer(const struct place *place, struct proc_id *ret, struct err *err)
{
	cleanup(pod_state_done) struct pod_state state = {};
	int r = pod_state_load(place->childfd, &state, err);

	if (r < 0)
		return r;
	*ret = state.outer;
	return ret->pid ? 0 : err_set(err, -ESRCH, "the pod has no outer container");
}

static int find_init(const struct place *place, const struct request *request,
	struct proc_id *ret, struct err *err)
{
	int r;

	if (request->phase == HOOK_ATTACH)
		return find_outer(place, ret, err);
	if (request->phase == HOOK_CREATE_CONTAINER)
		return proc_container_init(ret, err);
	if (request->state.pid == 0)
		return err_set(err, -EINVAL, "the OCI state has no pid, which %s needs",
			hook_phase_name(request->phase));
	r = proc_identify(request->state.pid, ret);
	if (r < 0)
		return err_set(err, r, "the container's process %d is gone",
			(int)request->state.pid);
	return 0;
}

static int open_netns(const struct request *request, const struct proc_id *init, int *ret,
	struct err *err)
{
	autoclose int dir = -1;
	int fd, r;

	if (request->phase == HOOK_CREATE_CONTAINER) {
		fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(err, "opening /proc/self/ns/net");
		*ret = fd;
		return 0;
	}
	r = proc_open_dir(init, &dir);
	if (r < 0)
		return err_set(err, r, "the container's process %d is gone", (int)init->pid);
	fd = openat(dir, "ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(err, -EACCES,
			"the kernel lets only root open the network namespace of a container that is "
			"being created (process %d): use the createContainer hook instead of %s",
			(int)init->pid, hook_phase_name(request->phase));
	if (fd < 0)
		return err_errno(err, "opening the network namespace of process %d",
			(int)init->pid);
	*ret = fd;
	return 0;
}

/* The pod's network namespace; for a pod with --net host the host's. */
static int identify_pod_net(const struct place *place, struct ns_id *ret, struct err *err)
{
	struct ns_id all[NS_KINDS];
	autoclose int dir = -1;
	int r;

	*ret = place->state.namespaces[NS_NET];
	if (ret->inode != 0)
		return 0;
	r = proc_open_dir(&place->state.outer, &dir);
	if (r == 0)
		r = ns_identify(dir, all, err);
	if (r < 0)
		return err_set(err, r, "the pod's outer container is gone");
	*ret = all[NS_NET];
	return 0;
}

/* Root in the pod can only change a network namespace that the pod's user namespace owns; the
 * kernel says who owns it (ioctl_ns(2), NS_GET_USERNS; EPERM means: one further out). */
static int check_owner(const struct place *place, int netns, struct err *err)
{
	autoclose int owner = ioctl(netns, NS_GET_USERNS);
	struct ns_id id = {};

	if (owner >= 0 && ns_identify_fd(owner, &id) == 0 &&
		ns_equal(&id, &place->state.namespaces[NS_USER]))
		return 0;
	return err_set(err, -EPERM,
		"the container's network namespace does not belong to the pod's user namespace: its "
		"config.json must join that (linux.namespaces, type user, path .../ns/user); podctl "
		"bundle sets it");
}

static int find_share(const struct place *place, int netns, struct attachment *attachment,
	struct err *err)
{
	struct ns_id pod_net;
	int r;

	r = ns_identify_fd(netns, &attachment->netns);
	if (r < 0)
		return err_set(err, r, "looking at the container's network namespace: %s",
			strerror(-r));
	attachment->share = ATTACHMENT_BRIDGED;
	if (place->is_host)
		return 0;
	r = identify_pod_net(place, &pod_net, err);
	if (r < 0)
		return r;
	if (ns_equal(&pod_net, &attachment->netns)) {
		attachment->share = ATTACHMENT_SHARED;
		return 0;
	}
	if (place->spec.net == POD_NET_HOST)
		return err_set(err, -EOPNOTSUPP,
			"pod '%s' has the host's network, where its user cannot make bridges%s",
			place->spec.path,
			place->child_is_pod ? "" : ": share it (podctl bundle --share net)");
	/* That of a pod in this one belongs to that pod's user namespace, of which the pod's root
	 * is lord, too. */
	return place->child_is_pod ? 0 : check_owner(place, netns, err);
}

static int copy_text(char **target, const char *source, struct err *err)
{
	if (!source)
		return 0;
	*target = strdup(source);
	return *target ? 0 : err_oom(err);
}

static int add_network(const struct place *place, const struct oci_network *asked, size_t index,
	struct attachment_network *network, struct err *err)
{
	autoptr(cni_config) config = NULL;
	autofree char *ifname = text_format("eth%zu", index);
	struct cni_builtin builtin;
	int r;

	pod_spec_builtin(&place->spec, &builtin);
	if (place->is_host) {
		builtin.level = CNI_LEVEL_HOST;
		if (builtin.mtu > HOST_MTU_MAX)
			builtin.mtu = HOST_MTU_MAX;
	}
	r = cni_config_find(place->spec.cni_config_dirs, asked->name, &builtin, &config, err);
	if (r == 0)
		r = copy_text(&network->name, asked->name, err);
	if (r == 0)
		r = copy_text(&network->ifname, asked->ifname ? asked->ifname : ifname, err);
	if (r == 0)
		r = copy_text(&network->ip, asked->ip, err);
	if (r == 0)
		r = copy_text(&network->mac, asked->mac, err);
	if (r < 0)
		return r;
	network->config = json_copy(cni_config_document(config));
	return network->config ? 0 : err_oom(err);
}

static int check_networks(const struct attachment *attachment, struct err *err)
{
	for (size_t i = 0; i < attachment->n_networks; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct attachment_network *a = &attachment->networks[i];
			const struct attachment_network *b = &attachment->networks[j];

			if (text_equal(a->ifname, b->ifname))
				return err_set(err, -EINVAL,
					"networks %s and %s both want the interface %s", b->name,
					a->name, a->ifname);
		}
	}
	return 0;
}

static void new_generation(char ret[ATTACHMENT_GENERATION_SIZE])
{
	unsigned char bytes[(ATTACHMENT_GENERATION_SIZE - 1) / 2];

	/* Never fails for so few bytes once the kernel is up (getrandom(2)). */
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		memset(bytes, 0, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

static int fill_attachment(const struct place *place, const struct request *request,
	struct attachment *attachment, struct err *err)
{
	int r;

	attachment->phase = ATTACHMENT_ADDING;
	text_copy(attachment->pod, sizeof(attachment->pod), request->pod);
	text_copy(attachment->child, sizeof(attachment->child), request->child);
	if (text_copy(attachment->id, sizeof(attachment->id), request->state.id) < 0)
		return err_set(err, -EINVAL, "container id '%s' is longer than %d bytes",
			request->state.id, NAME_PATH_SIZE - 1);
	new_generation(attachment->generation);
	record_time_now(attachment->created);
	proc_boot_id(attachment->boot_id);
	r = copy_text(&attachment->bundle, request->state.bundle, err);
	if (r == 0)
		r = copy_text(&attachment->hostname, request->hostname, err);
	if (r < 0)
		return r;
	attachment->aliases = request->aliases ? strv_copy(request->aliases) : NULL;
	attachment->publish = request->publish ? strv_copy(request->publish) : NULL;
	attachment->capability_args =
		request->capability_args ? json_copy(request->capability_args) : NULL;
	if ((request->aliases && !attachment->aliases) ||
		(request->publish && !attachment->publish) ||
		(request->capability_args && !attachment->capability_args))
		return err_oom(err);
	if (attachment->share == ATTACHMENT_SHARED)
		return 0;
	for (size_t i = 0; r == 0 && i < request->n_networks; i++)
		r = add_network(place, &request->networks[i], i,
			&attachment->networks[attachment->n_networks++], err);
	return r == 0 ? check_networks(attachment, err) : r;
}

/* What is there of the child's name. Return: 0 when it is free (what a dead container left is
 * detached), 1 when this very container is attached, -EBUSY when another one is. */
static int check_existing(const struct place *place, const struct request *request,
	const struct proc_id *init, struct err *err)
{
	cleanup(attachment_done) struct attachment existing = {};
	int r;

	r = attachment_load(place->childfd, &existing, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_wrap(err, r, "the record of '%s/%s' (podctl rm -f gives it up)",
			request->pod, request->child);
	if (existing.init.pid == init->pid && existing.init.start_time == init->start_time &&
		existing.phase == ATTACHMENT_ATTACHED)
		return 1;
	if (proc_alive(&existing.init))
		return err_set(err, -EBUSY, "'%s/%s' is in use by container %s (process %d)",
			request->pod, request->child, existing.id, (int)existing.init.pid);
	r = detach_attachment(place, request, &existing, true, err);
	if (r < 0)
		return err_wrap(err, r, "what container %s left (podctl rm -f gives it up)",
			existing.id);
	return 0;
}

/* On failure *ret_left is how many networks still need a DEL. */
static int run(struct place *place, const struct request *request, int netns,
	struct attachment *attachment, size_t *ret_left, struct err *err)
{
	struct inside inside = {
		.is_host = place->is_host,
		.podfd = place->podfd,
		.spec = &place->spec,
		.state = &place->state,
		.attachment = attachment,
		.netns = netns,
		.deadline = request->deadline,
	};
	cleanup(pod_state_done) struct pod_state now = {};
	int r;

	r = attachment_save(place->childfd, attachment, err);
	if (r == 0 && !place->is_host)
		r = pod_state_load(place->podfd, &now, err);
	if (r == 0 && !place->is_host)
		r = check_phase(request, pod_state_phase_now(&now), err);
	/* What podd refuses to watch would stay when the container ends. */
	if (r == 0)
		r = tell_podd(place, "Attach", attachment, err);
	if (r < 0)
		return r;
	if (attachment->share == ATTACHMENT_SHARED)
		return 0;
	return inside_add(&inside, ret_left, err);
}

/* Without podd the container runs all the same, and podd looks at it when it comes back; but not
 * one with rules that nobody would enforce until then. */
static int check_without_podd(const struct place *place, const struct attachment *attachment,
	struct err *err)
{
	cleanup(pod_network_done) struct pod_network network = {};
	struct egress_rule rules[EGRESS_RULES_MAX];
	int r = pod_network_load(place->podfd, &network, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || pod_network_rules(&network, attachment->child, rules) == 0)
		return r;
	return err_set(err, -EHOSTDOWN,
		"container %s has egress rules, and the supervisor of pod '%s', which makes them "
		"hold, is "
		"not there: start the pod again (podctl start %s)",
		attachment->child, place->spec.path, place->spec.path);
}

/* Once all is added, only the record is missing. */
static int finish(struct place *place, struct attachment *attachment, struct err *err)
{
	int r;

	attachment->phase = ATTACHMENT_ATTACHED;
	r = attachment_save(place->childfd, attachment, err);
	if (r == 0 && !place->is_host)
		r = hosts_update(place->podfd, err);
	if (r == 0)
		r = tell_podd(place, "Attach", attachment, err);
	if (r == TELL_PODD_AWAY)
		r = check_without_podd(place, attachment, err);
	if (r == 0)
		drop_error(place);
	return r;
}

/* Something could not be taken back: the record stays, and podd, which watches the container,
 * tries again when it has ended. */
static void leave_to_podd(const struct place *place, struct attachment *attachment, size_t left)
{
	attachment_cut_networks(attachment, left);
	attachment->phase = ATTACHMENT_DETACHING;
	attachment_save(place->childfd, attachment, NULL);
	tell_podd(place, "Attach", attachment, NULL);
}

/* Takes a record back. First it is written down why, so that the child's directory stays. @left of
 * its networks still need a DEL. */
static void undo(const struct place *place, const struct request *request,
	struct attachment *attachment, size_t left, const struct err *err)
{
	keep_error(place, request, err);
	if (left > 0) {
		leave_to_podd(place, attachment, left);
		return;
	}
	drop_record(place, request, NULL);
	tell_podd(place, "Detach", attachment, NULL);
}

/* The same after everything was added. */
static void undo_all(const struct place *place, const struct request *request,
	struct attachment *attachment, struct err *err)
{
	char message[ERR_MSG_MAX];
	struct err why = {};

	keep_error(place, request, err);
	if (detach_attachment(place, request, attachment, false, &why) == 0)
		return;
	memcpy(message, err->msg, sizeof(message));
	err_set(err, err->code, "%s; taking it back failed, too: %s", message, why.msg);
	leave_to_podd(place, attachment, attachment->n_networks);
}

static int attach_at(struct place *place, const struct request *request, struct proc_id *init,
	struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	autoclose int netns = -1;
	size_t left = 0;
	int r;

	r = check_phase(request, place->phase, err);
	if (r == 0)
		r = find_init(place, request, init, err);
	if (r == 0)
		r = check_existing(place, request, init, err);
	if (r != 0)
		return r < 0 ? r : 0;
	attachment.init = *init;
	r = open_netns(request, init, &netns, err);
	if (r == 0)
		r = find_share(place, netns, &attachment, err);
	if (r == 0)
		r = fill_attachment(place, request, &attachment, err);
	/* Of what it does, nothing outlives the container. */
	if (r == 0)
		r = shm_share(place, request, err);
	if (r < 0)
		return r;
	r = run(place, request, netns, &attachment, &left, err);
	if (r < 0) {
		undo(place, request, &attachment, left, err);
		return r;
	}
	r = finish(place, &attachment, err);
	if (r < 0)
		undo_all(place, request, &attachment, err);
	return r;
}

/* Whether the child's directory is that of another container, which runs. @init is the own one's,
 * as far as it is known. */
static bool is_anothers(const struct place *place, const struct proc_id *init)
{
	cleanup(attachment_done) struct attachment existing = {};

	if (place->childfd < 0 || attachment_load(place->childfd, &existing, NULL) < 0)
		return false;
	if (existing.init.pid == init->pid && existing.init.start_time == init->start_time)
		return false;
	return proc_alive(&existing.init);
}

int attach(const struct request *request, struct err *err)
{
	cleanup(place_done) struct place place;
	struct proc_id init = {};
	int r;

	place_init(&place);
	r = place_open(&place, request, true, err);
	if (r == 0)
		r = attach_at(&place, request, &init, err);
	/* Another container's name is not the place to complain at. */
	if (r < 0 && !is_anothers(&place, &init))
		keep_error(&place, request, err);
	return r < 0 ? err_wrap(err, r, "attaching '%s/%s'", request->pod, request->child) : 0;
}
