/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks a pod's podd, see supervisor.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "hierarchy.h"
#include "text.h"

#include "lifecycle.h"
#include "pod.h"
#include "supervisor.h"

#define CONTROL_SOCKET "control.sock"
/* podd waits for nobody but podd-uplink. */
#define ANSWER_TIMEOUT_MS 20000

void supervisor_done(struct supervisor *supervisor)
{
	varlink_client_free(supervisor->client);
	supervisor->client = NULL;
	cleanup_close(&supervisor->podfd);
	supervisor->podfd = -1;
}

/* ---- finding it ---- */

/* The path is none of a pod: the last name of it is a child's. */
static int open_with_child(const struct ctl *ctl, struct supervisor *supervisor, struct err *err)
{
	autoclose int childfd = -1;
	int r = -ENOENT;

	name_split(supervisor->path, supervisor->pod, supervisor->child);
	if (supervisor->pod[0])
		r = ctl_open_pod(ctl, supervisor->pod, &supervisor->podfd, err);
	if (r == 0)
		r = hierarchy_open_child(
			supervisor->podfd, supervisor->child, false, &childfd, err);
	return r == -ENOENT ? err_set(err, r, "there is no pod or container '%s'", supervisor->path)
			    : r;
}

static int find(
	const struct ctl *ctl, const char *text, struct supervisor *supervisor, struct err *err)
{
	int r;

	r = name_read_path(text, supervisor->path, err);
	if (r < 0)
		return r;
	r = ctl_open_pod(ctl, supervisor->path, &supervisor->podfd, err);
	if (r == -ENOENT)
		return open_with_child(ctl, supervisor, err);
	memcpy(supervisor->pod, supervisor->path, sizeof(supervisor->pod));
	return r;
}

static int connect_control(
	const char *pod, int podfd, struct varlink_client **ret, struct err *err)
{
	int r = varlink_connect(podfd, CONTROL_SOCKET, ANSWER_TIMEOUT_MS, ret, err);

	return r < 0 ? err_wrap(err, r, "pod %s", pod) : 0;
}

/* A supervisor that died is replaced by whoever needs it next; one that is just dying is a process
 * for a little longer. */
static int connect_or_start(const struct ctl *ctl, const char *pod, int podfd,
	struct varlink_client **ret, struct err *err)
{
	int r = connect_control(pod, podfd, ret, err);

	if (r != -ECONNREFUSED && r != -ENOENT)
		return r;
	r = lifecycle_start(ctl, pod, NULL, err);
	return r < 0 ? err_wrap(err, r, "its supervisor had died")
		     : connect_control(pod, podfd, ret, err);
}

static int connect_to(const struct ctl *ctl, struct supervisor *supervisor, struct err *err)
{
	struct pod_running pod = POD_RUNNING_NONE;
	bool runs;
	int r;

	r = pod_state_load(supervisor->podfd, &pod.state, err);
	if (r < 0)
		return err_wrap(err, r, "pod %s", supervisor->pod);
	runs = pod_is_running(&pod) || pod_state_phase_now(&pod.state) == POD_RUNNING;
	pod_running_done(&pod);
	if (!runs)
		return err_set(err, -ESRCH, "pod %s is not running", supervisor->pod);
	return connect_or_start(
		ctl, supervisor->pod, supervisor->podfd, &supervisor->client, err);
}

int supervisor_open(
	const struct ctl *ctl, const char *text, struct supervisor *ret, struct err *err)
{
	struct supervisor supervisor = SUPERVISOR_NONE;
	int r;

	r = find(ctl, text, &supervisor, err);
	if (r == 0)
		r = connect_to(ctl, &supervisor, err);
	if (r < 0) {
		supervisor_done(&supervisor);
		return r;
	}
	*ret = supervisor;
	return 0;
}

