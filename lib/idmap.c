/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Id mappings: their grammar, defaults and translation; see idmap.h. Writing them is in
 * idmap-write.c. */

#include "idmap.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "text.h"

#define SUBID_FILE_MAX (1024 * 1024)
#define MAP_FILE_MAX (64 * 1024)

static bool ranges_overlap(uint32_t a, uint32_t b, uint32_t size_a, uint32_t size_b)
{
	return a < (uint64_t)b + size_b && b < (uint64_t)a + size_a;
}

int idmap_add(struct idmap *map, uint32_t container, uint32_t host, uint32_t size, struct err *err)
{
	if (size == 0)
		return err_set(err, -EINVAL, "mapping %u:%u:%u: the size must not be 0", container,
			host, size);
	/* 4294967295 is (uid_t)-1, which is no id. */
	if ((uint64_t)container + size > UINT32_MAX || (uint64_t)host + size > UINT32_MAX)
		return err_set(err, -EINVAL, "mapping %u:%u:%u: goes beyond the ids that there are",
			container, host, size);
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];

		if (ranges_overlap(container, e->container, size, e->size) ||
			ranges_overlap(host, e->host, size, e->size))
			return err_set(err, -EINVAL, "mapping %u:%u:%u overlaps with %u:%u:%u",
				container, host, size, e->container, e->host, e->size);
	}
	if (map->n == IDMAP_EXTENTS_MAX)
		return err_set(err, -EINVAL, "more than %d mappings", IDMAP_EXTENTS_MAX);
	map->extents[map->n++] = (struct idmap_extent){container, host, size};
	return 0;
}

int idmap_add_triplet(struct idmap *map, const char *text, struct err *err)
{
	autostrv parts = NULL;
	uint32_t numbers[3];

	if (strv_split(text, ':', &parts) < 0)
		return err_oom(err);
	if (strv_length(parts) != 3 || text[0] == ':' || strstr(text, "::") ||
		text_ends_with(text, ":"))
		return err_set(err, -EINVAL, "mapping '%s': must be container:host:size", text);
	for (int i = 0; i < 3; i++)
		if (text_to_uint32(parts[i], 0, UINT32_MAX, &numbers[i]) < 0)
			return err_set(err, -EINVAL,
				"mapping '%s': '%s' is not a number from 0 to 4294967295", text,
				parts[i]);
	return idmap_add(map, numbers[0], numbers[1], numbers[2], err);
}

static bool has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[capability / 32].effective & (1U << (capability % 32));
}

/* Runtimes tell a user namespace by its map not being "0 0 4294967295", the initial one's
 * (user_namespaces(7)), and do in it without what only the initial one's root may, mknod(2) say.
 * The same map in two pieces is not taken for it. */
static void split_whole_map(struct idmap *map)
{
	struct idmap_extent *first = &map->extents[0];

	if (map->n != 1 || first->size != UINT32_MAX)
		return;
	first->size = 1;
	map->extents[map->n++] = (struct idmap_extent){1, 1, UINT32_MAX - 1};
}

/* The namespace's own ids, each mapped to itself: its map's first column. */
static int own_ids(enum idmap_kind kind, struct idmap *ret, struct err *err)
{
	const char *path = kind == IDMAP_UID ? "/proc/self/uid_map" : "/proc/self/gid_map";
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autofree char *text = NULL;
	struct idmap map = {};
	char *line, *rest;
	size_t length;

	if (fd < 0 || fd_read_all(fd, MAP_FILE_MAX, &text, &length) < 0)
		return err_errno(err, "reading %s", path);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		unsigned inside, outside, size;
		int r;

		/* The kernel wrote this: three numbers. */
		if (sscanf(line, "%u %u %u", &inside, &outside, &size) != 3)
			return err_set(err, -EINVAL, "%s: cannot read '%s'", path, line);
		r = idmap_add(&map, inside, inside, size, err);
		if (r < 0)
			return err_wrap(err, r, "%s", path);
	}
	split_whole_map(&map);
	*ret = map;
	return 0;
}

/* subuid(5): "name-or-uid:start:count". */
static int add_subid_line(struct idmap *map, char *line, const char *user, const char *uid,
	struct err *err)
{
	char *start, *count, *end;
	uint32_t first, size, next = 0;

