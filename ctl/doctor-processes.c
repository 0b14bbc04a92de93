/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes and cgroups of a pod against its records: see doctor.h. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"
#include "varlink.h"

#include "doctor.h"

#define CONTROL_SOCKET "control.sock"
/* A supervisor that takes longer hangs. */
#define ANSWER_TIMEOUT_MS 1500
/* What a shim that has no more to do needs, at most. */
#define SHIM_END_MS 1000
#define COMMAND_MAX 4096

/* ---- the pod's own ---- */

static bool is_of_this_boot(const char *boot_id)
{
	char now[PROC_BOOT_ID_SIZE];

	return proc_boot_id(now) < 0 || text_equal(now, boot_id);
}

static bool has_ended(enum pod_phase phase)
{
	return phase == POD_CREATED || phase == POD_STOPPED || phase == POD_FAILED;
}

void doctor_check_boot(struct doctor *doctor)
{
	if (!doctor->has_state || has_ended(doctor->state.phase) ||
		is_of_this_boot(doctor->state.boot_id))
		return;
	doctor_find(doctor, "boot", DOCTOR_CLEAN, NULL,
		"its record says '%s', but is from before the machine's last start: nothing of it "
		"runs",
		pod_phase_name(doctor->state.phase));
}

static bool answers(int podfd)
{
	autoptr(varlink_client) client = NULL;
	autoptr(json) reply = NULL;

	return varlink_connect(podfd, CONTROL_SOCKET, ANSWER_TIMEOUT_MS, &client, NULL) == 0 &&
	       varlink_client_call(
		       client, "org.varlink.service.GetInfo", NULL, &reply, NULL, NULL) == 0;
}

