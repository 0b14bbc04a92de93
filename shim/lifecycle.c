/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The container's life.
 *
 *   created ──▶ starting ──▶ running ──▶ (ending) ──▶ exited
 *                  │            │ stop      ▲            ▲
 *                  │            ▼           │            │
 *                  │         stopping ──────┤            │
 *                  │                        ▼            │
 *                  └──fails──▶ (clearing) ──┴─▶ restarting ──stop──┘
 *                                   ▲               │
 *                                   └── starting ◀──┘ delay
 *
 * The phases are those of state.json, whose writer this is; within them, one step at a time is under
 * way, each asynchronous:
 *
 *   starting    what the runtime still knows of an earlier run is deleted; chown (a child), RUNTIME
 *               create, RUNTIME start
 *   running     nothing; the end of the first process begins the next
 *   ending      the others of a shared pid namespace are killed; the output is read to its end;
 *               RUNTIME delete; the records are written
 *   clearing    what a failed start left: its processes are killed, RUNTIME delete
 *
 * The first process may end before RUNTIME start does: its end is handled when both have ended. A
 * stop that comes before it runs is carried out when it does.
 */

#include "lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "deadline.h"
#include "deletion.h"
#include "file.h"
#include "health.h"
#include "hierarchy.h"
#include "judge.h"
#include "leftovers.h"
#include "overlay.h"
#include "report.h"
#include "restart.h"
#include "shim.h"
#include "shim-log.h"
#include "text.h"

/* Hooks (CNI plugins) run in create and delete. */
#define CREATE_TIMEOUT_S 150
#define START_TIMEOUT_S 60
#define LEFTOVERS_US 2000
#define LEFTOVERS_TRIES 2000
#define PID_FILE "pid"
#define PID_FILE_MAX 32
#define STATUS_FAILED 125
#define STATUS_NOT_RUNNABLE 126
/* Of an init whose execve(2) failed. */
#define STATUS_NOT_EXECUTED 1

enum step {
	STEP_IDLE,
	STEP_CLEAR,
	STEP_CHOWN,
	STEP_CREATE,
	STEP_START,
	STEP_RUN,
	STEP_LEFTOVERS,
	STEP_DRAIN,
	STEP_DELETE,
	STEP_DELAY,
	STEP_OVER,
};

struct lifecycle {
	struct lifecycle_parts parts;
	const struct lifecycle_listener *listener;
	void *userdata;
	struct place *place;
	struct container_state state;
	struct container_exit exit;    /* of the run that ends */
	struct shim_log *log;
	struct streams *streams;
	struct health *health;
	struct deletion *deletion;
	sd_event_source *kill_timer;
	sd_event_source *step_timer;
	enum step step;
	pid_t init;                    /* 0: none */
	bool has_ended;                /* init, with wait_status */
	int wait_status;
	bool has_run;                  /* this run was told as started */
	bool first;                    /* no run was told as started */
	bool held;
	struct ns_id mounts;           /* of the first process */
	unsigned tries;
	int64_t run_since_ms;
	uint32_t delay_ms;
	uint32_t rows, columns;
};

static void begin_run(struct lifecycle *lifecycle);
static void end_run(struct lifecycle *lifecycle);
static void clear_start(struct lifecycle *lifecycle, int status, const char *reason);

/* ---- records ---- */

static void save_state(struct lifecycle *lifecycle)
{
	struct err err = {};

	if (container_state_save(lifecycle->place->childfd, &lifecycle->state, &err) < 0)
		place_log(lifecycle->place, "%s", err.msg);
}

static void set_phase(struct lifecycle *lifecycle, enum container_phase phase)
{
	lifecycle->state.phase = phase;
	record_time_now(lifecycle->state.since);
	save_state(lifecycle);
}

static void save_exit(struct lifecycle *lifecycle)
{
	struct err err = {};

	if (container_exit_save(lifecycle->place->childfd, &lifecycle->exit, &err) < 0)
		place_log(lifecycle->place, "%s", err.msg);
}

static void on_health(void *userdata, enum container_healthiness health, uint32_t failures)
{
	struct lifecycle *lifecycle = userdata;
	bool news = lifecycle->state.health != health;

	lifecycle->state.health = health;
	lifecycle->state.health_failures = failures;
	save_state(lifecycle);
	if (news)
		report_text(lifecycle->place, "health_status", "health",
			container_healthiness_name(health));
}

/* ---- streams ---- */

