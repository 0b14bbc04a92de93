/* SPDX-License-Identifier: GPL-2.0-or-later */

/* state.json: what a pod is at present. Written by podd only; see record.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "record-internal.h"
#include "text.h"

static const char *const phase_names[] = {
	[POD_CREATED] = "created",
	[POD_STARTING] = "starting",
	[POD_RUNNING] = "running",
	[POD_STOPPING] = "stopping",
	[POD_STOPPED] = "stopped",
	[POD_FAILED] = "failed",
	[POD_RESTARTING] = "restarting",
};

const char *pod_phase_name(enum pod_phase phase)
{
	return phase_names[phase];
}

void pod_state_init(struct pod_state *state)
{
	memset(state, 0, sizeof(*state));
}

void pod_state_done(struct pod_state *state)
{
	free(state->tap);
	strv_free(state->warnings);
	free(state->error);
	memset(state, 0, sizeof(*state));
}

struct json *pod_state_to_json(const struct pod_state *state)
{
	struct json *document = record_new();
	struct json *namespaces;

	json_set_string(document, "phase", pod_phase_name(state->phase));
	json_set_string(document, "bootId", state->boot_id);
	json_set_string(document, "since", state->since);
	record_set_proc(document, "podd", &state->podd);
	if (state->podd_version[0])
		json_set_string(document, "poddVersion", state->podd_version);
	if (state->restarts > 0)
		json_set_int(document, "restarts", state->restarts);
	record_set_proc(document, "outer", &state->outer);
	record_set_proc(document, "uplink", &state->uplink);
	namespaces = json_set_object(document, "namespaces");
	for (int i = 0; i < NS_KINDS; i++)
		record_set_ns(namespaces, ns_name((enum ns_kind)i), &state->namespaces[i]);
	record_set_ns(document, "hostMount", &state->host_mount);
	json_set(document, "uidMappings", idmap_to_json(&state->uids));
	json_set(document, "gidMappings", idmap_to_json(&state->gids));
	if (state->tap)
		json_set_string(document, "tap", state->tap);
	if (state->warnings)
		json_set_strv(document, "warnings", state->warnings);
	if (state->error)
		json_set_string(document, "error", state->error);
	return document;
}

static int read_namespaces(const struct json *document, struct pod_state *state, struct err *err)
{
	const struct json *namespaces = NULL;
	int r;

	r = json_read_object(document, "namespaces", true, &namespaces, err);
	for (int i = 0; r == 0 && i < NS_KINDS; i++)
		r = record_read_ns(namespaces, ns_name((enum ns_kind)i), false,
			&state->namespaces[i], err);
	return r;
}

static int read_podd(const struct json *document, struct pod_state *state, struct err *err)
{
	int64_t restarts = 0;
	int r;

	r = record_read_proc(document, "podd", false, &state->podd, err);
	if (r == 0)
		r = record_read_text(document, "poddVersion", false, state->podd_version,
			sizeof(state->podd_version), err);
	if (r == 0)
		r = json_read_int(document, "restarts", false, 0, UINT32_MAX, &restarts, err);
	state->restarts = (uint32_t)restarts;
	return r;
}

static int read_document(const struct json *document, struct pod_state *state, struct err *err)
{
	unsigned phase = 0;
	int r;

	r = record_read_enum(document, "phase", phase_names,
		sizeof(phase_names) / sizeof(phase_names[0]), &phase, err);
	state->phase = (enum pod_phase)phase;
	if (r == 0)
		r = record_read_text(document, "bootId", true, state->boot_id,
			sizeof(state->boot_id), err);
	if (r == 0)
		r = record_read_text(document, "since", true, state->since, sizeof(state->since),
			err);
	if (r == 0)
		r = read_podd(document, state, err);
	if (r == 0)
		r = record_read_proc(document, "outer", false, &state->outer, err);
	if (r == 0)
		r = record_read_proc(document, "uplink", false, &state->uplink, err);
	if (r == 0)
		r = read_namespaces(document, state, err);
	if (r == 0)
		r = record_read_ns(document, "hostMount", false, &state->host_mount, err);
	if (r == 0)
		r = record_read_idmap(document, "uidMappings", &state->uids, err);
	if (r == 0)
		r = record_read_idmap(document, "gidMappings", &state->gids, err);
	if (r == 0)
		r = record_read_string(document, "tap", false, &state->tap, err);
	if (r == 0)
		r = record_read_strv(document, "warnings", false, RECORD_WARNINGS_MAX,
			&state->warnings, err);
	if (r == 0)
		r = record_read_string(document, "error", false, &state->error, err);
	return r;
}

static void forget_processes(struct pod_state *state)
{
	state->podd = state->outer = state->uplink = (struct proc_id){};
	memset(state->namespaces, 0, sizeof(state->namespaces));
	state->host_mount = (struct ns_id){};
}

int pod_state_load(int podfd, struct pod_state *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct pod_state state;
	int r;

	pod_state_init(&state);
	r = record_load(podfd, RECORD_STATE, &document, err);
	if (r < 0 && r != -ENOENT)
		return r;
	r = document ? read_document(document, &state, err) : 0;
	if (r < 0) {
		pod_state_done(&state);
		return err_wrap(err, r, "%s", RECORD_STATE);
	}
	if (!record_is_of_this_boot(state.boot_id))
		forget_processes(&state);
	*ret = state;
	return 0;
}

int pod_state_save(int podfd, const struct pod_state *state, struct err *err)
{
	return record_save(podfd, RECORD_STATE, pod_state_to_json(state), err);
}

static int open_host_mount(const struct pod_state *state, int procdir, int *ret_fd)
{
	struct ns_id found = {};
	int r;

	r = ns_open_host_mount(procdir, ret_fd);
	if (r == 0)
		r = ns_identify_fd(*ret_fd, &found);
	return r == 0 && !ns_equal(&found, &state->host_mount) ? -ESTALE : r;
}

int pod_state_open_host(const struct pod_state *state, int procdir,
	const struct ns_id ids[NS_KINDS], struct ns_set *ret, struct err *err)
{
	cleanup(ns_set_done) struct ns_set set;
	struct ns_id wanted[NS_KINDS];
	int r;

	ns_set_init(&set);
	if (state->host_mount.inode == 0)
		return ns_open(procdir, ids, ret, err);
	memcpy(wanted, ids, sizeof(wanted));
	wanted[NS_MNT] = (struct ns_id){};
	r = ns_open(procdir, wanted, &set, err);
	if (r < 0)
		return r;
	r = open_host_mount(state, procdir, &set.fds[NS_MNT]);
	if (r < 0)
		return err_set(err, r,
			"opening the mount namespace with the host's file system: %s",
			strerror(-r));
	*ret = set;
	ns_set_init(&set);
	return 0;
}

enum pod_phase pod_state_phase_now(const struct pod_state *state)
{
	char boot_id[PROC_BOOT_ID_SIZE];

	if (state->phase == POD_CREATED || state->phase == POD_STOPPED ||
		state->phase == POD_FAILED)
		return state->phase;
	if (proc_boot_id(boot_id) == 0 && !text_equal(boot_id, state->boot_id))
		return POD_STOPPED;
	if (state->phase == POD_RESTARTING)
		return proc_alive(&state->podd) ? POD_RESTARTING : POD_FAILED;
	/* podd dies with a start that fails; afterwards the outer container is the pod. */
	if (state->phase == POD_STARTING)
		return proc_alive(&state->podd) ? POD_STARTING : POD_FAILED;
	if (proc_alive(&state->outer))
		return state->phase;
	/* A stop ends the outer container before it is over. */
	return state->phase == POD_STOPPING && proc_alive(&state->podd) ? POD_STOPPING : POD_FAILED;
}
