/* SPDX-License-Identifier: GPL-2.0-or-later */
/* podctl inspect: everything that the records say about pods and containers, as JSON. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "hierarchy.h"
#include "text.h"

#include "entry.h"
#include "supervisor.h"
#include "options.h"
#include "verbs.h"

/* An entry in brief, as it stands in the list of a pod's children. */
static void append_child(struct json *children, const struct entry *entry)
{
	struct json *object = json_new_object();
	char *none[] = {NULL};

	json_set_string(object, "path", entry->path);
	json_set_string(object, "kind", entry->is_pod ? "pod" : "container");
	json_set_string(object, "phase", entry->status);
	json_set_strv(object, "addresses", entry->addresses ? entry->addresses : none);
	json_append(children, object);
}

static int append_container(struct json *children, int podfd, const char *path, const char *name,
	struct err *err)
{
	struct entry entry;
	int r = entry_container(podfd, path, name, &entry, err);

	if (r < 0)
		return r;
	append_child(children, &entry);
	entry_done(&entry);
	return 0;
}

static int append_pod(struct json *children, const struct ctl *ctl, const char *path,
	const char *name, struct err *err)
{
	autofree char *child = text_format("%s/%s", path, name);
	autoclose int podfd = -1;
	struct entry entry;
	int r;

	if (!child)
		return err_oom(err);
	r = ctl_open_pod(ctl, child, &podfd, err);
	if (r == 0)
		r = entry_pod(podfd, child, &entry);
	if (r < 0)
		return r;
	append_child(children, &entry);
	entry_done(&entry);
	return 0;
}

/* What is removed while we look is left out. */
static int add_children(struct json *object, const struct ctl *ctl, int podfd, const char *path,
	struct err *err)
{
	struct json *children = json_set_array(object, "children");
	autostrv containers = NULL;
	autostrv pods = NULL;
	int r;

	r = hierarchy_children(podfd, HIERARCHY_CONTAINERS, &containers, err);
	for (size_t i = 0; r == 0 && containers[i]; i++) {
		r = append_container(children, podfd, path, containers[i], err);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		r = hierarchy_children(podfd, HIERARCHY_PODS, &pods, err);
	for (size_t i = 0; r == 0 && pods[i]; i++) {
		r = append_pod(children, ctl, path, pods[i], err);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

/* Which podd looks after a pod that runs, and which one is installed. */
static void add_version(struct json *object, const struct pod_state *state)
{
	struct json *podd;

	if (pod_state_phase_now(state) != POD_RUNNING || !state->podd_version[0])
		return;
	podd = json_set_object(object, "podd");
	json_set_string(podd, "version", state->podd_version);
	json_set_string(podd, "installed", PACKAGE_VERSION);
	json_set_bool(podd, "outdated", strcmp(state->podd_version, PACKAGE_VERSION) != 0);
}

static int add_records(struct json *object, int podfd, struct err *err)
{
	struct pod_spec spec;
	struct pod_state state;
	char *none[] = {NULL};
	int r;

	r = pod_spec_load(podfd, &spec, err);
	if (r < 0)
		return r;
	r = pod_state_load(podfd, &state, err);
	if (r == 0) {
		json_set_string(object, "phase", pod_phase_name(pod_state_phase_now(&state)));
		json_set(object, "spec", pod_spec_to_json(&spec));
		json_set(object, "state",
			state.phase == POD_CREATED ? json_new_null() : pod_state_to_json(&state));
		json_set_strv(object, "warnings", state.warnings ? state.warnings : none);
		add_version(object, &state);
		pod_state_done(&state);
	}
	pod_spec_done(&spec);
	return r;
}

/* What only podd knows; nothing, if it does not run or has other things to do. */
static void add_uplink(struct json *object, const char *path, int podfd)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) answer = NULL;
	const struct json *uplink;

	if (supervisor_connect(path, podfd, &supervisor, NULL) < 0 ||
		supervisor_call(&supervisor, "Inspect", NULL, &answer, NULL) < 0)
		return;
	uplink = json_get(answer, "uplink");
	if (uplink)
		json_set(object, "uplink", json_copy(uplink));
}

static int inspect_pod(const struct ctl *ctl, const char *path, int podfd, struct json *array,
	struct err *err)
{
	autoptr(json) object = json_new_object();
	int r;