static void on_output(void *userdata, bool is_stderr, const char *data, size_t length)
{
	struct lifecycle *lifecycle = userdata;

	shim_log_write(lifecycle->log, is_stderr, data, length);
	lifecycle->listener->output(lifecycle->userdata, is_stderr, data, length);
}

static void on_writable(void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	lifecycle->listener->writable(lifecycle->userdata);
}

static void delete_container(struct lifecycle *lifecycle);

static void on_drained(void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	shim_log_flush(lifecycle->log);
	delete_container(lifecycle);
}

static const struct streams_handler stream_handler = {
	.output = on_output, .writable = on_writable, .finished = on_drained};

static int open_streams(struct lifecycle *lifecycle, struct err *err)
{
	const struct streams_options options = {.terminal = lifecycle->place->spec.terminal,
		.interactive = lifecycle->place->spec.interactive};
	int r = streams_new(lifecycle->parts.event, lifecycle->place, &options, &stream_handler,
		lifecycle, &lifecycle->streams, err);

	if (r < 0)
		return r;
	streams_pause(lifecycle->streams, lifecycle->held);
	if (lifecycle->rows)
		streams_resize(lifecycle->streams, lifecycle->rows, lifecycle->columns);
	return 0;
}

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
		end_run(lifecycle);
}

static int read_pid(const struct lifecycle *lifecycle, pid_t *ret)
{
	autofree char *text = NULL;
	size_t length;
	uint32_t pid;
	int r;

	r = file_read(lifecycle->place->runfd, PID_FILE, PID_FILE_MAX, &text, &length, NULL);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	r = text_to_uint32(text, 2, INT32_MAX, &pid);
	if (r == 0)
		*ret = (pid_t)pid;
	return r;
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
		ns_identify_fd(fd, &lifecycle->mounts);
}

/* After create: it exists, and waits for start. */
static int adopt_init(struct lifecycle *lifecycle, struct err *err)
{
	int r;

	r = read_pid(lifecycle, &lifecycle->init);
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
		clear_start(lifecycle, STATUS_FAILED, result->errors);
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
		set_phase(lifecycle, CONTAINER_RUNNING);
	lifecycle->listener->started(lifecycle->userdata, lifecycle->state.init.pid);
	report(lifecycle->place, "start", NULL, 0);
	if (lifecycle->has_ended)
		end_run(lifecycle);
	else if (lifecycle->state.stop_requested)
		lifecycle_stop(lifecycle, SHIM_DEFAULT, SHIM_DEFAULT);
	else
		health_begin(lifecycle->health, lifecycle->init);
}

static void on_created(void *userdata, const struct runtime_result *result)
{
	struct lifecycle *lifecycle = userdata;
	const char *const arguments[] = {"start", lifecycle->place->spec.id, NULL};
	struct err err = {};
	int r;

	if (!result->succeeded) {
		clear_start(lifecycle, judge_command(lifecycle->place), result->errors);
		return;
	}
	r = adopt_init(lifecycle, &err);
	if (r == 0) {
		/* So that it is found, should the shim be killed. */
		save_state(lifecycle);
		r = streams_begin(lifecycle->streams);
		if (r < 0)
			err_set(&err, r, "the container's streams: %s", strerror(-r));
	}
	if (r == 0) {
		lifecycle->step = STEP_START;
		r = call(lifecycle, arguments, START_TIMEOUT_S, on_started, &err);
	}
	if (r < 0)
		clear_start(lifecycle, STATUS_FAILED, err.msg);
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
	const char *const arguments[] = {"create", "--bundle", bundle, "--pid-file", pidfile,
		console ? "--console-socket" : place->spec.id, console ? console : NULL,
		place->spec.id, NULL};

	if (!bundle || !pidfile)
		return err_oom(err);
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

	if (status != 0) {
		clear_start(lifecycle, STATUS_FAILED,
			"changing the owner of a volume failed; shim.log says why");
		return;
	}
	if (create_container(lifecycle, &err) < 0)
		clear_start(lifecycle, STATUS_FAILED, err.msg);
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
	if (pid == 0) {
		struct err reason = {};

		r = overlay_chown(place->spec.chown, uid, gid, &reason);
		if (r < 0)
			place_log(place, "%s", reason.msg);
		_exit(r < 0 ? 1 : 0);
	}
	if (pid < 0)
		return err_errno(err, "starting a process");
	r = reaper_watch(lifecycle->parts.reaper, pid, on_owned, lifecycle);
	if (r < 0)
		kill(pid, SIGKILL);
	return r < 0 ? err_oom(err) : 0;
}