void doctor_check_podd(struct doctor *doctor)
{
	struct stat st;

	if (!doctor->runs)
		return;
	if (!doctor->podd_alive)
		doctor_find(doctor, "podd", DOCTOR_SUPERVISE, NULL,
			"its supervisor has died: what runs goes on, but nobody looks after it");
	else if (fstatat(doctor->podfd, CONTROL_SOCKET, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		 !answers(doctor->podfd))
		doctor_find(doctor, "podd", DOCTOR_REPLACE_PODD, NULL,
			"its supervisor (process %d) does not answer", (int)doctor->state.podd.pid);
}

/* While podd lives, the end of the outer container is its affair. */
void doctor_check_outer(struct doctor *doctor)
{
	if (!doctor->has_state || doctor->podd_alive || has_ended(doctor->state.phase) ||
		!is_of_this_boot(doctor->state.boot_id))
		return;
	if (doctor->state.phase == POD_STARTING)
		doctor_find(doctor, "outer", DOCTOR_CLEAN, NULL,
			"its supervisor was killed while the pod started");
	else if (doctor->phase == POD_FAILED)
		doctor_find(doctor, "outer", DOCTOR_CLEAN, NULL,
			"its outer container has ended, and its supervisor was not there to see "
			"it");
	else if (doctor->phase == POD_STOPPING)
		doctor_find(doctor, "outer", DOCTOR_SUPERVISE, NULL,
			"its supervisor was killed while the pod stopped");
}

void doctor_check_uplink(struct doctor *doctor)
{
	const struct pod_state *state = &doctor->state;
	bool alive = proc_alive(&state->uplink);

	if (!doctor->has_state || state->uplink.pid <= 0)
		return;
	if (doctor->runs && !alive)
		doctor_find(doctor, "uplink",
			doctor->podd_alive ? DOCTOR_NOTHING : DOCTOR_SUPERVISE, NULL,
			"podd-uplink has ended: nothing leaves the pod%s",
			doctor->podd_alive ? " until its supervisor has started the next one" : "");
	else if (alive && !doctor->runs && !doctor->podd_alive && doctor->phase != POD_STOPPING)
		doctor_find(doctor, "uplink", DOCTOR_CLEAN, NULL,
			"podd-uplink (process %d) still runs, and keeps the pod's network",
			(int)state->uplink.pid);
}

/* ---- what a pod that does not run has left ---- */

static bool is_empty(int podfd, const char *name)
{
	autoclose int fd = -1;
	autostrv names = NULL;

	/* What belongs to the pod's root, who may be somebody else, cannot be looked at: it is
	 * there. */
	int r = file_open_dir(podfd, name, &fd, NULL);

	if (r == 0)
		r = file_list(fd, HIERARCHY_CHILDREN_MAX, &names, NULL);
	return r == -ENOENT || (r == 0 && !names[0]);
}

void doctor_check_left_over(struct doctor *doctor)
{
	static const struct {
		const char *name;
		const char *meaning;
	} directories[] = {
		{"ns", "links to its namespaces"},
		{"cni", "leases and results of CNI plugins"},
		{"runtime", "what its runtimes kept"},
	};
	static const char *const sockets[] = {
		"control.sock", "outer.sock", "uplink.sock", "metrics.sock"};

	if (!doctor->has_state || doctor->podd_alive || !has_ended(doctor->state.phase))
		return;
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (!is_empty(doctor->podfd, directories[i].name))
			doctor_find(doctor, "left-over", DOCTOR_CLEAN, NULL,
				"it does not run, and %s are left in %s/", directories[i].meaning,
				directories[i].name);
	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		if (faccessat(doctor->podfd, sockets[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			doctor_find(doctor, "left-over", DOCTOR_CLEAN, NULL,
				"it does not run, and %s is left", sockets[i]);
}

/* ---- containers ---- */

static void check_container(struct doctor *doctor, const struct doctor_child *child)
{
	bool shim = proc_alive(&child->state.shim);
	bool init = proc_alive(&child->state.init);

	if (child->state.phase == CONTAINER_CREATED || child->state.phase == CONTAINER_EXITED ||
		shim)
		return;
	/* Without the pod its cleaning takes the containers along. */
	if (!doctor->runs) {
		if (has_ended(doctor->state.phase) && !doctor->podd_alive)
			doctor_find(doctor, "container", DOCTOR_CLEAN, NULL,
				"the record of container %s says '%s', and the pod does not run",
				child->name, container_phase_name(child->state.phase));
		return;
	}
	doctor_find(doctor, "container", doctor->podd_alive ? DOCTOR_REAP : DOCTOR_SUPERVISE,
		doctor->podd_alive ? child->name : NULL, "the shim of container %s is gone%s",
		child->name,
		init ? ", and its program still runs" : ", and nobody has cleared up after it");
}

void doctor_check_containers(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_children; i++)
		if (doctor->children[i].has_state)
			check_container(doctor, &doctor->children[i]);
}

void doctor_check_attachments(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_children; i++) {
		const struct doctor_child *child = &doctor->children[i];
		const struct attachment *attachment = &child->attachment;

		if (!child->is_attached || proc_alive(&attachment->init) ||
			doctor_child_is_busy(doctor, child->name))
			continue;
		if (!doctor->runs && has_ended(doctor->state.phase) && !doctor->podd_alive)
			doctor_find(doctor, "attachment", DOCTOR_CLEAN, NULL,
				"%s %s is recorded as attached, and the pod does not run",
				doctor_child_kind(child), child->name);
		/* The shim's runtime detaches what the shim starts. */
		else if (doctor->runs && !(child->has_state && proc_alive(&child->state.shim)))
			doctor_find(doctor, "attachment", DOCTOR_DETACH, child->name,
				"%s %s (%s) has ended and is not detached: it keeps its addresses",
				doctor_child_kind(child), child->name, attachment->id);
	}
}

/* ---- shims that no record names ---- */

/* The words of a command line that shim_launch() has made. */
struct shim_words {
	const char *root;
	const char *pod;
	const char *name;
	bool reap;
};

/* @words: @n bytes of words that end with NUL each. Return: false when it is none. */
static bool read_shim(const char *words, size_t n, struct shim_words *ret)
{
	const char *end = words + n;
	const char *previous = "";

	*ret = (struct shim_words){};
	if (!text_equal(words, "podd-shim"))
		return false;
	for (const char *word = words; word < end; previous = word, word += strlen(word) + 1) {
		if (strcmp(previous, "--root") == 0)
			ret->root = word;
		else if (strcmp(previous, "--pod") == 0)
			ret->pod = word;
		else if (strcmp(previous, "--name") == 0)
			ret->name = word;
		else if (strcmp(word, "--reap") == 0)
			ret->reap = true;
	}
	return ret->root && ret->pod && ret->name && !ret->reap;
}

static const struct doctor_child *find_child(const struct doctor *doctor, const char *name)
{
	for (size_t i = 0; i < doctor->n_children; i++)
		if (strcmp(doctor->children[i].name, name) == 0)
			return &doctor->children[i];
	return NULL;
}

/* One that has removed its container's record is about to end. */
static bool ends_soon(const struct proc_id *id)
{
	autoclose int pidfd = -1;
	int r = proc_open(id, &pidfd);

	return r == -ESRCH || (r == 0 && proc_wait(pidfd, SHIM_END_MS) == 0);
}

static void check_shim(struct doctor *doctor, const struct doctor_shim *shim)
{
	const struct doctor_child *child = find_child(doctor, shim->name);
	char object[64];

	if (child && (!child->has_state || child->state.shim.pid == shim->id.pid ||
			     child->state.phase == CONTAINER_CREATED))
		return;
	/* One that starts has not written its record yet, but has the container's lock. */
	if ((child && doctor_is_locked(child->fd, CONTAINER_LOCK)) || ends_soon(&shim->id))
		return;
	snprintf(object, sizeof(object), "%d %llu", (int)shim->id.pid,
		(unsigned long long)shim->id.start_time);
	doctor_find(doctor, "shim", DOCTOR_KILL_SHIM, object,
		"a podd-shim of %s (process %d) runs, and no record names it", shim->name,
		(int)shim->id.pid);
}

void doctor_check_shims(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->shims->n; i++)
		if (strcmp(doctor->shims->all[i].pod, doctor->path) == 0)
			check_shim(doctor, &doctor->shims->all[i]);
}

/* The content of a file in /proc. Return: bytes, at most @size - 1. */
static size_t read_proc(const char *pid, const char *name, char *text, size_t size)
{
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void add_shim(struct doctor_shims *shims, pid_t pid, const struct shim_words *words)
{
	struct doctor_shim *all = reallocarray(shims->all, shims->n + 1, sizeof(*all));
	struct doctor_shim *shim;

	if (!all)
		return;
	shims->all = all;
	shim = &all[shims->n];
	if (proc_identify(pid, &shim->id) == 0 &&
		text_copy(shim->pod, sizeof(shim->pod), words->pod) == 0 &&
		text_copy(shim->name, sizeof(shim->name), words->name) == 0)
		shims->n++;
}

void doctor_find_shims(const char *root, struct doctor_shims *ret)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char text[COMMAND_MAX];
		struct shim_words words;
		uint32_t pid;
		size_t n;

		if (text_to_uint32(entry->d_name, 1, INT32_MAX, &pid) < 0 ||
			read_proc(entry->d_name, "comm", text, sizeof(text)) == 0 ||
			strcmp(text, "podd-shim\n") != 0)
			continue;
		n = read_proc(entry->d_name, "cmdline", text, sizeof(text));
		if (n > 0 && read_shim(text, n, &words) && strcmp(words.root, root) == 0)
			add_shim(ret, (pid_t)pid, &words);
	}
	if (dir)
		closedir(dir);
}

/* ---- cgroups ---- */

void doctor_check_cgroups(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->n_children; i++) {
		const struct doctor_child *child = &doctor->children[i];
		autofree char *dir = NULL;

		if (!child->cgroup || !child->has_state ||
			(child->state.phase != CONTAINER_CREATED &&
				child->state.phase != CONTAINER_EXITED) ||
			proc_alive(&child->state.shim) || !is_empty(child->fd, CONTAINER_RUN))
			continue;
		dir = text_format("/sys/fs/cgroup%s", child->cgroup);
		if (dir && access(dir, F_OK) == 0)
			doctor_find(doctor, "cgroup", DOCTOR_CGROUP, child->cgroup,
				"container %s does not run, and its cgroup is left", child->name);
	}
}
