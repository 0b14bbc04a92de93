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

static const char *const usual[] = {"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"};

int cni_default_plugin_dirs(char ***ret)
{
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

int cni_check_trusted(const char *path, struct err *err)
{
	return check_resolved(path, err);
}

/* ---- of a pod that sees more than the host's file system, or less ---- */

/* Return: 1 when the tree has the directory, and it can be trusted; 0 when not; -ENOMEM. */
static int tree_has(const char *tree, const char *dir, char ***problems)
{
	autofree char *path = text_format("%s%s", tree, dir);
	char resolved[PATH_MAX];
	struct err why = {0};

	if (!path)
		return -ENOMEM;
	if (!realpath(path, resolved))
		return 0;
	if (strcmp(path, resolved) != 0)
		err_set(&why, -ELOOP, "there is a link in its path");
	else if (check_resolved(resolved, &why) == 0)
		return 1;
	return add_problem(problems, path, &why);
}

/* What a stage has is shown together with what the tree below it has. */
static int is_untrusted(const char *tree, const char *dir)
{
	autofree char *path = text_format("%s%s", tree, dir);
	char resolved[PATH_MAX];

	if (!path)
		return -ENOMEM;
	return realpath(path, resolved) && check_resolved(resolved, NULL) < 0;
}

static int add_once(char ***dirs, const char *prefix, const char *dir)
{
	autofree char *path = text_format("%s%s", prefix, dir);

	if (!path)
		return -ENOMEM;
	return strv_contains(*dirs, path) ? 0 : strv_add(dirs, path);
}

static int add_tree_dirs(const struct cni_trees *trees, const char *tree, char ***dirs,
	char ***problems)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(usual) / sizeof(*usual); i++) {
		int has = tree_has(tree, usual[i], problems);
		int bad = is_untrusted(trees->root ? trees->root : "", usual[i]);

		if (has < 0 || bad < 0)
			return -ENOMEM;
		if (has && !bad)
			r = add_once(dirs, "", usual[i]);
	}
	return r;
}

/* The host's directories that are among @named, or those that are not. */
static int add_host_dirs(const struct cni_trees *trees, char *const *host_dirs, char *const *named,
	bool among, char ***dirs, char ***problems)
{
	const struct err hidden = {
		.msg = "it is the host's, which --root hides; --host-at shows it"};
	const char *prefix = trees->host_at ? trees->host_at : "";
	int r = 0;

	for (size_t i = 0; r == 0 && host_dirs && host_dirs[i]; i++) {
		if (strv_contains(named, host_dirs[i]) != among)
			continue;
		if (!trees->root || trees->host_at)
			r = add_once(dirs, prefix, host_dirs[i]);
		else if (among)
			r = add_problem(problems, host_dirs[i], &hidden);
	}
	return r;
}

int cni_tree_dirs(const struct cni_trees *trees, char *const *host_dirs, char ***ret,
	char ***ret_problems)
{
	autostrv dirs = calloc(1, sizeof(*dirs));
	autostrv problems = calloc(1, sizeof(*problems));
	autostrv named = NULL;
	autostrv resolved = NULL;
	int r = dirs && problems ? add_cni_path(&named) : -ENOMEM;

	if (r == 0)
		r = cni_trusted_dirs(named, &resolved, NULL);
	if (r == 0)
		r = add_host_dirs(trees, host_dirs, resolved, true, &dirs, &problems);
	for (size_t i = strv_length(trees->stages); r == 0 && i > 0; i--)
		r = add_tree_dirs(trees, trees->stages[i - 1], &dirs, &problems);
	if (r == 0 && trees->root)
		r = add_tree_dirs(trees, trees->root, &dirs, &problems);
	if (r == 0)
		r = add_host_dirs(trees, host_dirs, resolved, false, &dirs, &problems);
	if (r < 0)
		return r;
	*ret = take_ptr(dirs);
	*ret_problems = take_ptr(problems);
	return 0;
}