static int prepare_run(struct lifecycle *lifecycle, struct err *err)
{
	struct place *place = lifecycle->place;
	int r;

	r = place_make_run(place, err);
	if (r == 0)
		r = overlay_mount(place, err);
	if (r == 0)
		r = open_streams(lifecycle, err);
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
		clear_start(lifecycle, STATUS_FAILED,
			"the runtime cannot delete what it knows of an earlier run; shim.log says why");
	else if (prepare_run(lifecycle, &err) < 0)
		clear_start(lifecycle, STATUS_FAILED, err.msg);
}

static void begin_run(struct lifecycle *lifecycle)
{
	struct err err = {};

	lifecycle->has_ended = false;
	lifecycle->has_run = false;
	container_exit_done(&lifecycle->exit);
	set_phase(lifecycle, CONTAINER_STARTING);
	if (!deletion_is_needed(lifecycle->place)) {
		go_on_clean(lifecycle, true);
		return;
	}
	lifecycle->step = STEP_CLEAR;
	if (deletion_begin(lifecycle->parts.event, lifecycle->place, lifecycle->parts.runtime,
		    go_on_clean, lifecycle, &lifecycle->deletion, &err) < 0)
		clear_start(lifecycle, STATUS_FAILED, err.msg);
}

/* ---- the end of a run ---- */

static bool pod_is_stopping(const struct place *place)
{
	struct pod_state state;
	bool stopping;

	pod_state_init(&state);
	if (pod_state_load(place->podfd, &state, NULL) < 0)
		return true;
	stopping = state.phase == POD_STOPPING || state.phase == POD_STOPPED ||
		   state.phase == POD_FAILED;
	pod_state_done(&state);
	return stopping;
}

static int on_delay(sd_event_source *source, uint64_t now, void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	lifecycle->step_timer = sd_event_source_disable_unref(lifecycle->step_timer);
	lifecycle->state.restarts++;
	report(lifecycle->place, "restart", "restarts", (int)lifecycle->state.restarts);
	begin_run(lifecycle);
	return 0;
}

static void remove_traces(struct lifecycle *lifecycle)
{
	struct place *place = lifecycle->place;

	streams_free(take_ptr(lifecycle->streams));
	overlay_remove(place);
	cleanup_close(&place->runfd);
	place->runfd = -1;
	file_remove_tree(place->childfd, CONTAINER_RUN, NULL);
	if (place->spec.pidfile)
		unlink(place->spec.pidfile);
	memset(&lifecycle->state.init, 0, sizeof(lifecycle->state.init));
	lifecycle->state.health = HEALTH_NONE;
	lifecycle->state.health_failures = 0;
}

static void remove_container(struct lifecycle *lifecycle)
{
	const struct place *place = lifecycle->place;
	struct err err = {};

	if (place->spec.cidfile)
		unlink(place->spec.cidfile);
	if (hierarchy_remove_child(place->podfd, place->name, &err) < 0)
		place_log(place, "removing the container: %s", err.msg);
	report(place, "remove", NULL, 0);
}

static void finish(struct lifecycle *lifecycle)
{
	struct place *place = lifecycle->place;

	lifecycle->step = STEP_OVER;
	set_phase(lifecycle, CONTAINER_EXITED);
	if (lifecycle->has_run || lifecycle->state.restarts > 0)
		report(place, "died", "exitCode", lifecycle->exit.status);
	if (place->spec.auto_remove)
		remove_container(lifecycle);
	if (lifecycle->first)
		lifecycle->listener->failed(lifecycle->userdata, lifecycle->exit.status,
			lifecycle->exit.error ? lifecycle->exit.error : "it did not start");
	else
		lifecycle->listener->ended(lifecycle->userdata, &lifecycle->exit, false);
	lifecycle->listener->finished(lifecycle->userdata);
}

static bool begin_delay(struct lifecycle *lifecycle)
{
	uint64_t ran = lifecycle->has_run ? (uint64_t)(deadline_now_ms() - lifecycle->run_since_ms)
					  : 0;

	lifecycle->delay_ms = restart_delay_ms(lifecycle->delay_ms, ran);
	return sd_event_add_time_relative(lifecycle->parts.event, &lifecycle->step_timer,
		       CLOCK_MONOTONIC, UINT64_C(1000) * lifecycle->delay_ms, 0, on_delay,
		       lifecycle) >= 0;
}

