/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Where the container is: see place.h. */

#include "place.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "file.h"
#include "hierarchy.h"
#include "text.h"

/* podctl asks for a start only after it saw the earlier shim end; what is in the way for a moment
 * is who removes or looks. */
#define LOCK_TIMEOUT_MS 3000

static char *pod_directory(const char *root, const char *pod)
{
	autofree char *path = strdup(root);
	autostrv parts = NULL;

	if (strv_split(pod, '/', &parts) < 0)
		return NULL;
	for (size_t i = 0; path && parts && parts[i]; i++) {
		char *longer = text_format(i ? "%s/children/%s" : "%s/%s", path, parts[i]);

		free(path);
		path = longer;
	}
	return take_ptr(path);
}

static int open_directories(struct place *place, struct err *err)
{
	autoclose int rootfd = -1;
	int r;

	place->pod_dir = pod_directory(place->root, place->pod);
	if (!place->pod_dir)
		return err_oom(err);
	r = hierarchy_open_root(place->root, false, &rootfd, err);
	if (r == 0)
		r = hierarchy_open_pod(rootfd, place->pod, &place->podfd, err);
	if (r == 0)
		r = hierarchy_open_child(place->podfd, place->name, false, &place->childfd, err);
	return r;
}

static int take_lock(struct place *place, struct err *err)
{
	int r = file_lock(place->childfd, CONTAINER_LOCK, LOCK_TIMEOUT_MS, &place->lock, err);

	return r == -EWOULDBLOCK
		       ? err_set(err, -EBUSY, "another podd-shim runs this container already")
		       : r;
}

int place_open(const char *root, const char *pod, const char *name, struct place *ret,
	struct err *err)
{
	cleanup(place_done) struct place place = {.root = root,
		.pod = pod,
		.name = name,
		.podfd = -1,
		.childfd = -1,
		.runfd = -1,
		.lock = -1};
	int r;

	r = name_check_path(pod, err);
	if (r == 0)
		r = name_check_component(name, err);
	if (r == 0)
		r = open_directories(&place, err);
	if (r == 0)
		r = take_lock(&place, err);
	if (r == 0)
		r = container_spec_load(place.childfd, &place.spec, err);
	if (r < 0)
		return r;
	r = proc_self(&place.self);
	if (r < 0)
		return err_set(err, r, "looking at /proc/self: %s", strerror(-r));
	*ret = place;
	place = (struct place){.podfd = -1, .childfd = -1, .runfd = -1, .lock = -1};
	return 0;
}

int place_make_run(struct place *place, struct err *err)
{
	int r;

	cleanup_close(&place->runfd);
	place->runfd = -1;
	r = file_remove_tree(place->childfd, CONTAINER_RUN, err);
	return r < 0 ? r : file_make_dir(place->childfd, CONTAINER_RUN, &place->runfd, err);
}

void place_done(struct place *place)
{
	free(place->pod_dir);
	cleanup_close(&place->podfd);
	cleanup_close(&place->childfd);
	cleanup_close(&place->runfd);
	cleanup_close(&place->lock);
	container_spec_done(&place->spec);
}

void place_log(const struct place *place, const char *format, ...)
{
	char text[ERR_MSG_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* One write(2), since the file is appended to by others too. */
	dprintf(STDERR_FILENO, "podd-shim: %s/%s: %s\n", place->pod, place->name, text);
}