int supervisor_connect(const char *pod, int podfd, struct supervisor *ret, struct err *err)
{
	struct supervisor supervisor = SUPERVISOR_NONE;
	int r;

	text_copy(supervisor.path, sizeof(supervisor.path), pod);
	text_copy(supervisor.pod, sizeof(supervisor.pod), pod);
	r = connect_control(pod, podfd, &supervisor.client, err);
	if (r == 0)
		*ret = supervisor;
	return r;
}

int supervisor_reach(const struct ctl *ctl, const char *pod, int podfd, struct supervisor *ret,
	struct err *err)
{
	struct supervisor supervisor = SUPERVISOR_NONE;
	int r;

	text_copy(supervisor.path, sizeof(supervisor.path), pod);
	text_copy(supervisor.pod, sizeof(supervisor.pod), pod);
	r = connect_or_start(ctl, pod, podfd, &supervisor.client, err);
	if (r == 0)
		*ret = supervisor;
	return r;
}

/* ---- asking ---- */

static void full_name(const char *method, char *ret, size_t size)
{
	snprintf(ret, size, "%s.%s", VARLINK_INTERFACE, method);
}

static int explain(const struct supervisor *supervisor, int result, struct err *err)
{
	const char *name = varlink_client_error(supervisor->client);

	if (text_equal(name, VARLINK_INTERFACE ".NoSuchChild"))
		return err_set(err, result,
			"podd knows of no container %s that it could be done for",
			supervisor->path);
	if (text_equal(name, "org.varlink.service.MethodNotFound"))
		return err_set(err, result,
			"pod %s was started by an older podd, which cannot do this: stop and start it",
			supervisor->pod);
	return err_wrap(err, result, "%s %s", *supervisor->child ? "container" : "pod",
		supervisor->path);
}

static int call(const struct supervisor *supervisor, const char *method, struct json *parameters,
	struct json **ret, int *ret_fds, struct err *err)
{
	char name[64];
	int r;

	full_name(method, name, sizeof(name));
	r = varlink_client_call(supervisor->client, name, parameters, ret, ret_fds, err);
	return r < 0 ? explain(supervisor, r, err) : 0;
}

int supervisor_call(const struct supervisor *supervisor, const char *method,
	struct json *parameters, struct json **ret, struct err *err)
{
	return call(supervisor, method, parameters, ret, NULL, err);
}

int supervisor_call_for_fd(const struct supervisor *supervisor, const char *method,
	struct json *parameters, int *ret_fd, struct err *err)
{
	int fds[FD_PASS_MAX];
	int r;

	r = call(supervisor, method, parameters, NULL, fds, err);
	if (r < 0)
		return r;
	for (size_t i = 1; i < FD_PASS_MAX; i++)
		cleanup_close(&fds[i]);
	if (fds[0] < 0)
		return err_set(err, -EPROTO, "pod %s: podd's answer brought no descriptor",
			supervisor->pod);
	*ret_fd = fds[0];
	return 0;
}

struct json *supervisor_parameters(const struct supervisor *supervisor)
{
	struct json *parameters = json_new_object();

	if (*supervisor->child)
		json_set_string(parameters, "child", supervisor->child);
	return parameters;
}

/* ---- lists ---- */

const char *supervisor_text(const struct json *object, const char *key)
{
	const char *text = json_string(json_get(object, key));

	return text ? text : "";
}

int64_t supervisor_number(const struct json *object, const char *key)
{
	int64_t number = 0;

	json_int(json_get(object, key), &number);
	return number;
}

static void add_all(
	const struct supervisor *supervisor, const struct json *list, struct json *array)
{
	for (size_t i = 0; i < json_length(list); i++) {
		const char *child = json_string(json_get(json_at(list, i), "child"));
		autofree char *path = NULL;
		struct json *copy;

		if (*supervisor->child && !text_equal(child, supervisor->child))
			continue;
		path = child ? text_format("%s/%s", supervisor->pod, child)
			     : strdup(supervisor->pod);
		copy = json_copy(json_at(list, i));
		json_set(copy, SUPERVISOR_TARGET, json_new_string(path));
		json_append(array, copy);
	}
}

