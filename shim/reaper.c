/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Waiting for children: see reaper.h. */

#include "reaper.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "text.h"

#define CHILDREN_MAX 65536

struct watched {
	struct watched *next;
	pid_t pid;
	reaper_callback callback;
	void *userdata;
};

struct reaper {
	sd_event_source *signal;
	sd_event_source *again;  /* looks without a signal */
	struct watched *first;
	unsigned holds;
};

static struct watched *take(struct reaper *reaper, pid_t pid)
{
	for (struct watched **link = &reaper->first; *link; link = &(*link)->next) {
		struct watched *watched = *link;

		if (watched->pid != pid)
			continue;
		*link = watched->next;
		return watched;
	}
	return NULL;
}

static void tell(struct reaper *reaper, pid_t pid, int status)
{
	autofree struct watched *watched = take(reaper, pid);

	if (watched)
		watched->callback(watched->userdata, pid, status);
}

/* Callbacks change the list, so it is looked at from its start after each. */
static bool reap_one_known(struct reaper *reaper)
{
	for (struct watched *watched = reaper->first; watched; watched = watched->next) {
		int status;
		pid_t pid = waitpid(watched->pid, &status, WNOHANG);

		if (pid > 0) {
			tell(reaper, pid, status);
			return true;
		}
	}
	return false;
}

static void reap(struct reaper *reaper)
{
	int status;
	pid_t pid;

	while (reap_one_known(reaper))
		;
	while (reaper->holds == 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		tell(reaper, pid, status);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	reap(userdata);
	return 0;
}

static int on_again(sd_event_source *source, void *userdata)
{
	reap(userdata);
	return 0;
}

static void look_again(struct reaper *reaper)
{
	sd_event_source_set_enabled(reaper->again, SD_EVENT_ONESHOT);
}

int reaper_new(sd_event *event, struct reaper **ret, struct err *err)
{
	struct reaper *reaper = calloc(1, sizeof(*reaper));
	sigset_t set;
	int r;

	if (!reaper)
		return err_oom(err);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	r = sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
	if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		r = -errno;
	if (r == 0)
		r = sd_event_add_signal(event, &reaper->signal, SIGCHLD, on_signal, reaper);
	if (r >= 0)
		r = sd_event_add_defer(event, &reaper->again, on_again, reaper);
	if (r >= 0)
		r = sd_event_source_set_enabled(reaper->again, SD_EVENT_OFF);
	if (r < 0) {
		reaper_free(reaper);
		return err_set(err, r, "preparing to wait for children: %s", strerror(-r));
	}
	*ret = reaper;
	return 0;
}

void reaper_free(struct reaper *reaper)
{
	if (!reaper)
		return;
	sd_event_source_disable_unref(reaper->signal);
	sd_event_source_disable_unref(reaper->again);
	for (struct watched *watched = reaper->first, *next; watched; watched = next) {
		next = watched->next;
		free(watched);
	}
	free(reaper);
}

int reaper_watch(struct reaper *reaper, pid_t pid, reaper_callback callback, void *userdata)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return -ENOMEM;
	*watched = (struct watched){
		.next = reaper->first, .pid = pid, .callback = callback, .userdata = userdata};
	reaper->first = watched;
	look_again(reaper);
	return 0;
}

void reaper_forget(struct reaper *reaper, pid_t pid)
{
	free(take(reaper, pid));
}

void reaper_hold(struct reaper *reaper)
{
	reaper->holds++;
}

void reaper_release(struct reaper *reaper)
{
	if (--reaper->holds == 0)
		look_again(reaper);
}

static bool is_known(const struct reaper *reaper, pid_t pid)
{
	for (const struct watched *watched = reaper->first; watched; watched = watched->next)
		if (watched->pid == pid)
			return true;
	return false;
}

void reaper_kill_unknown(struct reaper *reaper)
{
	autofree char *text = NULL;
	char path[64];
	size_t length;
	char *list, *number;

	/* proc_pid_children(5); an unreaped child keeps its pid, so none of them can be reused. */
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	autofclose FILE *file = fopen(path, "re");
	if (!file || fd_read_all(fileno(file), CHILDREN_MAX, &text, &length) < 0)
		return;
	for (list = text; (number = strsep(&list, " "));) {
		uint32_t pid;

		if (text_to_uint32(number, 2, INT32_MAX, &pid) == 0 && !is_known(reaper, (pid_t)pid))
			kill((pid_t)pid, SIGKILL);
	}
}
