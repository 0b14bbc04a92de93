/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Plans: see apply-plan.h. The definition is built just as podctl create would build it, and
 * compared with what lies in the records.
 *
 *   ports, egress rules                   changed while the pod, or the container, runs
 *   limits, the restart policy            changed at any time, by podctl update
 *   everything else                       the pod or the container is made anew
 */

#include "apply-plan-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "container.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

#include "each.h"
#include "trees.h"

#define CONFIG "config.json"

static void planning_done(struct planning *planning)
{
	cleanup_close(&planning->podfd);
	pod_spec_done(&planning->wanted);
	pod_network_done(&planning->network);
}

/* ---- steps ---- */

struct json *apply_add_step(struct json *plan, enum apply_action action, const char *path,
	const char *reason, const char *const *words)
{
	static const char *const names[] = {[APPLY_REMOVE] = "remove",
		[APPLY_CREATE] = "create",
		[APPLY_CHANGE] = "change",
		[APPLY_START] = "start",
		[APPLY_STOP] = "stop"};
	struct json *step = json_new_object();

	json_set_string(step, "action", names[action]);
	json_set_string(step, "path", path);
	json_set_string(step, "reason", reason);
	json_set_strv(step, "command", (char *const *)words);
	json_append(plan, step);
	return json_get(step, "command");
}

void apply_add_words(struct json *command, char *const *words)
{
	for (size_t i = 0; words && words[i]; i++)
		json_append(command, json_new_string(words[i]));
}

static bool has_label(const struct json *labels)
{
	return text_equal(json_string(json_get(labels, APPLY_LABEL)), APPLY_LABEL_VALUE);
}

/* ---- comparing documents ---- */

/* Names of the members in which two objects differ, but for those of @except: "a, b". */
static void differences(const struct json *a, const struct json *b, const char *const *except,
	size_t n, char *ret, size_t size)
{
	size_t used = strlen(ret);

	for (int turn = 0; turn < 2; turn++) {
		const struct json *one = turn ? b : a, *other = turn ? a : b;

		for (size_t i = 0; i < json_length(one); i++) {
			const char *key = json_key_at(one, i);
			const struct json *value = json_get(other, key);
			size_t j = 0;

			while (j < n && strcmp(except[j], key) != 0)
				j++;
			/* The second turn is for what the first object lacks. */
			if (j < n || (turn && value) ||
				(value && json_equal(json_at(one, i), value)))
				continue;
			if (used < size)
				used += (size_t)snprintf(
					ret + used, size - used, "%s%s", used ? ", " : "", key);
		}
	}
}

/* ---- containers ---- */

/* As of what is not compared: what is changed at any time, what podd has, and what differs by where
 * apply is called. */
static const char *const spec_except[] = {
	"created", "limits", "restart", "restartMax", "publish", "egress", "cgroup"};

/* config.json without what follows from those. */
static void strip_config(struct json *config)
{
	struct json *section = json_get(config, "linux");

	json_remove(section, "resources");
	json_remove(section, "cgroupsPath");
	json_remove(json_get(config, "annotations"), "io.podd.publish");
}

static int load_config(int childfd, struct json **ret, struct err *err)
{
	autofree char *text = NULL;
	autoclose int bundle = -1;
	size_t length = 0;
	int r;

	r = file_open_dir(childfd, CONTAINER_BUNDLE, &bundle, err);
	if (r == 0)
		r = file_read(bundle, CONFIG, JSON_BYTES_MAX, &text, &length, err);
	return r < 0 ? r : json_parse(CONFIG, text, length, ret, err);
}

/* What makes a container another one; "" for nothing. */
static void compare_container(int childfd, const struct container_spec *wanted,
	const struct container_spec *has, struct json *config, char *ret, size_t size)
{
	autoptr(json) wanted_json = container_spec_to_json(wanted);
	autoptr(json) has_json = container_spec_to_json(has);
	autoptr(json) has_config = NULL;

	ret[0] = '\0';
	differences(wanted_json, has_json, spec_except, sizeof(spec_except) / sizeof(char *), ret,
		size);
	if (ret[0])
		return;
	if (load_config(childfd, &has_config, NULL) < 0) {
		snprintf(ret, size, "its " CONFIG " cannot be read");
		return;
	}
	strip_config(config);
	strip_config(has_config);
	differences(config, has_config, NULL, 0, ret, size);
}

static void plan_create(struct planning *planning, const struct apply_container *container,
	const char *path, const char *reason)
{
	autofree char *name = text_format("--name=%s", path);
	struct json *command = STEP(planning->plan, APPLY_CREATE, path, reason, "create", name);

	apply_add_words(command, container->arguments);
	if (container->command) {
		json_append(command, json_new_string("--"));
		apply_add_words(command, container->command);
	}
}

