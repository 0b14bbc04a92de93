/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directories of configurations and plugins: which ones there are by default, and whether what
 * lies in them may be executed.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cni.h"
#include "text.h"

static int add_user_dir(char ***dirs)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	autofree char *dir = NULL;

	if (base && *base == '/')
		dir = text_format("%s/cni/net.d", base);
	else if (home && *home == '/')
		dir = text_format("%s/.config/cni/net.d", home);
	else
		return 0;
	return dir ? strv_add(dirs, dir) : -ENOMEM;
}

int cni_default_config_dirs(char ***ret)
{
	autostrv dirs = NULL;
	int r = add_user_dir(&dirs);

	if (r == 0)
		r = strv_add(&dirs, "/etc/cni/net.d");
	if (r == 0)
		*ret = take_ptr(dirs);
	return r;
}

/* $CNI_PATH; what is not absolute would mean another directory for each caller. */
static int add_cni_path(char ***dirs)
{
	const char *path = getenv("CNI_PATH");
	autostrv parts = NULL;
	int r = path ? strv_split(path, ':', &parts) : 0;

	for (size_t i = 0; r == 0 && parts && parts[i]; i++) {
		if (*parts[i] == '/' && !strv_contains(*dirs, parts[i]))
			r = strv_add(dirs, parts[i]);
	}
	return r;
}

int cni_default_plugin_dirs(char ***ret)
{
	static const char *const usual[] = {"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"};
	autostrv dirs = NULL;
	int r = add_cni_path(&dirs);

	for (size_t i = 0; r == 0 && i < sizeof(usual) / sizeof(*usual); i++) {
		if (!strv_contains(dirs, usual[i]))
			r = strv_add(&dirs, usual[i]);
	}
	if (r == 0)
		*ret = take_ptr(dirs);
	return r;
}

/* In a user namespace that does not map the host's root, what is root's shows the overflow uid.
 * It cannot be told from other unmapped owners there; who owns "/" is taken for root. */
static bool is_trusted_owner(uid_t uid)
{
	struct stat root;

	return uid == 0 || uid == geteuid() || (stat("/", &root) == 0 && uid == root.st_uid);
}

/* Who may exchange what lies in this directory? In a sticky one above only the entry's owner. */
static int check_component(const char *path, bool last, struct err *err)
{
	bool sticky;
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_errno(err, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a directory", path);
	if (!is_trusted_owner(st.st_uid))
		return err_set(err, -EPERM, "%s belongs to uid %u, not to root or the caller", path,
			(unsigned)st.st_uid);
	sticky = !last && (st.st_mode & S_ISVTX);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !sticky)
		return err_set(err, -EPERM, "group or others can write %s (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
	return 0;
}

/* Checks a resolved path from the root down. */
static int check_resolved(const char *resolved, struct err *err)
{
	char path[PATH_MAX];
	int r = check_component("/", resolved[1] == '\0', err);

	for (size_t i = 1; r == 0 && resolved[i - 1]; i++) {
		if (resolved[i] != '/' && resolved[i] != '\0')
			continue;
		memcpy(path, resolved, i);
		path[i] = '\0';
		r = check_component(path, resolved[i] == '\0', err);
	}
	return r;
}

/* Return: 0 with the path without symbolic links, or why it is not trusted. */
static int check_dir(const char *dir, char ret_resolved[PATH_MAX], struct err *err)
{
	if (*dir != '/')
		return err_set(err, -EINVAL, "it is not an absolute path");
	if (strchr(dir, ':'))
		return err_set(err, -EINVAL, "a ':' cannot be in CNI_PATH");
	if (!realpath(dir, ret_resolved))
		return err_set(err, -errno, "%s", strerror(errno));
	return check_resolved(ret_resolved, err);
}

static int add_problem(char ***problems, const char *dir, const struct err *why)
{
	char quoted[PATH_MAX];
	autofree char *message = text_format("plugin directory %s is left out: %s",
		text_sanitize(quoted, sizeof(quoted), dir), why->msg);

	return message ? strv_add(problems, message) : -ENOMEM;
}

int cni_trusted_dirs(char *const *dirs, char ***ret, char ***ret_problems)
{
	autostrv trusted = calloc(1, sizeof(*trusted));
	autostrv problems = calloc(1, sizeof(*problems));
	int r = trusted && problems ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && dirs && dirs[i]; i++) {
		char resolved[PATH_MAX];
		struct err why = {0};

		if (check_dir(dirs[i], resolved, &why) < 0)
			r = add_problem(&problems, dirs[i], &why);
		else if (!strv_contains(trusted, resolved))
			r = strv_add(&trusted, resolved);
	}
	if (r < 0)
		return r;
	*ret = take_ptr(trusted);
	if (ret_problems)
		*ret_problems = take_ptr(problems);
	return 0;
}
