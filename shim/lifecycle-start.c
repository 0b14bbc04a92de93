/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A container's life: its starts. See lifecycle.c. */

#include "lifecycle-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "deadline.h"
#include "judge.h"
#include "overlay.h"
#include "report.h"
#include "session-keyring.h"
#include "shim.h"
#include "text.h"

/* Hooks (CNI plugins) run in create. */
#define CREATE_TIMEOUT_S 150
#define START_TIMEOUT_S 60
/* A runtime may wait for ever for a first process that was killed before it ran: crun opens a FIFO
 * that nobody reads then. But the process may also have run, and ended before its runtime is done. */
#define START_LATE_MS 5000
#define START_STOPPED_MS 500
#define VERB_START "start"
#define PID_FILE "pid"

/* ---- the first process ---- */

static void on_init_end(void *userdata, pid_t pid, int status)
{
	struct lifecycle *lifecycle = userdata;

	lifecycle->init = 0;
	lifecycle->has_ended = true;
	lifecycle->wait_status = status;
	lifecycle->kill_timer = sd_event_source_disable_unref(lifecycle->kill_timer);
	health_end(lifecycle->health);
	if (lifecycle->step == STEP_RUN)
		lifecycle_end_run(lifecycle);
	else if (lifecycle->step == STEP_START)
		runtime_hurry(lifecycle->parts.runtime, VERB_START,
			lifecycle->state.stop_requested ? START_STOPPED_MS : START_LATE_MS);
}

static int write_pidfile(const struct container_spec *spec, pid_t pid)
{
	autofree char *text = text_format("%d\n", (int)pid);
	autoclose int fd = -1;

	if (!spec->pidfile)
		return 0;
	fd = open(spec->pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		0644);
	if (fd < 0 || !text || write(fd, text, strlen(text)) < 0)
		return errno ? -errno : -ENOMEM;
	return 0;
}

/* Its own cgroup, if it has one, for limits, the freezer and what the kernel counts. */
static void find_cgroup(struct lifecycle *lifecycle)
{
	autofree char *own = NULL;
	char *cgroup = NULL;

	if (cgroup_of(lifecycle->init, &cgroup) < 0)
		return;
	if (cgroup_of(getpid(), &own) < 0 || text_equal(own, cgroup)) {
		free(cgroup);
		return;
	}
	free(lifecycle->state.cgroup);
	lifecycle->state.cgroup = cgroup;
}

static void find_mounts(struct lifecycle *lifecycle)
{
	char path[40];
	autoclose int fd = -1;

	if (!lifecycle->place->spec.share_pid)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)lifecycle->init);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		ns_identify_fd(fd, &lifecycle->state.mounts);
}

/* After create: it exists, and waits for start. */
static int adopt_init(struct lifecycle *lifecycle, struct err *err)
{
	int r;

	r = place_read_pid(lifecycle->place, PID_FILE, &lifecycle->init);
	if (r < 0)
		return err_set(err, r, "the runtime told no pid: %s", strerror(-r));
	r = reaper_watch(lifecycle->parts.reaper, lifecycle->init, on_init_end, lifecycle);
	if (r < 0) {
		kill(lifecycle->init, SIGKILL);
		lifecycle->init = 0;
		return err_oom(err);
	}
	/* A zombie already: start will say so. */
	if (proc_identify(lifecycle->init, &lifecycle->state.init) < 0)
		return 0;
	find_cgroup(lifecycle);
	find_mounts(lifecycle);
	r = write_pidfile(&lifecycle->place->spec, lifecycle->init);
	return r < 0 ? err_set(err, r, "writing %s: %s", lifecycle->place->spec.pidfile,
			       strerror(-r))
		     : 0;
}

/* ---- starting ---- */

static int call(struct lifecycle *lifecycle, const char *const *arguments, unsigned timeout_s,
	void (*done)(void *userdata, const struct runtime_result *result), struct err *err)
{
	struct runtime_call request = RUNTIME_CALL_INIT;

	request.arguments = arguments;
	request.timeout_s = timeout_s;
	request.done = done;
	request.userdata = lifecycle;
	return runtime_call(lifecycle->parts.runtime, &request, err);
}

