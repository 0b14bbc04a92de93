/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The child's place in its pod, and what is told to podd: see common.h. */

#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "file.h"
#include "hierarchy.h"
#include "json.h"
#include "text.h"
#include "varlink.h"

/* Another hook of the same child has its plugins' time-outs. */
#define CHILD_LOCK_MS 110000
#define PODD_TIMEOUT_MS 2000
#define LOCK_NAME_SIZE (NAME_COMPONENT_MAX + sizeof("child-"))

void place_init(struct place *place)
{
	memset(place, 0, sizeof(*place));
	place->podfd = place->childfd = place->lock = -1;
}

void place_done(struct place *place)
{
	cleanup_close(&place->podfd);
	cleanup_close(&place->childfd);
	cleanup_close(&place->lock);
	pod_spec_done(&place->spec);
	pod_state_done(&place->state);
	place_init(place);
}

static void lock_name(const char *child, char ret[LOCK_NAME_SIZE])
{
	snprintf(ret, LOCK_NAME_SIZE, "child-%s", child);
}

static int lock_child(struct place *place, const char *child, struct err *err)
{
	char name[LOCK_NAME_SIZE];
	autoclose int locks = -1;
	int r;

	lock_name(child, name);
	r = file_open_dir(place->podfd, "locks", &locks, err);
	if (r == 0)
		r = file_lock(locks, name, CHILD_LOCK_MS, &place->lock, err);
	return r;
}

int place_open(struct place *place, const struct request *request, bool create, struct err *err)
{
	autoclose int rootfd = -1;
	int r;

	r = hierarchy_open_root(request->root, false, &rootfd, err);
	if (r == -ENOENT)
		return err_set(err, r, "there is no pod '%s': %s does not exist", request->pod,
			request->root);
	if (r == 0)
		r = hierarchy_open_pod(rootfd, request->pod, &place->podfd, err);
	if (r == 0)
		r = lock_child(place, request->child, err);
	if (r == 0)
		r = pod_spec_load(place->podfd, &place->spec, err);
	if (r == 0)
		r = pod_state_load(place->podfd, &place->state, err);
	if (r < 0)
		return r;
	place->phase = pod_state_phase_now(&place->state);
	return hierarchy_open_child(place->podfd, request->child, create, &place->childfd, err);
}

int tell_podd(const struct place *place, const char *method, const struct attachment *attachment)
{
	autoptr(varlink_client) client = NULL;
	autoptr(json) reply = NULL;
	struct json *parameters;
	char name[64];
	struct err err = {};
	int r;

	r = varlink_connect(place->podfd, "control.sock", PODD_TIMEOUT_MS, &client, &err);
	if (r < 0)
		return 0;
	parameters = json_new_object();
	json_set_string(parameters, "child", attachment->child);
	json_set_string(parameters, "generation", attachment->generation);
	snprintf(name, sizeof(name), VARLINK_INTERFACE ".%s", method);
	r = varlink_client_call(client, name, parameters, &reply, NULL, &err);
	return r == -EREMOTEIO && strstr(err.msg, "Stopping") ? -ESHUTDOWN : 0;
}

void keep_error(const struct place *place, const struct request *request, const struct err *err)
{
	autoptr(json) document = json_new_object();
	autofree char *text = NULL;
	char now[RECORD_TIME_SIZE];
	size_t length;

	if (place->childfd < 0)
		return;
	record_time_now(now);
	json_set_int(document, "version", RECORD_VERSION);
	json_set_string(document, "time", now);
	json_set_string(document, "phase", hook_phase_name(request->phase));
	json_set_string(document, "id", request->state.id);
	json_set_string(document, "message", err->msg);
	if (json_write(document, true, &text, &length) == 0)
		file_write(place->childfd, RECORD_ERROR, text, length, 0600, NULL);
}

void drop_error(const struct place *place)
{
	file_remove(place->childfd, RECORD_ERROR, NULL);
}

void drop_lock(const struct place *place, const struct request *request)
{
	autoclose int locks = -1;
	char name[LOCK_NAME_SIZE];

	lock_name(request->child, name);
	if (place->lock >= 0 && file_open_dir(place->podfd, "locks", &locks, NULL) == 0)
		file_remove(locks, name, NULL);
}

int drop_record(const struct place *place, const struct request *request, struct err *err)
{
	int r;

	if (faccessat(place->childfd, RECORD_ERROR, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return file_remove(place->childfd, RECORD_ATTACHMENT, err);
	r = hierarchy_remove_child(place->podfd, request->child, err);
	if (r == 0)
		drop_lock(place, request);
	return r;
}
