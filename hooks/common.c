/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The child's place in its pod, and what is told to podd: see common.h. */

#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "container.h"
#include "deadline.h"
#include "file.h"
#include "hierarchy.h"
#include "json.h"
#include "text.h"
#include "varlink.h"

/* Most that is waited for another hook of the same child. */
#define CHILD_LOCK_MS 60000
#define PODD_TIMEOUT_MS 2000

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

static int open_pod(struct place *place, int rootfd, const struct request *request, struct err *err)
{
	place->is_host = !*request->pod;
	if (place->is_host)
		return hierarchy_open_host(
			rootfd, request->phase == HOOK_ATTACH, &place->podfd, err);
	return hierarchy_open_pod(rootfd, request->pod, &place->podfd, err);
}

static int load_records(struct place *place, struct err *err)
{
	int r;

	if (place->is_host) {
		place->phase = POD_RUNNING;
		return pod_spec_load(place->childfd, &place->spec, err);
	}
	r = pod_spec_load(place->podfd, &place->spec, err);
	if (r == 0)
		r = pod_state_load(place->podfd, &place->state, err);
	if (r == 0)
		place->phase = pod_state_phase_now(&place->state);
	return r;
}

static int open_child(struct place *place, int rootfd, const struct request *request, bool create,
	struct err *err)
{
	if (place->is_host)
		return hierarchy_open_pod(rootfd, request->child, &place->childfd, err);
	if (place->child_is_pod)
		return hierarchy_open_any_child(place->podfd, request->child, &place->childfd, err);
	return hierarchy_open_child(place->podfd, request->child, create, &place->childfd, err);
}

/* podd itself attaches pods and detaches both. */
static bool find_kind(const struct place *place, const struct request *request)
{
	autoclose int childfd = -1;

	return place->is_host || request->phase == HOOK_ATTACH ||
	       (request->phase == HOOK_DETACH &&
		       hierarchy_open_any_child(place->podfd, request->child, &childfd, NULL) ==
			       0 &&
		       faccessat(childfd, RECORD_POD, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

int place_open(struct place *place, const struct request *request, bool create, struct err *err)
{
	autoclose int rootfd = -1;
	struct err unopened = {};
	int r, opened;

	r = hierarchy_open_root(request->root, false, &rootfd, err);
	if (r == -ENOENT)
		return err_set(err, r, "there is no pod '%s': %s does not exist", request->pod,
			request->root);
	if (r == 0)
		r = open_pod(place, rootfd, request, err);
	if (r == 0)
		r = hierarchy_lock_child(place->podfd, request->child,
			deadline_left_ms(request->deadline, CHILD_LOCK_MS), &place->lock, err);
	if (r < 0)
		return r;
	place->child_is_pod = find_kind(place, request);
	opened = open_child(place, rootfd, request, create, &unopened);
	if (opened == 0 || !place->is_host)
		r = load_records(place, err);
	if (r == 0 && opened < 0)
		return err_set(err, opened, "%s", unopened.msg);
	return r;
}

/* True for what a call ends with when nobody is there to answer it. */
static bool is_away(int code)
{
	return code == -ECONNRESET || code == -ETIMEDOUT || code == -EPIPE || code == -ENOTCONN;
}

int tell_podd(const struct place *place, const char *method, const struct attachment *attachment,
	struct err *err)
{
	autoptr(varlink_client) client = NULL;
	struct json *parameters;
	struct err why = {};
	char name[64];
	int r;

	if (place->is_host)
		return 0;
	r = varlink_connect(place->podfd, "control.sock", PODD_TIMEOUT_MS, &client, NULL);
	if (r < 0)
		return TELL_PODD_AWAY;
	parameters = json_new_object();
	json_set_string(parameters, "child", attachment->child);
	json_set_string(parameters, "generation", attachment->generation);
	snprintf(name, sizeof(name), VARLINK_INTERFACE ".%s", method);
	r = varlink_client_call(client, name, parameters, NULL, NULL, &why);
	if (r == 0)
		return 0;
	if (is_away(r))
		return TELL_PODD_AWAY;
	if (text_equal(varlink_client_error(client), VARLINK_INTERFACE ".Stopping"))
		return err_set(err, -ESHUTDOWN, "pod '%s' is stopping", place->spec.path);
	return err_set(err, -EREMOTEIO, "the supervisor of pod '%s' refused: %s", place->spec.path,
		why.msg);
}

void keep_error(const struct place *place, const struct request *request, const struct err *err)
{
	autoptr(json) document = json_new_object();
	autofree char *text = NULL;
	char now[RECORD_TIME_SIZE];
	size_t length;

	/* podd reports what it has asked for. */
	if (place->childfd < 0 || place->child_is_pod)
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

bool has_error(const struct place *place)
{
	return faccessat(place->childfd, RECORD_ERROR, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int drop_record(const struct place *place, const struct request *request, struct err *err)
{
	int r;

	if (place->child_is_pod) {
		r = file_remove(place->childfd, RECORD_ATTACHMENT, err);
		if (r == 0)
			hierarchy_drop_child_lock(place->podfd, request->child);
		return r;
	}
	/* What podctl made is podctl's to remove. */
	if (has_error(place) || container_is_made(place->childfd))
		return file_remove(place->childfd, RECORD_ATTACHMENT, err);
	r = hierarchy_remove_child(place->podfd, request->child, err);
	if (r == 0)
		hierarchy_drop_child_lock(place->podfd, request->child);
	return r;
}
