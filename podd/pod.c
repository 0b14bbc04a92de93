/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The pod's directory, lock and record: see pod.h. */

#include "pod.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "cleanup.h"
#include "containers.h"
#include "events.h"
#include "file.h"
#include "hierarchy.h"
#include "manager.h"
#include "nested.h"
#include "metrics-server.h"
#include "network.h"
#include "resolv.h"
#include "server.h"
#include "text.h"
#include "totals.h"

#define LOCK_TIMEOUT_MS 2000

int pod_open(struct pod *pod, const char *root, const char *path, struct err *err)
{
	int r;

	memset(pod, 0, sizeof(*pod));
	pod->rootfd = pod->podfd = pod->lockfd = pod->outer = pod->tap = pod->uplink = -1;
	pod->outer_pidfd = pod->uplink_pidfd = pod->upgrade_fd = -1;
	record_time_now(pod->started);
	r = name_check_path(path, err);
	if (r < 0)
		return r;
	text_copy(pod->path, sizeof(pod->path), path);
	r = hierarchy_root(root, &pod->root, err);
	if (r == 0)
		r = hierarchy_open_root(pod->root, false, &pod->rootfd, err);
	if (r == 0)
		r = hierarchy_open_pod(pod->rootfd, path, &pod->podfd, err);
	if (r < 0)
		return r;
	/* One that was killed just now is still on its way out: until then it may write records. */
	r = file_lock(pod->podfd, "lock", LOCK_TIMEOUT_MS, &pod->lockfd, err);
	if (r == -EWOULDBLOCK)
		return err_set(err, -EBUSY, "pod '%s' has a supervisor already", path);
	if (r == 0)
		r = pod_spec_load(pod->podfd, &pod->spec, err);
	if (r == 0)
		r = pod_state_load(pod->podfd, &pod->state, err);
	return r;
}

void pod_close(struct pod *pod)
{
	/* First: what it keeps is for the next podd. */
	manager_free(take_ptr(pod->manager));
	/* While those who wait for answers can still hear that none will come. */
	pod_uplink_forget(pod);
	resolv_free(pod->resolv);
	children_free(pod->children);
	containers_free(pod->containers);
	nested_free(pod->nested);
	events_free(pod->events);
	network_free(pod->network);
	pod_uplink_done_queue(pod);
	server_free(pod->server);
	metrics_server_free(pod->metrics);
	totals_free(pod->totals);
	sd_event_source_disable_unref(pod->outer_exit);
	sd_event_source_disable_unref(pod->uplink_exit);
	sd_event_source_disable_unref(pod->uplink_reply);
	sd_event_source_disable_unref(pod->uplink_restart);
	sd_event_source_disable_unref(pod->stop_timer);
	sd_event_unref(pod->event);
	cleanup_close(&pod->upgrade_fd);
	cleanup_close(&pod->outer);
	cleanup_close(&pod->outer_pidfd);
	cleanup_close(&pod->uplink_pidfd);
	cleanup_close(&pod->tap);
	cleanup_close(&pod->uplink);
	cleanup_close(&pod->lockfd);
	cleanup_close(&pod->podfd);
	cleanup_close(&pod->rootfd);
	pod_spec_done(&pod->spec);
	pod_state_done(&pod->state);
	free(pod->root);
}

int pod_set_phase(struct pod *pod, enum pod_phase phase, struct err *err)
{
	/* One that is adopted has been running all the time. */
	if (pod->state.phase != phase || !pod->state.since[0])
		record_time_now(pod->state.since);
	pod->state.phase = phase;
	return pod_state_save(pod->podfd, &pod->state, err);
}

void pod_warn(struct pod *pod, const char *format, ...)
{
	char text[ERR_MSG_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "podd: pod %s: warning: %s\n", pod->path, text);
	if (strv_length(pod->state.warnings) < RECORD_WARNINGS_MAX &&
		!strv_contains(pod->state.warnings, text))
		strv_add(&pod->state.warnings, text);
}