static void on_deleted(void *userdata, bool clean)
{
	struct lifecycle *lifecycle = userdata;
	struct container_exit *exit = &lifecycle->exit;
	bool stopped = lifecycle->state.stop_requested || pod_is_stopping(lifecycle->place);

	deletion_free(take_ptr(lifecycle->deletion));
	/* If not clean, there is nobody to do it better now; the next run begins with it. */
	remove_traces(lifecycle);
	record_time_now(exit->ended);
	save_exit(lifecycle);
	if (lifecycle->first ||
		!restart_wanted(&lifecycle->place->spec, exit, lifecycle->state.restarts, stopped) ||
		!begin_delay(lifecycle)) {
		finish(lifecycle);
		return;
	}
	lifecycle->step = STEP_DELAY;
	set_phase(lifecycle, CONTAINER_RESTARTING);
	report(lifecycle->place, "died", "exitCode", exit->status);
	lifecycle->listener->ended(lifecycle->userdata, exit, true);
}

static void delete_container(struct lifecycle *lifecycle)
{
	struct err err = {};

	lifecycle->step = STEP_DELETE;
	if (deletion_begin(lifecycle->parts.event, lifecycle->place, lifecycle->parts.runtime,
		    on_deleted, lifecycle, &lifecycle->deletion, &err) < 0) {
		place_log(lifecycle->place, "%s", err.msg);
		on_deleted(lifecycle, false);
	}
}

/* A start that failed. */
static void clear_start(struct lifecycle *lifecycle, int status, const char *reason)
{
	struct container_exit *exit = &lifecycle->exit;

	place_log(lifecycle->place, "it did not start: %s", reason);
	if (lifecycle->init > 0) {
		reaper_forget(lifecycle->parts.reaper, lifecycle->init);
		kill(lifecycle->init, SIGKILL);
		lifecycle->init = 0;
	}
	reaper_kill_unknown(lifecycle->parts.reaper);
	exit->known = true;
	exit->status = (uint8_t)status;
	free(exit->error);
	exit->error = strdup(reason);
	delete_container(lifecycle);
}

static void begin_drain(struct lifecycle *lifecycle)
{
	lifecycle->step = STEP_DRAIN;
	streams_finish(lifecycle->streams);
}

static int on_leftovers(sd_event_source *source, uint64_t now, void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	if (lifecycle->tries++ < LEFTOVERS_TRIES && leftovers_kill(&lifecycle->mounts) > 0 &&
		sd_event_source_set_time_relative(source, LEFTOVERS_US) >= 0 &&
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) >= 0)
		return 0;
	lifecycle->step_timer = sd_event_source_disable_unref(source);
	begin_drain(lifecycle);
	return 0;
}

/* Without a pid namespace of its own, the end of its first process does not end the others. */
static void kill_leftovers(struct lifecycle *lifecycle)
{
	lifecycle->step = STEP_LEFTOVERS;
	lifecycle->tries = 0;
	if (lifecycle->mounts.inode == 0 || leftovers_kill(&lifecycle->mounts) == 0 ||
		sd_event_add_time_relative(lifecycle->parts.event, &lifecycle->step_timer,
			CLOCK_MONOTONIC, LEFTOVERS_US, 0, on_leftovers, lifecycle) < 0)
		begin_drain(lifecycle);
}

/* What its end says, and what only can be asked before delete. */
static void note_exit(struct lifecycle *lifecycle)
{
	struct container_exit *exit = &lifecycle->exit;
	struct cgroup_stats stats;
	int status = lifecycle->wait_status;

	exit->known = true;
	if (WIFSIGNALED(status)) {
		exit->signal = (uint32_t)WTERMSIG(status);
		exit->status = (uint8_t)(128 + WTERMSIG(status));
	} else {
		exit->status = (uint8_t)WEXITSTATUS(status);
	}
	/* A file of no known format passes create and start, and its execve(2) fails after them. */
	if (exit->status == STATUS_NOT_EXECUTED &&
		judge_command(lifecycle->place) == STATUS_NOT_RUNNABLE)
		exit->status = STATUS_NOT_RUNNABLE;
	if (lifecycle->state.cgroup && cgroup_stats(lifecycle->state.cgroup, &stats) == 0)
		exit->oom = stats.oom_kills > 0;
	if (exit->oom)
		report(lifecycle->place, "oom", NULL, 0);
}

static void end_run(struct lifecycle *lifecycle)
{
	note_exit(lifecycle);
	kill_leftovers(lifecycle);
}

/* ---- stopping ---- */

static int on_kill(sd_event_source *source, uint64_t now, void *userdata)
{
	struct lifecycle *lifecycle = userdata;

	if (lifecycle->init > 0)
		kill(lifecycle->init, SIGKILL);
	return 0;
}