static void plan_start(struct planning *planning, const char *path, const char *reason)
{
	STEP(planning->plan, APPLY_START, path, reason, "start", path);
}

static void add_text(struct json *command, char *text)
{
	json_append(command, json_new_string(text));
	free(text);
}

/* The options of podctl update that lead from the one to the other. */
static void plan_update(struct planning *planning, const char *path,
	const struct container_spec *wanted, const struct container_spec *has)
{
	const struct container_limits *limits = &wanted->limits, *old = &has->limits;
	bool policy = wanted->restart != has->restart || wanted->restart_max != has->restart_max;
	bool swap = limits->memory != old->memory || limits->swap != old->swap;
	struct json *command;

	if (!policy && !swap && limits->cpu_milli == old->cpu_milli && limits->pids == old->pids)
		return;
	command = STEP(planning->plan, APPLY_CHANGE, path,
		policy ? "its restart policy differs" : "its limits differ", "update");
	if (swap && limits->memory == 0) {
		add_text(command, strdup("--memory=-1"));
	} else if (swap) {
		add_text(command, text_format("--memory=%llu", (unsigned long long)limits->memory));
		add_text(command, limits->swap == CONTAINER_SWAP_UNLIMITED
					  ? strdup("--memory-swap=-1")
					  : text_format("--memory-swap=%llu",
						    (unsigned long long)limits->memory +
							    (unsigned long long)limits->swap));
	}
	if (limits->cpu_milli != old->cpu_milli)
		add_text(command, text_format("--cpus=%u.%03u", limits->cpu_milli / 1000,
					  limits->cpu_milli % 1000));
	if (limits->pids != old->pids)
		add_text(command, limits->pids ? text_format("--pids-limit=%u", limits->pids)
					       : strdup("--pids-limit=-1"));
	if (policy && wanted->restart == RESTART_ON_FAILURE && wanted->restart_max)
		add_text(command, text_format("--restart=on-failure:%u", wanted->restart_max));
	else if (policy)
		add_text(command,
			text_format("--restart=%s", container_restart_name(wanted->restart)));
	json_append(command, json_new_string(path));
}

static bool limits_differ(const struct container_spec *a, const struct container_spec *b)
{
	return a->limits.memory != b->limits.memory || a->limits.swap != b->limits.swap ||
	       a->limits.cpu_milli != b->limits.cpu_milli || a->limits.pids != b->limits.pids;
}

/* One that is there: what is different, and what is done about it. */
static int plan_existing(struct planning *planning, const struct apply_container *container,
	const char *path, const struct target *target, const struct container_spec *wanted,
	struct json *config)
{
	cleanup(container_spec_done) struct container_spec has = {};
	cleanup(traffic_done) struct traffic traffic = {};
	bool should_run = container->running && planning->pod->running;
	bool runs = planning->pod->running && each_is_running(target);
	char difference[512], reason[600];
	int r;

	r = container_spec_load(target->childfd, &has, planning->err);
	if (r == 0)
		r = traffic_compare(planning, container->name, wanted->publish, wanted->egress,
			has.publish, has.egress, &traffic);
	if (r < 0)
		return r;
	if (!has_label(has.labels))
		return err_set(planning->err, -EBUSY,
			"container %s is there, and podctl apply did not make it", path);
	compare_container(target->childfd, wanted, &has, config, difference, sizeof(difference));
	if (!difference[0] && traffic_differs(&traffic) && (!runs || traffic.own_goes))
		text_copy(difference, sizeof(difference), "ports or egress rules");
	if (!difference[0] && !has.cgroup && limits_differ(wanted, &has))
		text_copy(difference, sizeof(difference), "limits, and it has no cgroup");
	if (difference[0]) {
		snprintf(reason, sizeof(reason), "it differs, and cannot be changed: %s",
			difference);
		STEP(planning->plan, APPLY_REMOVE, path, reason, "rm", "-f", path);
		plan_create(planning, container, path, "made anew");
		if (should_run)
			plan_start(planning, path, "made anew");
		return 0;
	}
	plan_update(planning, path, wanted, &has);
	if (runs)
		traffic_plan(planning, path, &traffic);
	if (should_run && !runs)
		plan_start(planning, path, "it does not run");
	if (!should_run && runs)
		STEP(planning->plan, APPLY_STOP, path, "it runs", "stop", path);
	return 0;
}

