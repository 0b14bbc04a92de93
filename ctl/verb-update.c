/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl update: other limits for a container, and another restart policy. What runs gets them at
 * once, by its cgroup; the records and the bundle keep them for later runs. Nothing is recorded that
 * the kernel refused.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "file.h"
#include "quantity.h"
#include "text.h"

#include "options.h"
#include "target.h"
#include "verbs.h"

#define CONFIG "config.json"
#define CPU_PERIOD_US 100000

struct update_options {
	const char *memory;
	const char *swap; /* memory and swap together, as podman has it */
	const char *cpus;
	const char *pids;
	const char *restart;
};

/* ---- the command line ---- */

static bool is_unlimited(const char *text)
{
	return strcmp(text, "-1") == 0;
}

static int read_bytes(const char *option, const char *text, uint64_t *ret, struct err *err)
{
	if (is_unlimited(text)) {
		*ret = 0;
		return 0;
	}
	if (quantity_parse_bytes(text, ret) < 0)
		return err_set(err, -EINVAL, "--%s must be a size such as 512m, not \"%s\"", option,
			text);
	return 0;
}

/* The option's value is that of memory and swap together. */
static int read_swap(const char *text, struct container_limits *limits, struct err *err)
{
	uint64_t sum;
	int r;

	r = read_bytes("memory-swap", text, &sum, err);
	if (r < 0)
		return r;
	if (sum == 0) {
		limits->swap = 0;
		return 0;
	}
	if (limits->memory == 0)
		return err_set(err, -EINVAL, "--memory-swap needs a limit of the memory");
	if (sum <= limits->memory)
		return err_set(err, -EINVAL,
			"--memory-swap is memory and swap together: it must be more than the memory");
	limits->swap = sum - limits->memory;
	return 0;
}

static int read_limits(const struct update_options *options, struct container_limits *limits,
	struct err *err)
{
	int r = 0;

	if (options->memory)
		r = read_bytes("memory", options->memory, &limits->memory, err);
	if (r == 0 && options->swap)
		r = read_swap(options->swap, limits, err);
	if (r == 0 && options->cpus && quantity_parse_milli(options->cpus, &limits->cpu_milli) < 0)
		r = err_set(err, -EINVAL, "--cpus must be a number such as 1.5, not \"%s\"",
			options->cpus);
	if (r == 0 && options->pids && is_unlimited(options->pids))
		limits->pids = 0;
	else if (r == 0 && options->pids &&
		 text_to_uint32(options->pids, 0, UINT32_MAX, &limits->pids) < 0)
		r = err_set(err, -EINVAL, "--pids-limit must be a number, not \"%s\"",
			options->pids);
	return r;
}

/* "on-failure:3" */
static int read_restart(const char *text, struct container_spec *spec, struct err *err)
{
	const char *colon = strchr(text, ':');
	autofree char *name = colon ? strndup(text, (size_t)(colon - text)) : strdup(text);
	enum container_restart restart;
	uint32_t max = 0;

	if (!name)
		return err_oom(err);
	if (container_restart_from_name(name, &restart) < 0 ||
		(colon && (restart != RESTART_ON_FAILURE ||
				  text_to_uint32(colon + 1, 0, UINT32_MAX, &max) < 0)))
		return err_set(err, -EINVAL,
			"--restart must be no, on-failure[:N], always or unless-stopped, not \"%s\"",
			text);
	spec->restart = restart;
	spec->restart_max = max;
	return 0;
}

/* ---- what is there ---- */

static unsigned needed_controllers(const struct container_limits *limits,
	const struct container_limits *old)
{
	unsigned needed = 0;

	if (limits->memory != old->memory || limits->swap != old->swap)
		needed |= CGROUP_MEMORY;
	if (limits->cpu_milli != old->cpu_milli)
		needed |= CGROUP_CPU;
	if (limits->pids != old->pids)
		needed |= CGROUP_PIDS;
	return needed;
}

static int check_controllers(const struct container_spec *spec, unsigned needed, struct err *err)
{
	unsigned found = 0;

	if (needed == 0)
		return 0;
	if (!spec->cgroup)
		return err_set(err, -EOPNOTSUPP,
			"it has no cgroup to limit it by: none was delegated when it was created");
	if (cgroup_controllers(spec->cgroup, &found) < 0)
		return err_set(err, -ENOENT, "there is no cgroup %s, nor one to make it in",
			spec->cgroup);
	for (unsigned bit = 1; bit <= CGROUP_PIDS; bit <<= 1)
		if (needed & ~found & bit)
			return err_set(err, -EOPNOTSUPP, "its cgroup lacks the controller %s",
				cgroup_controller_name((enum cgroup_controller)bit));
	return 0;
}

/* Return: the cgroup of what runs; NULL when it does not run. */
static char *running_cgroup(int childfd)
{
	struct container_state state;
	char *path = NULL;

	if (container_state_load(childfd, &state, NULL) < 0)
		return NULL;
	if (proc_alive(&state.init) && state.cgroup)
		path = strdup(state.cgroup);
	container_state_done(&state);
	return path;
}

/* ---- the bundle ---- */

