/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What podctl doctor --fix does: see doctor.h. One function for each action. Each looks again
 * before it does anything, under the lock of who else might do it: what was found may be no more.
 */

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "hook-program.h"
#include "text.h"

#include "doctor.h"
#include "doctor-netlink.h"
#include "lifecycle.h"
#include "pod.h"
#include "start.h"
#include "supervisor.h"

#define END_TIMEOUT_MS 5000
#define LOCK_TIMEOUT_MS 2000
#define CGROUP_TIMEOUT_MS 2000
#define HOOK_TIMEOUT_MS 110000
/* What is done in the pod's namespaces meets what its root has made there. */
#define INSIDE_TIMEOUT_S 20

/* One finding that is dealt with. */
struct fix {
	const struct ctl *ctl;
	const char *pod;
	const char *object;
	struct pod_running running; /* opened as far as that is possible */
};

/* ---- the pod ---- */

static int clean(const struct fix *fix, struct err *err)
{
	return lifecycle_clean(fix->ctl, fix->pod, err);
}

static int supervise(const struct fix *fix, struct err *err)
{
	return lifecycle_start(fix->ctl, fix->pod, NULL, err);
}

static int kill_process(const struct proc_id *id, struct err *err)
{
	autoclose int pidfd = -1;
	int r;

	if (proc_open(id, &pidfd) < 0)
		return 0;
	r = proc_signal(pidfd, SIGKILL);
	if (r == 0)
		r = proc_wait(pidfd, END_TIMEOUT_MS);
	return r < 0 ? err_set(err, r, "process %d does not end: %s", (int)id->pid, strerror(-r))
		     : 0;
}

static int replace_podd(const struct fix *fix, struct err *err)
{
	int r = kill_process(&fix->running.state.podd, err);

	return r < 0 ? r : lifecycle_start(fix->ctl, fix->pod, NULL, err);
}

static int restore_rules(const struct fix *fix, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	int r;

	r = supervisor_reach(fix->ctl, fix->pod, fix->running.podfd, &supervisor, err);
	return r < 0 ? r : supervisor_call(&supervisor, "RestoreRules", NULL, NULL, err);
}

static int remove_pod(const struct fix *fix, struct err *err)
{
	return lifecycle_remove(fix->ctl, fix->pod, err);
}

/* ---- its files ---- */

/* Nobody attaches or detaches the child while this is held. */
static int lock_child(const struct fix *fix, int *ret, struct err *err)
{
	return hierarchy_lock_child(fix->running.podfd, fix->object, LOCK_TIMEOUT_MS, ret, err);
}