	json_set_string(object, "path", path);
	json_set_string(object, "kind", "pod");
	r = add_records(object, podfd, err);
	if (r == 0)
		r = add_children(object, ctl, podfd, path, err);
	if (r < 0)
		return err_wrap(err, r, "pod %s", path);
	if (text_equal(json_string(json_get(object, "phase")), "running"))
		add_uplink(object, path, podfd);
	json_append(array, take_ptr(object));
	return 0;
}

static int add_attachment(struct json *object, int childfd, struct err *err)
{
	struct attachment attachment;
	int r;

	r = attachment_load(childfd, &attachment, err);
	if (r == 0) {
		json_set(object, "attachment", attachment_to_json(&attachment));
		attachment_done(&attachment);
	}
	return r == -ENOENT ? 0 : r;
}

static int add_error(struct json *object, int childfd, struct err *err)
{
	struct json *error;
	int r;

	r = entry_load_error(childfd, &error, err);
	if (r == 0)
		json_set(object, "error", error);
	return r == -ENOENT ? 0 : r;
}

/* Where its files are: those that are not in the records. */
static void set_paths(struct json *object, const struct container_spec *spec, const char *root,
	const char *pod, const char *name)
{
	autofree char *dir = hierarchy_pod_dir(root, pod);
	autofree char *child = dir ? text_format("%s/children/%s", dir, name) : NULL;
	autofree char *config =
		child ? text_format("%s/" CONTAINER_BUNDLE "/config.json", child) : NULL;
	autofree char *log = child ? text_format("%s/" CONTAINER_LOG, child) : NULL;

	json_set(object, "config", json_new_string(config));
	if (spec->log == LOG_K8S_FILE || spec->log == LOG_JSON_FILE)
		json_set(object, "log", json_new_string(spec->log_path ? spec->log_path : log));
	else
		json_set(object, "log", json_new_null());
}

/* The records of a container that podctl made. */
static int add_made(struct json *object, const char *root, const char *pod, const char *name,
	int childfd, struct err *err)
{
	struct container_spec spec;
	struct container_state state;
	struct container_exit end;
	int r;

	r = container_spec_load(childfd, &spec, err);
	if (r < 0)
		return r;
	json_set(object, "spec", container_spec_to_json(&spec));
	set_paths(object, &spec, root, pod, name);
	container_spec_done(&spec);
	r = container_state_load(childfd, &state, err);
	if (r < 0)
		return r;
	json_set(object, "state",
		state.phase == CONTAINER_CREATED ? json_new_null()
						 : container_state_to_json(&state));
	container_state_done(&state);
	r = container_exit_load(childfd, &end, err);
	json_set(object, "exit", r == 0 ? container_exit_to_json(&end) : json_new_null());
	if (r == 0)
		container_exit_done(&end);
	return r == -ENOENT ? 0 : r;
}

static int inspect_container(const struct ctl *ctl, int podfd, const char *pod, const char *name,
	struct json *array, struct err *err)
{
	autoptr(json) object = json_new_object();
	autoclose int childfd = -1;
	struct entry entry;
	int r;

	r = entry_container(podfd, pod, name, &entry, err);
	if (r < 0)
		return r;
	json_set_string(object, "path", entry.path);
	json_set_string(object, "kind", "container");
	json_set_string(object, "phase", entry.status);
	entry_done(&entry);
	r = hierarchy_open_child(podfd, name, false, &childfd, err);
	if (r == 0 && container_is_made(childfd))
		r = add_made(object, ctl->root, pod, name, childfd, err);
	if (r == 0)
		r = add_attachment(object, childfd, err);
	if (r == 0)
		r = add_error(object, childfd, err);
	if (r == 0)
		json_append(array, take_ptr(object));
	return r;
}

static int inspect(const struct ctl *ctl, const char *path, struct json *array, struct err *err)
{
	char parent[NAME_PATH_SIZE];
	char leaf[NAME_COMPONENT_MAX + 1];
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, err);
	if (r == 0)
		return inspect_pod(ctl, path, podfd, array, err);
	if (r != -ENOENT || !strchr(path, '/'))
		return r;
	name_split(path, parent, leaf);
	r = ctl_open_pod(ctl, parent, &podfd, err);
	if (r == 0)
		r = inspect_container(ctl, podfd, parent, leaf, array, err);
	return r == -ENOENT ? err_set(err, r, "there is no pod or container '%s'", path) : r;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	const char *format = NULL;
	const struct option options[] = {{.name = "format", .argument = "json", .text = &format,
						 .help = "form of the output; always JSON"},
		{}};
	autoptr(json) array = json_new_array();
	int failure = CTL_OK;
	bool json;
	size_t n;
	int status = options_parse(&verb_inspect, options, argc, argv, &n);

	if (status >= 0)
		return status;
	if (format && (ctl_format_is_json(format, &json) < 0 || !json))
		return ctl_usage_error(&verb_inspect, "--format must be json");
	for (size_t i = 0; i < n; i++) {
		struct err err = {};
		int r = inspect(ctl, argv[i], array, &err);

		if (r < 0)
			failure = ctl_fail(r, &err);
	}
	status = ctl_print_json(take_ptr(array));
	return status ? status : failure;
}

const struct ctl_verb verb_inspect = {
	.name = "inspect",
	.operands = "PATH...",
	.operands_min = 1,
	.operands_max = SIZE_MAX,
	.summary = "Print what is recorded about pods and containers",
	.details = "Prints a JSON array with an object for each PATH that there is.",
	.example = "podctl inspect net0 net0/web",
	.run = run,
};