int supervisor_list(const struct supervisor *supervisor, const char *method, const char *key,
	struct json *array, struct err *err)
{
	char name[64];
	int r;

	full_name(method, name, sizeof(name));
	r = varlink_client_more(supervisor->client, name, NULL, err);
	if (r == 0)
		r = 1;
	while (r > 0) {
		autoptr(json) reply = NULL;
		const struct json *list = NULL;

		r = varlink_client_next(supervisor->client, &reply, err);
		if (r >= 0 && json_read_array(reply, key, true, &list, err) < 0)
			r = -EPROTO;
		if (r >= 0)
			add_all(supervisor, list, array);
	}
	return r < 0 ? explain(supervisor, r, err) : 0;
}

int supervisor_change(const struct supervisor *supervisor, const char *method,
	struct json *parameters, const char *key, struct json **ret)
{
	autoptr(json) reply = NULL;
	struct err err = {};
	int r = supervisor_call(supervisor, method, parameters, &reply, &err);

	if (r < 0)
		return ctl_fail(r, &err);
	*ret = json_new_array();
	add_all(supervisor, json_get(reply, key), *ret);
	return -1;
}

static int list_one(const struct ctl *ctl, const char *text, supervisor_opener open,
	const char *method, const char *key, struct json *array, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	int r;

	r = open(ctl, text, &supervisor, err);
	return r < 0 ? r : supervisor_list(&supervisor, method, key, array, err);
}

/* True for a pod in a pod, unless it has no way out. */
static bool goes_by_another(int podfd)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};

	return pod_spec_load(podfd, &spec, NULL) == 0 && pod_spec_is_nested(&spec) &&
	       spec.net == POD_NET_CNI;
}

int supervisor_open_ruling(
	const struct ctl *ctl, const char *text, struct supervisor *ret, struct err *err)
{
	struct supervisor supervisor = SUPERVISOR_NONE;
	int r;

	r = find(ctl, text, &supervisor, err);
	if (r == 0 && !*supervisor.child && goes_by_another(supervisor.podfd)) {
		name_split(supervisor.path, supervisor.pod, supervisor.child);
		cleanup_close(&supervisor.podfd);
		supervisor.podfd = -1;
		r = ctl_open_pod(ctl, supervisor.pod, &supervisor.podfd, err);
	}
	if (r == 0)
		r = connect_to(ctl, &supervisor, err);
	if (r < 0) {
		supervisor_done(&supervisor);
		return r;
	}
	*ret = supervisor;
	return 0;
}

/* Of those that run, and have a way out that podd looks after. */
static bool is_asked(const struct ctl *ctl, const char *path)
{
	struct pod_running pod = POD_RUNNING_NONE;
	bool asked = pod_open(ctl, path, &pod, NULL) == 0 &&
		     (pod_is_running(&pod) || pod_state_phase_now(&pod.state) == POD_RUNNING) &&
		     (pod.state.uplink.pid > 0 || goes_by_another(pod.podfd));

	pod_running_done(&pod);
	return asked;
}

int supervisor_list_all(const struct ctl *ctl, const char *text, supervisor_opener open,
	const char *method, const char *key, struct json **ret)
{
	autoptr(json) array = json_new_array();
	autostrv pods = NULL;
	struct err err = {};
	int status = -1;
	int r;

	r = text ? list_one(ctl, text, open, method, key, array, &err)
		 : lifecycle_all(ctl, false, &pods, &err);
	if (r < 0)
		status = ctl_fail(r, &err);
	for (size_t i = 0; pods && pods[i]; i++) {
		if (!is_asked(ctl, pods[i]))
			continue;
		r = list_one(ctl, pods[i], supervisor_open, method, key, array, &err);
		if (r < 0 && r != -ENOENT && r != -ESRCH)
			status = ctl_fail(r, &err);
	}
	*ret = take_ptr(array);
	return status;
}
