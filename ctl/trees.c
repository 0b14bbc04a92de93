/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checking --stage, --root and --host-at: see trees.h. All of it is looked at once more when the
 * pod starts; here it is to say at once what is wrong.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni.h"
#include "stage.h"
#include "text.h"

#include "trees.h"

/* ---- what is said ---- */

/* "/host//side/" becomes "/host/side". */
static int take_host_at(struct pod_spec *spec, const char *text, struct err *err)
{
	autostrv parts = NULL;
	autofree char *path = strdup("");

	/* It will stand in CNI_PATH. */
	if (*text != '/' || strlen(text) >= PATH_MAX || strchr(text, ':'))
		return err_set(err, -EINVAL,
			"--host-at must be an absolute path without ':', not \"%s\"", text);
	if (strv_split(text, '/', &parts) < 0)
		return err_oom(err);
	for (size_t i = 0; path && parts && parts[i]; i++) {
		char *longer = text_format("%s/%s", path, parts[i]);

		if (strcmp(parts[i], "..") == 0 || strcmp(parts[i], ".") == 0) {
			free(longer);
			return err_set(err, -EINVAL,
				"--host-at: \"%s\" must not have . or .. in it", text);
		}
		free(path);
		path = longer;
	}
	if (!path)
		return err_oom(err);
	if (!*path)
		return err_set(err, -EINVAL,
			"--host-at / would show the host's file system in place of that of --root");
	spec->host_at = take_ptr(path);
	return 0;
}

int trees_take(struct pod_spec *spec, char *const *stages, const char *root, const char *host_at,
	struct err *err)
{
	if (host_at && !root)
		return err_set(err, -EINVAL,
			"--host-at needs --root: without it the pod sees the host's file system "
			"anyway");
	if (strv_length(stages) > STAGE_MAX)
		return err_set(err, -EINVAL, "--stage: more than %d", STAGE_MAX);
	if (stages && !(spec->stages = strv_copy(stages)))
		return err_oom(err);
	if (root && !(spec->root = strdup(root)))
		return err_oom(err);
	return host_at ? take_host_at(spec, host_at, err) : 0;
}

/* ---- what there is ---- */

static int check_directory(char **path, const char *option, struct err *err)
{
	autofree char *resolved = realpath(*path, NULL);
	struct stat st;
	int r;

	if (!resolved || stat(resolved, &st) < 0)
		return err_errno(err, "%s %s", option, *path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s %s is not a directory", option, *path);
	if (access(resolved, R_OK | X_OK) < 0)
		return err_errno(err, "%s %s", option, *path);
	if (strcmp(resolved, "/") == 0)
		return err_set(err, -EINVAL, "%s %s is the host's root directory", option, *path);
	r = cni_check_trusted(resolved, err);
	if (r < 0)
		return err_wrap(err, r, "%s %s", option, *path);
	free(*path);
	*path = take_ptr(resolved);
	return 0;
}

static bool is_below(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	return text_starts_with(path, ancestor) && (path[n] == '/' || path[n] == '\0');
}

/* Where the host's tree is shown, nothing of the pod's own may be, nor the other way round. */
static int check_host_at(const char *host_at, const char *records, struct err *err)
{
	const char *const own[] = {"/proc", "/sys", "/dev", "/run", "/tmp", "/etc/resolv.conf",
		"/var/lib/cni", records};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (is_below(host_at, own[i]) || is_below(own[i], host_at))
			return err_set(err, -EINVAL,
				"--host-at %s and the pod's own %s are in each "
				"other's place",
				host_at, own[i]);
	return 0;
}

/* The hierarchy's path without links; it need not be there yet. */
static char *records_path(const struct ctl *ctl)
{
	char *resolved = realpath(ctl->root, NULL);

	return resolved ? resolved : strdup(ctl->root);
}

static int check_stages(const struct pod_spec *spec, const char *records, struct err *err)
{
	autoclose int base = open(spec->root ? spec->root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stage_request request = {.base = base, .stages = spec->stages};
	struct stage_plan *plan = NULL;
	autostrv reserved = NULL;
	int r;

	if (base < 0)
		return err_errno(err, "opening %s", spec->root ? spec->root : "/");
	if (stage_reserved(records, spec->host_at, &reserved) < 0)
		return err_oom(err);
	request.reserved = reserved;
	r = stage_plan_new(&request, &plan, err);
	stage_plan_free(plan);
	return r;
}

int trees_check(const struct ctl *ctl, struct pod_spec *spec, struct err *err)
{
	autofree char *records = records_path(ctl);
	int r = 0;

	if (!records)
		return err_oom(err);
	for (size_t i = 0; r == 0 && spec->stages && spec->stages[i]; i++)
		r = check_directory(&spec->stages[i], "--stage", err);
	if (r == 0 && spec->root)
		r = check_directory(&spec->root, "--root", err);
	if (r == 0 && spec->host_at)
		r = check_host_at(spec->host_at, records, err);
	return r == 0 && spec->stages ? check_stages(spec, records, err) : r;
}

/* The stages under @spec's own, the outermost pod's first. Those of a pod with a root directory of
 * its own lie over that, which pods in it do not see. */
static int add_stages_around(const struct ctl *ctl, const char *path, char ***stages,
	struct err *err)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	char parent[NAME_PATH_SIZE], leaf[NAME_COMPONENT_MAX + 1];
	autoclose int podfd = -1;
	int r;

	if (name_depth(path) <= 1)
		return 0;
	name_split(path, parent, leaf);
	r = add_stages_around(ctl, parent, stages, err);
	if (r == 0)
		r = ctl_open_pod(ctl, parent, &podfd, NULL);
	/* That it is not there is found when the pod is made. */
	if (r < 0)
		return 0;
	r = pod_spec_load(podfd, &spec, err);
	for (size_t i = 0; r == 0 && !spec.root && spec.stages && spec.stages[i]; i++)
		r = strv_add(stages, spec.stages[i]) < 0 ? err_oom(err) : 0;
	return r;
}

int trees_plugin_dirs(const struct ctl *ctl, struct pod_spec *spec, struct err *err)
{
	struct cni_trees trees = {.root = spec->root, .host_at = spec->host_at};
	autostrv stages = NULL;
	autostrv dirs = NULL;
	autostrv problems = NULL;
	int r = 0;

	if (!spec->root)
		r = add_stages_around(ctl, spec->path, &stages, err);
	for (size_t i = 0; r == 0 && spec->stages && spec->stages[i]; i++)
		r = strv_add(&stages, spec->stages[i]) < 0 ? err_oom(err) : 0;
	if (r < 0 || (!stages && !spec->root))
		return r;
	trees.stages = stages;
	r = cni_tree_dirs(&trees, spec->cni_plugin_dirs, &dirs, &problems);
	if (r < 0)
		return err_set(
			err, r, "finding the directories of CNI plugins: %s", strerror(-r));
	for (size_t i = 0; problems && problems[i]; i++)
		ctl_warning("%s", problems[i]);
	strv_free(spec->cni_plugin_dirs);
	spec->cni_plugin_dirs = take_ptr(dirs);
	return 0;
}
