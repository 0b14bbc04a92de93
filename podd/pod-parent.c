/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a pod in a pod has of the one around it: its ids, its namespaces (the new ones are made inside
 * of them), and its way out, which is a CNI network there. A pod at the top whose way out is a
 * CNI network has the latter of the host.
 *
 *   podd ──fork──▶ first helper: joins the namespaces of the pod around
 *                     └──▶ second helper: is in its pid namespace, too, and clones
 *                             └──▶ podd-outer, in user and pid namespaces inside of those
 *
 * podd is the parent of all three. The second helper writes the maps, as newuidmap(1) cannot: only
 * who is in the user namespace around may.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "deadline.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "hook-program.h"
#include "pod.h"
#include "text.h"

/* The hook has a deadline of its own, which is sooner. */
#define ATTACH_TIMEOUT_MS 120000
/* Less than the watchdog's time in podd@.service. */
#define DETACH_TIMEOUT_MS 25000
#define HELPER_TEXT_MAX 512
#define HELPERS_TIMEOUT_MS 30000
#define RESOLV_MAX (64 * 1024)
#define FDINFO_MAX 4096
#define PID_LINE "\nPid:\t"

int pod_load_parent(const struct pod *pod, int *ret_podfd, struct pod_state *ret, struct err *err)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];
	struct pod_state state = {};
	autoclose int podfd = -1;
	enum pod_phase phase;
	int r;

	name_split(pod->path, parent, leaf);
	r = hierarchy_open_pod(pod->rootfd, parent, &podfd, err);
	if (r == 0)
		r = pod_state_load(podfd, &state, err);
	if (r < 0)
		return r;
	phase = pod_state_phase_now(&state);
	if (phase != POD_RUNNING) {
		pod_state_done(&state);
		return err_set(err, -EHOSTDOWN,
			"pod '%s', which it is in, is %s; start that first: podctl start %s", parent,
			pod_phase_name(phase), parent);
	}
	if (ret_podfd)
		*ret_podfd = take_fd(&podfd);
	*ret = state;
	return 0;
}

/* ---- its outer container ---- */

/* Each helper writes one: the first tells of the second, the second of podd-outer. Which of them is
 * sooner, nobody knows. */
enum helper { HELPER_FIRST, HELPER_SECOND };

struct helper_answer {
	uint32_t helper;
	int32_t pid; /* or -errno, then text says why */
	char text[HELPER_TEXT_MAX];
};

/* Every id that is mapped there stays what it is. */
static int write_map(int procfd, pid_t pid, const char *name, const struct idmap *map)
{
	char path[32], text[IDMAP_EXTENTS_MAX * 36];
	autoclose int fd = -1;
	size_t used = 0;

	for (size_t i = 0; i < map->n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%u %u %u\n",
			map->extents[i].container, map->extents[i].container,
			map->extents[i].size);
	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(procfd, path, O_WRONLY | O_CLOEXEC);
	/* The kernel takes a map in one write only. */
	return fd < 0 || write(fd, text, used) < 0 ? -errno : 0;
}

/* The pod's directory as the pod around sees it: only what is mounted there can be bound there. */
static int enter_directory(const struct pod *pod, struct err *err)
{
	autofree char *path = hierarchy_pod_dir(pod->root, pod->path);
	struct stat here, there;

	if (!path)
		return err_oom(err);
	if (chdir(path) < 0)
		return err_errno(err, "entering %s in the pod around", path);
	if (stat(".", &here) < 0 || fstat(pod->podfd, &there) < 0 || here.st_dev != there.st_dev ||
		here.st_ino != there.st_ino)
		return err_set(err, -ESTALE, "%s is another directory in the pod around", path);
	return 0;
}

