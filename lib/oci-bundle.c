/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes a bundle's config.json one of a pod. podd owns a few fields only, and everything else
 * stays as it is: unknown fields, the order, hooks and mounts of others. What an earlier run put
 * there is found again and replaced, also when it was for another pod; for that, whatever lies
 * under the hierarchy's root, now or as the earlier hook names it, counts as podd's.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci-internal.h"
#include "text.h"

#define SOURCE "config.json"

/* Seconds; the hook ends by itself before (HOOK_TIME_MS in hooks/request.h). */
#define HOOK_TIMEOUT 120

struct editor {
	struct json *config;
	struct json *linux_section;
	const struct oci_bundle *bundle;
	char *old_root; /* that an earlier run's hook has, or NULL */
	struct err *err;
};

static void editor_done(struct editor *editor)
{
	free(editor->old_root);
}

/* ---- reading with errors that name the field ---- */

static int wrong_type(
	const char *field, const char *expected, const struct json *found, struct err *err)
{
	return err_set(err, -EINVAL, SOURCE ": %s must be %s, found %s", field, expected,
		json_type_name(json_type(found)));
}

/* The object or array @key of @parent, or NULL when it is absent or null. */
static int get_container(struct json *parent, const char *key, const char *field,
	enum json_type type, struct json **ret, struct err *err)
{
	struct json *value = json_get(parent, key);

	if (value && json_type(value) == JSON_NULL)
		value = NULL;
	if (value && json_type(value) != type)
		return wrong_type(field, type == JSON_ARRAY ? "an array" : "an object", value, err);
	*ret = value;
	return 0;
}

/* As get_container(), but makes an empty one. *ret is NULL when memory is short. */
static int need_container(struct json *parent, const char *key, const char *field,
	enum json_type type, struct json **ret, struct err *err)
{
	int r = get_container(parent, key, field, type, ret, err);

	if (r < 0 || *ret)
		return r;
	*ret = type == JSON_ARRAY ? json_set_array(parent, key) : json_set_object(parent, key);
	return 0;
}

/* Element @index of array @field must be an object whose @key is a string. Absent or null gives
 * NULL, unless it is @required. */
static int get_element_string(const struct json *array, size_t index, const char *field,
	const char *key, bool required, const char **ret, struct err *err)
{
	const struct json *element = json_at(array, index);
	const struct json *value = json_get(element, key);
	char where[96];

	snprintf(where, sizeof(where), "%s[%zu]", field, index);
	if (json_type(element) != JSON_OBJECT)
		return wrong_type(where, "an object", element, err);
	snprintf(where, sizeof(where), "%s[%zu].%s", field, index, key);
	if (!value && required)
		return err_set(err, -EINVAL, SOURCE ": %s is missing", where);
	if (json_type(value) != JSON_STRING && (required || json_type(value) != JSON_NULL))
		return wrong_type(where, "a string", value, err);
	*ret = json_string(value);
	return 0;
}

/* ---- what is podd's ---- */

