/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Runtime calls: see runtime.h. Each is a child in a process group of its own, so that what hangs
 * can be ended with everything that it started.
 *
 *   running ──it ends──▶ read the rest of its stderr ──▶ done()
 *      └─deadline: SIGKILL to the group─▲
 *
 * crun and runc execute themselves once more from a copy that containers cannot write to (to protect
 * the host from CVE-2019-5736), unless they see that their program is on a read-only mount already.
 * So it is given to them that way: a detached, read-only clone of the mount of just that file.
 */

#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "json.h"
#include "spawn.h"
#include "text.h"

#define ARGUMENTS_MAX 32
#define LOG_MAX (64 * 1024)
#define STATUS_NOT_EXECUTED 125

struct call {
	struct runtime *runtime;
	struct call *next;
	pid_t pid;
	char verb[16];
	char log[32];              /* in the run directory; "": none, its stderr is read */
	sd_event_source *input;    /* its stderr */
	sd_event_source *deadline;
	int errors;
	bool owns_errors;
	bool timed_out;
	size_t used;
	char kept[RUNTIME_ERRORS_MAX + 1];
	void (*done)(void *userdata, const struct runtime_result *result);
	void *userdata;
};

struct runtime {
	sd_event *event;
	struct reaper *reaper;
	const struct place *place;
	char *state_dir;
	const char *options[2];   /* of this runtime only; NULL terminated */
	const char *name;
	int program;              /* -1: executed by its path */
	struct call *calls;
};

/* ---- the program ---- */

static int open_read_only(const char *path)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
		return -1;
	return take_fd(&fd);
}

/* What only one of them knows. Inside the pod's user namespace there is no systemd to ask for
 * cgroups. */
static void choose_options(struct runtime *runtime, const struct container_spec *spec)
{
	const char *slash = strrchr(spec->runtime, '/');

	runtime->name = slash ? slash + 1 : spec->runtime;
	if (text_starts_with(runtime->name, "crun"))
		runtime->options[0] =
			spec->cgroup ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled";
}

int runtime_new(sd_event *event, struct reaper *reaper, const struct place *place,
	struct runtime **ret, struct err *err)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));

	if (!runtime)
		return err_oom(err);
	runtime->event = event;
	runtime->reaper = reaper;
	runtime->place = place;
	runtime->state_dir = text_format("%s/" CONTAINER_RUNTIME_ROOT, place->pod_dir);
	runtime->program = open_read_only(place->spec.runtime);
	choose_options(runtime, &place->spec);
	if (!runtime->state_dir) {
		runtime_free(runtime);
		return err_oom(err);
	}
	*ret = runtime;
	return 0;
}

static void call_free(struct call *call)
{
	if (!call)
		return;
	sd_event_source_disable_unref(call->input);
	sd_event_source_disable_unref(call->deadline);
	if (call->owns_errors)
		cleanup_close(&call->errors);
	free(call);
}
CLEANUP_DEFINE(call, call_free)

void runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return;
	for (struct call *call = runtime->calls, *next; call; call = next) {
		next = call->next;
		reaper_forget(runtime->reaper, call->pid);
		kill(-call->pid, SIGKILL);
		call_free(call);
	}
	cleanup_close(&runtime->program);
	free(runtime->state_dir);
	free(runtime);
}

/* ---- what it says ---- */

static void keep(struct call *call, const char *data, size_t length)
{
	if (length > RUNTIME_ERRORS_MAX) {
		data += length - RUNTIME_ERRORS_MAX;
		length = RUNTIME_ERRORS_MAX;
	}
	if (call->used + length > RUNTIME_ERRORS_MAX) {
		size_t excess = call->used + length - RUNTIME_ERRORS_MAX;

		memmove(call->kept, call->kept + excess, call->used - excess);
		call->used -= excess;
	}
	memcpy(call->kept + call->used, data, length);
	call->used += length;
}

