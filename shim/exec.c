/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Processes beside the first one: see exec.h.
 *
 *   calling ──exec succeeds──▶ running ──it ends──▶ draining ──▶ ended()
 *      └─exec fails─▶ failed()
 *
 * A runtime that fails may have told a pid even so (runc does): only its exit status counts.
 */

#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "file.h"
#include "judge.h"
#include "report.h"
#include "text.h"

#define EXEC_TIMEOUT_S 60

struct exec {
	struct execs *owner;
	struct exec *next;
	struct exec_request request;
	const struct exec_handler *handler; /* NULL: disowned */
	void *userdata;
	struct streams *streams;
	char name[24];             /* of the pid file; with ".log" of the runtime's log */
	pid_t pid;
	int status;
};

struct execs {
	sd_event *event;
	const struct place *place;
	struct reaper *reaper;
	struct runtime *runtime;
	struct exec *first;
	unsigned n;
	unsigned serial;
};

int execs_new(sd_event *event, const struct place *place, struct reaper *reaper,
	struct runtime *runtime, struct execs **ret, struct err *err)
{
	struct execs *execs = calloc(1, sizeof(*execs));

	if (!execs)
		return err_oom(err);
	*execs = (struct execs){
		.event = event, .place = place, .reaper = reaper, .runtime = runtime};
	*ret = execs;
	return 0;
}

static void exec_free(struct exec *exec)
{
	if (!exec)
		return;
	if (exec->pid > 0)
		reaper_forget(exec->owner->reaper, exec->pid);
	cleanup_close(&exec->request.process);
	streams_free(exec->streams);
	free(exec);
}
CLEANUP_DEFINE(exec, exec_free)

void execs_free(struct execs *execs)
{
	if (!execs)
		return;
	for (struct exec *exec = execs->first, *next; exec; exec = next) {
		next = exec->next;
		exec_free(exec);
	}
	free(execs);
}

static void forget(struct exec *exec)
{
	struct exec **link = &exec->owner->first;

	while (*link != exec)
		link = &(*link)->next;
	*link = exec->next;
	exec->owner->n--;
	exec_free(exec);
}

/* ---- streams ---- */

static void on_output(void *userdata, bool is_stderr, const char *data, size_t length)
{
	struct exec *exec = userdata;

	if (exec->handler)
		exec->handler->output(exec->userdata, is_stderr, data, length);
}

static void on_writable(void *userdata)
{
	struct exec *exec = userdata;

	if (exec->handler)
		exec->handler->writable(exec->userdata);
}

static void end(struct exec *exec)
{
	int status = WIFSIGNALED(exec->status) ? 128 + WTERMSIG(exec->status)
					       : WEXITSTATUS(exec->status);

	report(exec->owner->place, "exec_died", "exitCode", status);
	if (exec->handler)
		exec->handler->ended(exec->userdata, status);
	forget(exec);
}

/* The streams cannot be freed from their own call, so the end comes with the loop's next round. */
static int on_drained(sd_event_source *source, void *userdata)
{
	sd_event_source_disable_unref(source);
	end(userdata);
	return 0;
}

static void on_finished(void *userdata)
{
	struct exec *exec = userdata;
	sd_event_source *source = NULL;

	sd_event_add_defer(exec->owner->event, &source, on_drained, exec);
}

static const struct streams_handler stream_handler = {
	.output = on_output, .writable = on_writable, .finished = on_finished};

/* ---- its life ---- */

static void on_exit_of_process(void *userdata, pid_t pid, int status)
{
	struct exec *exec = userdata;

	exec->pid = 0;
	exec->status = status;
	if (exec->streams)
		streams_finish(exec->streams);
	else
		end(exec);
}

static void fail(struct exec *exec, int status, const char *reason)
{
	if (exec->handler)
		exec->handler->failed(exec->userdata, status, reason);
	forget(exec);
}

static int begin(struct exec *exec)
{
	pid_t pid = 0;
	int r = place_read_pid(exec->owner->place, exec->name, &pid);

	file_remove(exec->owner->place->runfd, exec->name, NULL);
	if (r == 0)
		r = reaper_watch(exec->owner->reaper, pid, on_exit_of_process, exec);
	if (r < 0)
		return r;
	exec->pid = pid;
	return exec->streams ? streams_begin(exec->streams) : 0;
}