/* The object of that name, made where there is none. */
static struct json *inside(struct json *object, const char *key)
{
	struct json *found = json_get(object, key);

	return json_type(found) == JSON_OBJECT ? found : json_set_object(object, key);
}

/* OCI runtime specification, "Control groups": in "memory", swap is memory and swap together. */
static void set_resources(struct json *config, const struct container_limits *limits)
{
	struct json *resources = inside(inside(config, "linux"), "resources");
	struct json *memory, *cpu;

	json_remove(resources, "memory");
	json_remove(resources, "cpu");
	json_remove(resources, "pids");
	if (limits->memory) {
		memory = json_set_object(resources, "memory");
		json_set_int(memory, "limit", (int64_t)limits->memory);
		if (limits->swap)
			json_set_int(memory, "swap", (int64_t)(limits->memory + limits->swap));
	}
	if (limits->cpu_milli) {
		cpu = json_set_object(resources, "cpu");
		json_set_int(cpu, "quota", (int64_t)limits->cpu_milli * (CPU_PERIOD_US / 1000));
		json_set_int(cpu, "period", CPU_PERIOD_US);
	}
	if (limits->pids)
		json_set_int(json_set_object(resources, "pids"), "limit", limits->pids);
}

static int update_bundle(int childfd, const struct container_limits *limits, struct err *err)
{
	autoptr(json) config = NULL;
	autofree char *text = NULL;
	autofree char *written = NULL;
	autoclose int bundle = -1;
	size_t length;
	int r;

	r = file_open_dir(childfd, CONTAINER_BUNDLE, &bundle, err);
	if (r == 0)
		r = file_read(bundle, CONFIG, JSON_BYTES_MAX, &text, &length, err);
	if (r == 0)
		r = json_parse(CONFIG, text, length, &config, err);
	if (r < 0)
		return r;
	set_resources(config, limits);
	r = json_write(config, true, &written, &length);
	if (r < 0)
		return err_set(err, r, "%s: %s", CONFIG, strerror(-r));
	return file_write(bundle, CONFIG, written, length, 0600, err);
}

/* ---- the verb ---- */

static int apply(int childfd, struct container_spec *spec, const struct container_limits *old,
	struct err *err)
{
	autofree char *cgroup = running_cgroup(childfd);
	unsigned needed = needed_controllers(&spec->limits, old);
	int r;

	r = check_controllers(spec, needed, err);
	if (r == 0 && needed && cgroup)
		r = cgroup_set_limits(cgroup, &spec->limits, old, err);
	if (r == 0 && needed)
		r = update_bundle(childfd, &spec->limits, err);
	return r < 0 ? r : container_spec_save(childfd, spec, err);
}

static int update(const struct target *target, const struct update_options *options,
	struct err *err)
{
	struct container_limits old;
	struct container_spec spec;
	int r;

	r = container_spec_load(target->childfd, &spec, err);
	if (r < 0)
		return r;
	old = spec.limits;
	r = read_limits(options, &spec.limits, err);
	if (r == 0 && options->restart)
		r = read_restart(options->restart, &spec, err);
	if (r == 0 && spec.auto_remove && spec.restart != RESTART_NO)
		r = err_set(err, -EINVAL, "what is removed at its end cannot be restarted");
	if (r == 0)
		r = apply(target->childfd, &spec, &old, err);
	container_spec_done(&spec);
	return r;
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct update_options values = {};
	const struct option options[] = {
		{.name = "memory", .letter = 'm', .argument = "SIZE", .text = &values.memory,
			.help = "most memory, such as 512m; -1: no limit"},
		{.name = "memory-swap", .argument = "SIZE", .text = &values.swap,
			.help = "most memory and swap together; -1: no limit of swap"},
		{.name = "cpus", .argument = "NUMBER", .text = &values.cpus,
			.help = "CPUs, such as 1.5; 0: no limit"},
		{.name = "pids-limit", .argument = "NUMBER", .text = &values.pids,
			.help = "most processes and threads; -1 or 0: no limit"},
		{.name = "restart", .argument = "POLICY", .text = &values.restart,
			.help = "no, on-failure[:N], always or unless-stopped"},
		{}};
	struct err err = {};
	size_t n;
	int status = options_parse(&verb_update, options, argc, argv, &n);
	int r;

	if (status >= 0)
		return status;
	if (!values.memory && !values.swap && !values.cpus && !values.pids && !values.restart)
		return ctl_usage_error(&verb_update, "there is nothing to update");
	r = target_open(ctl, argv[0], TARGET_CONTAINER, &target, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	r = update(&target, &values, &err);
	if (r < 0)
		return ctl_fail(err_wrap(&err, r, "container %s", target.path), &err);
	printf("%s\n", target.path);
	return CTL_OK;
}

const struct ctl_verb verb_update = {
	.name = "update",
	.operands = "PATH",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "Change the limits and the restart policy of a container",
	.details = "What runs gets the limits at once. A container without a cgroup, or whose cgroup lacks\n"
		   "the controller, cannot be limited.",
	.example = "podctl update --memory 1g --cpus 1.5 net0/web",
	.run = run,
};
