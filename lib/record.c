/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the records have in common; see record.h and record-internal.h. */

#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "file.h"
#include "record-internal.h"
#include "text.h"

void record_time_now(char ret[RECORD_TIME_SIZE])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(ret, RECORD_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, RECORD_TIME_SIZE - n, ".%06ldZ", now.tv_nsec / 1000);
}

int record_load(int dirfd, const char *name, struct json **ret, struct err *err)
{
	autofree char *text = NULL;
	autoptr(json) document = NULL;
	int64_t version = 0;
	size_t length;
	int r;

	r = file_read(dirfd, name, JSON_BYTES_MAX, &text, &length, err);
	if (r == 0)
		r = json_parse(name, text, length, &document, err);
	if (r < 0)
		return r;
	r = json_read_int(document, "version", true, 1, INT32_MAX, &version, err);
	if (r < 0)
		return err_wrap(err, r, "%s", name);
	if (version > RECORD_VERSION)
		return err_set(err, -EINVAL,
			"%s has version %" PRId64
			", and this podd knows only up to %d: it was written "
			"by a newer podd, which has to be installed again",
			name, version, RECORD_VERSION);
	*ret = take_ptr(document);
	return 0;
}

int record_save(int dirfd, const char *name, struct json *document, struct err *err)
{
	autoptr(json) owned = document;
	autoptr(json) again = NULL;
	autofree char *text = NULL;
	size_t length;
	int r;

	r = json_write(owned, true, &text, &length);
	if (r < 0)
		return err_set(err, r, "%s: %s", name, strerror(-r));
	/* What is too large or too deep to be read again must fail now, before it is relied on. */
	r = json_parse(name, text, length, &again, err);
	if (r < 0)
		return r;
	return file_write(dirfd, name, text, length, 0600, err);
}

struct json *record_new(void)
{
	struct json *document = json_new_object();

	json_set_int(document, "version", RECORD_VERSION);
	return document;
}

bool record_is_of_this_boot(const char *boot_id)
{
	char now[PROC_BOOT_ID_SIZE];

	return proc_boot_id(now) < 0 || text_equal(now, boot_id);
}

int record_read_text(const struct json *object, const char *key, bool required, char *target,
	size_t size, struct err *err)
{
	const char *text = NULL;
	int r;

	r = json_read_string(object, key, required, &text, err);
	if (r < 0)
		return r;
	target[0] = '\0';
	if (text && text_copy(target, size, text) < 0)
		return err_set(err, -EINVAL, "'%s' is longer than %zu bytes", key, size - 1);
	return 0;
}

int record_read_name(const struct json *object, const char *key,
	int (*check)(const char *name, struct err *err), char *target, size_t size,
	struct err *err)
{
	int r;

	r = record_read_text(object, key, true, target, size, err);
	if (r < 0)
		return r;
	r = check(target, err);
	return r < 0 ? err_wrap(err, r, "'%s'", key) : 0;
}

int record_read_string(const struct json *object, const char *key, bool required, char **target,
	struct err *err)
{
	const char *text = NULL;
	char *copy = NULL;
	int r;

	r = json_read_string(object, key, required, &text, err);
	if (r < 0)
		return r;
	if (text && !(copy = strdup(text)))
		return err_oom(err);
	free(*target);
	*target = copy;
	return 0;
}

int record_read_strv(const struct json *object, const char *key, bool required, size_t max,
	char ***target, struct err *err)
{
	const struct json *array = NULL;
	char **strv = NULL;
	int r;

	r = json_read_array(object, key, required, &array, err);
	if (r < 0)
		return r;
	if (json_length(array) > max)
		return err_set(err, -EINVAL, "'%s' has more than %zu members", key, max);
	r = json_read_strv(object, key, required, &strv, err);
	if (r < 0)
		return r;
	if (strv) {
		strv_free(*target);
		*target = strv;
	}
	return 0;
}

int record_find_name(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(names[i], name))
			return (int)i;
	return -EINVAL;
}

int record_read_enum(const struct json *object, const char *key, const char *const *names, size_t n,
	unsigned *ret, struct err *err)
{
	const char *name = NULL;
	int r;

	r = json_read_string(object, key, true, &name, err);
	if (r < 0)
		return r;
	r = record_find_name(names, n, name);
	if (r < 0)
		return err_set(err, r, "'%s' is '%s', which is not known", key, name);
	*ret = (unsigned)r;
	return 0;
}

int record_read_labels(const struct json *object, const char *key, const char *what,
	struct json **target, struct err *err)
{
	const struct json *labels = NULL;
	struct json *copy;
	int r;

	r = json_read_object(object, key, true, &labels, err);
	if (r < 0)
		return r;
	if (json_length(labels) > RECORD_LABELS_MAX)
		return err_set(err, -EINVAL, "more than %d %ss", RECORD_LABELS_MAX, what);
	for (size_t i = 0; i < json_length(labels); i++)
		if (!json_string(json_at(labels, i)))
			return err_set(err, -EINVAL, "%s '%s' must be a string", what,
				json_key_at(labels, i));
	copy = json_copy(labels);
	if (!copy)
		return err_oom(err);
	json_free(*target);
	*target = copy;
	return 0;
}

void record_set_proc(struct json *object, const char *key, const struct proc_id *id)
{
	struct json *process;

	if (id->pid <= 0)
		return;
	process = json_set_object(object, key);
	json_set_int(process, "pid", id->pid);
	json_set_int(process, "startTime", (int64_t)id->start_time);
}

int record_read_proc(const struct json *object, const char *key, bool required, struct proc_id *ret,
	struct err *err)
{
	const struct json *process = NULL;
	int64_t pid, start;
	int r;

	r = json_read_object(object, key, required, &process, err);
	if (r < 0 || !process)
		return r;
	r = json_read_int(process, "pid", true, 1, INT32_MAX, &pid, err);
	if (r == 0)
		r = json_read_int(process, "startTime", true, 0, INT64_MAX, &start, err);
	if (r < 0)
		return err_wrap(err, r, "'%s'", key);
	ret->pid = (pid_t)pid;
	ret->start_time = (uint64_t)start;
	return 0;
}

void record_set_ns(struct json *object, const char *key, const struct ns_id *id)
{
	struct json *ns;

	if (id->inode == 0)
		return;
	ns = json_set_object(object, key);
	json_set_int(ns, "device", (int64_t)id->device);
	json_set_int(ns, "inode", (int64_t)id->inode);
}

int record_read_ns(const struct json *object, const char *key, bool required, struct ns_id *ret,
	struct err *err)
{
	const struct json *ns = NULL;
	int64_t device, inode;
	int r;

	r = json_read_object(object, key, required, &ns, err);
	if (r < 0 || !ns)
		return r;
	r = json_read_int(ns, "device", true, 0, INT64_MAX, &device, err);
	if (r == 0)
		r = json_read_int(ns, "inode", true, 1, INT64_MAX, &inode, err);
	if (r < 0)
		return err_wrap(err, r, "'%s'", key);
	ret->device = (uint64_t)device;
	ret->inode = (uint64_t)inode;
	return 0;
}

int record_read_idmap(const struct json *object, const char *key, struct idmap *ret,
	struct err *err)
{
	const struct json *array = NULL;
	int r;

	r = json_read_array(object, key, false, &array, err);
	if (r < 0 || !array)
		return r;
	r = idmap_from_json(array, ret, err);
	return r < 0 ? err_wrap(err, r, "'%s'", key) : 0;
}
