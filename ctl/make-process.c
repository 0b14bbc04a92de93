/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The process of a container: its user, environment, command, and what it may do. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seccomp-profile.h"
#include "text.h"

#include "make-internal.h"

/* ---- the user ---- */

static int check_mapped(const struct making *making, const struct idmap *map, uint32_t id,
	const char *what)
{
	uint32_t host;

	if (idmap_to_host(map, id, &host) == 0)
		return 0;
	return err_set(making->err, -EINVAL, "%s id %u is not mapped in pod %s", what, id,
		making->spec.pod);
}

/* Those that /etc/group lists, and the pod does not have, cannot be set. */
static void drop_unmapped(struct making *making)
{
	struct rootfs_user *user = &making->user;
	size_t kept = 0;
	uint32_t host;

	for (size_t i = 0; i < user->n_groups; i++)
		if (idmap_to_host(&making->gids, user->groups[i], &host) == 0)
			user->groups[kept++] = user->groups[i];
	user->n_groups = kept;
}

static int read_user(struct making *making)
{
	int r;

	/* A bundle has one. */
	if (!making->options->user && making->base)
		return 0;
	r = rootfs_find_user(
		making->rootfd, making->options->user, &making->user, making->err);
	if (r < 0)
		return r;
	making->has_user = true;
	r = check_mapped(making, &making->uids, making->user.uid, "user");
	if (r == 0)
		r = check_mapped(making, &making->gids, making->user.gid, "group");
	drop_unmapped(making);
	return r;
}

static int add_group(struct making *making, const char *text)
{
	uint32_t gid;
	int r;

	if (making->n_groups >= ROOTFS_GROUPS_MAX)
		return err_set(making->err, -EINVAL, "--group-add may be given at most %d times",
			ROOTFS_GROUPS_MAX);
	r = rootfs_find_group(making->rootfd, text, &gid, making->err);
	if (r == 0)
		r = check_mapped(making, &making->gids, gid, "group");
	if (r < 0)
		return err_wrap(making->err, r, "--group-add");
	making->groups[making->n_groups++] = gid;
	return 0;
}

static int read_groups(struct making *making)
{
	char *const *texts = making->options->group_add;
	int r = 0;

	if (making->spec.keep_groups)
		return 0;
	for (; r == 0 && texts && *texts; texts++)
		r = add_group(making, *texts);
	return r;
}

/* Return: 0 or -EINVAL; without -u it is the bundle's user. */
static int get_ids(const struct making *making, int64_t *ret_uid, int64_t *ret_gid)
{
	const struct json *user = json_get(json_get(making->base, "process"), "user");
	int r;

	*ret_uid = making->user.uid;
	*ret_gid = making->user.gid;
	if (making->has_user || !user)
		return 0;
	r = json_read_int(user, "uid", false, 0, UINT32_MAX, ret_uid, making->err);
	return r < 0 ? r : json_read_int(user, "gid", false, 0, UINT32_MAX, ret_gid, making->err);
}

static int add_id(struct volume *volume, const char *key, int64_t id)
{
	autofree char *option = text_format("%s%lld", key, (long long)id);

	for (size_t i = 0; volume->options && volume->options[i]; i++)
		if (text_starts_with(volume->options[i], key))
			return 0;
	return option ? strv_add(&volume->options, option) : -ENOMEM;
}

/* U on a tmpfs, which is new for each run: it is mounted as the user's, unless it is said whose. */
static int own_tmpfs(struct making *making)
{
	int64_t uid = 0, gid = 0;
	int r = get_ids(making, &uid, &gid);

	if (r < 0)
		return err_wrap(making->err, r, "the bundle's process.user");
	for (size_t i = 0; i < making->n_volumes; i++) {
		struct volume *volume = &making->volumes[i];

		if (volume->type == VOLUME_TMPFS && volume->chown &&
			(add_id(volume, "uid=", uid) < 0 || add_id(volume, "gid=", gid) < 0))
			return err_oom(making->err);
	}
	return 0;
}

/* ---- environment and command ---- */