/* The pid is that of a child that was not waited for: nobody else can have it. */
static void send_stop(struct lifecycle *lifecycle, uint32_t signal, uint32_t seconds)
{
	lifecycle->kill_timer = sd_event_source_disable_unref(lifecycle->kill_timer);
	if (seconds == 0 || sd_event_add_time_relative(lifecycle->parts.event,
				    &lifecycle->kill_timer, CLOCK_MONOTONIC,
				    UINT64_C(1000000) * seconds, 0, on_kill, lifecycle) < 0)
		signal = SIGKILL;
	kill(lifecycle->init, (int)signal);
}

void lifecycle_stop(struct lifecycle *lifecycle, uint32_t signal, uint32_t seconds)
{
	const struct container_spec *spec = &lifecycle->place->spec;

	if (lifecycle->step == STEP_OVER)
		return;
	lifecycle->state.stop_requested = true;
	if (lifecycle->step == STEP_DELAY) {
		lifecycle->step_timer = sd_event_source_disable_unref(lifecycle->step_timer);
		finish(lifecycle);
		return;
	}
	if (lifecycle->state.phase != CONTAINER_STOPPING) {
		set_phase(lifecycle, CONTAINER_STOPPING);
		report(lifecycle->place, "stop", NULL, 0);
	}
	if (lifecycle->step == STEP_RUN && lifecycle->init > 0)
		send_stop(lifecycle,
			signal == SHIM_DEFAULT || signal == 0 || signal >= NSIG ? spec->stop_signal
										: signal,
			seconds == SHIM_DEFAULT ? spec->stop_timeout_s : seconds);
}

int lifecycle_signal(struct lifecycle *lifecycle, uint32_t signal)
{
	if (signal == 0 || signal >= NSIG)
		return -EINVAL;
	if (lifecycle->step != STEP_RUN || lifecycle->init == 0)
		return -ESRCH;
	return kill(lifecycle->init, (int)signal) < 0 ? -errno : 0;
}

/* ---- the rest ---- */

int lifecycle_new(const struct lifecycle_parts *parts, const struct lifecycle_listener *listener,
	void *userdata, struct lifecycle **ret, struct err *err)
{
	struct lifecycle *lifecycle = calloc(1, sizeof(*lifecycle));
	int r;

	if (!lifecycle)
		return err_oom(err);
	lifecycle->parts = *parts;
	lifecycle->listener = listener;
	lifecycle->userdata = userdata;
	lifecycle->place = parts->place;
	lifecycle->first = true;
	container_state_init(&lifecycle->state);
	lifecycle->state.shim = parts->place->self;
	lifecycle->state.order = parts->order;
	r = proc_boot_id(lifecycle->state.boot_id);
	if (r < 0)
		err_set(err, r, "reading the boot id: %s", strerror(-r));
	if (r == 0)
		r = shim_log_open(&parts->place->spec, parts->place->childfd, &lifecycle->log, err);
	if (r == 0)
		r = health_new(parts->event, parts->place, parts->execs, on_health, lifecycle,
			&lifecycle->health, err);
	if (r < 0) {
		lifecycle_free(lifecycle);
		return r;
	}
	*ret = lifecycle;
	return 0;
}

void lifecycle_free(struct lifecycle *lifecycle)
{
	if (!lifecycle)
		return;
	sd_event_source_disable_unref(lifecycle->kill_timer);
	sd_event_source_disable_unref(lifecycle->step_timer);
	health_free(lifecycle->health);
	deletion_free(lifecycle->deletion);
	streams_free(lifecycle->streams);
	shim_log_free(lifecycle->log);
	container_state_done(&lifecycle->state);
	container_exit_done(&lifecycle->exit);
	free(lifecycle);
}

void lifecycle_start(struct lifecycle *lifecycle)
{
	begin_run(lifecycle);
}

pid_t lifecycle_init(const struct lifecycle *lifecycle)
{
	return lifecycle->step == STEP_RUN ? lifecycle->init : 0;
}

struct streams *lifecycle_streams(const struct lifecycle *lifecycle)
{
	return lifecycle->streams;
}

void lifecycle_hold(struct lifecycle *lifecycle, bool held)
{
	lifecycle->held = held;
	streams_pause(lifecycle->streams, held);
}

void lifecycle_resize(struct lifecycle *lifecycle, uint32_t rows, uint32_t columns)
{
	lifecycle->rows = rows;
	lifecycle->columns = columns;
	if (lifecycle->streams)
		streams_resize(lifecycle->streams, rows, columns);
}

bool lifecycle_is_over(const struct lifecycle *lifecycle)
{
	return lifecycle->step == STEP_OVER;
}
