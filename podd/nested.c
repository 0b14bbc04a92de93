/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Pods in the pod: see nested.h. What is known of them is in their records. */

#include "nested.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "file.h"
#include "hierarchy.h"
#include "pod.h"
#include "text.h"
#include "varlink.h"

#define CONTROL_SOCKET "control.sock"
#define RESOLV_MAX (64 * 1024)

/* The supervisor of one that is stopping. */
struct stopping {
	struct nested *owner;
	struct stopping *next;
	sd_event_source *exit;
};

struct nested {
	struct pod *pod;
	struct stopping *first;
	unsigned n;
};

int nested_new(struct pod *pod, struct nested **ret, struct err *err)
{
	struct nested *nested = calloc(1, sizeof(*nested));

	if (!nested)
		return err_oom(err);
	nested->pod = pod;
	*ret = nested;
	return 0;
}

static void forget(struct stopping *stopping)
{
	struct stopping **link = &stopping->owner->first;

	while (*link != stopping)
		link = &(*link)->next;
	*link = stopping->next;
	stopping->owner->n--;
	sd_event_source_disable_unref(stopping->exit);
	free(stopping);
}

void nested_tell_left(const struct nested *nested)
{
	if (nested->n > 0)
		fprintf(stderr, "podd: pod %s: %u pods in it did not end in time\n",
			nested->pod->path, nested->n);
}

void nested_free(struct nested *nested)
{
	while (nested && nested->first)
		forget(nested->first);
	free(nested);
}

static int on_podd_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct stopping *stopping = userdata;
	struct pod *pod = stopping->owner->pod;

	forget(stopping);
	pod_stop_continue(pod);
	return 0;
}

static int watch(struct nested *nested, const struct proc_id *podd)
{
	struct stopping *stopping = calloc(1, sizeof(*stopping));
	autoclose int pidfd = -1;
	int r = stopping ? proc_open(podd, &pidfd) : -ENOMEM;

	if (r == 0)
		r = sd_event_add_io(nested->pod->event, &stopping->exit, pidfd, EPOLLIN, on_podd_exit,
			stopping);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(stopping->exit, true);
	if (r < 0) {
		if (stopping)
			sd_event_source_disable_unref(stopping->exit);
		free(stopping);
		return r;
	}
	take_fd(&pidfd);
	stopping->owner = nested;
	stopping->next = nested->first;
	nested->first = stopping;
	nested->n++;
	return 0;
}

static void kill_outer(const struct pod_state *state)
{
	autoclose int pidfd = -1;

	if (proc_open(&state->outer, &pidfd) == 0)
		proc_signal(pidfd, SIGKILL);
}

static void stop_one(struct nested *nested, int podfd, const struct pod_state *state,
	unsigned timeout_s)
{
	struct json *parameters = json_new_object();

	json_set_int(parameters, "timeout", timeout_s);
	if (varlink_notify(podfd, CONTROL_SOCKET, VARLINK_INTERFACE ".Stop", parameters) < 0 ||
		watch(nested, &state->podd) < 0)
		kill_outer(state);
}

void nested_stop(struct nested *nested, unsigned timeout_s)
{
	char boot_id[PROC_BOOT_ID_SIZE] = "";
	autostrv names = NULL;

	proc_boot_id(boot_id);
	/* Asked again, with less time: everyone is told again, and watched once. */
	while (nested->first)
		forget(nested->first);
	if (hierarchy_children(nested->pod->podfd, HIERARCHY_PODS, &names, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		cleanup(pod_state_done) struct pod_state state = {};
		autoclose int podfd = -1;

		if (hierarchy_open_any_child(nested->pod->podfd, names[i], &podfd, NULL) == 0 &&
			pod_state_load(podfd, &state, NULL) == 0 &&
			text_equal(state.boot_id, boot_id) &&
			(proc_alive(&state.podd) || proc_alive(&state.outer)))
			stop_one(nested, podfd, &state, timeout_s);
	}
}

static int write_resolv(int podfd, const char *text, size_t length, struct err *err)
{
	autoclose int etc = -1;
	int r = file_open_dir(podfd, "etc", &etc, err);

	return r < 0 ? r : file_overwrite(etc, "resolv.conf", text, length, 0644, err);
}

static int read_resolv(int podfd, char **ret, size_t *ret_length, struct err *err)
{
	autoclose int etc = -1;
	int r = file_open_dir(podfd, "etc", &etc, err);

	return r < 0 ? r : file_read(etc, "resolv.conf", RESOLV_MAX, ret, ret_length, err);
}

/* One that does not run has none. */
static void write_resolv_of(int podfd, const char *text, size_t length)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	cleanup(pod_state_done) struct pod_state state = {};
	struct err err = {};

	if (pod_spec_load(podfd, &spec, NULL) < 0 || spec.net != POD_NET_CNI ||
		pod_state_load(podfd, &state, NULL) < 0 ||
		pod_state_phase_now(&state) != POD_RUNNING)
		return;
	if (write_resolv(podfd, text, length, &err) < 0)
		fprintf(stderr, "podd: following resolv.conf in a pod: %s\n", err.msg);
	nested_write_resolv(podfd);
}

void nested_write_resolv(int podfd)
{
	autostrv names = NULL;
	autofree char *text = NULL;
	size_t length;

	if (hierarchy_children(podfd, HIERARCHY_PODS, &names, NULL) < 0 || !names[0] ||
		read_resolv(podfd, &text, &length, NULL) < 0)
		return;
	for (size_t i = 0; names[i]; i++) {
		autoclose int nested = -1;

		if (hierarchy_open_any_child(podfd, names[i], &nested, NULL) == 0)
			write_resolv_of(nested, text, length);
	}
}

unsigned nested_count(const struct nested *nested)
{
	return nested->n;
}
