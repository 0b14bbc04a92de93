/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Examining pods: see doctor.h. Each one has a process of its own, so that many are examined at the
 * same time, so that one that hangs (a file system, a plugin) is given up at a deadline, and
 * because there is no way back from a pod's namespaces. What it finds comes as JSON on a pipe.
 *
 * A pod changes while it is looked at. So what was found is looked for once more, and only what is
 * still so is told. Asking the CNI plugins costs a process for each of them: that is done in the
 * second round only, of pods in which something is wrong, unless the caller wants it of all.
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "deadline.h"
#include "fd.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

#include "doctor.h"
#include "lifecycle.h"

/* So many pods at a time; one may take so long. */
#define RUNNING_MAX 8
#define POD_TIMEOUT_MS 30000
#define ANSWER_BYTES_MAX (8 * 1024 * 1024)

static const struct {
	const char *name;
	void (*run)(struct doctor *doctor);
	bool inside; /* in the pod's namespaces: only of a pod that runs */
} checks[] = {
	{"record", doctor_check_records, false},
	{"unfinished", doctor_check_unfinished, false},
	{"boot", doctor_check_boot, false},
	{"podd", doctor_check_podd, false},
	{"outer", doctor_check_outer, false},
	{"uplink", doctor_check_uplink, false},
	{"left-over", doctor_check_left_over, false},
	{"namespace", doctor_check_links, false},
	{"socket", doctor_check_sockets, false},
	{"lock", doctor_check_locks, false},
	{"container", doctor_check_containers, false},
	{"attachment", doctor_check_attachments, false},
	{"shim", doctor_check_shims, false},
	{"cgroup", doctor_check_cgroups, false},
	{"plugin", doctor_check_plugins, false},
	{"lease", doctor_check_leases, true},
	{"cache", doctor_check_caches, true},
	{"netns", doctor_check_netns, true},
	{"tap", doctor_check_tap, true},
	{"rules", doctor_check_rules, true},
	{"interface", doctor_check_interfaces, true},
};

#define CHECKS_N (sizeof(checks) / sizeof(checks[0]))