static int join_parent(const struct pod_state *parent, struct err *err)
{
	cleanup(ns_set_done) struct ns_set set;
	autoclose int dir = -1;
	int r;

	ns_set_init(&set);
	r = proc_open_dir(&parent->outer, &dir);
	if (r < 0)
		return err_set(err, r, "the outer container of the pod around is gone");
	r = pod_state_open_host(parent, dir, parent->namespaces, &set, err);
	if (r == 0)
		r = ns_join(&set, err);
	/* Of its pid namespace the children are: with its first process they end. */
	if (r == 0 && set.fds[NS_PID] >= 0 && setns(set.fds[NS_PID], CLONE_NEWPID) < 0)
		r = err_errno(err, "entering the pid namespace of the pod around");
	/* The changes of credentials have made /proc/PID root's, who is not in the pod. With this the
	 * root of the pod around can trace the helpers (ptrace(2)), as it can podd-outer later. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 1) < 0)
		r = err_errno(err, "making /proc/PID accessible");
	return r;
}

/* Its number in the pid namespace of /proc, whatever it is in the caller's (proc(5), fdinfo). */
static int read_pid(int procfd, int pidfd, pid_t *ret)
{
	autofree char *text = NULL;
	autoclose int fd = -1;
	const char *line;
	uint32_t pid;
	size_t length;
	char path[40];
	int r;

	snprintf(path, sizeof(path), "self/fdinfo/%d", pidfd);
	fd = openat(procfd, path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : fd_read_all(fd, FDINFO_MAX, &text, &length);
	if (r < 0)
		return r;
	line = strstr(text, PID_LINE);
	if (!line)
		return -EPROTO;
	line += strlen(PID_LINE);
	text[(size_t)(line - text) + strcspn(line, "\n")] = '\0';
	r = text_to_uint32(line, 1, INT32_MAX, &pid);
	*ret = (pid_t)pid;
	return r;
}

/* In the second helper. Return: 0 in podd-outer's process, its pid in the helper, -errno. */
static pid_t clone_outer(int procfd, const struct pod_state *parent, struct err *err)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int r;

	if (pid == 0)
		return 0;
	if (pid < 0)
		return err_errno(err, "making a user namespace in that of the pod around");
	r = read_pid(procfd, pidfd, &pid);
	close(pidfd);
	if (r == 0)
		r = write_map(procfd, pid, "uid_map", &parent->uids);
	if (r == 0)
		r = write_map(procfd, pid, "gid_map", &parent->gids);
	return r < 0 ? err_set(err, r, "mapping the ids of the pod around: %s", strerror(-r)) : pid;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* From now on the root of the pod around can look into this process: nothing shall be there that is
 * not for podd-outer. @keep is sorted. */
static int close_others(int *keep, size_t n, struct err *err)
{
	unsigned first = STDERR_FILENO + 1;
	int r = 0;

	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; r == 0 && i <= n; i++) {
		unsigned end = i < n ? (unsigned)keep[i] : ~0U;

		if (end > first)
			r = close_range(first, i < n ? end - 1 : end, 0);
		first = end + 1;
	}
	return r < 0 ? err_errno(err, "closing the files of podd") : 0;
}

/* Return: as clone_outer(). What was cloned before it failed ends by the pipe that podd then closes. */
static pid_t help(const struct pod *pod, const struct pod_state *parent, int output,
	const int fds[OUTER_START_FDS], uint32_t *helper, struct err *err)
{
	int keep[OUTER_START_FDS + 2] = {output, pod->podfd};
	struct clone_args args = {.flags = CLONE_PARENT};
	struct helper_answer second = {.helper = HELPER_FIRST};
	autoclose int procfd = -1;
	int r;

	memcpy(keep + 2, fds, OUTER_START_FDS * sizeof(*fds));
	r = close_others(keep, OUTER_START_FDS + 2, err);
	if (r < 0)
		return r;
	procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0)
		return err_errno(err, "opening /proc");
	r = join_parent(parent, err);
	if (r == 0)
		r = enter_directory(pod, err);
	if (r < 0)
		return r;
	/* A pid namespace can only be made in the one that the caller itself is in. */
	second.pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (second.pid == 0) {
		*helper = HELPER_SECOND;
		return clone_outer(procfd, parent, err);
	}
	if (second.pid < 0)
		return err_errno(err, "starting a process in the pod around");
	fd_write_all(output, &second, sizeof(second));
	_exit(0);
}

