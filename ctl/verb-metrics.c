/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl metrics: what is measured, of some pods or of all, in Prometheus' text format; or as the
 * answer to one HTTP request on the standard input, for a socket that systemd has accepted.
 */

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deadline.h"
#include "fd.h"
#include "http-request.h"
#include "metrics.h"
#include "text.h"

#include "lifecycle.h"
#include "options.h"
#include "supervisor.h"
#include "verbs.h"

/* For the whole request, and for the answer. */
#define READ_TIMEOUT_MS 5000
#define ANSWER_TIMEOUT_S 30
#define PLAIN "text/plain; charset=utf-8"

/* A podd that does not answer costs what only it knows. */
static int add_pod(
	const struct ctl *ctl, struct metrics *metrics, const char *path, struct err *err)
{
	cleanup(supervisor_done) struct supervisor supervisor = SUPERVISOR_NONE;
	autoptr(json) inspection = NULL;
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, err);
	if (r < 0)
		return r;
	if (supervisor_connect(path, podfd, &supervisor, NULL) == 0)
		supervisor_call(&supervisor, "Inspect", NULL, &inspection, NULL);
	return metrics_add_pod(metrics, podfd, path, inspection, err);
}

static int collect(
	const struct ctl *ctl, char *const *pods, char **ret, size_t *ret_length, struct err *err)
{
	autoptr(metrics) metrics = NULL;
	autostrv all = NULL;
	bool named = pods[0];
	int r;

	r = metrics_new(&metrics, err);
	if (r == 0 && !named) {
		r = lifecycle_all(ctl, false, &all, err);
		pods = all;
	}
	for (size_t i = 0; r == 0 && pods && pods[i]; i++) {
		struct err problem = {};

		r = add_pod(ctl, metrics, pods[i], named ? err : &problem);
		if (named || r == -ENOMEM)
			continue;
		/* It was removed just now; or it cannot be looked into, and hides no other. */
		if (r < 0 && r != -ENOENT)
			ctl_warning("%s: %s", pods[i], problem.msg);
		r = 0;
	}
	if (r < 0)
		return r;
	r = metrics_write(metrics, ret, ret_length);
	return r < 0 ? err_set(err, r, "writing the metrics: %s", strerror(-r)) : 0;
}

static int print(const struct ctl *ctl, char *const *pods)
{
	autofree char *text = NULL;
	struct err err = {};
	size_t length;
	int r = collect(ctl, pods, &text, &length, &err);

	if (r < 0)
		return ctl_fail(r, &err);
	fwrite(text, 1, length, stdout);
	return CTL_OK;
}

/* ---- HTTP ---- */

/* Return: the status to answer with. */
static int read_request(bool *ret_head)
{
	int64_t deadline = deadline_now_ms() + READ_TIMEOUT_MS;
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char request[HTTP_REQUEST_MAX];
	size_t length = 0;
	int status = 0;

	*ret_head = false;
	while (status == 0) {
		ssize_t n;

		if (poll(&input, 1, (int)deadline_left_ms(deadline, INT32_MAX)) <= 0)
			return 408;
		n = read(STDIN_FILENO, request + length, sizeof(request) - length);
		if (n <= 0)
			return 400;
		length += (size_t)n;
		status = http_request_judge(request, length, "/metrics", ret_head);
	}
	return status;
}

static int answer(const struct ctl *ctl, char *const *pods)
{
	char head[HTTP_ANSWER_HEAD_MAX];
	autofree char *text = NULL;
	const char *body;
	size_t length = 0;
	bool is_head;
	int status = read_request(&is_head);
	int r;

	if (status == 200 && collect(ctl, pods, &text, &length, NULL) < 0)
		status = 500;
	body = status == 200 ? text : http_reason(status);
	if (status != 200)
		length = strlen(body);
	/* Who does not read its answer ends it. */
	alarm(ANSWER_TIMEOUT_S);
	r = fd_write_all(STDOUT_FILENO, head,
		http_answer_head(
			status, status == 200 ? METRICS_CONTENT_TYPE : PLAIN, length, head));
	if (r == 0 && !is_head)
		r = fd_write_all(STDOUT_FILENO, body, length);
	return r < 0 ? CTL_FAILED : CTL_OK;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	bool http = false;
	const struct option options[] = {
		{.name = "http",
			.flag = &http,
			.help = "answer one HTTP request on the standard input"},
		{}};
	size_t n;
	int status = options_parse(&verb_metrics, options, argc, argv, &n);

	if (status >= 0)
		return status;
	return http ? answer(ctl, argv) : print(ctl, argv);
}

const struct ctl_verb verb_metrics = {
	.name = "metrics",
	.operands = "[POD...]",
	.operands_max = SIZE_MAX,
	.summary = "Print what is measured, for Prometheus",
	.details =
		"Without POD: of all pods. Each pod that runs also has it on metrics.sock in its\n"
		"directory, by HTTP.",
	.example = "podctl metrics net0 | grep podd_uplink_bytes_total",
	.run = run,
};