static int plan_container(struct planning *planning, const struct apply_container *container)
{
	cleanup(container_spec_done) struct container_spec wanted = {};
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	autofree char *path = text_format("%s/%s", planning->pod->path, container->name);
	autoptr(json) config = NULL;
	int r;

	if (!path)
		return err_oom(planning->err);
	r = make_describe(planning->ctl, &planning->wanted, container->name, container->options,
		apply_or_none(container->command), &wanted, &config, planning->err);
	if (r < 0)
		return err_wrap(planning->err, r, "containers.%s", container->name);
	if (!planning->is_anew)
		r = target_open(planning->ctl, path, TARGET_CONTAINER, &target, planning->err);
	if (!planning->is_anew && r == 0)
		return plan_existing(planning, container, path, &target, &wanted, config);
	if (r < 0 && r != -ENOENT)
		return err_wrap(planning->err, r, "containers.%s", container->name);
	plan_create(planning, container, path, "it is not there");
	if (container->running && planning->pod->running)
		plan_start(planning, path, "it does not run");
	return 0;
}

/* ---- the pod ---- */

/* What the environment of podctl create says is not the definition's. */
static const char *const pod_except[] = {
	"created", "path", "publish", "egress", "cniConfigDirs", "cniPluginDirs"};

static bool is_defined(const struct apply_pod *pod, const char *name)
{
	for (size_t i = 0; i < pod->n; i++)
		if (strcmp(pod->containers[i].name, name) == 0)
			return true;
	return false;
}

static bool is_applied(int podfd, const char *name)
{
	cleanup(container_spec_done) struct container_spec spec = {};
	autoclose int childfd = -1;

	return hierarchy_open_child(podfd, name, false, &childfd, NULL) == 0 &&
	       container_spec_load(childfd, &spec, NULL) == 0 && has_label(spec.labels);
}

/* Is there a step that removes it? */
static bool is_removed(const struct json *plan, const char *pod, const char *name)
{
	autofree char *path = text_format("%s/%s", pod, name);

	for (size_t i = 0; i < json_length(plan); i++) {
		const struct json *step = json_at(plan, i);

		if (text_equal(json_string(json_get(step, "path")), path) &&
			text_equal(json_string(json_get(step, "action")), "remove"))
			return true;
	}
	return false;
}

/* With the pod, what is in it would go, too. What is removed before is no hindrance. Return: 0,
 * -EBUSY. */
static int refuse_others(
	int podfd, const char *path, const struct json *plan, struct err *err)
{
	autostrv containers = NULL;
	autostrv pods = NULL;
	int r;

	r = hierarchy_children(podfd, HIERARCHY_CONTAINERS, &containers, err);
	if (r == 0)
		r = hierarchy_children(podfd, HIERARCHY_PODS, &pods, err);
	if (r < 0)
		return r;
	for (size_t i = 0; pods[i]; i++)
		if (!is_removed(plan, path, pods[i]))
			return err_set(err, -EBUSY,
				"pod %s must go, but pod %s/%s is in it: remove that first", path,
				path, pods[i]);
	for (size_t i = 0; containers[i]; i++)
		if (!is_applied(podfd, containers[i]))
			return err_set(err, -EBUSY,
				"pod %s must go, but podctl apply did not make container %s/%s in "
				"it: "
				"remove that first",
				path, path, containers[i]);
	return 0;
}

static int plan_new_pod(struct planning *planning, const char *reason)
{
	const struct apply_pod *pod = planning->pod;

	planning->is_anew = true;
	planning->runs = false;
	apply_add_words(STEP(planning->plan, APPLY_CREATE, pod->path, reason, "create", pod->path),
		pod->arguments);
	if (pod->running)
		plan_start(planning, pod->path, "it does not run");
	return 0;
}

static int plan_anew(struct planning *planning, const char *difference)
{
	const char *path = planning->pod->path;
	char reason[600];
	int r = refuse_others(planning->podfd, path, planning->plan, planning->err);

	if (r < 0)
		return r;
	snprintf(reason, sizeof(reason), "it differs, and cannot be changed: %s", difference);
	STEP(planning->plan, APPLY_REMOVE, path, reason, "rm", "-f", path);
	return plan_new_pod(planning, "made anew");
}

static bool wants_container(const struct apply_pod *pod)
{
	for (size_t i = 0; i < pod->n; i++)
		if (pod->containers[i].running)
			return true;
	return false;
}

/* Starting a pod starts what is in it; starting a container starts its pod alone. */
static void plan_state(struct planning *planning)
{
	const struct apply_pod *pod = planning->pod;

	if (!pod->running && planning->runs)
		STEP(planning->plan, APPLY_STOP, pod->path, "it runs", "stop", pod->path);
	if (!pod->running || planning->runs || wants_container(pod))
		return;
	plan_start(planning, pod->path, "it does not run");
	for (size_t i = 0; i < pod->n; i++) {
		autofree char *path = text_format("%s/%s", pod->path, pod->containers[i].name);

		if (path && is_applied(planning->podfd, pod->containers[i].name))
			STEP(planning->plan, APPLY_STOP, path, "it was started with its pod",
				"stop", path);
	}
}