static void on_started(void *userdata, const struct runtime_result *result)
{
	struct lifecycle *lifecycle = userdata;

	if (!result->succeeded) {
		lifecycle_clear_start(lifecycle, STATUS_FAILED,
			lifecycle->has_ended && result->timed_out
				? "its first process was killed before it ran"
				: result->errors);
		return;
	}
	lifecycle->step = STEP_RUN;
	lifecycle->has_run = true;
	lifecycle->first = false;
	lifecycle->run_since_ms = deadline_now_ms();
	record_time_now(lifecycle->state.started);
	text_copy(lifecycle->exit.started, sizeof(lifecycle->exit.started),
		lifecycle->state.started);
	if (lifecycle->state.phase == CONTAINER_STARTING)
		lifecycle_set_phase(lifecycle, CONTAINER_RUNNING);
	lifecycle->listener->started(lifecycle->userdata, lifecycle->state.init.pid);
	report(lifecycle->place, "start", NULL, 0);
	if (lifecycle->has_ended)
		lifecycle_end_run(lifecycle);
	else if (lifecycle->state.stop_requested)
		lifecycle_stop(lifecycle, lifecycle->stop_signal, lifecycle->stop_seconds);
	else
		health_begin(lifecycle->health, lifecycle->init, lifecycle->state.cgroup);
}

static void on_created(void *userdata, const struct runtime_result *result)
{
	struct lifecycle *lifecycle = userdata;
	const char *const arguments[] = {VERB_START, lifecycle->place->spec.id, NULL};
	struct err err = {};
	int r;

	if (!result->succeeded) {
		lifecycle_clear_start(lifecycle, judge_command(lifecycle->place), result->errors);
		return;
	}
	r = adopt_init(lifecycle, &err);
	if (r == 0) {
		/* So that it is found, should the shim be killed. */
		lifecycle_save_state(lifecycle);
		r = streams_begin(lifecycle->streams);
		if (r < 0)
			err_set(&err, r, "the container's streams: %s", strerror(-r));
	}
	if (r == 0) {
		lifecycle->step = STEP_START;
		r = call(lifecycle, arguments, START_TIMEOUT_S, on_started, &err);
	}
	if (r < 0)
		lifecycle_clear_start(lifecycle, STATUS_FAILED, err.msg);
}

static int create_container(struct lifecycle *lifecycle, struct err *err)
{
	const struct place *place = lifecycle->place;
	struct runtime_call request = RUNTIME_CALL_INIT;
	autofree char *directory =
		text_format("%s/children/%s", place->pod_dir, place->name);
	autofree char *bundle = directory ? text_format("%s/" CONTAINER_BUNDLE, directory) : NULL;
	autofree char *pidfile =
		directory ? text_format("%s/" CONTAINER_RUN "/" PID_FILE, directory) : NULL;
	const char *console = streams_console(lifecycle->streams);
	const char *arguments[10] = {"create", "--bundle", bundle, "--pid-file", pidfile};
	size_t n = 5;

	if (!bundle || !pidfile)
		return err_oom(err);
	if (console) {
		arguments[n++] = "--console-socket";
		arguments[n++] = console;
	}
	if (session_keyring_share(place))
		arguments[n++] = "--no-new-keyring";
	arguments[n++] = place->spec.id;
	lifecycle->step = STEP_CREATE;
	for (int i = 0; !console && i < 3; i++)
		request.stdio[i] = streams_child_fd(lifecycle->streams, i);
	request.errors = console ? -1 : streams_errors_fd(lifecycle->streams);
	request.arguments = arguments;
	request.timeout_s = CREATE_TIMEOUT_S;
	request.done = on_created;
	request.userdata = lifecycle;
	return runtime_call(lifecycle->parts.runtime, &request, err);
}

