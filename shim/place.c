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
#define PID_FILE_MAX 32

static int open_directories(struct place *place, struct err *err)
{
	autoclose int rootfd = -1;
	int r;

	place->pod_dir = hierarchy_pod_dir(place->root, place->pod);
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

int place_run_path(const struct place *place, const char *name, char *ret, size_t size)
{
	int n = snprintf(ret, size, "/proc/%d/fd/%d/%s", (int)place->self.pid, place->runfd, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int place_read_pid(const struct place *place, const char *name, pid_t *ret)
{
	autofree char *text = NULL;
	size_t length;
	uint32_t pid;
	int r;

	r = file_read(place->runfd, name, PID_FILE_MAX, &text, &length, NULL);
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	r = text_to_uint32(text, 2, INT32_MAX, &pid);
	if (r == 0)
		*ret = (pid_t)pid;
	return r;
}

void place_remove_cidfile(const struct place *place)
{
	if (place->spec.cidfile)
		container_remove_own_file(place->spec.cidfile, place->spec.id);
}

void place_remove_pidfile(const struct place *place, pid_t init)
{
	char text[PID_FILE_MAX];

	snprintf(text, sizeof(text), "%d\n", (int)init);
	if (place->spec.pidfile && init > 0)
		container_remove_own_file(place->spec.pidfile, text);
}

/* Its lock is of no more use, unless somebody waits for it or has it: who has it drops it. */
void place_remove_container(const struct place *place)
{
	autoclose int lock = -1;
	struct err err = {};

	hierarchy_lock_child(place->podfd, place->name, 0, &lock, NULL);
	if (hierarchy_remove_child(place->podfd, place->name, &err) < 0)
		place_log(place, "removing the container: %s", err.msg);
	else if (lock >= 0)
		hierarchy_drop_child_lock(place->podfd, place->name);
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