/* Returns in podd-outer's process only. */
static void help_and_tell(const struct pod *pod, const struct pod_state *parent, int output,
	const int fds[OUTER_START_FDS])
{
	struct helper_answer answer = {};
	struct err err = {};

	answer.pid = help(pod, parent, output, fds, &answer.helper, &err);
	if (answer.pid == 0)
		return;
	if (answer.pid < 0)
		text_copy(answer.text, sizeof(answer.text), err.msg);
	fd_write_all(output, &answer, sizeof(answer));
	_exit(0);
}

/* Not another process, whatever was told. */
static void kill_child(pid_t pid)
{
	siginfo_t info;

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		kill(pid, SIGKILL);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Return: the pid or -errno. */
static pid_t read_answer(int input, int64_t deadline, enum helper *ret_helper, struct err *err)
{
	struct pollfd poll_fd = {.fd = input, .events = POLLIN};
	struct helper_answer answer;
	ssize_t n;

	/* The root of the pod around can stop it. */
	if (poll(&poll_fd, 1, (int)deadline_left_ms(deadline, HELPERS_TIMEOUT_MS)) == 0)
		return err_set(err, -ETIMEDOUT, "the process that makes podd-outer does not come to an end");
	do {
		n = read(input, &answer, sizeof(answer));
	} while (n < 0 && errno == EINTR);
	/* Less than PIPE_BUF comes as it was written (pipe(7)). */
	if (n != (ssize_t)sizeof(answer))
		return err_set(err, -ECONNRESET, "the process that makes podd-outer was killed");
	answer.text[sizeof(answer.text) - 1] = '\0';
	*ret_helper = answer.helper == HELPER_SECOND ? HELPER_SECOND : HELPER_FIRST;
	return answer.pid < 0 ? err_set(err, answer.pid, "%s", answer.text) : answer.pid;
}

/* What each helper has to tell; where the first one failed, there is no second. Return: 0, or the
 * failure, with the second helper's pid in any case in which there is one. */
static int read_answers(int input, pid_t told[2], struct err *err)
{
	int64_t deadline = deadline_now_ms() + HELPERS_TIMEOUT_MS;
	int failed = 0;

	for (size_t i = 0; i < 2; i++) {
		enum helper helper = HELPER_FIRST;
		pid_t pid = read_answer(input, deadline, &helper, err);

		if (pid < 0 && helper == HELPER_FIRST)
			return pid;
		if (pid < 0)
			failed = pid;
		else
			told[helper] = pid;
	}
	return failed;
}

/* What the helpers say the root of the pod around could have made them say: it has to be a child of
 * podd, in a user namespace made in that pod's (ioctl_ns(2)). */
static int check_outer(pid_t pid, const struct pod_state *parent, struct err *err)
{
	autoclose int userns = -1, around = -1;
	siginfo_t info;
	struct ns_id id = {};
	char path[40];
	int r;

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return err_errno(err, "process %d is not podd's", (int)pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	if (userns < 0)
		return err_errno(err, "opening the user namespace of process %d", (int)pid);
	around = ioctl(userns, NS_GET_PARENT);
	if (around < 0)
		return err_errno(err, "looking at the user namespace of process %d", (int)pid);
	r = ns_identify_fd(around, &id);
	if (r == 0 && !ns_equal(&id, &parent->namespaces[NS_USER]))
		r = -EXDEV;
	return r < 0 ? err_set(err, r, "process %d is not in the pod around", (int)pid) : 0;
}

int pod_clone_in_parent(const struct pod *pod, const int fds[OUTER_START_FDS], pid_t *ret_pid,
	struct err *err)
{
	cleanup(pod_state_done) struct pod_state parent = {};
	autoclose int input = -1, output = -1;
	pid_t first, told[2] = {};
	int pipe_fds[2], r;

	r = pod_load_parent(pod, NULL, &parent, err);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	input = pipe_fds[0];
	output = pipe_fds[1];
	first = fork();
	if (first < 0)
		return err_errno(err, "starting a process for the namespaces of the pod around");
	if (first == 0) {
		close(take_fd(&input));
		help_and_tell(pod, &parent, output, fds);
		*ret_pid = 0;
		return 0;
	}
	close(take_fd(&output));
	r = read_answers(input, told, err);
	if (r == -ETIMEDOUT)
		kill_child(first);
	reap(first);
	/* They are podd's children, unless somebody has lied about it. */
	if (told[HELPER_FIRST] > 0) {
		if (r == -ETIMEDOUT)
			kill_child(told[HELPER_FIRST]);
		reap(told[HELPER_FIRST]);
	}
	if (r == 0)
		r = check_outer(told[HELPER_SECOND], &parent, err);
	if (r == 0)
		*ret_pid = told[HELPER_SECOND];
	return r;
}

/* ---- its way out ---- */

/* Which pod it is, and in which one; a pod at the top is attached to the host's networks. */
static int add_place(const struct pod *pod, char ***argv, struct err *err)
{
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];
	int r;

	name_split(pod->path, parent, leaf);
	r = strv_add(argv, "--root");
	if (r == 0)
		r = strv_add(argv, pod->root);
	if (r == 0)
		r = strv_add(argv, "--child");
	if (r == 0)
		r = strv_add(argv, leaf);
	if (r == 0 && *parent)
		r = strv_add(argv, "--pod");
	if (r == 0 && *parent)
		r = strv_add(argv, parent);
	return r < 0 ? err_oom(err) : 0;
}

/* With the host's networks, where no uplink serves them, its published ports. */
static int add_publish(const struct pod *pod, char ***argv)
{
	char *const *publish = pod->spec.publish;
	int r = 0;

	for (size_t i = 0; r == 0 && publish && publish[i]; i++) {
		r = strv_add(argv, "--publish");
		if (r == 0)
			r = strv_add(argv, publish[i]);
	}
	return r;
}

int pod_attach_outside(const struct pod *pod, struct err *err)
{
	autostrv argv = NULL;
	int r;

	if (pod->spec.net != POD_NET_CNI)
		return 0;
	if (strv_add(&argv, "podd-hook") < 0 || strv_add(&argv, "attach") < 0 ||
		strv_add(&argv, "--network") < 0 || strv_add(&argv, pod->spec.uplink_network) < 0)
		return err_oom(err);
	r = add_place(pod, &argv, err);
	if (r == 0 && !pod_spec_is_nested(&pod->spec))
		r = add_publish(pod, &argv);
	return r == 0 ? hook_program_run((const char *const *)argv, ATTACH_TIMEOUT_MS, err) : r;
}

void pod_detach_outside(const struct pod *pod)
{
	cleanup(attachment_done) struct attachment attachment = {};
	autostrv argv = NULL;
	struct err err = {};
	int r;

	if (pod->spec.net != POD_NET_CNI || attachment_load(pod->podfd, &attachment, NULL) < 0)
		return;
	if (strv_add(&argv, "podd-hook") < 0 || strv_add(&argv, "detach") < 0 ||
		strv_add(&argv, "--generation") < 0 || strv_add(&argv, attachment.generation) < 0)
		r = err_oom(&err);
	else
		r = add_place(pod, &argv, &err);
	if (r == 0)
		r = hook_program_run((const char *const *)argv, DETACH_TIMEOUT_MS, &err);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
}

/* Names are looked up where the pod around has them looked up. */
int pod_copy_resolv(const struct pod *pod, char **ret, struct err *err)
{
	cleanup(pod_state_done) struct pod_state state = {};
	autoclose int parentfd = -1, etc = -1;
	size_t length;
	int r;

	r = pod_load_parent(pod, &parentfd, &state, err);
	if (r == 0)
		r = file_open_dir(parentfd, "etc", &etc, err);
	return r < 0 ? r : file_read(etc, "resolv.conf", RESOLV_MAX, ret, &length, err);
}