static void on_called(void *userdata, const struct runtime_result *result)
{
	struct exec *exec = userdata;
	int r;

	if (!result->succeeded) {
		file_remove(exec->owner->place->runfd, exec->name, NULL);
		fail(exec, judge_exec(exec->request.init, exec->request.process), result->errors);
		return;
	}
	r = begin(exec);
	if (r < 0) {
		if (exec->pid > 0)
			kill(exec->pid, SIGKILL);
		fail(exec, 125, strerror(-r));
		return;
	}
	if (exec->handler)
		exec->handler->started(exec->userdata, exec->pid);
	else
		exec_disown(exec);
}

static int call_runtime(struct exec *exec, struct err *err)
{
	const struct place *place = exec->owner->place;
	const char *console = exec->streams ? streams_console(exec->streams) : NULL;
	struct runtime_call call = RUNTIME_CALL_INIT;
	char process[48], pidfile[PLACE_RUN_PATH_MAX], log[sizeof(exec->name) + 4];
	const char *arguments[16];
	size_t n = 0;

	snprintf(exec->name, sizeof(exec->name), "exec-%u", exec->owner->serial++);
	snprintf(log, sizeof(log), "%s.log", exec->name);
	snprintf(process, sizeof(process), "/proc/%d/fd/%d", (int)place->self.pid,
		exec->request.process);
	if (place_run_path(place, exec->name, pidfile, sizeof(pidfile)) < 0)
		return err_oom(err);
	arguments[n++] = "exec";
	arguments[n++] = "--detach";
	arguments[n++] = "--process";
	arguments[n++] = process;
	arguments[n++] = "--pid-file";
	arguments[n++] = pidfile;
	if (console) {
		arguments[n++] = "--console-socket";
		arguments[n++] = console;
	}
	arguments[n++] = place->spec.id;
	arguments[n] = NULL;
	call.arguments = arguments;
	for (int i = 0; exec->streams && !console && i < 3; i++)
		call.stdio[i] = streams_child_fd(exec->streams, i);
	/* Its stderr is the process's from the first moment on, and nobody else's to read. */
	call.log = log;
	call.timeout_s = EXEC_TIMEOUT_S;
	call.done = on_called;
	call.userdata = exec;
	return runtime_call(exec->owner->runtime, &call, err);
}

int exec_start(struct execs *execs, const struct exec_request *request,
	const struct exec_handler *handler, void *userdata, struct exec **ret, struct err *err)
{
	const struct streams_options options = {
		.terminal = request->terminal, .interactive = request->interactive};
	autoptr(exec) exec = calloc(1, sizeof(*exec));
	struct stat st;
	int r = 0;

	if (!exec) {
		close(request->process);
		return err_oom(err);
	}
	exec->owner = execs;
	exec->request = *request;
	exec->handler = handler;
	exec->userdata = userdata;
	if (execs->n >= EXECS_MAX)
		return err_set(err, -E2BIG, "more than %d processes at once", EXECS_MAX);
	if (fstat(request->process, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "the description of the process is no regular file");
	if (!request->detached)
		r = streams_new(execs->event, execs->place, &options, &stream_handler, exec,
			&exec->streams, err);
	if (r == 0)
		r = call_runtime(exec, err);
	if (r < 0)
		return r;
	exec->next = execs->first;
	execs->first = exec;
	execs->n++;
	*ret = take_ptr(exec);
	return 0;
}

struct streams *exec_streams(const struct exec *exec)
{
	return exec->streams;
}

int exec_signal(const struct exec *exec, int number)
{
	if (exec->pid <= 0)
		return -ESRCH;
	/* It is a child that was not waited for: the pid is its own. */
	return kill(exec->pid, number) < 0 ? -errno : 0;
}

void exec_disown(struct exec *exec)
{
	exec->handler = NULL;
	if (!exec->streams)
		return;
	streams_pause(exec->streams, false);
	streams_close_input(exec->streams);
	streams_hang_up(exec->streams);
}

int exec_process_file(const struct place *place, char *const *arguments, int *ret, struct err *err)
{
	autoptr(json) config = NULL;
	autoptr(json) process = NULL;
	autofree char *text = NULL;
	autoclose int fd = -1;
	size_t length;
	int r;

	r = judge_load_config(place, &config, err);
	if (r < 0)
		return r;
	process = json_copy(json_get(config, "process"));
	json_set_strv(process, "args", arguments);
	json_set_bool(process, "terminal", false);
	json_remove(process, "consoleSize");
	r = json_write(process, false, &text, &length);
	if (r < 0)
		return err_oom(err);
	fd = memfd_create("process", MFD_CLOEXEC);
	r = fd < 0 ? -errno : fd_write_all(fd, text, length);
	if (r < 0)
		return err_set(err, r, "writing the description of a process: %s", strerror(-r));
	*ret = take_fd(&fd);
	return 0;
}
