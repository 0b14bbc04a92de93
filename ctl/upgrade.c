/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upgrading a pod, see upgrade.h.
 *
 *   the new program reads the records (podd --check) ──cannot──▶ the old one goes on, undisturbed
 *     │ can
 *   the old one executes it in its place ──cannot──▶ the old one adopts the pod again
 *     │
 *   it says READY ──ends, or says what is wrong──▶ the old program, whose file is still open here
 * (it ▼                                            may be overwritten or gone), is started again
 *   done
 *
 * A pod that is in a unit stays there: its manager starts the next supervisor, whatever the reason,
 * and that is the installed one always.
 *
 * Between the two programs there is no podd for some milliseconds, as after its death: what runs
 * goes on, and whoever wants podd then waits for the socket or tells it later.
 */

#include "upgrade.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "deadline.h"
#include "file.h"
#include "proc.h"
#include "spawn.h"
#include "text.h"
#include "varlink.h"

#include "launch.h"
#include "lifecycle.h"
#include "manager.h"
#include "pod.h"
#include "supervisor.h"

#define START_LOCK "start.lock"
#define CONTROL_SOCKET "control.sock"
#define CHECK_TIMEOUT_MS 10000
#define CHECK_OUTPUT_MAX 65536
#define EXIT_TIMEOUT_MS 5000
#define ANSWER_TIMEOUT_MS 5000
#define UPLINK_TIMEOUT_MS 20000

/* A pod whose start.lock is held. */
struct upgrade {
	const struct ctl *ctl;
	const char *path;
	int lock;
	int old; /* the program of the podd that runs */
	struct pod_running pod;
};

static void upgrade_done(struct upgrade *upgrade)
{
	cleanup_close(&upgrade->lock);
	cleanup_close(&upgrade->old);
	pod_running_done(&upgrade->pod);
}

bool upgrade_is_possible(const struct ctl *ctl, const char *path)
{
	cleanup(pod_running_done) struct pod_running pod = POD_RUNNING_NONE;

	return pod_open(ctl, path, &pod, NULL) == 0 &&
	       pod_state_phase_now(&pod.state) == POD_RUNNING;
}

static int open_pod(struct upgrade *upgrade, struct err *err)
{
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(upgrade->ctl, upgrade->path, &podfd, err);
	if (r == 0)
		r = file_lock(podfd, START_LOCK, LAUNCH_TIMEOUT_MS, &upgrade->lock, err);
	if (r == -EWOULDBLOCK)
		return err_set(
			err, -EBUSY, "pod %s is being started by another podctl", upgrade->path);
	if (r == 0)
		r = pod_open(upgrade->ctl, upgrade->path, &upgrade->pod, err);
	if (r < 0)
		return r;
	if (pod_state_phase_now(&upgrade->pod.state) != POD_RUNNING)
		return err_set(err, -ESRCH,
			"pod %s is not running: when it starts, it is with the installed version",
			upgrade->path);
	return 0;
}

static int check_new(const struct upgrade *upgrade, struct err *err)
{
	const char *const argv[] = {
		"podd", "--check", "--root", upgrade->ctl->root, upgrade->path, NULL};
	const struct spawn spawn = {
		.path = PODD_LIBEXECDIR "/podd",
		.argv = (char *const *)argv,
		.program_fd = -1,
		.timeout_ms = CHECK_TIMEOUT_MS,
		.output_max = CHECK_OUTPUT_MAX,
		.stderr_max = CHECK_OUTPUT_MAX,
	};
	struct spawn_result result = {};
	char ending[128];
	int r = spawn_run(&spawn, &result, err);

	if (r == 0 && spawn_describe(result.status, ending, sizeof(ending)) != 0)
		r = err_set(err, -EIO, "it %s: %s", ending, result.errors);
	spawn_result_done(&result);
	return r < 0 ? err_wrap(err, r,
			       "pod %s: the installed podd cannot take it over, the one that runs "
			       "goes "
			       "on",
			       upgrade->path)
		     : 0;
}

static int start_podd(struct upgrade *upgrade, const int *program, struct err *err)
{
	const struct launch launch = {.root = upgrade->ctl->root,
		.path = upgrade->path,
		.podfd = upgrade->pod.podfd,
		.no_start = true,
		.program = program};

	return lifecycle_launch(
		upgrade->ctl, &launch, &upgrade->pod.state, &upgrade->lock, err);
}

/* One that cannot be replaced from inside is ended: what runs goes on, and the next one adopts it.
 */
static int kill_podd(const struct upgrade *upgrade, struct err *err)
{
	autoclose int pidfd = -1;
	int r;

	if (proc_open(&upgrade->pod.state.podd, &pidfd) < 0)
		return 0;
	r = proc_signal(pidfd, SIGKILL);
	if (r == 0)
		r = proc_wait(pidfd, EXIT_TIMEOUT_MS);
	return r < 0 ? err_set(err, r, "pod %s: its supervisor does not end", upgrade->path) : 0;
}

/* Has podd execute the new program. Return: 0 when that is ready, -EOPNOTSUPP when podd is too old
 * to be asked, -errno. */