static int read_env(struct making *making)
{
	char *const *files = making->options->env_files;
	char *const *texts = making->options->env;
	int r = 0;

	for (; r == 0 && files && *files; files++)
		r = oci_env_file(*files, &making->env, making->err);
	for (; r == 0 && texts && *texts; texts++)
		r = oci_env_add(&making->env, *texts, making->err);
	return r;
}

/* One word, or a JSON array of them. */
static int add_entrypoint(struct making *making, const char *text)
{
	autoptr(json) array = NULL;
	int r;

	if (text[0] != '[')
		return strv_add(&making->args, *text ? text : NULL) < 0 ? err_oom(making->err) : 0;
	r = json_parse("--entrypoint", text, strlen(text), &array, making->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < json_length(array); i++)
		if (!json_string(json_at(array, i)))
			return err_set(making->err, -EINVAL,
				"--entrypoint: the array must have strings only");
		else if (strv_add(&making->args, json_string(json_at(array, i))) < 0)
			return err_oom(making->err);
	return 0;
}

static int read_args(struct making *making)
{
	char *const *command = making->command;
	int r = 0;

	if (strv_length(command) > CONTAINER_COMMAND_MAX)
		return err_set(making->err, -E2BIG, "the command has more than %d words",
			CONTAINER_COMMAND_MAX);
	if (making->options->entrypoint)
		r = add_entrypoint(making, making->options->entrypoint);
	for (; r == 0 && command && *command; command++)
		if (strv_add(&making->args, *command) < 0)
			r = err_oom(making->err);
	if (r == 0 && !making->args && !making->base)
		r = err_set(making->err, -EINVAL, "the command is missing");
	return r;
}

/* ---- what it may do ---- */

/* The rest of "KEY=REST" or "KEY:REST". */
static const char *value_of(const char *text, const char *key)
{
	size_t length = strlen(key);

	if (strncmp(text, key, length) != 0 || (text[length] != '=' && text[length] != ':'))
		return NULL;
	return text + length + 1;
}

static int read_security_option(struct making *making, const char *text)
{
	const char *value;

	if (strcmp(text, "no-new-privileges") == 0 || value_of(text, "no-new-privileges")) {
		value = value_of(text, "no-new-privileges");
		making->no_new_privileges = !value || strcmp(value, "false") != 0;
		return 0;
	}
	value = value_of(text, "seccomp");
	if (value) {
		making->no_seccomp = strcmp(value, "unconfined") == 0;
		making->seccomp_file = value;
		return 0;
	}
	value = value_of(text, "unmask");
	if (value && strcasecmp(value, "all") == 0) {
		making->unmask = true;
		return 0;
	}
	if (value_of(text, "label"))
		return 0;
	if (value_of(text, "apparmor")) {
		ctl_warning("--security-opt %s has no effect: only root can set AppArmor profiles",
			text);
		return 0;
	}
	return err_set(making->err, -EINVAL,
		"--security-opt takes seccomp=FILE|unconfined, no-new-privileges and unmask=ALL, not "
		"\"%s\"",
		text);
}

static int read_security(struct making *making)
{
	const struct container_options *options = making->options;
	const struct json *base = json_get(json_get(making->base, "linux"), "seccomp");
	int r = 0;

	for (size_t i = 0; r == 0 && options->security && options->security[i]; i++)
		r = read_security_option(making, options->security[i]);
	if (r == 0)
		r = oci_choose_capabilities(making->base, options->cap_add, options->cap_drop,
			&making->capabilities, &making->added_capabilities, making->err);
	if (r < 0 || making->no_seccomp)
		return r;
	if (base && !making->seccomp_file) {
		making->seccomp = json_copy(base);
		return making->seccomp ? 0 : err_oom(making->err);
	}
	return seccomp_profile_load(
		making->seccomp_file, making->capabilities, &making->seccomp, making->err);
}

int make_read_process(struct making *making)
{
	int r;

	r = read_args(making);
	if (r == 0)
		r = read_user(making);
	if (r == 0)
		r = read_groups(making);
	if (r == 0)
		r = own_tmpfs(making);
	if (r == 0)
		r = read_env(making);
	return r < 0 ? r : read_security(making);
}