static void on_owned(void *userdata, pid_t pid, int status)
{
	struct lifecycle *lifecycle = userdata;
	struct err err = {};

	lifecycle->owning = 0;
	if (status != 0) {
		lifecycle_clear_start(lifecycle, STATUS_FAILED,
			lifecycle->state.stop_requested
				? "it was stopped before it ran"
				: "changing the owner of a volume failed; shim.log says why");
		return;
	}
	if (create_container(lifecycle, &err) < 0)
		lifecycle_clear_start(lifecycle, STATUS_FAILED, err.msg);
}

/* The user of the bundle's process. */
static int find_user(const struct place *place, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	autoptr(json) config = NULL;
	const struct json *user;
	int64_t uid = 0, gid = 0;
	int r;

	r = judge_load_config(place, &config, err);
	if (r < 0)
		return r;
	user = json_get(json_get(config, "process"), "user");
	r = json_read_int(user, "uid", false, 0, UINT32_MAX - 1, &uid, err);
	if (r == 0)
		r = json_read_int(user, "gid", false, 0, UINT32_MAX - 1, &gid, err);
	*ret_uid = (uid_t)uid;
	*ret_gid = (gid_t)gid;
	return r;
}

/* Only the standard descriptors are left to it: the lock and the sockets are not its. */
static void __attribute__((noreturn)) own_volumes(const struct place *place, uid_t uid, gid_t gid)
{
	struct err reason = {};
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != place->self.pid)
		_exit(1);
	close_range(3, ~0U, 0);
	r = overlay_chown(place->spec.chown, uid, gid, &reason);
	if (r < 0)
		place_log(place, "%s", reason.msg);
	_exit(r < 0 ? 1 : 0);
}

/* Trees may be large: a child does it. */
static int chown_volumes(struct lifecycle *lifecycle, struct err *err)
{
	const struct place *place = lifecycle->place;
	uid_t uid = 0;
	gid_t gid = 0;
	pid_t pid;
	int r;

	r = find_user(place, &uid, &gid, err);
	if (r < 0)
		return r;
	lifecycle->step = STEP_CHOWN;
	pid = fork();
	if (pid == 0)
		own_volumes(place, uid, gid);
	if (pid < 0)
		return err_errno(err, "starting a process");
	r = reaper_watch(lifecycle->parts.reaper, pid, on_owned, lifecycle);
	if (r < 0) {
		kill(pid, SIGKILL);
		return err_oom(err);
	}
	lifecycle->owning = pid;
	return 0;
}

static int prepare_run(struct lifecycle *lifecycle, struct err *err)
{
	struct place *place = lifecycle->place;
	int r;

	r = place_make_run(place, err);
	if (r == 0)
		r = overlay_mount(place, err);
	if (r == 0)
		r = lifecycle_open_streams(lifecycle, err);
	if (r < 0)
		return r;
	return place->spec.chown && place->spec.chown[0] ? chown_volumes(lifecycle, err)
							 : create_container(lifecycle, err);
}

static void go_on_clean(void *userdata, bool clean)
{
	struct lifecycle *lifecycle = userdata;
	struct err err = {};

	deletion_free(take_ptr(lifecycle->deletion));
	if (!clean)
		lifecycle_clear_start(lifecycle, STATUS_FAILED,
			"the runtime cannot delete what it knows of an earlier run; shim.log says why");
	else if (prepare_run(lifecycle, &err) < 0)
		lifecycle_clear_start(lifecycle, STATUS_FAILED, err.msg);
}

void lifecycle_begin_run(struct lifecycle *lifecycle)
{
	struct err err = {};

	lifecycle->has_ended = false;
	lifecycle->has_run = false;
	container_exit_done(&lifecycle->exit);
	lifecycle_set_phase(lifecycle, CONTAINER_STARTING);
	if (!deletion_is_needed(lifecycle->place)) {
		go_on_clean(lifecycle, true);
		return;
	}
	lifecycle->step = STEP_CLEAR;
	if (deletion_begin(lifecycle->parts.event, lifecycle->place, lifecycle->parts.runtime,
		    go_on_clean, lifecycle, &lifecycle->deletion, &err) < 0)
		lifecycle_clear_start(lifecycle, STATUS_FAILED, err.msg);
}