bool oci_is_under(const char *path, const char *directory)
{
	size_t length = directory ? strlen(directory) : 0;

	return length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* True for a file at @suffix ("/etc/hosts") of any pod's directory. */
static bool is_pods_file(const struct editor *editor, const char *path, const char *suffix)
{
	if (!path || !text_ends_with(path, suffix))
		return false;
	return oci_is_under(path, editor->bundle->root) || oci_is_under(path, editor->old_root);
}

bool oci_is_own_hook(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return path && strcmp(slash ? slash + 1 : path, OCI_HOOK_NAME) == 0;
}

/* ---- namespaces ---- */

/* Finds the entry of a type; *ret is NULL when there is none, and later ones are removed. */
static struct json *find_namespace(struct json *namespaces, const char *type)
{
	struct json *found = NULL;
	size_t i = 0;

	while (i < json_length(namespaces)) {
		struct json *entry = json_at(namespaces, i);

		if (!text_equal(json_string(json_get(entry, "type")), type)) {
			i++;
		} else if (!found) {
			found = entry;
			i++;
		} else {
			json_remove_at(namespaces, i);
		}
	}
	return found;
}

/* Sets an entry's path: the pod's namespace @name, or none for a new namespace. */
static void set_namespace(
	const struct editor *editor, struct json *namespaces, const char *type, const char *name)
{
	struct json *entry = find_namespace(namespaces, type);
	autofree char *path = NULL;

	if (!entry) {
		json_append(namespaces, json_new_object());
		entry = json_at(namespaces, json_length(namespaces) - 1);
		json_set_string(entry, "type", type);
	}
	if (!name) {
		json_remove(entry, "path");
		return;
	}
	path = text_format("%s/ns/%s", editor->bundle->pod_dir, name);
	json_set_string(entry, "path", path);
}

/* ipc, uts and pid belong to the bundle unless they are shared, or were by an earlier run. */
static void set_shared_namespace(
	const struct editor *editor, struct json *namespaces, const char *type, bool share)
{
	const char *path;
	char suffix[16];

	if (share) {
		set_namespace(editor, namespaces, type, type);
		return;
	}
	snprintf(suffix, sizeof(suffix), "/ns/%s", type);
	path = json_string(json_get(find_namespace(namespaces, type), "path"));
	if (is_pods_file(editor, path, suffix))
		set_namespace(editor, namespaces, type, NULL);
}

/* The pod may have the host's network, which nobody in the pod's user namespace may enter: a
 * container has it by having no entry for it. */
static void set_network(const struct editor *editor, struct json *namespaces)
{
	size_t i = 0;

	if (!editor->bundle->host_net) {
		set_namespace(editor, namespaces, "network",
			editor->bundle->share_net ? "net" : NULL);
		return;
	}
	while (i < json_length(namespaces)) {
		if (text_equal(json_string(json_get(json_at(namespaces, i), "type")), "network"))
			json_remove_at(namespaces, i);
		else
			i++;
	}
}

static int edit_namespaces(const struct editor *editor)
{
	const char *field = "linux.namespaces", *type;
	bool has_mount = false;
	struct json *array;
	int r = get_container(
		editor->linux_section, "namespaces", field, JSON_ARRAY, &array, editor->err);

	for (size_t i = 0; r >= 0 && i < json_length(array); i++) {
		r = get_element_string(array, i, field, "type", true, &type, editor->err);
		has_mount |= r >= 0 && strcmp(type, "mount") == 0;
	}
	if (r < 0)
		return r;
	if (!has_mount)
		return err_set(editor->err, -EINVAL,
			SOURCE ": %s has no entry of type \"mount\", which a child of a pod needs",
			field);
	set_namespace(editor, array, "user", "user");
	set_network(editor, array);
	set_shared_namespace(editor, array, "ipc", editor->bundle->share_ipc);
	set_shared_namespace(editor, array, "uts", editor->bundle->share_uts);
	set_shared_namespace(editor, array, "pid", editor->bundle->share_pid);
	return 0;
}

/* ---- hooks ---- */

void oci_set_strings(struct json *object, const char *key, const char *const *strings)
{
	struct json *array = json_set_array(object, key);

	for (; *strings; strings++)
		json_append(array, json_new_string(*strings));
}

void oci_write_hook(struct json *hook, const char *path, const char *root, const char *pod,
	const char *phase)
{
	const char *const args[] = {OCI_HOOK_NAME, phase, "--root", root, "--pod", pod, NULL};
	const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

	json_set_string(hook, "path", path);
	oci_set_strings(hook, "args", args);
	oci_set_strings(hook, "env", env);
	json_set_int(hook, "timeout", HOOK_TIMEOUT);
}

/* Remembers the root that an earlier run's hook has. */
static int note_old_root(struct editor *editor, const struct json *hook)
{
	const struct json *args = json_get(hook, "args");

	for (size_t i = 1; i < json_length(args); i++) {
		const char *root = json_string(json_at(args, i));

		if (editor->old_root || !root || *root != '/' ||
			!text_equal(json_string(json_at(args, i - 1)), "--root"))
			continue;
		editor->old_root = strdup(root);
		if (!editor->old_root)
			return err_oom(editor->err);
	}
	return 0;
}

/* Leaves exactly one hook of podd's in a phase: where the first was, or at the end. */
static int edit_phase(struct editor *editor, struct json *hooks, const char *phase)
{
	struct json *array, *own = NULL;
	const char *path;
	char field[64];
	size_t i = 0;
	int r;

	snprintf(field, sizeof(field), "hooks.%s", phase);
	r = need_container(hooks, phase, field, JSON_ARRAY, &array, editor->err);
	while (r >= 0 && i < json_length(array)) {
		r = get_element_string(array, i, field, "path", true, &path, editor->err);
		if (r < 0)
			return r;
		if (!oci_is_own_hook(path)) {
			i++;
			continue;
		}
		r = note_old_root(editor, json_at(array, i));
		if (own)
			json_remove_at(array, i);
		else
			own = json_at(array, i++);
	}
	if (r < 0)
		return r;
	if (!own) {
		json_append(array, json_new_object());
		own = json_at(array, json_length(array) - 1);
	}
	oci_write_hook(own, editor->bundle->hook, editor->bundle->root, editor->bundle->pod, phase);
	return 0;
}

static int edit_hooks(struct editor *editor)
{
	struct json *hooks = NULL;
	int r = need_container(editor->config, "hooks", "hooks", JSON_OBJECT, &hooks, editor->err);

	if (r >= 0)
		r = edit_phase(editor, hooks, "createContainer");
	if (r >= 0)
		r = edit_phase(editor, hooks, "poststop");
	return r;
}

/* ---- annotations ---- */

void oci_set_list(struct json *annotations, const char *key, char *const *values)
{
	size_t size = 1, n = 0;
	autofree char *text = NULL;

	if (strv_length(values) == 0) {
		json_remove(annotations, key);
		return;
	}
	for (size_t i = 0; values[i]; i++)
		size += strlen(values[i]) + 1;
	text = malloc(size);
	for (size_t i = 0; text && values[i]; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%s", i > 0 ? " " : "", values[i]);
	json_set_string(annotations, key, text);
}

static int edit_annotations(const struct editor *editor)
{
	const struct oci_bundle *bundle = editor->bundle;
	struct json *annotations = NULL;
	int r = need_container(editor->config, "annotations", "annotations", JSON_OBJECT,
		&annotations, editor->err);

	if (r < 0)
		return r;
	json_set_string(annotations, OCI_ANNOTATION_POD, bundle->pod);
	oci_set_list(annotations, OCI_ANNOTATION_NETWORKS,
		bundle->share_net ? NULL : bundle->networks);
	oci_set_list(annotations, OCI_ANNOTATION_PUBLISH, bundle->publish);
	if (bundle->hostname) {
		json_set_string(annotations, OCI_ANNOTATION_HOSTNAME, bundle->hostname);
		json_set_string(editor->config, "hostname", bundle->hostname);
	}
	return 0;
}

/* ---- mounts ---- */

/* The other options keep what the file's own mount may have locked in the pod's user namespace
 * (mount_namespaces(7)): it could not be made read-only without them. */
void oci_write_file_mount(struct json *mount, const char *destination, const char *source)
{
	const char *const options[] = {"bind", "ro", "nosuid", "nodev", "noexec", NULL};

	json_set_string(mount, "destination", destination);
	json_set_string(mount, "type", "bind");
	json_set_string(mount, "source", source);
	oci_set_strings(mount, "options", options);
}

/* Bind-mounts the pod's file to @destination, unless the bundle has a mount of its own there. */
static void edit_file_mount(
	const struct editor *editor, struct json *mounts, const char *destination)
{
	autofree char *source = text_format("%s%s", editor->bundle->pod_dir, destination);

	for (size_t i = 0; i < json_length(mounts); i++) {
		struct json *mount = json_at(mounts, i);

		if (!text_equal(json_string(json_get(mount, "destination")), destination))
			continue;
		if (is_pods_file(editor, json_string(json_get(mount, "source")), destination))
			oci_write_file_mount(mount, destination, source);
		return;
	}
	json_append(mounts, json_new_object());
	oci_write_file_mount(json_at(mounts, json_length(mounts) - 1), destination, source);
}

/* Removes "gid=N" where the pod has no N: mounting devpts fails with it. */
static int edit_devpts(const struct editor *editor, struct json *mount, const char *field)
{
	struct json *options;
	uint32_t gid, host;
	size_t i = 0;
	int r = get_container(mount, "options", field, JSON_ARRAY, &options, editor->err);

	while (r >= 0 && i < json_length(options)) {
		const char *option = json_string(json_at(options, i));

		if (!text_starts_with(option, "gid=") ||
			text_to_uint32(option + strlen("gid="), 0, UINT32_MAX, &gid) < 0 ||
			idmap_to_host(editor->bundle->gids, gid, &host) == 0)
			i++;
		else
			json_remove_at(options, i);
	}
	return r;
}

static int edit_mounts(const struct editor *editor)
{
	const char *destination, *type, *source;
	struct json *mounts = NULL;
	char field[64];
	int r = need_container(
		editor->config, "mounts", "mounts", JSON_ARRAY, &mounts, editor->err);

	for (size_t i = 0; r >= 0 && i < json_length(mounts); i++) {
		r = get_element_string(
			mounts, i, "mounts", "destination", true, &destination, editor->err);
		if (r >= 0)
			r = get_element_string(
				mounts, i, "mounts", "source", false, &source, editor->err);
		if (r >= 0)
			r = get_element_string(
				mounts, i, "mounts", "type", false, &type, editor->err);
		snprintf(field, sizeof(field), "mounts[%zu].options", i);
		if (r >= 0 && text_equal(type, "devpts"))
			r = edit_devpts(editor, json_at(mounts, i), field);
	}
	if (r < 0)
		return r;
	edit_file_mount(editor, mounts, "/etc/hosts");
	edit_file_mount(editor, mounts, "/etc/resolv.conf");
	return 0;
}

/* ---- all of it ---- */

static int edit_linux(struct editor *editor)
{
	int r = get_container(
		editor->config, "linux", "linux", JSON_OBJECT, &editor->linux_section, editor->err);

	if (r < 0)
		return r;
	if (!editor->linux_section)
		return err_set(editor->err, -EINVAL,
			SOURCE ": linux is missing: podd needs a bundle for Linux");
	r = edit_namespaces(editor);
	if (r < 0)
		return r;
	json_set(editor->linux_section, "uidMappings", idmap_to_oci(editor->bundle->uids));
	json_set(editor->linux_section, "gidMappings", idmap_to_oci(editor->bundle->gids));
	return 0;
}

int oci_bundle_apply(struct json *config, const struct oci_bundle *bundle, struct err *err)
{
	cleanup(editor_done) struct editor editor = {
		.config = config,
		.bundle = bundle,
		.err = err,
	};
	int r;

	if (json_type(config) != JSON_OBJECT)
		return err_set(err, -EINVAL, SOURCE " must be an object, found %s",
			json_type_name(json_type(config)));
	/* The hooks first: they tell the root of an earlier run. */
	r = edit_hooks(&editor);
	if (r >= 0)
		r = edit_linux(&editor);
	if (r >= 0)
		r = edit_annotations(&editor);
	if (r >= 0)
		r = edit_mounts(&editor);
	return r;
}
