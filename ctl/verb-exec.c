/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl exec: has the container's shim start another process beside its first one. What the
 * process is goes there as an OCI document, made from the container's own.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fd.h"
#include "file.h"
#include "oci-container.h"
#include "proc.h"
#include "shim.h"
#include "text.h"

#include "options.h"
#include "request.h"
#include "session.h"
#include "target.h"
#include "verbs.h"

#define CONFIG_NAME CONTAINER_BUNDLE "/config.json"
/* More than the shim gives the runtime. */
#define ANSWER_SECONDS 90

struct exec_options {
	bool interactive;
	bool terminal;
	bool detach;
	bool privileged;
	bool sig_proxy;
	const char *user;
	const char *cwd;
	const char *detach_keys;
	char **env;
	char **env_files;
};

static void exec_options_done(struct exec_options *options)
{
	strv_free(options->env);
	strv_free(options->env_files);
}

static int load_config(const struct target *target, struct json **ret, struct err *err)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	r = file_read(target->childfd, CONFIG_NAME, JSON_BYTES_MAX, &text, &length, err);
	return r < 0 ? r : json_parse(CONFIG_NAME, text, length, ret, err);
}

/* The files come first, whatever the order on the command line: as podman. */
static int merge_env(const struct exec_options *options, char ***ret, struct err *err)
{
	autostrv env = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && options->env_files && options->env_files[i]; i++)
		r = oci_env_file(options->env_files[i], &env, err);
	for (size_t i = 0; r == 0 && options->env && options->env[i]; i++)
		r = oci_env_add(&env, options->env[i], err);
	if (r == 0)
		*ret = take_ptr(env);
	return r;
}

/* As the container sees its files now. */
static int find_user(const struct target *target, const char *text, struct rootfs_user *ret,
	struct err *err)
{
	struct container_state state;
	autoclose int procdir = -1;
	autoclose int root = -1;
	int r;

	r = container_state_load(target->childfd, &state, err);
	if (r < 0)
		return r;
	r = proc_open_dir(&state.init, &procdir);
	container_state_done(&state);
	if (r < 0)
		return err_set(err, r, "it does not run");
	root = openat(procdir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(err, "looking into its root file system");
	return rootfs_find_user(root, text, ret, err);
}

static int make_process(const struct target *target, const struct exec_options *options,
	char *const *command, struct json **ret, struct err *err)
{
	cleanup(rootfs_user_done) struct rootfs_user user = {};
	autoptr(json) config = NULL;
	autostrv env = NULL;
	struct oci_exec exec = {.args = command,
		.cwd = options->cwd,
		.terminal = options->terminal,
		.privileged = options->privileged};
	int r;

	r = load_config(target, &config, err);
	if (r == 0)
		r = merge_env(options, &env, err);
	if (r == 0 && options->user) {
		r = find_user(target, options->user, &user, err);
		exec.user = &user;
	}
	exec.env = env;
	return r < 0 ? r : oci_exec_process(config, &exec, ret, err);
}

/* The document as a file that has no name. */
static int write_process(const struct json *process, int *ret, struct err *err)
{
	autofree char *text = NULL;
	autoclose int fd = -1;
	size_t length;
	int r;

	r = json_write(process, false, &text, &length);
	if (r < 0)
		return err_set(err, r, "writing the process: %s", strerror(-r));
	fd = memfd_create("podctl-exec", MFD_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "making a file for the process");
	r = fd_write_all(fd, text, length);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(err, r < 0 ? r : -errno, "writing the process");
	*ret = take_fd(&fd);
	return 0;
}

static int connect_shim(const struct target *target, const struct exec_options *options,
	char *const *command, int *ret, struct err *err)
{
	autoptr(json) process = NULL;
	autoclose int socket = -1;
	autoclose int file = -1;
	uint32_t flags = (options->terminal ? SHIM_EXEC_TERMINAL : 0) |
			 (options->interactive ? SHIM_EXEC_INTERACTIVE : 0) |
			 (options->detach ? SHIM_EXEC_DETACHED : 0);
	int r;

	r = shim_connect(target->childfd, &socket, err);
	if (r == 0)
		r = make_process(target, options, command, &process, err);
	if (r == 0)
		r = write_process(process, &file, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	r = request_send(socket, target->path, SHIM_EXEC, flags, 0, file, err);
	if (r < 0)
		return r;
	*ret = take_fd(&socket);
	return 0;
}

static int exec_in(const struct target *target, const struct exec_options *values,
	char *const *command)
{
	const struct session_options options = {
		.what = target->path,
		.input = values->interactive && !values->detach,
		.terminal = values->terminal,
		.proxy =
			values->sig_proxy && !session_is_raw(values->interactive, values->terminal),
		.only_start = values->detach,
		.answer = SHIM_STARTED,
		.answer_seconds = ANSWER_SECONDS,
		.detach_keys = values->detach_keys,
	};
	autoptr(session) session = NULL;
	struct session_result result = {};
	autoclose int socket = -1;
	struct err err = {};
	int status;
	int r;

	r = session_new(&options, &session, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	r = connect_shim(target, values, command, &socket, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	r = session_prepare(session, socket, &err);
	if (r == 0)
		r = session_run(session, socket, &result, &err);
	status = session_status(&options, r, &result, &err);
	if (r == 0 && values->detach && result.end == SESSION_DETACHED)
		printf("%s\n", target->path);
	return status;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(exec_options_done) struct exec_options values = {.sig_proxy = true};
	const struct option options[] = {
		{.name = "interactive", .letter = 'i', .flag = &values.interactive,
			.help = "pass the standard input on"},
		{.name = "tty", .letter = 't', .flag = &values.terminal,
			.help = "give the process a terminal"},
		{.name = "detach", .letter = 'd', .flag = &values.detach,
			.help = "leave it as soon as it runs"},
		{.name = "detach-keys", .argument = "KEYS", .text = &values.detach_keys,
			.help = "keys that let go of it (default: ctrl-p,ctrl-q)"},
		{.name = "user", .letter = 'u', .argument = "USER[:GROUP]", .text = &values.user,
			.help = "run it as this user of the container"},
		{.name = "env", .letter = 'e', .argument = "NAME=VALUE", .list = &values.env,
			.help = "set a variable (repeatable)"},
		{.name = "env-file", .argument = "FILE", .list = &values.env_files,
			.help = "set the variables of a file (repeatable)"},
		{.name = "workdir", .letter = 'w', .argument = "DIR", .text = &values.cwd,
			.help = "run it in this directory of the container"},
		{.name = "privileged", .flag = &values.privileged,
			.help = "give it all capabilities of the pod's root"},
		{.name = "sig-proxy", .flag = &values.sig_proxy,
			.help = "pass signals on (default: true, but not in a terminal)"},
		{}};
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_exec, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	r = target_open(ctl, argv[0], TARGET_CONTAINER, &target, &err);
	return r < 0 ? ctl_fail(r, &err) : exec_in(&target, &values, argv + 1);
}

const struct ctl_verb verb_exec = {
	.name = "exec",
	.operands = "CONTAINER COMMAND [ARGUMENT...]",
	.operands_min = 2,
	.operands_max = SIZE_MAX,
	.command_follows = true,
	.passes_status = true,
	.summary = "Run a command in a container that runs",
	.details = "CONTAINER may be a pod in which there is just one. The exit status is the\n"
		   "command's; 125 when podctl or the runtime failed, 126 when the command cannot be\n"
		   "run, 127 when it is not found.",
	.example = "podctl exec -it net0/web sh",
	.run = run,
};
