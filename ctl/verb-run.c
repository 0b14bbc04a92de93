/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl run: makes a container, starts it, and stays with it until it ends or lets go of it. What
 * a start that failed has made is removed: the container, and the pod where it was made for it.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "hierarchy.h"
#include "shim.h"
#include "text.h"

#include "detach.h"
#include "make.h"
#include "options.h"
#include "pod.h"
#include "start.h"
#include "verbs.h"

struct run {
	const struct ctl *ctl;
	const struct container_options *options;
	struct container_request request;
	const char *detach_keys;
	bool detach;
	bool sig_proxy;
	struct pod_place place;
	struct pod_running pod;
	bool made_pod;
};

/* A pod of a name that was asked for is most often there, and runs. */
static int get_pod(struct run *run, struct err *err)
{
	int r = -ENOENT;

	if (!run->place.is_own)
		r = pod_run(run->ctl, run->place.pod, &run->pod, err);
	if (r != -ENOENT)
		return r;
	r = pod_provide(run->ctl, &run->place, &run->made_pod, err);
	return r < 0 ? r : pod_run(run->ctl, run->place.pod, &run->pod, err);
}

/* With --rm podd-shim has removed the container, and cannot do so with a file in the host's /run. */
static void remove_cidfile(const struct run *run)
{
	const char *path = run->request.cidfile;
	char id[NAME_PATH_SIZE];

	if (!path || !run->request.auto_remove || !make_is_in_run(path))
		return;
	name_path_to_id(run->place.path, id);
	container_remove_own_file(path, id);
}

static void take_back(const struct run *run)
{
	struct err err = {};
	int r;

	r = make_remove(run->ctl, run->place.pod, run->place.name, &err);
	if (r < 0 && r != -ENOENT)
		ctl_warning("%s is left: %s", run->place.path,
			err.msg[0] ? err.msg : strerror(-r));
	remove_cidfile(run);
	if (run->made_pod)
		pod_take_back(run->ctl, run->place.pod);
}

static struct session_options session_options(const struct run *run)
{
	const struct container_request *request = &run->request;

	return (struct session_options){
		.what = run->place.path,
		.input = request->interactive && !run->detach,
		.terminal = request->terminal,
		.proxy = run->sig_proxy && !session_is_raw(request->interactive, request->terminal),
		.only_start = run->detach,
		.answer = SHIM_STARTED,
		.answer_seconds = START_ANSWER_SECONDS,
		.detach_keys = run->detach_keys,
	};
}

/* Who sizes the terminal is counted as one that writes. */
static uint32_t streams(const struct run *run)
{
	const struct container_request *request = &run->request;

	if (run->detach)
		return 0;
	return SHIM_STREAM_STDOUT | SHIM_STREAM_STDERR |
	       (request->interactive || request->terminal ? SHIM_STREAM_STDIN : 0);
}

/* podd may have ended a pod that was made for a container after it was looked at: its last one had
 * ended, and this one did not run yet. */
static bool lost_pod(struct run *run)
{
	struct pod_running pod = POD_RUNNING_NONE;
	bool runs;

	if (pod_is_auto_removed(run->pod.podfd, NULL) <= 0)
		return false;
	runs = pod_open(run->ctl, run->place.pod, &pod, NULL) == 0 && pod_is_running(&pod);
	pod_running_done(&pod);
	return !runs;
}

static int start_once(struct run *run, const struct session_options *options,
	struct session_result *result, struct err *err)
{
	const struct start start = {.ctl = run->ctl,
		.pod = &run->pod,
		.pod_path = run->place.pod,
		.name = run->place.name,
		.order = start_order(),
		.streams = streams(run)};

	return start_run(&start, options, result, err);
}

/* The runtime's own answer (126, 127) would be the same once more, and with --rm the container, and
 * the pod that was made for it, have been removed by now. */
static bool may_be_tried_again(struct run *run, int r, const struct session_result *result)
{
	autoclose int childfd = -1;

	if (r == 0 && (result->end != SESSION_FAILED || result->status != CTL_FAILED))
		return false;
	return hierarchy_open_child(run->pod.podfd, run->place.name, false, &childfd, NULL) == 0 &&
	       container_is_made(childfd) && lost_pod(run);
}