	start = strchr(line, ':');
	if (!start)
		return 0;
	*start++ = '\0';
	if (!text_equal(line, uid) && !(user && text_equal(line, user)))
		return 0;
	count = strchr(start, ':');
	if (!count)
		return err_set(err, -EINVAL, "must be name:start:count");
	*count++ = '\0';
	for (end = count + strlen(count); end > count && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	if (text_to_uint32(start, 0, UINT32_MAX, &first) < 0 ||
		text_to_uint32(count, 0, UINT32_MAX, &size) < 0)
		return err_set(err, -EINVAL, "start and count must be numbers");
	if (size == 0)
		return 0;
	for (size_t i = 0; i < map->n; i++)
		next = map->extents[i].container + map->extents[i].size;
	return idmap_add(map, next, first, size, err);
}

static int add_subids(struct idmap *map, const char *path, struct err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autofree char *text = NULL;
	const struct passwd *entry;
	char uid[16];
	char *line, *rest;
	unsigned number = 0;
	size_t length;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "opening %s", path);
	r = fd_read_all(fd, SUBID_FILE_MAX, &text, &length);
	if (r < 0)
		return err_set(err, r, "reading %s: %s", path, strerror(-r));
	entry = getpwuid(getuid());
	snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
	for (line = text; line; line = rest) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = '\0';
		number++;
		r = add_subid_line(map, line, entry ? entry->pw_name : NULL, uid, err);
		if (r < 0)
			return err_wrap(err, r, "%s, line %u", path, number);
	}
	return 0;
}

int idmap_default(enum idmap_kind kind, struct idmap *ret, const char **ret_warning,
	struct err *err)
{
	struct idmap map = {};
	int r;

	*ret_warning = NULL;
	if (has_capability(kind == IDMAP_UID ? CAP_SETUID : CAP_SETGID))
		return own_ids(kind, ret, err);
	r = idmap_add(&map, 0, kind == IDMAP_UID ? getuid() : getgid(), 1, err);
	if (r == 0)
		r = add_subids(&map, kind == IDMAP_UID ? "/etc/subuid" : "/etc/subgid", err);
	if (r < 0)
		return r;
	if (map.n == 1)
		*ret_warning = kind == IDMAP_UID
				       ? "no range in /etc/subuid: the pod has one user id only "
					 "(usermod --add-subuids gives one)"
				       : "no range in /etc/subgid: the pod has one group id only "
					 "(usermod --add-subgids gives one)";
	*ret = map;
	return 0;
}

int idmap_include_self(struct idmap *map, enum idmap_kind kind, struct err *err)
{
	uint32_t own = kind == IDMAP_UID ? geteuid() : getegid();
	uint32_t next = 0, found;

	if (idmap_to_container(map, own, &found) == 0)
		return 0;
	for (size_t i = 0; i < map->n; i++)
		if (map->extents[i].container + map->extents[i].size > next)
			next = map->extents[i].container + map->extents[i].size;
	return idmap_add(map, next, own, 1, err);
}

int idmap_to_host(const struct idmap *map, uint32_t container, uint32_t *ret)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];

		if (container >= e->container && container - e->container < e->size) {
			*ret = e->host + (container - e->container);
			return 0;
		}
	}
	return -ENOENT;
}

int idmap_to_container(const struct idmap *map, uint32_t host, uint32_t *ret)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap_extent *e = &map->extents[i];

		if (host >= e->host && host - e->host < e->size) {
			*ret = e->container + (host - e->host);
			return 0;
		}
	}
	return -ENOENT;
}

static struct json *to_json(const struct idmap *map, const char *const keys[3])
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < map->n; i++) {
		struct json *extent = json_new_object();

		json_set_int(extent, keys[0], map->extents[i].container);
		json_set_int(extent, keys[1], map->extents[i].host);
		json_set_int(extent, keys[2], map->extents[i].size);
		json_append(array, extent);
	}
	return array;
}

struct json *idmap_to_json(const struct idmap *map)
{
	static const char *const keys[] = {"container", "host", "size"};

	return to_json(map, keys);
}

struct json *idmap_to_oci(const struct idmap *map)
{
	static const char *const keys[] = {"containerID", "hostID", "size"};

	return to_json(map, keys);
}

int idmap_from_json(const struct json *array, struct idmap *ret, struct err *err)
{
	struct idmap map = {};

	for (size_t i = 0; i < json_length(array); i++) {
		const struct json *extent = json_at(array, i);
		int64_t container, host, size;
		int r;

		r = json_read_int(extent, "container", true, 0, UINT32_MAX, &container, err);
		if (r == 0)
			r = json_read_int(extent, "host", true, 0, UINT32_MAX, &host, err);
		if (r == 0)
			r = json_read_int(extent, "size", true, 0, UINT32_MAX, &size, err);
		if (r == 0)
			r = idmap_add(
				&map, (uint32_t)container, (uint32_t)host, (uint32_t)size, err);
		if (r < 0)
			return r;
	}
	*ret = map;
	return 0;
}