static int ask_podd(const struct upgrade *upgrade, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoclose int ready = -1;
	int r;

	r = supervisor_connect(upgrade->path, upgrade->pod.podfd, &supervisor, err);
	if (r < 0)
		return r;
	r = supervisor_call_for_fd(&supervisor, "Upgrade", NULL, &ready, err);
	if (r < 0)
		return text_equal(varlink_client_error(supervisor.client),
			       "org.varlink.service.MethodNotFound")
			       ? -EOPNOTSUPP
			       : r;
	r = launch_await(upgrade->path, ready, err);
	return r == -ENODATA
		       ? err_set(err, -EREMOTEIO,
				 "pod %s: the installed podd ended before it was ready; its last "
				 "words are in podd.log",
				 upgrade->path)
		       : r;
}

static bool answers(const struct upgrade *upgrade)
{
	autoptr(varlink_client) client = NULL;
	autoptr(json) reply = NULL;

	return varlink_connect(
		       upgrade->pod.podfd, CONTROL_SOCKET, ANSWER_TIMEOUT_MS, &client, NULL) == 0 &&
	       varlink_client_call(
		       client, "org.varlink.service.GetInfo", NULL, &reply, NULL, NULL) == 0;
}

/* The new one did not get ready. Either the old one goes on, or it is started again. */
static int bring_back(struct upgrade *upgrade, struct err *err)
{
	const bool is_unit =
		manager_starts(upgrade->ctl, upgrade->path, &upgrade->pod.state);
	autoclose int pidfd = -1;
	struct err why = {};
	char message[ERR_MSG_MAX];

	memcpy(message, err->msg, sizeof(message));
	if (proc_open(&upgrade->pod.state.podd, &pidfd) == 0) {
		for (int64_t end = deadline_now_ms() + EXIT_TIMEOUT_MS; deadline_now_ms() < end;) {
			if (answers(upgrade))
				return err_set(err, -EREMOTEIO,
					"%s; the one that ran before goes on", message);
			if (proc_wait(pidfd, 50) == 0)
				break;
		}
		kill_podd(upgrade, NULL);
	}
	if (is_unit && start_podd(upgrade, NULL, &why) == 0)
		return err_set(err, -EREMOTEIO, "%s; its unit has started the installed one again",
			message);
	if (is_unit || upgrade->old < 0 || start_podd(upgrade, &upgrade->old, &why) < 0)
		return err_set(err, -EREMOTEIO,
			"%s; %s cannot be started again (%s): what runs in the pod goes on, "
			"'podctl start %s' starts a supervisor",
			message, is_unit ? "its unit" : "the one that ran before", why.msg,
			upgrade->path);
	return err_set(err, -EREMOTEIO, "%s; the one that ran before was started again", message);
}

static int replace_podd(struct upgrade *upgrade, struct err *err)
{
	char exe[64];
	int r;

	if (!proc_alive(&upgrade->pod.state.podd))
		return start_podd(upgrade, NULL, err);
	r = check_new(upgrade, err);
	if (r < 0)
		return r;
	snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)upgrade->pod.state.podd.pid);
	upgrade->old = open(exe, O_RDONLY | O_CLOEXEC);
	r = ask_podd(upgrade, err);
	if (r == -EOPNOTSUPP) {
		r = kill_podd(upgrade, err);
		if (r == 0)
			r = start_podd(upgrade, NULL, err);
	}
	return r < 0 ? bring_back(upgrade, err) : 0;
}

static int await_uplink(struct varlink_client *events, const char *path, struct err *err)
{
	for (;;) {
		autoptr(json) event = NULL;
		const char *type;
		int r = varlink_client_next(events, &event, err);

		if (r < 0)
			return err_wrap(err, r, "pod %s: waiting for the new podd-uplink", path);
		type = json_string(json_get(event, "type"));
		if (text_equal(type, "uplink-restarted"))
			return 0;
		if (r == 0 || text_equal(type, "failed") || text_equal(type, "stopping"))
			return err_set(err, -ECONNRESET, "pod %s ended meanwhile", path);
	}
}

static int replace_uplink(const struct upgrade *upgrade, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(varlink_client) events = NULL;
	int r;

	if (upgrade->pod.state.uplink.pid <= 0)
		return 0;
	r = varlink_connect(upgrade->pod.podfd, CONTROL_SOCKET, UPLINK_TIMEOUT_MS, &events, err);
	if (r == 0)
		r = varlink_client_more(events, VARLINK_INTERFACE ".Events", NULL, err);
	if (r == 0)
		r = supervisor_connect(upgrade->path, upgrade->pod.podfd, &supervisor, err);
	if (r == 0)
		r = supervisor_call(&supervisor, "ReplaceUplink", NULL, NULL, err);
	return r < 0 ? r : await_uplink(events, upgrade->path, err);
}

int upgrade_pod(const struct ctl *ctl, const char *path, bool uplink, struct err *err)
{
	cleanup(upgrade_done) struct upgrade upgrade = {
		.ctl = ctl, .path = path, .lock = -1, .old = -1, .pod = POD_RUNNING_NONE};
	int r;

	r = open_pod(&upgrade, err);
	if (r == 0)
		r = replace_podd(&upgrade, err);
	return r == 0 && uplink ? replace_uplink(&upgrade, err) : r;
}
