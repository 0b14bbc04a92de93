/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding, checking and running plugins.
 *
 * The plugin directories were checked to be root's or the caller's when the pod was created
 * (cni_trusted_dirs()); here, inside the pod's user namespace, files of the host's root belong to
 * the overflow uid, so only modes are looked at. A binary is executed by the very fd that was
 * checked. A script is not: its interpreter would have to open it again through /proc/self/fd or
 * /dev/fd, and the /proc that is mounted may be another pid namespace's. It is executed by its
 * path instead, which only those who own the directory can make point elsewhere.
 *
 * A plugin sees the CNI_* variables and a fixed PATH, nothing of the caller's environment.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cni-config.h"
#include "cni-exec.h"
#include "spawn.h"
#include "stage.h"
#include "text.h"

#define PLUGIN_PATH "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
/* What is shown in a message of what a plugin wrote. */
#define SHOWN_OUTPUT_SIZE 256
#define SHOWN_STDERR_SIZE 512

/* ---- finding ---- */

static char *join_dirs(char *const *dirs)
{
	char *joined = strdup("");

	for (size_t i = 0; joined && dirs && dirs[i]; i++) {
		char *longer = text_format("%s%s%s", joined, *joined ? ":" : "", dirs[i]);

		free(joined);
		joined = longer;
	}
	return joined;
}

static int not_found(const char *type, char *const *dirs, struct err *err)
{
	autofree char *joined = join_dirs(dirs);

	if (!joined)
		return err_oom(err);
	return err_set(err, -ENOENT, "there is no plugin \"%s\" in %s", type,
		*joined ? joined : "any directory: none is configured");
}