/* What failed first is what is said, when there is no pod to try it again in. */
static int start(struct run *run, const struct session_options *options,
	struct session_result *result, struct err *err)
{
	struct pod_running pod = POD_RUNNING_NONE;
	struct err err_of_retry = {};
	int r;

	r = start_once(run, options, result, err);
	if (!may_be_tried_again(run, r, result) ||
		pod_run(run->ctl, run->place.pod, &pod, &err_of_retry) < 0)
		return r;
	pod_running_done(&run->pod);
	run->pod = pod;
	memset(result, 0, sizeof(*result));
	return start_once(run, options, result, err);
}

static int start_and_stay(struct run *run)
{
	const struct session_options options = session_options(run);
	struct session_result result = {};
	struct err err = {};
	int status;
	int r;

	r = start(run, &options, &result, &err);
	if (r < 0 || result.end == SESSION_FAILED) {
		status = session_status(&options, r, &result, &err);
		take_back(run);
		return status;
	}
	if (run->detach)
		printf("%s\n", run->place.path);
	if (result.end == SESSION_EXITED)
		remove_cidfile(run);
	/* So that nothing of it is left when podctl has ended. */
	if (result.end == SESSION_EXITED && run->made_pod && run->request.auto_remove)
		pod_await_end(&run->pod);
	return session_status(&options, r, &result, &err);
}

static int make_and_start(struct run *run, char *const *command)
{
	struct err err = {};
	int status;
	int r;

	r = get_pod(run, &err);
	if (r == 0)
		r = make_container(run->ctl, run->place.pod, run->place.name, run->options, command,
			&err);
	if (r < 0) {
		status = ctl_fail(r, &err);
		if (run->made_pod)
			pod_take_back(run->ctl, run->place.pod);
	} else {
		status = start_and_stay(run);
	}
	pod_running_done(&run->pod);
	return status;
}

/* Before anything is made. */
static int check(struct run *run, struct err *err)
{
	struct detach keys;
	int r;

	if (!run->request.makes_container)
		return err_set(err, -EINVAL, "--rootfs DIR or --bundle DIR is missing");
	r = detach_parse(run->detach_keys, &keys, err);
	return r < 0 ? r : pod_place(run->request.name, run->request.pod, &run->place, err);
}

static int parse(struct run *run, struct container_options *values, int argc, char **argv)
{
	const struct option own[] = {
		{.name = "detach", .letter = 'd', .flag = &run->detach,
			.help = "print the path as soon as it runs, and leave it"},
		{.name = "detach-keys", .argument = "KEYS", .text = &run->detach_keys,
			.help = "keys that let go of it (default: ctrl-p,ctrl-q)"},
		{.name = "sig-proxy", .flag = &run->sig_proxy,
			.help = "pass signals on (default: true, but not in a terminal)"},
		{}};
	struct option options[CONTAINER_OPTIONS_MAX + sizeof(own) / sizeof(own[0])];
	size_t n = 0;

	container_options_table(values, options, &n);
	memcpy(options + n, own, sizeof(own));
	return options_parse(&verb_run, options, argc, argv, &n);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct run run = {.ctl = ctl, .sig_proxy = true, .pod = POD_RUNNING_NONE};
	autoptr(container_options) values = NULL;
	struct err err = {};
	int status;
	int r;

	r = container_options_new(&values);
	if (r < 0)
		return ctl_fail(r, &err);
	status = parse(&run, values, argc, argv);
	if (status >= 0)
		return status;
	run.options = values;
	run.request = container_options_request(values);
	r = check(&run, &err);
	return r < 0 ? ctl_fail(r, &err) : make_and_start(&run, argv);
}

const struct ctl_verb verb_run = {
	.name = "run",
	.operands = "[COMMAND [ARGUMENT...]]",
	.operands_max = SIZE_MAX,
	.command_first = true,
	.passes_status = true,
	.summary = "Make a container in a pod and run it",
	.details = "The container is made from --rootfs or --bundle. --name is its path (POD/NAME), or\n"
		   "a name in the pod that --pod says. A pod that is not there is made, and removed\n"
		   "with its last container. The exit status is the command's; 125 when podctl or the\n"
		   "runtime failed, 126 when the command cannot be run, 127 when it is not found.",
	.example = "podctl run --rm -it --name net0/shell --rootfs /srv/debian bash",
	.run = run,
};
