/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Watching attached containers: see children.h.
 *
 *   watched ──the first process ends──▶ detaching (podd-hook detach runs) ──▶ forgotten
 *      │                                    │ fails: again after a delay, a few times
 *      └──Detach from a hook──▶ forgotten   └──▶ forgotten, its record stays
 *
 * podd-hook decides under the child's lock whether there is still something to detach, so that
 * podd and a runtime's poststop can both try.
 */

#include "children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "containers.h"
#include "events.h"
#include "hierarchy.h"
#include "network.h"
#include "pod.h"
#include "text.h"

#define DETACH_TRIES 4
#define DETACH_DELAY_US 200000
/* Hooks at once: plugins of one network wait for each other anyway. */
#define DETACH_RUNNING_MAX 8

struct child {
	struct children *owner;
	struct child *next;
	char name[NAME_COMPONENT_MAX + 1];
	char id[NAME_PATH_SIZE];
	char generation[ATTACHMENT_GENERATION_SIZE];
	enum attachment_phase phase;
	struct proc_id init;
	int pidfd;
	sd_event_source *exit;   /* of the container, then of the hook */
	sd_event_source *retry;
	bool detaching;
	bool announced;          /* as attached */
	bool waiting;            /* for its turn to run the hook */
	bool left_to_shim;       /* ended, and its shim's runtime will detach it */
	unsigned tries;
};

struct children {
	struct pod *pod;
	struct child *first;
	unsigned n;
	unsigned running; /* hooks */
};

int children_new(struct pod *pod, struct children **ret, struct err *err)
{
	struct children *children = calloc(1, sizeof(*children));

	if (!children)
		return err_oom(err);
	children->pod = pod;
	*ret = children;
	return 0;
}

static void child_free(struct child *child)
{
	sd_event_source_disable_unref(child->exit);
	sd_event_source_disable_unref(child->retry);
	cleanup_close(&child->pidfd);
	free(child);
}

static const struct child *find_name(const struct children *children, const char *name)
{
	const struct child *child = children->first;

	while (child && !text_equal(child->name, name))
		child = child->next;
	return child;
}

static void forget(struct child *child)
{
	struct children *children = child->owner;
	struct child **link = &children->first;
	char name[sizeof(child->name)];

	text_copy(name, sizeof(name), child->name);
	while (*link != child)
		link = &(*link)->next;
	*link = child->next;
	children->n--;
	child_free(child);
	/* It may be attached again already. */
	if (!find_name(children, name))
		network_detach(children->pod->network, name);
	pod_stop_continue(children->pod);
	pod_consider_end(children->pod);
}

void children_free(struct children *children)
{
	if (!children)
		return;
	for (struct child *child = children->first, *next; child; child = next) {
		next = child->next;
		child_free(child);
	}
	free(children);
}

static struct child *find(const struct children *children, const char *name, const char *generation)
{
	for (struct child *child = children->first; child; child = child->next)
		if (text_equal(child->name, name) && text_equal(child->generation, generation))
			return child;
	return NULL;
}

static int run_hook(struct child *child);

static void give_up(struct child *child)
{
	events_send(child->owner->pod, "detach-failed", child->name);
	forget(child);
}

static void try_detach(struct child *child);

static int on_retry(sd_event_source *source, uint64_t now, void *userdata)
{
	struct child *child = userdata;

	child->retry = sd_event_source_disable_unref(child->retry);
	try_detach(child);
	return 0;
}

static void retry_later(struct child *child)
{
	fprintf(stderr, "podd: pod %s: detaching %s failed (try %u of %d)\n",
		child->owner->pod->path, child->name, child->tries, DETACH_TRIES);
	if (child->tries >= DETACH_TRIES ||
		sd_event_add_time_relative(child->owner->pod->event, &child->retry, CLOCK_MONOTONIC,
			(uint64_t)DETACH_DELAY_US << child->tries, 0, on_retry, child) < 0)
		give_up(child);
}