static int check_plugin(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "cannot look at plugin %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EACCES, "plugin %s is not a regular file", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EACCES,
			"plugin %s has mode %04o: group and others must not be able to write it",
			path, (unsigned)st.st_mode & 07777);
	if (!(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return err_set(err, -EACCES, "plugin %s is not executable (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
	return 0;
}

static bool is_script(int fd)
{
	char magic[2];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && memcmp(magic, "#!", 2) == 0;
}

/* Return: the path as the host has it, NULL when this directory is not one of the host's tree. */
static const char *host_path(const char *dir, const char *host_at)
{
	size_t n = host_at ? strlen(host_at) : 0;

	return host_at && text_starts_with(dir, host_at) && dir[n] == '/' ? dir + n : NULL;
}

/* @root: links lead no further than this; or -1. Return: 0, -ENOENT when this directory does not
 * have it, -EACCES, -errno. */
static int open_in_dir(const char *type, int root, const char *dir, struct cni_plugin *ret,
	struct err *err)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	autofree char *path = text_format("%s/%s", dir, type);
	autoclose int fd = -1;
	int r;

	if (!path)
		return err_oom(err);
	if (root >= 0 && (fd = stage_open_in(root, path, flags)) < 0)
		errno = -fd;
	else if (root < 0)
		fd = open(path, flags);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? -ENOENT
			       : err_errno(err, "cannot open plugin %s", path);
	r = check_plugin(fd, path, err);
	if (r < 0)
		return r;
	/* Below 3 it would be in the way of the plugin's stdin, stdout and stderr. */
	ret->fd = is_script(fd) ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	ret->type = type;
	ret->path = take_ptr(path);
	return 0;
}

/* A plugin of the host's is one with the host's libraries and tools: it cannot do without them, nor
 * be sure of finding them in another tree. */
static int open_in_host(const char *type, const char *dir, const char *host_at,
	struct cni_plugin *ret, struct err *err)
{
	int root = open(host_at, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root < 0)
		return err_errno(err, "cannot open %s", host_at);
	r = open_in_dir(type, root, dir, ret, err);
	if (r < 0) {
		close(root);
		return r;
	}
	ret->root = root;
	return 0;
}

int cni_plugin_open(const char *type, const struct cni_runtime *runtime, struct cni_plugin *ret,
	struct err *err)
{
	char *const *dirs = runtime->plugin_dirs;
	int r = cni_check_type(type, err);

	if (r < 0)
		return r;
	for (size_t i = 0; dirs && dirs[i]; i++) {
		const char *dir = host_path(dirs[i], runtime->host_at);

		r = dir ? open_in_host(type, dir, runtime->host_at, ret, err)
			: open_in_dir(type, -1, dirs[i], ret, err);
		if (r != -ENOENT)
			return r;
	}
	return not_found(type, dirs, err);
}

void cni_plugin_done(struct cni_plugin *plugin)
{
	free(take_ptr(plugin->path));
	cleanup_close(&plugin->fd);
	plugin->fd = -1;
	if (plugin->root > 0)
		close(plugin->root);
	plugin->root = 0;
}

/* ---- calling ---- */

/* Adds KEY=VALUE; no value is an empty one, so that nothing is inherited by accident. */
static int add_variable(char ***environment, const char *key, const char *value)
{
	autofree char *entry = text_format("%s=%s", key, value ? value : "");

	return entry ? strv_add(environment, entry) : -ENOMEM;
}

/* Where the plugin finds those to which it delegates: one of the host's sees the host's only. */
static char *plugin_path(const struct cni_plugin *plugin, const struct cni_runtime *runtime)
{
	autostrv dirs = NULL;

	if (plugin->root <= 0)
		return join_dirs(runtime->plugin_dirs);
	for (size_t i = 0; runtime->plugin_dirs[i]; i++)
		if (strv_add(&dirs, host_path(runtime->plugin_dirs[i], runtime->host_at)) < 0)
			return NULL;
	return join_dirs(dirs);
}

static int build_environment(
	const struct cni_plugin *plugin, const struct cni_call *call, char ***ret)
{
	const struct cni_runtime *runtime = call->runtime;
	autofree char *dirs = plugin_path(plugin, runtime);
	autostrv environment = NULL;
	int r = dirs ? strv_add(&environment, PLUGIN_PATH) : -ENOMEM;

	if (r == 0)
		r = add_variable(&environment, "CNI_COMMAND", call->command);
	if (r == 0)
		r = add_variable(&environment, "CNI_CONTAINERID", runtime->container_id);
	if (r == 0)
		r = add_variable(&environment, "CNI_NETNS", runtime->netns);
	if (r == 0)
		r = add_variable(&environment, "CNI_IFNAME", runtime->ifname);
	if (r == 0)
		r = add_variable(&environment, "CNI_ARGS", call->args);
	if (r == 0)
		r = add_variable(&environment, "CNI_PATH", dirs);
	if (r == 0)
		*ret = take_ptr(environment);
	return r;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

/* Puts the end of stderr behind the message that is there. */
static void append_stderr(const struct spawn_result *result, struct err *err)
{
	char quoted[SHOWN_STDERR_SIZE];
	char message[ERR_MSG_MAX];
	const char *end = result->errors;

	if (!err || !end || is_blank(end))
		return;
	if (result->errors_length >= SHOWN_STDERR_SIZE)
		end += result->errors_length - (SHOWN_STDERR_SIZE - 1);
	memcpy(message, err->msg, sizeof(message));
	err_set(err, err->code, "%s (stderr: \"%s\")", message,
		text_sanitize(quoted, sizeof(quoted), end));
}

/* The plugin failed: its error object says why, or else what it wrote is shown. */
static int explain_failure(const struct spawn_result *result, const struct json *output,
	int64_t *ret_code, struct err *err)
{
	char quoted[SHOWN_OUTPUT_SIZE];
	char ending[128];

	if (cni_result_is_error(output, ret_code, err))
		return -EREMOTEIO;
	spawn_describe(result->status, ending, sizeof(ending));
	if (is_blank(result->output))
		return err_set(err, -EREMOTEIO, "it %s and printed no error object", ending);
	return err_set(err, -EREMOTEIO, "it %s and printed no error object but \"%s\"", ending,
		text_sanitize(quoted, sizeof(quoted), result->output));
}

/* Return: 0, -EREMOTEIO, -EPROTO. */
static int judge(const struct spawn_result *result, bool has_result, struct json **ret_output,
	int64_t *ret_code, struct err *err)
{
	autoptr(json) output = NULL;
	char quoted[SHOWN_OUTPUT_SIZE];
	struct err syntax = {0};
	int r = 0;

	if (!is_blank(result->output))
		r = json_parse(
			"its output", result->output, result->output_length, &output, &syntax);
	if (result->status != 0)
		return explain_failure(result, output, ret_code, err);
	if (r < 0 && has_result)
		return err_set(err, -EPROTO, "it printed no JSON (%s): \"%s\"", syntax.msg,
			text_sanitize(quoted, sizeof(quoted), result->output));
	/* Seen in shell scripts: the right object, but exit status 0. */
	if (output && cni_result_is_error(output, ret_code, err))
		return -EREMOTEIO;
	*ret_output = take_ptr(output);
	return 0;
}

static int run_plugin(const struct cni_plugin *plugin, const struct cni_call *call,
	struct spawn_result *ret, struct err *err)
{
	unsigned timeout_ms = call->runtime->timeout_ms;
	autofree char *name = strdup(plugin->type);
	autofree char *input = NULL;
	autostrv environment = NULL;
	size_t length;

	if (!name || build_environment(plugin, call, &environment) < 0 ||
		json_write(call->request, false, &input, &length) < 0)
		return err_oom(err);
	return spawn_run(
		&(struct spawn){
			.path = plugin->path,
			.argv = (char *[]){name, NULL},
			.envp = environment,
			.input = input,
			.input_length = length,
			.program_fd = plugin->fd,
			.root_fd = plugin->root,
			.timeout_ms = timeout_ms ? timeout_ms : CNI_TIMEOUT_MS,
			.output_max = CNI_RESULT_BYTES_MAX,
			.stderr_max = CNI_STDERR_BYTES_MAX,
		},
		ret, err);
}

int cni_plugin_call(const struct cni_plugin *plugin, const struct cni_call *call,
	struct json **ret_output, int64_t *ret_code, struct err *err)
{
	cleanup(spawn_result_done) struct spawn_result result = {0};
	autoptr(json) output = NULL;
	int64_t code = 0;
	int r = run_plugin(plugin, call, &result, err);

	if (r == 0)
		r = judge(&result, call->has_result, &output, &code, err);
	else if (r == -EFBIG)
		r = -EPROTO;
	*ret_code = code;
	if (r < 0) {
		append_stderr(&result, err);
		return err_wrap(err, r, "plugin \"%s\", %s", plugin->type, call->command);
	}
	*ret_output = take_ptr(output);
	return 0;
}
