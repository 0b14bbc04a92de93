/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Running CNI in the pod: see inside.h.
 *
 * The child enters the pod's user namespace (unless it is in it, as in createContainer), its mount
 * namespace and its network namespace, in which the plugins make bridges and veths. The
 * container's netns stays bound to /run/netns/<id> there, so that DEL always has it.
 *
 * Plugins in Go look at /proc/<pid>/task/<tid>/ns/net with their own pid. In createContainer the
 * caller is in the container's pid namespace and /proc is the host's; then a fresh /proc is
 * mounted in a mount namespace that lives as long as the plugins.
 */

#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni.h"
#include "deadline.h"
#include "fd.h"
#include "file.h"
#include "ns.h"
#include "publish.h"
#include "text.h"

/* Most that is waited for others on the same network. */
#define NETWORK_LOCK_MS 60000
/* Where the host has what a pod has in its cni/ and /run/netns. */
#define HOST_CACHE "/var/lib/cni"
#define HOST_NETNS "/run/netns"
#define ANSWER_BYTES_MAX (256 * 1024)
#define NETNS_PATH_SIZE (NAME_PATH_SIZE + 16)

static void netns_path(const struct attachment *attachment, char ret[NETNS_PATH_SIZE])
{
	snprintf(ret, NETNS_PATH_SIZE, "/run/netns/%s", attachment->id);
}