static int load_network(struct planning *planning, const struct pod_spec *has)
{
	int r = pod_network_load(planning->podfd, &planning->network, planning->err);

	if (r == -ENOENT)
		r = pod_network_from_spec(has, &planning->network, planning->err);
	return r;
}

static int plan_existing_pod(struct planning *planning)
{
	cleanup(pod_spec_done) struct pod_spec has = {};
	cleanup(pod_state_done) struct pod_state state = {};
	cleanup(traffic_done) struct traffic traffic = {};
	const struct apply_pod *pod = planning->pod;
	autoptr(json) wanted_json = pod_spec_to_json(&planning->wanted);
	autoptr(json) has_json = NULL;
	char difference[512] = "";
	int r;

	r = pod_spec_load(planning->podfd, &has, planning->err);
	if (r == 0)
		r = pod_state_load(planning->podfd, &state, planning->err);
	if (r == 0)
		r = load_network(planning, &has);
	if (r == 0)
		r = traffic_compare(planning, "", planning->wanted.publish, planning->wanted.egress,
			NULL, NULL, &traffic);
	if (r < 0)
		return r;
	if (!has_label(has.labels))
		return err_set(planning->err, -EBUSY,
			"pod %s is there, and podctl apply did not make it", pod->path);
	planning->runs = pod_state_phase_now(&state) == POD_RUNNING;
	has_json = pod_spec_to_json(&has);
	differences(wanted_json, has_json, pod_except, sizeof(pod_except) / sizeof(char *),
		difference, sizeof(difference));
	if (!difference[0] && traffic_differs(&traffic) && !(planning->runs && pod->running))
		text_copy(difference, sizeof(difference),
			"ports or egress rules, and it does not run");
	if (difference[0])
		return plan_anew(planning, difference);
	if (planning->runs && pod->running && !proc_alive(&state.podd))
		plan_start(planning, pod->path, "its supervisor is gone");
	if (pod->running)
		traffic_plan(planning, pod->path, &traffic);
	plan_state(planning);
	return 0;
}

static int plan_unwanted(struct planning *planning)
{
	autostrv names = NULL;
	int r;

	if (planning->is_anew)
		return 0;
	r = hierarchy_children(planning->podfd, HIERARCHY_CONTAINERS, &names, planning->err);
	for (size_t i = 0; r == 0 && names[i]; i++) {
		autofree char *path = text_format("%s/%s", planning->pod->path, names[i]);

		if (path && !is_defined(planning->pod, names[i]) &&
			is_applied(planning->podfd, names[i]))
			STEP(planning->plan, APPLY_REMOVE, path, "no definition has it", "rm", "-f",
				path);
	}
	return r;
}

int apply_plan_pod(const struct ctl *ctl, const struct apply_pod *pod, bool prune,
	struct json *plan, struct err *err)
{
	cleanup(planning_done) struct planning planning = {
		.ctl = ctl, .pod = pod, .plan = plan, .err = err, .podfd = -1};
	int r;

	pod_network_init(&planning.network);
	r = create_read_spec(pod->options, pod->path, &planning.wanted, err);
	if (r == 0)
		r = trees_check(ctl, &planning.wanted, err);
	if (r < 0)
		return err_wrap(err, r, "options");
	r = ctl_open_pod(ctl, pod->path, &planning.podfd, err);
	if (r == 0)
		r = plan_existing_pod(&planning);
	else if (r == -ENOENT)
		r = plan_new_pod(&planning, "it is not there");
	if (r == 0 && prune)
		r = plan_unwanted(&planning);
	for (size_t i = 0; r == 0 && i < pod->n; i++)
		r = plan_container(&planning, &pod->containers[i]);
	return r;
}

int apply_plan_prune(const struct ctl *ctl, const char *path, struct json *plan, struct err *err)
{
	cleanup(pod_spec_done) struct pod_spec spec = {};
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(ctl, path, &podfd, err);
	if (r == 0)
		r = pod_spec_load(podfd, &spec, err);
	if (r < 0 || !has_label(spec.labels))
		return r == -ENOENT ? 0 : r;
	r = refuse_others(podfd, path, plan, err);
	if (r == 0)
		STEP(plan, APPLY_REMOVE, path, "no definition is of it", "rm", "-f", path);
	return r;
}