/* Return: false at the end. */
static bool read_errors(struct call *call)
{
	char data[4096];
	ssize_t n;

	do {
		n = read(call->errors, data, sizeof(data));
		if (n > 0)
			keep(call, data, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && errno == EAGAIN;
}

static int on_errors(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct call *call = userdata;

	if (!read_errors(call))
		call->input = sd_event_source_disable_unref(call->input);
	return 0;
}

/* The message of a line of the log, or NULL. */
static const char *log_message(char *line, struct json **ret_document)
{
	if (json_parse("log", line, strlen(line), ret_document, NULL) < 0)
		return NULL;
	return json_string(json_get(*ret_document, "msg"));
}

/* Keeps the last message: that of the failure. */
static void take_log(struct call *call)
{
	const struct place *place = call->runtime->place;
	autofree char *text = NULL;
	char *rest, *line;
	size_t length;

	if (file_read(place->runfd, call->log, LOG_MAX, &text, &length, NULL) == 0) {
		rest = text;
		while ((line = strsep(&rest, "\n"))) {
			autoptr(json) document = NULL;
			const char *message = log_message(line, &document);

			if (!message)
				continue;
			call->used = 0;
			keep(call, message, strlen(message));
		}
	}
	file_remove(place->runfd, call->log, NULL);
}

/* ---- its end ---- */

static void describe(const struct call *call, int status, struct runtime_result *result)
{
	const char *name = call->runtime->name;
	char how[128], text[RUNTIME_ERRORS_MAX + 1];
	size_t length = strlen(call->kept);

	while (length > 0 && call->kept[length - 1] == '\n')
		length--;
	snprintf(text, sizeof(text), "%.*s", (int)length, call->kept);
	for (char *c = text; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f)
			*c = ' ';
	if (call->timed_out)
		text_copy(how, sizeof(how), "did not end in time and was killed");
	else
		spawn_describe(status, how, sizeof(how));
	if (length > 0 && !call->timed_out)
		how[0] = '\0';
	snprintf(result->errors, sizeof(result->errors), "%s %s%s%s%s%s", name, call->verb,
		how[0] ? " " : "", how, length ? ": " : "", text);
}

static void forget(struct call *call)
{
	struct call **link = &call->runtime->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
}

static void on_end(void *userdata, pid_t pid, int status)
{
	autoptr(call) call = userdata;
	struct runtime *runtime = call->runtime;
	struct runtime_result result = {
		.succeeded = WIFEXITED(status) && !WEXITSTATUS(status),
		.timed_out = call->timed_out,
	};

	forget(call);
	/* What it started and left may keep the pipe open: its end is not waited for. */
	if (call->log[0])
		take_log(call);
	else
		read_errors(call);
	call->kept[call->used] = '\0';
	/* A caller's pipe is watched by the caller from now on: epoll(7) takes each one only once. */
	call->input = sd_event_source_disable_unref(call->input);
	if (call->timed_out)
		kill(-pid, SIGKILL);
	if (!result.succeeded || (call->used > 0 && !call->log[0])) {
		describe(call, status, &result);
		place_log(runtime->place, "%s", result.errors);
	}
	call->done(call->userdata, &result);
	reaper_release(runtime->reaper);
}

static int on_deadline(sd_event_source *source, uint64_t now, void *userdata)
{
	struct call *call = userdata;

	call->timed_out = true;
	kill(-call->pid, SIGKILL);
	return 0;
}

/* ---- starting ---- */

static void __attribute__((noreturn)) execute(const struct runtime *runtime, pid_t shim,
	const int fds[3], const char *const *argv)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char *const environment[] = {path, NULL};
	sigset_t none;

	/* Without the shim, what is half made is podd's to remove: nobody may go on with it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != shim)
		_exit(STATUS_NOT_EXECUTED);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			_exit(STATUS_NOT_EXECUTED);
	if (runtime->program >= 0)
		execveat(runtime->program, "", (char *const *)argv, environment, AT_EMPTY_PATH);
	/* A script cannot be executed without a path. */
	execve(runtime->place->spec.runtime, (char *const *)argv, environment);
	dprintf(2, "cannot execute %s: %s\n", runtime->place->spec.runtime, strerror(errno));
	_exit(STATUS_NOT_EXECUTED);
}

/* @log: the path of its log, or NULL. */
static int build_arguments(const struct runtime *runtime, const char *const *arguments,
	const char *log, const char *ret[ARGUMENTS_MAX])
{
	size_t n = 0;

	ret[n++] = runtime->name;
	ret[n++] = "--root";
	ret[n++] = runtime->state_dir;
	if (log) {
		ret[n++] = "--log";
		ret[n++] = log;
		ret[n++] = "--log-format";
		ret[n++] = "json";
	}
	if (runtime->options[0])
		ret[n++] = runtime->options[0];
	for (size_t i = 0; arguments[i]; i++) {
		if (n == ARGUMENTS_MAX - 1)
			return -E2BIG;
		ret[n++] = arguments[i];
	}
	ret[n] = NULL;
	return 0;
}

/* The pipe for stderr, where the caller brings none. */
static int open_errors(struct call *call, const struct runtime_call *request, int *ret_end)
{
	int ends[2];

	if (call->log[0])
		return 0;
	if (request->stdio[2] >= 0) {
		call->errors = request->errors;
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	call->errors = ends[0];
	call->owns_errors = true;
	*ret_end = ends[1];
	return fd_set_nonblock(ends[0]);
}

static int watch_call(struct call *call, unsigned timeout_s)
{
	struct runtime *runtime = call->runtime;
	int r;

	r = reaper_watch(runtime->reaper, call->pid, on_end, call);
	if (r < 0)
		return r;
	call->next = runtime->calls;
	runtime->calls = call;
	return sd_event_add_time_relative(runtime->event, &call->deadline, CLOCK_MONOTONIC,
		(uint64_t)timeout_s * 1000000, 0, on_deadline, call);
}

static int watch_errors(struct call *call)
{
	if (call->errors < 0)
		return 0;
	return sd_event_add_io(call->runtime->event, &call->input, call->errors, EPOLLIN, on_errors,
		call);
}

static int fork_call(struct call *call, const struct runtime_call *request, int stderr_end,
	const char *const *argv)
{
	int fds[3] = {request->stdio[0], request->stdio[1],
		request->stdio[2] >= 0 ? request->stdio[2] : stderr_end};
	pid_t shim = getpid();

	/* Its own stdout is nothing that anybody reads. */
	if (fds[1] < 0)
		fds[1] = 0;
	if (fds[2] < 0)
		fds[2] = 0;
	call->pid = fork();
	if (call->pid == 0)
		execute(call->runtime, shim, fds, argv);
	return call->pid < 0 ? -errno : 0;
}

static int start_call(struct call *call, const struct runtime_call *request, struct err *err)
{
	struct runtime *runtime = call->runtime;
	const char *argv[ARGUMENTS_MAX];
	char log[PLACE_RUN_PATH_MAX];
	autoclose int stderr_end = -1;
	int r = 0;

	if (call->log[0])
		r = place_run_path(runtime->place, call->log, log, sizeof(log));
	if (r == 0)
		r = build_arguments(
			runtime, request->arguments, call->log[0] ? log : NULL, argv);
	if (r == 0)
		r = open_errors(call, request, &stderr_end);
	if (r == 0)
		r = watch_errors(call);
	if (r >= 0)
		r = fork_call(call, request, stderr_end, argv);
	return r < 0 ? err_set(err, r, "calling %s: %s", runtime->name, strerror(-r)) : 0;
}

int runtime_call(struct runtime *runtime, const struct runtime_call *request, struct err *err)
{
	autoptr(call) call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return err_oom(err);
	call->runtime = runtime;
	call->errors = -1;
	call->done = request->done;
	call->userdata = request->userdata;
	text_copy(call->verb, sizeof(call->verb), request->arguments[0]);
	if (request->log)
		text_copy(call->log, sizeof(call->log), request->log);
	r = start_call(call, request, err);
	if (r < 0)
		return r;
	reaper_hold(runtime->reaper);
	/* In both, since who is first is not known. */
	setpgid(call->pid, call->pid);
	r = watch_call(call, request->timeout_s);
	if (r < 0) {
		/* Out of memory. Without a deadline it goes on; unwatched it must not. */
		if (runtime->calls != call) {
			kill(-call->pid, SIGKILL);
			reaper_release(runtime->reaper);
			return err_oom(err);
		}
	}
	take_ptr(call);
	return 0;
}

void runtime_hurry(struct runtime *runtime, const char *verb, unsigned timeout_ms)
{
	for (struct call *call = runtime->calls; call; call = call->next)
		if (text_equal(call->verb, verb))
			sd_event_source_set_time_relative(
				call->deadline, timeout_ms * UINT64_C(1000));
}