static bool is_bound(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

static void unbind_netns(const char *path)
{
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	unlink(path);
}

static int bind_netns(int netns, const char *path, struct err *err)
{
	char source[32];
	int fd;

	unbind_netns(path);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
	/* In use by a mount that is hidden: another one on it hides that. */
	if (fd < 0 && errno != EEXIST)
		return err_errno(err, "making %s in the pod", path);
	if (fd >= 0)
		close(fd);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", netns);
	if (mount(source, path, NULL, MS_BIND, NULL) < 0) {
		int r = err_errno(err, "binding the container's network namespace to %s", path);

		unlink(path);
		return r;
	}
	return 0;
}

int inside_enter(const struct pod_state *state, const char *pod, struct err *err)
{
	cleanup(ns_set_done) struct ns_set set;
	struct ns_id wanted[NS_KINDS] = {};
	autoclose int dir = -1;
	int r;

	ns_set_init(&set);
	wanted[NS_USER] = state->namespaces[NS_USER];
	wanted[NS_MNT] = state->namespaces[NS_MNT];
	wanted[NS_NET] = state->namespaces[NS_NET];
	r = proc_open_dir(&state->outer, &dir);
	if (r < 0)
		return err_set(err, r, "the outer container of pod '%s' is gone", pod);
	r = ns_open(dir, wanted, &set, err);
	if (r == 0)
		r = ns_join(&set, err);
	/* Not longer than the hook, whose end the runtime takes for the plugins' end. Only now: a
	 * change of credentials takes it back (prctl(2)). */
	if (r == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return r;
}

static int join_pod(const struct inside *inside, struct err *err)
{
	if (!inside->is_host)
		return inside_enter(inside->state, inside->attachment->pod, err);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return 0;
}

/* In a pod that shows the host's tree, plugins of the host's look there. */
static int mount_proc(const char *host_at, struct err *err)
{
	autofree char *path = text_format("%s/proc", host_at ? host_at : "");

	if (!path)
		return err_oom(err);
	if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_errno(err, "mounting %s for the plugins", path);
	return 0;
}

static int own_proc(const struct inside *inside, struct err *err)
{
	const char *host_at = inside->is_host ? NULL : inside->spec->host_at;
	int r;

	if (proc_is_own())
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(err, "making a mount namespace for the plugins");
	r = mount_proc(NULL, err);
	return r == 0 && host_at ? mount_proc(host_at, err) : r;
}

/* The capability arguments of CNI's conventions: those that were asked for as such, and those that
 * a container's hook knows itself, which win. */
static int capability_args(const struct attachment *attachment, struct json **ret, struct err *err)
{
	autoptr(json) args = attachment->capability_args ? json_copy(attachment->capability_args)
							 : json_new_object();
	struct json *mappings = NULL;
	int r;

	if (attachment->aliases)
		json_set_strv(args, "aliases", attachment->aliases);
	if (attachment->publish) {
		r = publish_to_port_mappings(attachment->publish, &mappings, err);
		if (r < 0)
			return r;
		json_set(args, "portMappings", mappings);
	}
	*ret = take_ptr(args);
	return 0;
}

/* Taking back needs its part of the time, so that ADD does not wait until the end. */
static unsigned lock_timeout_ms(const struct inside *inside, bool add)
{
	return deadline_left_ms(inside->deadline - (add ? CNI_UNDO_MS : 0), NETWORK_LOCK_MS);
}

/* The pod's directories are those that it sees. On the host they are the host's. */
static int find_host_dirs(const struct pod_spec *spec, char ***ret, struct err *err)
{
	autostrv usual = NULL;
	int r;

	if (!spec->root) {
		*ret = strv_copy(spec->cni_plugin_dirs);
		return *ret ? 0 : err_oom(err);
	}
	r = cni_default_plugin_dirs(&usual);
	if (r == 0)
		r = cni_trusted_dirs(usual, ret, NULL);
	return r < 0 ? err_oom(err) : 0;
}

/* Runs ADD or DEL for one network, alone on it in this pod. *left is set when ADD failed and could
 * not be taken back. */
static int run_network(const struct inside *inside, size_t index, bool add, int cache,
	const char *netns, bool *left, struct err *err)
{
	struct attachment_network *network = &inside->attachment->networks[index];
	autoptr(json) args = NULL;
	autoptr(json) result = NULL;
	autoptr(cni_config) config = NULL;
	autostrv host_dirs = NULL;
	autoclose int locks = -1, lock = -1;
	struct cni_runtime runtime = {
		.container_id = inside->attachment->id,
		.netns = netns,
		.ifname = network->ifname,
		.ip = network->ip,
		.mac = network->mac,
		.plugin_dirs = inside->spec->cni_plugin_dirs,
		.host_at = inside->spec->host_at,
		.cache_fd = cache,
		.deadline_ms = inside->deadline,
		.left = left,
	};
	char name[300];
	int r;

	snprintf(name, sizeof(name), "net-%s", network->name);
	r = capability_args(inside->attachment, &args, err);
	runtime.capability_args = args;
	if (r == 0 && inside->is_host) {
		r = find_host_dirs(inside->spec, &host_dirs, err);
		runtime.plugin_dirs = host_dirs;
		runtime.host_at = NULL;
	}
	if (r == 0)
		r = cni_config_from_json(network->name, network->config, &config, err);
	if (r == 0)
		r = file_open_dir(inside->podfd, "locks", &locks, err);
	if (r == 0)
		r = file_lock(locks, name, lock_timeout_ms(inside, add), &lock, err);
	if (r < 0)
		return err_wrap(err, r, "network %s", network->name);
	if (add)
		r = cni_add(config, &runtime, &result, &network->addresses, err);
	else
		r = cni_del(config, &runtime, err);
	return r < 0 ? err_wrap(err, r, "network %s", network->name) : 0;
}

/* Every network is tried, the last one first; the first failure is reported. */
static int del_networks(const struct inside *inside, size_t n, int cache, const char *netns,
	struct err *err)
{
	int first = 0;

	while (n-- > 0) {
		int r = run_network(inside, n, false, cache, netns, NULL,
			first < 0 ? NULL : err);

		if (first == 0)
			first = r;
	}
	return first;
}

/* Takes back the first @n networks, after the one that follows failed. */
static void roll_back(const struct inside *inside, size_t n, int cache, const char *netns,
	size_t *left, struct err *err)
{
	char message[ERR_MSG_MAX];
	struct err why = {};

	if (del_networks(inside, n, cache, netns, &why) == 0)
		return;
	if (*left < n)
		*left = n;
	memcpy(message, err->msg, sizeof(message));
	err_set(err, err->code, "%s; taking back the networks before it failed, too: %s", message,
		why.msg);
}

static int add_in_pod(const struct inside *inside, int cache, size_t *left, struct err *err)
{
	char path[NETNS_PATH_SIZE];
	bool failed_left = false;
	size_t n = 0;
	int r;

	netns_path(inside->attachment, path);
	r = join_pod(inside, err);
	if (r == 0)
		r = bind_netns(inside->netns, path, err);
	if (r < 0)
		return r;
	r = own_proc(inside, err);
	while (r == 0 && n < inside->attachment->n_networks) {
		r = run_network(inside, n, true, cache, path, &failed_left, err);
		if (r == 0)
			n++;
	}
	if (r < 0) {
		*left = failed_left ? n + 1 : 0;
		roll_back(inside, n, cache, path, left, err);
	}
	return r;
}

static int del_in_pod(const struct inside *inside, int cache, struct err *err)
{
	char path[NETNS_PATH_SIZE];
	bool stays_in_pod;
	int r;

	netns_path(inside->attachment, path);
	r = join_pod(inside, err);
	if (r < 0)
		return r;
	stays_in_pod = proc_is_own();
	r = own_proc(inside, err);
	if (r == 0)
		r = del_networks(inside, inside->attachment->n_networks, cache,
			is_bound(path) ? path : "", err);
	if (r == 0 && stays_in_pod)
		unbind_netns(path);
	return r;
}

/* In a process of its own, where the one that ran the plugins left the pod's mount namespace for
 * one with a fresh /proc. */
static int unbind_in_pod(const struct inside *inside, struct err *err)
{
	char path[NETNS_PATH_SIZE];
	int r;

	netns_path(inside->attachment, path);
	r = join_pod(inside, err);
	if (r == 0)
		unbind_netns(path);
	return r;
}

/* On the host they are where other callers of CNI have them, too. */
static int open_cache(const struct inside *inside, int *ret, struct err *err)
{
	int fd;

	if (!inside->is_host)
		return file_open_dir(inside->podfd, "cni", ret, err);
	if (mkdir(HOST_CACHE, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "making " HOST_CACHE);
	if (mkdir(HOST_NETNS, 0755) < 0 && errno != EEXIST)
		return err_errno(err, "making " HOST_NETNS);
	fd = open(HOST_CACHE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "opening " HOST_CACHE);
	*ret = fd;
	return 0;
}

enum task { TASK_ADD, TASK_DEL, TASK_UNBIND };

static struct json *answer(const struct attachment *attachment, int result, size_t left,
	const struct err *err)
{
	struct json *document = json_new_object();
	struct json *networks = json_set_array(document, "networks");

	json_set_int(document, "result", result);
	if (result < 0)
		json_set_string(document, "message", err->msg);
	json_set_int(document, "left", (int64_t)left);
	for (size_t i = 0; i < attachment->n_networks; i++) {
		struct json *network = json_new_object();

		if (attachment->networks[i].addresses)
			json_set_strv(network, "addresses", attachment->networks[i].addresses);
		json_append(networks, network);
	}
	return document;
}

static void __attribute__((noreturn)) child(const struct inside *inside, enum task task, int output)
{
	autoptr(json) document = NULL;
	autoclose int cache = -1;
	autofree char *text = NULL;
	struct err err = {};
	size_t length, left = 0;
	int r;

	r = open_cache(inside, &cache, &err);
	if (r == 0 && task == TASK_ADD)
		r = add_in_pod(inside, cache, &left, &err);
	else if (r == 0 && task == TASK_DEL)
		r = del_in_pod(inside, cache, &err);
	else if (r == 0)
		r = unbind_in_pod(inside, &err);
	document = answer(inside->attachment, r, left, &err);
	if (json_write(document, false, &text, &length) < 0 ||
		fd_write_all(output, text, length) < 0)
		_exit(1);
	_exit(0);
}

static int take_addresses(struct attachment *attachment, const struct json *document,
	struct err *err)
{
	const struct json *networks = json_get(document, "networks");

	for (size_t i = 0; i < attachment->n_networks; i++) {
		char **addresses = NULL;
		int r = json_read_strv(json_at(networks, i), "addresses", false, &addresses, err);

		if (r < 0)
			return r;
		strv_free(attachment->networks[i].addresses);
		attachment->networks[i].addresses = addresses;
	}
	return 0;
}

/* *left stays as it is when there is no answer. */
static int read_answer(int input, struct attachment *attachment, size_t *left, struct err *err)
{
	autoptr(json) document = NULL;
	autofree char *text = NULL;
	const char *message = NULL;
	int64_t result = 0, count = 0;
	size_t length;
	int r;

	r = fd_read_all(input, ANSWER_BYTES_MAX, &text, &length);
	if (r < 0 || length == 0)
		return err_set(err, -ECONNRESET, "the process in the pod's namespaces was killed");
	r = json_parse("answer from the pod's namespaces", text, length, &document, err);
	if (r == 0)
		r = json_read_int(document, "result", true, INT32_MIN, 0, &result, err);
	if (r == 0)
		r = json_read_string(document, "message", false, &message, err);
	if (r == 0)
		r = json_read_int(document, "left", true, 0, (int64_t)attachment->n_networks,
			&count, err);
	if (r < 0)
		return r;
	*left = (size_t)count;
	if (result < 0)
		return err_set(err, (int)result, "%s", message ? message : "unknown error");
	return take_addresses(attachment, document, err);
}

/* *ret_left is for TASK_ADD only. Who was killed in the middle may have left everything. */
static int run_child(const struct inside *inside, enum task task, size_t *ret_left, struct err *err)
{
	size_t left = inside->attachment->n_networks;
	int pipe_fds[2], status, r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	pid = fork();
	if (pid == 0) {
		close(pipe_fds[0]);
		child(inside, task, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return err_errno(err, "starting a process for the pod's namespaces");
	}
	r = read_answer(pipe_fds[0], inside->attachment, &left, err);
	close(pipe_fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret_left)
		*ret_left = left;
	return r;
}

int inside_add(const struct inside *inside, size_t *ret_left, struct err *err)
{
	size_t left = 0;
	int r = run_child(inside, TASK_ADD, &left, err);

	if (r < 0 && left == 0)
		run_child(inside, TASK_UNBIND, NULL, NULL);
	*ret_left = r < 0 ? left : 0;
	return r;
}

int inside_del(const struct inside *inside, struct err *err)
{
	int r = run_child(inside, TASK_DEL, NULL, err);

	if (r == 0 && !proc_is_own())
		r = run_child(inside, TASK_UNBIND, NULL, err);
	return r;
}

/* ---- for who is in the pod's namespaces ---- */

void inside_unbind(const char *id)
{
	char path[NETNS_PATH_SIZE];

	snprintf(path, sizeof(path), "/run/netns/%s", id);
	unbind_netns(path);
}

int inside_bind(const struct attachment *attachment, struct err *err)
{
	char path[NETNS_PATH_SIZE];
	autoclose int bound = -1;
	autoclose int netns = -1;
	autoclose int dir = -1;
	struct ns_id id = {};

	netns_path(attachment, path);
	bound = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (bound >= 0 && ns_identify_fd(bound, &id) == 0 && ns_equal(&id, &attachment->netns))
		return 0;
	if (proc_open_dir(&attachment->init, &dir) < 0)
		return 0;
	netns = openat(dir, "ns/net", O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return err_errno(err, "opening the network namespace of container %s",
			attachment->child);
	if (ns_identify_fd(netns, &id) < 0 || !ns_equal(&id, &attachment->netns))
		return err_set(err, -ESTALE,
			"container %s is in another network namespace than its record says",
			attachment->child);
	return bind_netns(netns, path, err);
}
