/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Joining a container, see attach.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"
#include "text.h"

#include "attach.h"
#include "request.h"

#define ANSWER_SECONDS 10

int attach_prepare(const struct target *target, const struct attach *attach,
	struct session_options *ret, uint32_t *ret_streams, struct err *err)
{
	struct container_spec spec;
	bool input, sizes;
	int r;

	r = container_spec_load(target->childfd, &spec, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	input = attach->input && spec.interactive;
	/* Who sizes the terminal is counted as one that writes. */
	sizes = attach->input && spec.terminal;
	*ret = (struct session_options){
		.what = target->path,
		.input = input,
		.terminal = sizes,
		.proxy = attach->sig_proxy && !session_is_raw(input, spec.terminal),
		.answer = SHIM_DONE,
		.answer_seconds = ANSWER_SECONDS,
		.detach_keys = attach->detach_keys,
	};
	*ret_streams = SHIM_STREAM_STDOUT | SHIM_STREAM_STDERR |
		       (input || sizes ? SHIM_STREAM_STDIN : 0);
	container_spec_done(&spec);
	return 0;
}

static int connect_shim(const struct target *target, uint32_t streams, int *ret, struct err *err)
{
	autoclose int socket = -1;
	int r;

	r = request_connect(target, &socket, err);
	if (r == 0)
		r = request_send(socket, target->path, SHIM_ATTACH, streams, 0, -1, err);
	/* So that a shim which is stuck is noticed. */
	if (r == 0)
		r = request_send(socket, target->path, SHIM_PING, 0, 0, -1, err);
	if (r < 0)
		return r;
	*ret = take_fd(&socket);
	return 0;
}

int attach_container(const struct target *target, const struct attach *attach)
{
	autoptr(session) session = NULL;
	struct session_result result = {};
	struct session_options options;
	autoclose int socket = -1;
	struct err err = {};
	uint32_t streams;
	int r;

	r = attach_prepare(target, attach, &options, &streams, &err);
	if (r == 0)
		r = session_new(&options, &session, &err);
	if (r == 0)
		r = connect_shim(target, streams, &socket, &err);
	if (r == 0)
		r = session_prepare(session, socket, &err);
	if (r == 0)
		r = session_run(session, socket, &result, &err);
	return session_status(&options, r, &result, &err);
}

int attach_and_start(const struct ctl *ctl, const struct target *target,
	const struct attach *attach)
{
	cleanup(pod_running_done) struct pod_running pod = POD_RUNNING_NONE;
	struct session_result result = {};
	struct session_options options;
	struct err err = {};
	uint32_t streams;
	int r;

	r = start_is_running(target, &err);
	if (r > 0)
		return attach_container(target, attach);
	if (r == 0)
		r = attach_prepare(target, attach, &options, &streams, &err);
	if (r == 0)
		r = pod_run(ctl, target->pod, &pod, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	const struct start start = {.ctl = ctl,
		.pod = &pod,
		.pod_path = target->pod,
		.name = target->name,
		.order = start_order(),
		.streams = streams};

	options.answer = SHIM_STARTED;
	options.answer_seconds = START_ANSWER_SECONDS;
	r = start_run(&start, &options, &result, &err);
	return session_status(&options, r, &result, &err);
}