/* Runs the hook now, or when one of those that run has ended. */
static void try_detach(struct child *child)
{
	struct children *children = child->owner;

	child->waiting = children->running >= DETACH_RUNNING_MAX;
	if (child->waiting)
		return;
	child->tries++;
	if (run_hook(child) == 0)
		children->running++;
	else
		retry_later(child);
}

static void try_next(struct children *children)
{
	for (struct child *child = children->first; child; child = child->next) {
		if (child->waiting) {
			try_detach(child);
			return;
		}
	}
}

static int on_hook_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct child *child = userdata;
	struct children *children = child->owner;
	siginfo_t info = {};

	child->exit = sd_event_source_disable_unref(child->exit);
	waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	children->running--;
	try_next(children);
	if (info.si_code != CLD_EXITED || info.si_status != 0) {
		retry_later(child);
		return 0;
	}
	events_send(children->pod, "detached", child->name);
	forget(child);
	return 0;
}

static void __attribute__((noreturn)) execute_hook(const struct child *child)
{
	const struct pod *pod = child->owner->pod;
	static char *const environment[] = {NULL};
	const char *const argv[] = {"podd-hook", "detach", "--root", pod->root, "--pod", pod->path,
		"--child", child->name, "--generation", child->generation, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(PODD_LIBEXECDIR "/podd-hook", (char *const *)argv, environment);
	fprintf(stderr, "podd: cannot execute %s: %s\n", PODD_LIBEXECDIR "/podd-hook",
		strerror(errno));
	_exit(125);
}

static int run_hook(struct child *child)
{
	struct pod *pod = child->owner->pod;
	autoclose int pidfd = -1;
	pid_t pid;
	int r;

	pid = fork();
	if (pid == 0)
		execute_hook(child);
	r = pid < 0 ? -errno : proc_open_child(pid, &pidfd);
	if (r == 0)
		r = sd_event_add_io(pod->event, &child->exit, pidfd, EPOLLIN, on_hook_exit, child);
	if (r < 0) {
		fprintf(stderr, "podd: pod %s: cannot run podd-hook for %s: %s\n", pod->path,
			child->name, strerror(-r));
		/* What cannot be watched must not run. */
		if (pid > 0 && kill(pid, SIGKILL) == 0)
			waitpid(pid, NULL, 0);
		return r;
	}
	sd_event_source_set_io_fd_own(child->exit, true);
	take_fd(&pidfd);
	return 0;
}

static void detach(struct child *child)
{
	child->detaching = true;
	child->exit = sd_event_source_disable_unref(child->exit);
	events_send(child->owner->pod, "exited", child->name);
	network_end(child->owner->pod->network, child->name, child->generation);
	child->left_to_shim = containers_has_shim(child->owner->pod->containers, child->name);
	if (!child->left_to_shim)
		try_detach(child);
}

void children_shim_ended(struct children *children, const char *name)
{
	for (struct child *child = children->first, *next; child; child = next) {
		next = child->next;
		if (!child->left_to_shim || strcmp(child->name, name) != 0)
			continue;
		child->left_to_shim = false;
		try_detach(child);
	}
}

static int on_init_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	detach(userdata);
	return 0;
}

static int watch(struct children *children, const struct attachment *attachment, struct err *err)
{
	struct child *child;
	int r;

	if (children->n == CHILDREN_MAX)
		return err_set(err, -E2BIG, "more than %d containers in pod %s", CHILDREN_MAX,
			children->pod->path);
	child = calloc(1, sizeof(*child));
	if (!child)
		return err_oom(err);
	child->owner = children;
	child->pidfd = -1;
	child->init = attachment->init;
	child->phase = attachment->phase;
	text_copy(child->name, sizeof(child->name), attachment->child);
	text_copy(child->id, sizeof(child->id), attachment->id);
	text_copy(child->generation, sizeof(child->generation), attachment->generation);
	child->next = children->first;
	children->first = child;
	children->n++;
	r = proc_open(&child->init, &child->pidfd);
	if (r == -ESRCH) {
		detach(child);
		return 0;
	}
	if (r == 0)
		r = sd_event_add_io(children->pod->event, &child->exit, child->pidfd, EPOLLIN,
			on_init_exit, child);
	if (r < 0) {
		err_set(err, r, "watching container %s: %s", attachment->child, strerror(-r));
		forget(child);
		return r;
	}
	return 0;
}

