/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The mounts of a container: the usual ones (or those of the bundle that it is made from, fitted to
 * the pod), then files and volumes, those deeper in the tree later. What somebody asked for
 * replaces what would be there otherwise.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oci-container-internal.h"
#include "text.h"

#define OPTIONS_N 8
#define FILES_N 4
/* Group of terminals, tty(4). */
#define GID_TTY 5

static const struct standard_mount {
	const char *destination;
	const char *type;
	const char *source;
	const char *options[OPTIONS_N];
} standard_mounts[] = {
	{"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
	{"/dev", "tmpfs", "tmpfs",
		{"nosuid", "noexec", "strictatime", "mode=755", "size=65536k"}},
	{"/dev/pts", "devpts", "devpts",
		{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
	{"/sys/fs/cgroup", "cgroup", "cgroup",
		{"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

/* ---- an array of mounts ---- */

static const char *destination_at(const struct json *mounts, size_t index)
{
	return json_string(json_get(json_at(mounts, index), "destination"));
}

static const char *type_at(const struct json *mounts, size_t index)
{
	return json_string(json_get(json_at(mounts, index), "type"));
}

static bool has_destination(const struct json *mounts, const char *destination)
{
	for (size_t i = 0; i < json_length(mounts); i++)
		if (text_equal(destination_at(mounts, i), destination))
			return true;
	return false;
}

/* Removes what is mounted there and below it. */
static void remove_destination(struct json *mounts, const char *destination)
{
	for (size_t i = 0; i < json_length(mounts);) {
		const char *found = destination_at(mounts, i);

		if (text_equal(found, destination) || (found && oci_is_under(found, destination)))
			json_remove_at(mounts, i);
		else
			i++;
	}
}

static struct json *new_mount(const char *destination, const char *type, const char *source,
	const char *const *options)
{
	struct json *mount = json_new_object();

	json_set_string(mount, "destination", destination);
	json_set_string(mount, "type", type);
	json_set_string(mount, "source", source);
	oci_set_strings(mount, "options", options);
	return mount;
}

/* ---- the usual ones ---- */

bool oci_has_own_network(const struct oci_container *container)
{
	if (container->spec->net == CONTAINER_NET_POD)
		return container->pod->net != POD_NET_HOST;
	return container->spec->net != CONTAINER_NET_HOST;
}

/* Mounting devpts fails with a group that the pod does not have. */
static void fit_devpts(struct json *mount, const struct idmap *gids)
{
	struct json *options = json_get(mount, "options");

	for (size_t i = 0; i < json_length(options);) {
		const char *option = json_string(json_at(options, i));
		uint32_t gid, host;

		if (!option || !text_starts_with(option, "gid=") ||
			(gids && text_to_uint32(option + 4, 0, UINT32_MAX, &gid) == 0 &&
				idmap_to_host(gids, gid, &host) == 0))
			i++;
		else
			json_remove_at(options, i);
	}
}

/* A sysfs shows the network namespace that it is mounted in: without the right to that namespace it
 * can only be taken from the host. */
static struct json *new_host_sys(void)
{
	static const char *const options[] = {
		"rbind", "ro", "nosuid", "noexec", "nodev", "rprivate", NULL};

	return new_mount("/sys", "bind", "/sys", options);
}

static struct json *new_shm(const struct oci_container *container)
{
	static const char *const shared[] = {
		"bind", "rw", "nosuid", "noexec", "nodev", "rprivate", NULL};
	autofree char *size = NULL;
	const char *own[] = {"nosuid", "noexec", "nodev", "mode=1777", NULL, NULL};

	if (container->shm_size == 0)
		return new_mount("/dev/shm", "bind", "/dev/shm", shared);
	size = text_format("size=%" PRIu64, container->shm_size);
	own[4] = size;
	return new_mount("/dev/shm", "tmpfs", "shm", own);
}

static struct json *new_standard(const struct standard_mount *standard,
	const struct oci_container *container)
{
	struct json *mount;

	if (strcmp(standard->type, "sysfs") == 0 && !oci_has_own_network(container))
		return new_host_sys();
	mount = new_mount(
		standard->destination, standard->type, standard->source, standard->options);
	if (strcmp(standard->type, "devpts") == 0)
		fit_devpts(mount, container->gids);
	return mount;
}

static void add_standard(struct json *mounts, const struct oci_container *container)
{
	for (size_t i = 0; i < sizeof(standard_mounts) / sizeof(standard_mounts[0]); i++) {
		const struct standard_mount *standard = &standard_mounts[i];

		if (strcmp(standard->type, "cgroup") == 0 && !container->cgroup2)
			continue;
		json_append(mounts, new_standard(standard, container));
		if (strcmp(standard->type, "devpts") == 0)
			json_append(mounts, new_shm(container));
	}
}

/* ---- those of a base ---- */

static bool is_bind(const struct json *mount)
{
	const struct json *options = json_get(mount, "options");

	if (text_equal(json_string(json_get(mount, "type")), "bind"))
		return true;
	for (size_t i = 0; i < json_length(options); i++) {
		const char *option = json_string(json_at(options, i));

		if (text_equal(option, "bind") || text_equal(option, "rbind"))
			return true;
	}
	return false;
}

/* A relative source is one of the bundle's (OCI runtime specification, config.md, "Mounts"). */
static void make_absolute(struct json *mount, const char *bundle)
{
	const char *source = json_string(json_get(mount, "source"));
	autofree char *absolute = NULL;

	if (!bundle || !source || source[0] == '/' || !is_bind(mount))
		return;
	absolute = text_format("%s/%s", bundle, source);
	json_set_string(mount, "source", absolute);
}

static int check_mount(const struct json *mount, size_t index, struct err *err)
{
	static const char *const texts[] = {"destination", "type", "source"};
	const struct json *options = json_get(mount, "options");

	if (json_type(mount) != JSON_OBJECT)
		return err_set(err, -EINVAL, OCI_CONFIG_SOURCE ": mounts[%zu] must be an object",
			index);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct json *value = json_get(mount, texts[i]);

		if (json_type(value) != JSON_STRING && (i == 0 || json_type(value) != JSON_NULL))
			return err_set(err, -EINVAL,
				OCI_CONFIG_SOURCE ": mounts[%zu].%s must be a string", index,
				texts[i]);
	}
	if (json_type(options) != JSON_ARRAY && json_type(options) != JSON_NULL)
		return err_set(err, -EINVAL,
			OCI_CONFIG_SOURCE ": mounts[%zu].options must be an array", index);
	return 0;
}

/* What was the pod's in an earlier life of the bundle, and what cannot be mounted here. */
static bool is_unwanted(const struct json *mounts, size_t index,
	const struct oci_container *container)
{
	const char *source = json_string(json_get(json_at(mounts, index), "source"));

	if (text_equal(destination_at(mounts, index), "/dev/shm"))
		return true;
	if (source && oci_is_under(source, container->root))
		return true;
	return text_equal(type_at(mounts, index), "cgroup") && !container->cgroup2;
}

static int fit_base(struct json *mounts, const struct oci_container *container, struct err *err)
{
	bool host_sys = false;
	size_t i = 0;

	while (i < json_length(mounts)) {
		int r = check_mount(json_at(mounts, i), i, err);

		if (r < 0)
			return r;
		if (is_unwanted(mounts, i, container)) {
			json_remove_at(mounts, i);
			continue;
		}
		make_absolute(json_at(mounts, i), container->spec->bundle);
		if (text_equal(type_at(mounts, i), "devpts"))
			fit_devpts(json_at(mounts, i), container->gids);
		host_sys |= text_equal(type_at(mounts, i), "sysfs") &&
			    !oci_has_own_network(container);
		i++;
	}
	if (host_sys) {
		remove_destination(mounts, "/sys");
		json_append(mounts, new_host_sys());
	}
	if (has_destination(mounts, "/dev"))
		json_append(mounts, new_shm(container));
	return 0;
}

/* ---- files and volumes ---- */

/* One that is added, with where it goes in the order. */
struct added_mount {
	char *destination;
	size_t depth;
	size_t place;
	struct json *mount;
	bool asked_for;
};

struct added_mounts {
	struct added_mount *entries;
	size_t n;
};

static void added_mounts_done(struct added_mounts *added)
{
	for (size_t i = 0; i < added->n; i++) {
		free(added->entries[i].destination);
		json_free(added->entries[i].mount);
	}
	free(added->entries);
}

/* Takes over @mount. */
static int add(struct added_mounts *added, const char *destination, struct json *mount,
	bool asked_for, struct err *err)
{
	struct added_mount *entry = &added->entries[added->n];

	*entry = (struct added_mount){
		.destination = strdup(destination),
		.place = added->n,
		.mount = mount,
		.asked_for = asked_for,
	};
	added->n++;
	for (const char *c = destination; *c; c++)
		entry->depth += *c == '/';
	return entry->destination && mount ? 0 : err_oom(err);
}

static int add_file(struct added_mounts *added, const char *destination, char *source,
	struct err *err)
{
	autofree char *owned = source;
	struct json *mount;

	if (!owned)
		return err_oom(err);
	mount = json_new_object();
	oci_write_file_mount(mount, destination, owned);
	return add(added, destination, mount, false, err);
}

/* Names and name servers: the pod's, or with the host's network the host's. */
static int add_files(struct added_mounts *added, const struct oci_container *container,
	struct err *err)
{
	bool host = container->spec->net == CONTAINER_NET_HOST;
	int r;

	r = add_file(added, "/etc/hosts",
		host ? strdup("/etc/hosts") : text_format("%s/etc/hosts", container->pod_dir), err);
	if (r == 0)
		r = add_file(added, "/etc/resolv.conf",
			host ? text_format("%s/" OCI_RESOLV_NAME, container->child_dir)
			     : text_format("%s/etc/resolv.conf", container->pod_dir),
			err);
	if (r == 0 && !(container->share & OCI_SHARE_UTS))
		r = add_file(added, "/etc/hostname",
			text_format("%s/" OCI_HOSTNAME_NAME, container->child_dir), err);
	return r;
}

/* An init program runs from there; the other options would be in its way. */
static int add_init(struct added_mounts *added, const char *init, struct err *err)
{
	static const char *const options[] = {"bind", "ro", "nosuid", "nodev", "rprivate", NULL};

	return add(added, OCI_INIT_PATH, new_mount(OCI_INIT_PATH, "bind", init, options), false,
		err);
}

static int add_volume(struct added_mounts *added, const struct volume *volume, struct err *err)
{
	bool tmpfs = volume->type == VOLUME_TMPFS;

	for (size_t i = 0; i < added->n; i++)
		if (added->entries[i].asked_for &&
			strcmp(added->entries[i].destination, volume->target) == 0)
			return err_set(err, -EINVAL, "two mounts for %s were asked for",
				volume->target);
	return add(added, volume->target,
		new_mount(volume->target, tmpfs ? "tmpfs" : "bind",
			tmpfs ? "tmpfs" : volume->source,
			(const char *const *)volume->options),
		true, err);
}

static int compare(const void *a, const void *b)
{
	const struct added_mount *one = a, *other = b;

	if (one->depth != other->depth)
		return one->depth < other->depth ? -1 : 1;
	return one->place < other->place ? -1 : 1;
}

/* True when somebody asked for a mount at just that place. */
static bool is_replaced(const struct added_mounts *added, const struct added_mount *entry)
{
	for (size_t i = 0; i < added->n; i++)
		if (added->entries[i].asked_for && !entry->asked_for &&
			strcmp(added->entries[i].destination, entry->destination) == 0)
			return true;
	return false;
}

static void append(struct json *mounts, struct added_mounts *added)
{
	qsort(added->entries, added->n, sizeof(added->entries[0]), compare);
	/* What the base has there gives way first, as a deeper one may come earlier in it. */
	for (size_t i = 0; i < added->n; i++)
		if (added->entries[i].asked_for)
			remove_destination(mounts, added->entries[i].destination);
	for (size_t i = 0; i < added->n; i++) {
		struct added_mount *entry = &added->entries[i];

		if (is_replaced(added, entry) || has_destination(mounts, entry->destination))
			continue;
		json_append(mounts, take_ptr(entry->mount));
	}
}

int oci_container_mounts(struct json *config, const struct oci_container *container,
	struct err *err)
{
	cleanup(added_mounts_done) struct added_mounts added = {0};
	struct json *mounts = NULL;
	int r;

	r = oci_need_member(config, "mounts", "mounts", JSON_ARRAY, &mounts, err);
	if (r == 0 && container->base)
		r = fit_base(mounts, container, err);
	else if (r == 0)
		add_standard(mounts, container);
	if (r < 0)
		return r;
	added.entries = calloc(container->n_volumes + FILES_N, sizeof(*added.entries));
	if (!added.entries)
		return err_oom(err);
	r = add_files(&added, container, err);
	if (r == 0 && container->init)
		r = add_init(&added, container->init, err);
	for (size_t i = 0; r == 0 && i < container->n_volumes; i++)
		r = add_volume(&added, &container->volumes[i], err);
	if (r == 0)
		append(mounts, &added);
	return r;
}
