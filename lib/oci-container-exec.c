/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The process that podctl exec adds to a container: see oci-container.h. */

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "oci-container-internal.h"
#include "text.h"

static int exec_env(struct json *process, const struct oci_exec *exec, struct err *err)
{
	autostrv env = NULL;
	autofree char *home = NULL;
	int r;

	r = json_read_strv(process, "env", false, &env, err);
	if (r == 0 && exec->user && exec->user->home) {
		home = text_format("HOME=%s", exec->user->home);
		r = home ? oci_env_set(&env, home, err) : err_oom(err);
	}
	if (r == 0 && exec->terminal)
		r = oci_env_set(&env, "TERM=xterm", err);
	for (size_t i = 0; r == 0 && exec->env && exec->env[i]; i++)
		r = oci_env_set(&env, exec->env[i], err);
	if (r == 0 && env)
		json_set_strv(process, "env", env);
	return r;
}

/* The container's set, as root or another user has it; or everything. */
static int exec_capabilities(struct json *process, const struct oci_exec *exec, struct err *err)
{
	static const char *const all[] = {"all", NULL};
	const char *const none[] = {NULL};
	autostrv names = NULL;
	autostrv added = NULL;
	autoptr(json) base = NULL;
	int r;

	if (!exec->user && !exec->privileged)
		return 0;
	base = json_new_object();
	json_set(base, "process", json_copy(process));
	r = oci_choose_capabilities(base, (char *const *)(exec->privileged ? all : none),
		(char *const *)none, &names, &added, err);
	if (r < 0)
		return r;
	/* A user of its own gets those that were added to the container's, which are its ambient
	 * ones when it was not root. */
	if (!exec->privileged) {
		strv_free(take_ptr(added));
		r = json_read_strv(
			json_get(process, "capabilities"), "ambient", false, &added, err);
		if (r == 0 && !added)
			added = calloc(1, sizeof(*added));
		if (r < 0 || !added)
			return r < 0 ? r : err_oom(err);
	}
	oci_set_capabilities(process, names, added,
		exec->user ? exec->user->uid == 0 : exec->privileged);
	return 0;
}

int oci_exec_process(const struct json *config, const struct oci_exec *exec, struct json **ret,
	struct err *err)
{
	autoptr(json) process = json_copy(json_get(config, "process"));
	int r;

	if (json_type(process) != JSON_OBJECT)
		return err_set(err, -EINVAL, OCI_CONFIG_SOURCE ": process must be an object");
	if (exec->cwd && exec->cwd[0] != '/')
		return err_set(err, -EINVAL,
			"the working directory \"%s\" must be an absolute path", exec->cwd);
	json_set_strv(process, "args", exec->args);
	json_set_bool(process, "terminal", exec->terminal);
	json_remove(process, "consoleSize");
	if (exec->cwd)
		json_set_string(process, "cwd", exec->cwd);
	r = exec_env(process, exec, err);
	if (r == 0)
		r = exec_capabilities(process, exec, err);
	if (r < 0)
		return r;
	if (exec->user)
		oci_set_user(process, exec->user);
	*ret = take_ptr(process);
	return 0;
}