int children_attach(struct children *children, const char *name, const char *generation,
	struct err *err)
{
	cleanup(attachment_done) struct attachment attachment = {};
	autoclose int childfd = -1;
	struct child *known;
	int r;

	r = hierarchy_open_any_child(children->pod->podfd, name, &childfd, err);
	if (r == 0)
		r = attachment_load(childfd, &attachment, err);
	if (r < 0)
		return r;
	if (!text_equal(attachment.child, name))
		return err_set(err, -EINVAL, "the record of child %s is that of %s", name,
			attachment.child);
	if (generation && !text_equal(generation, attachment.generation))
		return err_set(err, -ENOENT, "child %s has another attachment by now", name);
	r = network_attach(children->pod->network, &attachment, err);
	if (r < 0)
		return r;
	known = find(children, name, attachment.generation);
	if (!known) {
		r = watch(children, &attachment, err);
		known = find(children, name, attachment.generation);
	}
	if (r < 0)
		return r;
	if (known && !known->detaching && !known->announced &&
		attachment.phase == ATTACHMENT_ATTACHED) {
		known->phase = attachment.phase;
		known->announced = true;
		events_send_once(children->pod, "attached", name, NULL, attachment.generation);
	}
	return 0;
}

int children_load(struct children *children, struct err *err)
{
	autostrv names = NULL;
	int r;

	r = hierarchy_children(children->pod->podfd, HIERARCHY_ANY, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; names[i]; i++) {
		struct err problem = {};

		r = children_attach(children, names[i], NULL, &problem);
		if (r < 0 && r != -ENOENT)
			fprintf(stderr, "podd: pod %s: child %s: %s\n", children->pod->path, names[i],
				problem.msg);
	}
	return 0;
}

void children_detached(struct children *children, const char *name, const char *generation)
{
	struct child *child = find(children, name, generation);

	/* While our own hook runs, its end is what counts. */
	if (!child || (child->detaching && !child->left_to_shim))
		return;
	events_send(children->pod, "detached", name);
	forget(child);
}

unsigned children_count(const struct children *children)
{
	return children->n;
}

void children_signal(struct children *children, int signal)
{
	for (struct child *child = children->first; child; child = child->next) {
		/* What is still being made has no program yet that could end by itself. */
		bool has_program = child->phase == ATTACHMENT_ATTACHED;

		if (signal != SIGKILL &&
			containers_has_shim(children->pod->containers, child->name))
			continue;
		if (!child->detaching)
			proc_signal(child->pidfd, has_program ? signal : SIGKILL);
	}
}

static const char *phase_name(const struct child *child)
{
	if (child->detaching)
		return "detaching";
	return child->phase == ATTACHMENT_ATTACHED ? "attached" : "adding";
}

void children_tell_left(const struct children *children)
{
	for (const struct child *child = children->first; child; child = child->next)
		fprintf(stderr, "podd: pod %s: %s (process %d) was not detached in time: %s%s\n",
			children->pod->path, child->name, (int)child->init.pid, phase_name(child),
			child->left_to_shim ? " by its shim" : "");
}

struct json *children_to_json(const struct children *children)
{
	struct json *array = json_new_array();

	for (const struct child *child = children->first; child; child = child->next) {
		struct json *object = json_new_object();

		json_set_string(object, "name", child->name);
		json_set_string(object, "id", child->id);
		json_set_string(object, "generation", child->generation);
		json_set_int(object, "pid", child->init.pid);
		json_set_string(object, "phase", phase_name(child));
		json_append(array, object);
	}
	return array;
}