static bool has_record(int childfd)
{
	static const char *const records[] = {RECORD_CONTAINER, RECORD_ATTACHMENT, RECORD_ERROR};

	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		if (faccessat(childfd, records[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

static int remove_child(const struct fix *fix, struct err *err)
{
	autoclose int lock = -1;
	autoclose int childfd = -1;
	int r;

	r = lock_child(fix, &lock, err);
	if (r == 0)
		r = hierarchy_open_child(fix->running.podfd, fix->object, false, &childfd, err);
	if (r == 0 && !has_record(childfd))
		r = hierarchy_remove_child(fix->running.podfd, fix->object, err);
	if (r == 0 || r == -ENOENT)
		hierarchy_drop_child_lock(fix->running.podfd, fix->object);
	return r == -ENOENT ? 0 : r;
}

static int remove_lock(const struct fix *fix, struct err *err)
{
	autoclose int lock = -1;
	autoclose int childfd = -1;
	int r = lock_child(fix, &lock, err);

	if (r == 0 && hierarchy_open_child(
			      fix->running.podfd, fix->object, false, &childfd, NULL) == -ENOENT)
		hierarchy_drop_child_lock(fix->running.podfd, fix->object);
	return r;
}

static int remove_file(const struct fix *fix, struct err *err)
{
	if (unlinkat(fix->running.podfd, fix->object, 0) < 0 && errno != ENOENT)
		return err_errno(err, "removing %s", fix->object);
	return 0;
}

static int link_namespace(const struct fix *fix, struct err *err)
{
	autofree char *link = text_format("ns/%s", fix->object);
	autofree char *target =
		text_format("/proc/%d/ns/%s", (int)fix->running.state.outer.pid, fix->object);

	if (!link || !target)
		return err_oom(err);
	if (unlinkat(fix->running.podfd, link, 0) < 0 && errno != ENOENT)
		return err_errno(err, "removing %s", link);
	return symlinkat(target, fix->running.podfd, link) < 0
		       ? err_errno(err, "making the link %s", link)
		       : 0;
}

/* ---- containers ---- */

static int detach(const struct fix *fix, struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	autoclose int childfd = -1;
	int r;

	r = hierarchy_open_any_child(fix->running.podfd, fix->object, &childfd, err);
	if (r == 0)
		r = attachment_load(childfd, &attachment, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	const char *const argv[] = {"podd-hook", "detach", "--root", fix->ctl->root, "--pod",
		fix->pod, "--child", fix->object, "--generation", attachment.generation, NULL};

	return proc_alive(&attachment.init) ? 0 : hook_program_run(argv, HOOK_TIMEOUT_MS, err);
}

static int collect(const struct fix *fix, struct err *err)
{
	const char *const argv[] = {
		"podd-hook", "gc", "--root", fix->ctl->root, "--pod", fix->pod, NULL};

	return hook_program_run(argv, HOOK_TIMEOUT_MS, err);
}

static int reap(const struct fix *fix, struct err *err)
{
	return start_reap(fix->ctl, &fix->running, fix->pod, fix->object, err);
}

/* "PID STARTTIME" */
static int kill_shim(const struct fix *fix, struct err *err)
{
	struct proc_id id = {};
	autostrv words = NULL;
	uint32_t pid;

	if (strv_split(fix->object, ' ', &words) < 0 || strv_length(words) != 2 ||
		text_to_uint32(words[0], 1, INT32_MAX, &pid) < 0 ||
		text_to_uint64(words[1], 0, UINT64_MAX, &id.start_time) < 0)
		return err_set(err, -EINVAL, "'%s' names no process", fix->object);
	id.pid = (pid_t)pid;
	return kill_process(&id, err);
}

static int remove_cgroup(const struct fix *fix, struct err *err)
{
	int r = cgroup_remove(fix->object, CGROUP_TIMEOUT_MS);

	return r < 0 ? err_set(err, r, "removing the cgroup %s: %s", fix->object, strerror(-r)) : 0;
}

/* ---- in the pod's namespaces, in a process of their own ---- */

/* NETWORK ADDRESS ID IFNAME */
static int write_lease(const struct doctor *doctor, char *const *words, struct err *err)
{
	autofree char *text = NULL;
	autofree char *dir = NULL;
	autoclose int dirfd = -1;

	if (strv_length(words) != 4)
		return err_set(err, -EINVAL, "no lease");
	/* As host-local writes it. */
	text = text_format("%s\r\n%s", words[2], words[3]);
	dir = text_format("cni/networks/%s", words[0]);
	if (!text || !dir)
		return err_oom(err);
	if ((mkdirat(doctor->podfd, "cni/networks", 0755) < 0 && errno != EEXIST) ||
		(mkdirat(doctor->podfd, dir, 0755) < 0 && errno != EEXIST))
		return err_errno(err, "making %s", dir);
	dirfd = openat(doctor->podfd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return err_errno(err, "opening %s", dir);
	return file_write(dirfd, words[1], text, strlen(text), 0600, err);
}

static int mend_link(char *const *words, struct err *err)
{
	autoclose int netlink = -1;
	struct doctor_link link = {};
	int r;

	r = doctor_netlink_open(NETLINK_ROUTE, &netlink);
	if (r == 0)
		r = doctor_netlink_link(netlink, words[1], &link);
	if (r == 0 && !link.up)
		r = doctor_netlink_up(netlink, link.index);
	for (size_t i = 2; r == 0 && words[i]; i++)
		r = text_starts_with(words[i], DOCTOR_VIA)
			    ? doctor_netlink_add_default(
				      netlink, link.index, words[i] + strlen(DOCTOR_VIA))
			    : doctor_netlink_add_address(netlink, link.index, words[i]);
	return r < 0 ? err_set(err, r, "interface %s: %s", words[1], strerror(-r)) : 0;
}

/* ID IFNAME WORD...: addresses, and default routes; "-" for the pod's own network. */
static int mend_interface(const struct doctor *doctor, char *const *words, struct err *err)
{
	autofree char *path = NULL;
	autoclose int netns = -1;

	if (strv_length(words) < 2)
		return err_set(err, -EINVAL, "no interface");
	if (strcmp(words[0], "-") == 0)
		return mend_link(words, err);
	path = text_format("/run/netns/%s", words[0]);
	/* Who is root in the pod can have put anything there. */
	netns = path ? open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_errno(err, "entering the network namespace of %s", words[0]);
	return mend_link(words, err);
}

typedef int inside_function(const struct doctor *doctor, char *const *words, struct err *err);

/* The kernel ends the process. */
static void end_by_deadline(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(INSIDE_TIMEOUT_S);
}

static void __attribute__((noreturn))
act_inside(const struct fix *fix, inside_function *function, int output)
{
	struct doctor doctor = {.ctl = fix->ctl,
		.path = fix->pod,
		.podfd = fix->running.podfd,
		.state = fix->running.state};
	autostrv words = NULL;
	struct err err = {};
	int r;

	end_by_deadline();
	r = strv_split(fix->object, ' ', &words) < 0 ? err_oom(&err) : doctor_enter(&doctor, &err);
	if (r == 0)
		r = function(&doctor, words, &err);
	if (r < 0)
		fd_write_all(output, err.msg, strlen(err.msg));
	_exit(r < 0);
}

static int inside(const struct fix *fix, inside_function *function, struct err *err)
{
	autofree char *text = NULL;
	int pipe_fds[2], status;
	size_t length;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		act_inside(fix, function, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid > 0 && fd_read_all(pipe_fds[0], ERR_MSG_MAX, &text, &length) < 0)
		text = NULL;
	close(pipe_fds[0]);
	if (pid < 0)
		return err_errno(err, "starting a process for the pod's namespaces");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return err_set(err, -ETIMEDOUT, "it took too long");
	return status ? err_set(err, -EIO, "%s", text && *text ? text : "it was killed") : 0;
}

static int lease(const struct fix *fix, struct err *err)
{
	return inside(fix, write_lease, err);
}

static int interface(const struct fix *fix, struct err *err)
{
	return inside(fix, mend_interface, err);
}

/* ---- the table ---- */

/* In the order in which it is done: what a supervisor does by itself is not done for it. */
static const struct {
	const char *name;
	const char *text; /* NULL: a person has to */
	int (*run)(const struct fix *fix, struct err *err);
	bool by_object; /* not once for the pod, but for each object */
} actions[DOCTOR_ACTIONS] = {
	[DOCTOR_NOTHING] = {"none", NULL, NULL, false},
	[DOCTOR_CLEAN] = {"clean", "ends what is left of the pod and removes it", clean, false},
	[DOCTOR_SUPERVISE] = {"supervise", "starts another supervisor", supervise, false},
	[DOCTOR_REPLACE_PODD] = {"replace-podd", "kills it and starts another supervisor",
		replace_podd, false},
	[DOCTOR_RULES] = {"rules", "has them set anew", restore_rules, false},
	[DOCTOR_REMOVE_POD] = {"remove-pod", "removes the directory", remove_pod, false},
	[DOCTOR_REMOVE_CHILD] = {"remove-child", "removes the directory", remove_child, true},
	[DOCTOR_REMOVE_LOCK] = {"remove-lock", "removes the file", remove_lock, true},
	[DOCTOR_REMOVE_FILE] = {"remove-file", "removes the file", remove_file, true},
	[DOCTOR_DETACH] = {"detach", "detaches it", detach, true},
	[DOCTOR_REAP] = {"reap", "ends the container and clears up", reap, true},
	[DOCTOR_KILL_SHIM] = {"kill-shim", "kills it", kill_shim, true},
	[DOCTOR_CGROUP] = {"cgroup", "removes it", remove_cgroup, true},
	[DOCTOR_LINK] = {"link", "makes the link anew", link_namespace, true},
	[DOCTOR_COLLECT] = {"collect", "has the CNI plugins delete what nobody has (GC, DEL)",
		collect, false},
	[DOCTOR_LEASE] = {"lease", "writes the lease", lease, true},
	[DOCTOR_INTERFACE] = {"interface", "sets it", interface, true},
};

const char *doctor_action_text(enum doctor_action action)
{
	return actions[action].text;
}

const char *doctor_action_name(enum doctor_action action)
{
	return actions[action].name;
}

static const char *text_of(const struct json *finding, const char *key)
{
	const char *text = json_string(json_get(finding, key));

	return text ? text : "";
}

/* Was the same done for an earlier finding? Then with that one's outcome. */
static const struct json *find_done(
	const struct json *findings, size_t index, enum doctor_action action)
{
	const struct json *finding = json_at(findings, index);

	for (size_t i = 0; i < index; i++) {
		const struct json *other = json_at(findings, i);

		if (strcmp(text_of(other, "action"), actions[action].name) == 0 &&
			strcmp(text_of(other, "pod"), text_of(finding, "pod")) == 0 &&
			(!actions[action].by_object ||
				strcmp(text_of(other, "object"), text_of(finding, "object")) == 0))
			return other;
	}
	return NULL;
}

static void fix_one(const struct ctl *ctl, struct json *finding, enum doctor_action action)
{
	cleanup(pod_running_done) struct pod_running running = POD_RUNNING_NONE;
	struct fix fix = {
		.ctl = ctl, .pod = text_of(finding, "pod"), .object = text_of(finding, "object")};
	struct err err = {};

	if (*fix.pod && pod_open(ctl, fix.pod, &running, NULL) < 0)
		ctl_open_pod(ctl, fix.pod, &running.podfd, NULL);
	fix.running = running;
	if (actions[action].run(&fix, &err) < 0)
		json_set_string(finding, "error", err.msg[0] ? err.msg : "it failed");
}

void doctor_fix(const struct ctl *ctl, struct json *findings)
{
	for (int action = DOCTOR_NOTHING + 1; action < DOCTOR_ACTIONS; action++) {
		for (size_t i = 0; i < json_length(findings); i++) {
			struct json *finding = json_at(findings, i);
			const struct json *done;

			if (strcmp(text_of(finding, "action"), actions[action].name) != 0)
				continue;
			done = find_done(findings, i, (enum doctor_action)action);
			if (!done)
				fix_one(ctl, finding, (enum doctor_action)action);
			else if (json_get(done, "error"))
				json_set_string(finding, "error", text_of(done, "error"));
		}
	}
}
