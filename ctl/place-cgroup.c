/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cgroups of containers, see place-cgroup.h. */

#include "place-cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bundle-edit.h"
#include "cgroup.h"
#include "text.h"
#include "unit.h"

#define MOUNT_POINT "/sys/fs/cgroup"
/* So much of the id is in the name of its cgroup: a directory name has 255 bytes. */
#define CGROUP_ID_MAX 200

static int find_unit(const char *pod, const struct pod_state *state, char **ret)
{
	return proc_alive(&state->podd) ? unit_cgroup_of(state->podd.pid, pod, ret) : -ENOENT;
}

int place_find(const char *pod, const struct pod_state *state, char **ret,
	unsigned *ret_controllers, struct err *err)
{
	autofree char *child = NULL;

	if (find_unit(pod, state, ret) < 0)
		return cgroup_find_delegated(ret, ret_controllers, err);
	*ret_controllers = 0;
	child = text_format("%s/" CGROUP_PREFIX, *ret);
	if (child)
		cgroup_controllers(child, ret_controllers);
	return 0;
}

char *place_choose(const char *parent, const char *id)
{
	uint32_t unique = 0;

	if (getrandom(&unique, sizeof(unique), 0) != sizeof(unique))
		return NULL;
	return text_format("%s/" CGROUP_PREFIX "%.*s-%08x", strcmp(parent, "/") == 0 ? "" : parent,
		CGROUP_ID_MAX, id, unique);
}

/* Is its place below @parent? */
static bool is_below(const char *cgroup, const char *parent)
{
	size_t length = strlen(parent);

	return cgroup && strncmp(cgroup, parent, length) == 0 && cgroup[length] == '/';
}

/* Is there a place for it, if it has one at all? */
static bool has_place(const char *cgroup)
{
	autofree char *path = cgroup ? text_format(MOUNT_POINT "%s", cgroup) : NULL;
	char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash)
		return true;
	*slash = '\0';
	return access(path, F_OK) == 0;
}

static void set_cgroup(struct json *section, const void *opaque)
{
	if (opaque)
		json_set_string(section, "cgroupsPath", opaque);
	else
		json_remove(section, "cgroupsPath");
}

/* Takes the name over; NULL: it gets none. */
static int move(int childfd, struct container_spec *spec, char *cgroup, struct err *err)
{
	int r;

	free(spec->cgroup);
	spec->cgroup = cgroup;
	r = bundle_edit_linux(childfd, set_cgroup, cgroup, err);
	return r < 0 ? r : container_spec_save(childfd, spec, err);
}

int place_container(
	const struct pod_running *pod, int childfd, struct container_spec *spec, struct err *err)
{
	autofree char *parent = NULL;
	unsigned controllers = 0;
	char *cgroup;

	if (find_unit(spec->pod, &pod->state, &parent) < 0) {
		if (has_place(spec->cgroup))
			return 0;
		if (cgroup_find_delegated(&parent, &controllers, NULL) < 0)
			return move(childfd, spec, NULL, err);
	} else if (is_below(spec->cgroup, parent)) {
		return 0;
	}
	cgroup = place_choose(parent, spec->id);
	return cgroup ? move(childfd, spec, cgroup, err) : err_oom(err);
}