void doctor_find(struct doctor *doctor, const char *check, enum doctor_action action,
	const char *object, const char *format, ...)
{
	struct json *finding = json_new_object();
	char message[ERR_MSG_MAX], clean[ERR_MSG_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	/* What other programs say ends with a newline, and may have more. */
	for (size_t n = strlen(message); n > 0 && message[n - 1] == '\n';)
		message[--n] = '\0';
	for (char *c = strchr(message, '\n'); c; c = strchr(c, '\n'))
		*c = ' ';
	json_set_string(finding, "pod", doctor->path);
	json_set_string(finding, "check", check);
	json_set_string(finding, "message", text_sanitize(clean, sizeof(clean), message));
	json_set_string(finding, "action", doctor_action_name(action));
	json_set_string(finding, "object", object);
	json_append(doctor->findings, finding);
}

/* ---- one pod, in its process ---- */

static void run_checks(struct doctor *doctor, bool inside)
{
	for (size_t i = 0; i < CHECKS_N; i++)
		if (checks[i].inside == inside)
			checks[i].run(doctor);
}

/* What is the same for all pods. */
struct round {
	const struct ctl *ctl;
	bool plugins;
	struct doctor_shims shims;
};

static void examine(
	const struct round *round, const char *path, struct json *findings, size_t *ret_containers)
{
	struct doctor doctor = {.ctl = round->ctl,
		.shims = &round->shims,
		.path = path,
		.podfd = -1,
		.plugins = round->plugins,
		.findings = findings};
	struct err err = {};

	doctor_load(&doctor);
	for (size_t i = 0; i < doctor.n_children; i++)
		*ret_containers += !doctor.children[i].is_pod;
	run_checks(&doctor, false);
	if (doctor.runs && doctor.has_spec) {
		if (doctor_enter(&doctor, &err) < 0)
			doctor_find(&doctor, "namespace", DOCTOR_NOTHING, NULL,
				"its namespaces cannot be entered: %s", err.msg);
		else
			run_checks(&doctor, true);
	}
	doctor_done(&doctor);
}

static void __attribute__((noreturn))
examine_in_child(const struct round *round, const char *path, int output)
{
	autoptr(json) answer = json_new_object();
	autofree char *text = NULL;
	size_t containers = 0, length;

	examine(round, path, json_set_array(answer, "findings"), &containers);
	json_set_int(answer, "containers", (int64_t)containers);
	if (json_write(answer, false, &text, &length) < 0 || fd_write_all(output, text, length) < 0)
		_exit(1);
	_exit(0);
}

/* ---- many of them ---- */

struct examination {
	size_t index; /* of the pod */
	pid_t pid;
	int output;
	int64_t deadline;
	char *text;
	size_t length;
	size_t size;
};

struct ward {
	const struct round *round;
	char *const *paths;
	struct json **results; /* of each pod: an array, or NULL */
	struct doctor_count *count;
	struct examination running[RUNNING_MAX];
	size_t n;
};

static int begin(struct ward *ward, size_t index, struct err *err)
{
	struct examination *one = &ward->running[ward->n];
	int pipe_fds[2];

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(err, "making a pipe");
	fflush(stdout);
	*one = (struct examination){.index = index,
		.output = pipe_fds[0],
		.deadline = deadline_now_ms() + POD_TIMEOUT_MS};
	one->pid = fork();
	if (one->pid == 0) {
		close(pipe_fds[0]);
		examine_in_child(ward->round, ward->paths[index], pipe_fds[1]);
	}
	close(pipe_fds[1]);
	if (one->pid < 0) {
		close(pipe_fds[0]);
		return err_errno(err, "starting a process for pod %s", ward->paths[index]);
	}
	ward->n++;
	return 0;
}

static struct json *not_examined(const struct ward *ward, size_t index, const char *why)
{
	struct doctor doctor = {.path = ward->paths[index], .findings = json_new_array()};

	doctor_find(&doctor, "doctor", DOCTOR_NOTHING, NULL, "it could not be examined: %s", why);
	return doctor.findings;
}

static void take_answer(struct ward *ward, struct examination *one, const char *problem)
{
	autoptr(json) answer = NULL;
	int64_t containers = 0;
	struct err err = {};

	if (!problem && (one->length == 0 || json_parse("the answer of its examination", one->text,
						     one->length, &answer, &err) < 0))
		problem = one->length == 0 ? "its examination ended too soon" : err.msg;
	if (problem) {
		ward->results[one->index] = not_examined(ward, one->index, problem);
		return;
	}
	json_int(json_get(answer, "containers"), &containers);
	ward->count->containers += (size_t)containers;
	ward->results[one->index] = json_copy(json_get(answer, "findings"));
}

/* Takes it out of those that run. */
static void end(struct ward *ward, size_t place, const char *problem)
{
	struct examination *one = &ward->running[place];

	if (problem)
		kill(one->pid, SIGKILL);
	while (waitpid(one->pid, NULL, 0) < 0 && errno == EINTR)
		;
	take_answer(ward, one, problem);
	close(one->output);
	free(one->text);
	ward->running[place] = ward->running[--ward->n];
}

/* Return: 1 when more is to come, 0 at the end, -errno. */
static int hear(struct examination *one)
{
	ssize_t n;

	if (one->size - one->length < 4096) {
		size_t size = one->size ? one->size * 2 : 16384;
		char *text = size > ANSWER_BYTES_MAX ? NULL : realloc(one->text, size);

		if (!text)
			return -ENOMEM;
		one->text = text;
		one->size = size;
	}
	n = read(one->output, one->text + one->length, one->size - one->length);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	one->length += (size_t)n;
	return n > 0;
}

static void wait_for_some(struct ward *ward)
{
	struct pollfd fds[RUNNING_MAX];
	unsigned wait_ms = POD_TIMEOUT_MS;

	for (size_t i = 0; i < ward->n; i++) {
		fds[i] = (struct pollfd){.fd = ward->running[i].output, .events = POLLIN};
		wait_ms = deadline_left_ms(ward->running[i].deadline, wait_ms);
	}
	poll(fds, ward->n, (int)wait_ms);
	/* Backwards: what ends is replaced by the last one. */
	for (size_t i = ward->n; i-- > 0;) {
		int r = fds[i].revents ? hear(&ward->running[i]) : 1;

		if (r <= 0)
			end(ward, i, r < 0 ? "its answer is too long" : NULL);
		else if (deadline_left_ms(ward->running[i].deadline, 1) == 0)
			end(ward, i, "it took too long");
	}
}

static int examine_all(const struct ctl *ctl, char *const *paths, bool plugins,
	struct json **results, struct doctor_count *count, struct err *err)
{
	struct round round = {.ctl = ctl, .plugins = plugins};
	struct ward ward = {.round = &round, .paths = paths, .results = results, .count = count};
	size_t next = 0;
	int r = 0;

	doctor_find_shims(ctl->root, &round.shims);
	while (ward.n > 0 || (r == 0 && paths[next])) {
		while (r == 0 && paths[next] && ward.n < RUNNING_MAX)
			r = begin(&ward, next++, err);
		if (ward.n > 0)
			wait_for_some(&ward);
	}
	free(round.shims.all);
	return r;
}

/* ---- what is still so when it is looked at again ---- */

static bool same(const struct json *a, const struct json *b)
{
	return text_equal(json_string(json_get(a, "check")), json_string(json_get(b, "check"))) &&
	       text_equal(json_string(json_get(a, "object")), json_string(json_get(b, "object"))) &&
	       text_equal(json_string(json_get(a, "message")), json_string(json_get(b, "message")));
}

static bool is_among(const struct json *finding, const struct json *findings)
{
	for (size_t i = 0; i < json_length(findings); i++)
		if (same(finding, json_at(findings, i)))
			return true;
	return false;
}

/* What plugins say belongs to what was found before they were asked. */
static void append_persistent(
	struct json *findings, const struct json *first, const struct json *second)
{
	for (size_t i = 0; i < json_length(second); i++) {
		const struct json *finding = json_at(second, i);

		if (is_among(finding, first) ||
			text_equal(json_string(json_get(finding, "check")), "plugin"))
			json_append(findings, json_copy(finding));
	}
}

static void free_results(struct json **results, size_t n)
{
	for (size_t i = 0; results && i < n; i++)
		json_free(results[i]);
	free(results);
}

/* The pods of which something was found, into @again; their places in @first into @places. */
static size_t choose_again(
	char *const *paths, struct json *const *first, char **again, size_t *places)
{
	size_t n = 0;

	for (size_t i = 0; paths[i]; i++) {
		if (json_length(first[i]) == 0)
			continue;
		again[n] = paths[i];
		places[n++] = i;
	}
	return n;
}

static int examine_twice(const struct ctl *ctl, char *const *paths, bool plugins,
	struct json *findings, struct doctor_count *count, struct err *err)
{
	size_t n = strv_length(paths), n_again = 0;
	struct json **first = calloc(n + 1, sizeof(*first));
	struct json **second = calloc(n + 1, sizeof(*second));
	autofree char **again = calloc(n + 1, sizeof(*again));
	autofree size_t *places = calloc(n + 1, sizeof(*places));
	struct doctor_count unused = {};
	int r = first && second && again && places ? 0 : err_oom(err);

	if (r == 0)
		r = examine_all(ctl, paths, plugins, first, count, err);
	if (r == 0)
		n_again = choose_again(paths, first, again, places);
	if (r == 0 && n_again > 0)
		r = examine_all(ctl, again, true, second, &unused, err);
	for (size_t i = 0; r == 0 && i < n_again; i++)
		append_persistent(findings, first[places[i]], second[i]);
	free_results(first, n);
	free_results(second, n);
	return r;
}

/* ---- what belongs to no pod ---- */

/* Adds the names of the cgroups that the containers of a pod have, or had. */
static void add_cgroups(const struct ctl *ctl, const char *path, char ***names)
{
	autoclose int podfd = -1;
	autostrv children = NULL;

	if (ctl_open_pod(ctl, path, &podfd, NULL) < 0 ||
		hierarchy_children(podfd, HIERARCHY_CONTAINERS, &children, NULL) < 0)
		return;
	for (size_t i = 0; children[i]; i++) {
		autoclose int childfd = -1;
		struct container_spec spec;

		if (hierarchy_open_child(podfd, children[i], false, &childfd, NULL) < 0 ||
			container_spec_load(childfd, &spec, NULL) < 0)
			continue;
		if (spec.cgroup)
			strv_add(names, spec.cgroup);
		container_spec_done(&spec);
	}
}

static bool is_populated(int base, const char *name)
{
	autofree char *file = text_format("%s/cgroup.events", name);
	autofree char *text = NULL;
	size_t length;

	return !file || file_read(base, file, 4096, &text, &length, NULL) < 0 ||
	       !strstr(text, "populated 0");
}

/* Cgroups of podd's without processes, that no container has: their container's record is gone. One
 * with processes may be a container's of another hierarchy. */
static void find_cgroups(const struct ctl *ctl, char *const *pods, struct json *findings)
{
	struct doctor doctor = {.path = "", .findings = findings};
	autofree char *parent = NULL;
	autofree char *dir = NULL;
	autostrv entries = NULL;
	autostrv known = NULL;
	autoclose int fd = -1;
	unsigned controllers;

	if (!cgroup_is_unified() || cgroup_find_delegated(&parent, &controllers, NULL) < 0)
		return;
	dir = text_format("/sys/fs/cgroup%s", parent);
	fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0 || file_list(fd, HIERARCHY_CHILDREN_MAX, &entries, NULL) < 0)
		return;
	for (size_t i = 0; pods[i]; i++)
		add_cgroups(ctl, pods[i], &known);
	for (size_t i = 0; entries[i]; i++) {
		autofree char *path =
			text_format("%s/%s", text_equal(parent, "/") ? "" : parent, entries[i]);

		if (path && text_starts_with(entries[i], CGROUP_PREFIX) &&
			!strv_contains(known, path) && !is_populated(fd, entries[i]))
			doctor_find(&doctor, "cgroup", DOCTOR_CGROUP, path,
				"the cgroup %s is empty, and no container has it", path);
	}
}

/* ---- all ---- */

int doctor_run(const struct ctl *ctl, char *const *paths, bool all, bool plugins,
	struct json **ret_findings, struct doctor_count *ret_count, struct err *err)
{
	autoptr(json) findings = json_new_array();
	struct doctor_count count = {.pods = strv_length(paths)};
	int r;

	r = examine_twice(ctl, paths, plugins, findings, &count, err);
	if (r == 0 && all)
		find_cgroups(ctl, paths, findings);
	if (r < 0)
		return r;
	*ret_findings = take_ptr(findings);
	*ret_count = count;
	return 0;
}
