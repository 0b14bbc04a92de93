/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thing done to several containers, see each.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#include "each.h"

int each_phase(const struct target *target, enum container_phase *ret, struct err *err)
{
	struct container_state state;
	int r;

	r = container_state_load(target->childfd, &state, err);
	if (r < 0)
		return err_wrap(err, r, "container %s", target->path);
	*ret = container_phase_now(&state);
	container_state_done(&state);
	return 0;
}

bool each_is_running(const struct target *target)
{
	enum container_phase phase = CONTAINER_EXITED;

	return each_phase(target, &phase, NULL) == 0 && phase != CONTAINER_CREATED &&
	       phase != CONTAINER_EXITED;
}

static int add_path(char ***paths, const char *pod, const char *name, struct err *err)
{
	autofree char *path = text_format("%s/%s", pod, name);

	return path && strv_add(paths, path) == 0 ? 0 : err_oom(err);
}

/* What one operand names: itself, or the containers of a pod. */
static int add_operand(const struct ctl *ctl, const char *operand, char ***paths, struct err *err)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	autostrv names = NULL;
	int r;

	r = target_open(ctl, operand, TARGET_ANY, &target, err);
	if (r < 0)
		return r;
	if (!target.is_pod)
		return strv_add(paths, target.path) < 0 ? err_oom(err) : 0;
	r = target_containers(target.podfd, &names, err);
	if (r == 0 && !names[0])
		r = err_set(err, -EINVAL, "pod %s has no container that podctl made", target.path);
	for (size_t i = 0; r == 0 && names[i]; i++)
		r = add_path(paths, target.path, names[i], err);
	return r;
}

int each_expand(const struct ctl *ctl, char *const *paths, bool all, char ***ret, struct err *err)
{
	autostrv expanded = NULL;
	int r = 0;

	if (all)
		return target_all_containers(ctl, ret, err);
	expanded = calloc(1, sizeof(*expanded));
	if (!expanded)
		return err_oom(err);
	for (size_t i = 0; r == 0 && paths[i]; i++)
		r = add_operand(ctl, paths[i], &expanded, err);
	if (r < 0)
		return r;
	*ret = take_ptr(expanded);
	return 0;
}

/* @chosen: it was not named itself. */
static int act(const struct ctl *ctl, const struct each *each, const char *path, bool chosen)
{
	cleanup(target_done) struct target target = {.podfd = -1, .childfd = -1};
	struct err err = {};
	int r;

	r = target_open(ctl, path, TARGET_CONTAINER, &target, &err);
	/* One that is removed while we look need not be found. */
	if (r == -ENOENT && chosen)
		return CTL_OK;
	if (r == 0 && chosen && each->running_only && !each_is_running(&target))
		return CTL_OK;
	if (r == 0)
		r = each->action(ctl, &target, each->userdata, &err);
	/* Of all, those that are so already are fine. */
	if (r == -EALREADY && chosen)
		return CTL_OK;
	if (r < 0)
		return ctl_fail(r, &err);
	if (!each->quiet)
		printf("%s\n", target.path);
	return CTL_OK;
}

static int act_on_operand(const struct ctl *ctl, const struct each *each, const char *operand)
{
	autostrv paths = NULL;
	struct err err = {};
	int status = CTL_OK;
	bool is_pod;
	int r;

	r = add_operand(ctl, operand, &paths, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	is_pod = paths[1] || strcmp(paths[0], operand) != 0;
	for (size_t i = 0; paths[i]; i++) {
		int one = act(ctl, each, paths[i], is_pod);

		status = one ? one : status;
	}
	return status;
}

static int act_on_all(const struct ctl *ctl, const struct each *each)
{
	autostrv paths = NULL;
	struct err err = {};
	int status = CTL_OK;
	int r;

	r = target_all_containers(ctl, &paths, &err);
	if (r < 0)
		return ctl_fail(r, &err);
	for (size_t i = 0; paths[i]; i++) {
		int one = act(ctl, each, paths[i], true);

		status = one ? one : status;
	}
	return status;
}

int each_run(const struct ctl *ctl, const struct each *each)
{
	int status = CTL_OK;

	if (each->all == (each->paths[0] != NULL))
		return ctl_usage_error(each->verb,
			each->all ? "--all goes without PATH" : "PATH is missing");
	if (each->all)
		return act_on_all(ctl, each);
	for (size_t i = 0; each->paths[i]; i++) {
		int one = act_on_operand(ctl, each, each->paths[i]);

		status = one ? one : status;
	}
	return status;
}
