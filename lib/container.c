/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * container.json: what a container shall be. Written by podctl only; see container.h.
 */

#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "egress.h"
#include "record-internal.h"
#include "text.h"

#define HEALTH_INTERVAL_S 30
#define HEALTH_TIMEOUT_S 30
#define HEALTH_RETRIES 3
#define HEALTH_COMMAND_MAX 4096
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const restart_names[] = {
	[RESTART_NO] = "no",
	[RESTART_ON_FAILURE] = "on-failure",
	[RESTART_ALWAYS] = "always",
	[RESTART_UNLESS_STOPPED] = "unless-stopped",
};

static const char *const log_names[] = {
	[LOG_K8S_FILE] = "k8s-file",
	[LOG_JSON_FILE] = "json-file",
	[LOG_JOURNALD] = "journald",
	[LOG_NONE] = "none",
};

static const char *const net_names[] = {
	[CONTAINER_NET_POD] = "pod",
	[CONTAINER_NET_CNI] = "cni",
	[CONTAINER_NET_NONE] = "none",
	[CONTAINER_NET_HOST] = "host",
};

const char *container_restart_name(enum container_restart restart)
{
	return restart_names[restart];
}

int container_restart_from_name(const char *name, enum container_restart *ret)
{
	int r = record_find_name(restart_names, COUNT_OF(restart_names), name);

	if (r < 0)
		return r;
	*ret = (enum container_restart)r;
	return 0;
}

const char *container_log_name(enum container_log log)
{
	return log_names[log];
}

int container_log_from_name(const char *name, enum container_log *ret)
{
	int r = record_find_name(log_names, COUNT_OF(log_names), name);

	if (r < 0)
		return r;
	*ret = (enum container_log)r;
	return 0;
}

const char *container_net_name(enum container_net net)
{
	return net_names[net];
}

int container_net_from_name(const char *name, enum container_net *ret)
{
	int r = record_find_name(net_names, COUNT_OF(net_names), name);

	if (r < 0)
		return r;
	*ret = (enum container_net)r;
	return 0;
}

int container_spec_init(struct container_spec *spec, struct err *err)
{
	memset(spec, 0, sizeof(*spec));
	record_time_now(spec->created);
	spec->stop_signal = SIGTERM;
	spec->stop_timeout_s = CONTAINER_STOP_SECONDS;
	spec->health.interval_s = HEALTH_INTERVAL_S;
	spec->health.timeout_s = HEALTH_TIMEOUT_S;
	spec->health.retries = HEALTH_RETRIES;
	spec->log_max_files = 1;
	spec->limits.swap = CONTAINER_SWAP_UNLIMITED;
	spec->labels = json_new_object();
	spec->annotations = json_new_object();
	if (!spec->labels || !spec->annotations) {
		container_spec_done(spec);
		return err_oom(err);
	}
	return 0;
}

void container_spec_done(struct container_spec *spec)
{
	free(spec->runtime);
	free(spec->rootfs);
	free(spec->bundle);
	strv_free(spec->command);
	strv_free(spec->overlays);
	strv_free(spec->chown);
	strv_free(spec->networks);
	strv_free(spec->publish);
	strv_free(spec->egress);
	free(spec->cgroup);
	strv_free(spec->health.command);
	free(spec->log_path);
	free(spec->pidfile);
	free(spec->cidfile);
	json_free(spec->labels);
	json_free(spec->annotations);
	memset(spec, 0, sizeof(*spec));
}

/* ---- writing ---- */

static void set_strv(struct json *object, const char *key, char *const *strv)
{
	if (strv)
		json_set_strv(object, key, strv);
}

/* What is larger than any machine is as good as the largest that can be read again. */
static void set_bytes(struct json *object, const char *key, uint64_t bytes)
{
	json_set_int(object, key, bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes);
}

static void set_limits(struct json *document, const struct container_limits *limits)
{
	struct json *object = json_set_object(document, "limits");

	set_bytes(object, "memory", limits->memory);
	json_set_int(object, "swap", limits->swap);
	json_set_int(object, "cpuMilli", limits->cpu_milli);
	json_set_int(object, "pids", limits->pids);
}

static void set_health(struct json *document, const struct container_health *health)
{
	struct json *object;

	if (!health->command)
		return;
	object = json_set_object(document, "health");
	json_set_strv(object, "command", health->command);
	json_set_int(object, "interval", health->interval_s);
	json_set_int(object, "timeout", health->timeout_s);
	json_set_int(object, "retries", health->retries);
	json_set_int(object, "startPeriod", health->start_period_s);
}

static void set_lasting(struct json *document, const struct container_spec *spec)
{
	json_set_string(document, "restart", container_restart_name(spec->restart));
	json_set_int(document, "restartMax", spec->restart_max);
	json_set_int(document, "stopSignal", spec->stop_signal);
	json_set_int(document, "stopTimeout", spec->stop_timeout_s);
	set_limits(document, &spec->limits);
	json_set_string(document, "cgroup", spec->cgroup);
	set_health(document, &spec->health);
	json_set_string(document, "log", container_log_name(spec->log));
	json_set_string(document, "logPath", spec->log_path);
	set_bytes(document, "logMaxSize", spec->log_max_size);
	json_set_int(document, "logMaxFiles", spec->log_max_files);
}

struct json *container_spec_to_json(const struct container_spec *spec)
{
	struct json *document = record_new();
	char *none[] = {NULL};

	json_set_string(document, "pod", spec->pod);
	json_set_string(document, "name", spec->name);
	json_set_string(document, "id", spec->id);
	json_set_string(document, "created", spec->created);
	json_set_string(document, "runtime", spec->runtime);
	json_set_string(document, "rootfs", spec->rootfs);
	json_set_string(document, "bundle", spec->bundle);
	json_set_strv(document, "command", spec->command ? spec->command : none);
	json_set_bool(document, "terminal", spec->terminal);
	json_set_bool(document, "interactive", spec->interactive);
	json_set_bool(document, "autoRemove", spec->auto_remove);
	json_set_bool(document, "keepGroups", spec->keep_groups);
	json_set_bool(document, "sharePid", spec->share_pid);
	set_strv(document, "overlays", spec->overlays);
	set_strv(document, "chown", spec->chown);
	json_set_string(document, "net", container_net_name(spec->net));
	set_strv(document, "networks", spec->networks);
	set_strv(document, "publish", spec->publish);
	set_strv(document, "egress", spec->egress);
	set_lasting(document, spec);
	json_set_string(document, "pidfile", spec->pidfile);
	json_set_string(document, "cidfile", spec->cidfile);
	json_set(document, "labels", json_copy(spec->labels));
	json_set(document, "annotations", json_copy(spec->annotations));
	return document;
}

/* ---- reading ---- */

static int read_bytes(const struct json *object, const char *key, uint64_t *ret, struct err *err)
{
	int64_t number = 0;
	int r;

	r = json_read_int(object, key, true, 0, INT64_MAX, &number, err);
	if (r < 0)
		return r;
	*ret = (uint64_t)number;
	return 0;
}

static int read_number(const struct json *object, const char *key, uint32_t min, uint32_t max,
	uint32_t *ret, struct err *err)
{
	int64_t number = 0;
	int r;

	r = json_read_int(object, key, true, min, max, &number, err);
	if (r < 0)
		return r;
	*ret = (uint32_t)number;
	return 0;
}

static int check_absolute(const char *path, const char *key, struct err *err)
{
	return !path || path[0] == '/'
		       ? 0
		       : err_set(err, -EINVAL, "'%s': '%s' is not an absolute path", key, path);
}

static int read_path(const struct json *document, const char *key, bool required, char **target,
	struct err *err)
{
	int r = record_read_string(document, key, required, target, err);

	return r < 0 ? r : check_absolute(*target, key, err);
}

static int read_paths(const struct json *document, const char *key, size_t max, char ***target,
	struct err *err)
{
	int r = record_read_strv(document, key, false, max, target, err);

	for (size_t i = 0; r == 0 && *target && (*target)[i]; i++)
		r = check_absolute((*target)[i], key, err);
	return r;
}

/* The id is made of the names, so that it leads back to them. */
static int check_id(const struct container_spec *spec, struct err *err)
{
	char path[NAME_PATH_SIZE * 2], id[NAME_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", spec->pod, spec->name);
	if (strlen(path) >= sizeof(id))
		return err_set(err, -EINVAL, "'pod' and 'name' are too long together");
	name_path_to_id(path, id);
	if (!text_equal(id, spec->id))
		return err_set(err, -EINVAL, "'id' is '%s', and should be '%s'", spec->id, id);
	return 0;
}

static int read_names(const struct json *document, struct container_spec *spec, struct err *err)
{
	int r;

	r = record_read_name(document, "pod", name_check_path, spec->pod, sizeof(spec->pod), err);
	if (r == 0)
		r = record_read_name(document, "name", name_check_component, spec->name,
			sizeof(spec->name), err);
	if (r == 0)
		r = record_read_text(document, "id", true, spec->id, sizeof(spec->id), err);
	if (r == 0)
		r = check_id(spec, err);
	if (r == 0)
		r = record_read_text(document, "created", true, spec->created,
			sizeof(spec->created), err);
	return r;
}

/* Cgroups are named by a path below the mount point, and nothing leads out of that. */
static int check_cgroup(const char *path, struct err *err)
{
	if (path && (path[0] != '/' || strstr(path, "/../") || text_ends_with(path, "/..")))
		return err_set(err, -EINVAL, "'cgroup': '%s' is not the path of a cgroup", path);
	return 0;
}

static int read_origin(const struct json *document, struct container_spec *spec, struct err *err)
{
	int r;

	r = read_path(document, "runtime", true, &spec->runtime, err);
	if (r == 0)
		r = read_path(document, "rootfs", false, &spec->rootfs, err);
	if (r == 0)
		r = read_path(document, "bundle", false, &spec->bundle, err);
	if (r == 0 && !spec->rootfs == !spec->bundle)
		r = err_set(err, -EINVAL, "there must be either 'rootfs' or 'bundle'");
	if (r == 0)
		r = record_read_strv(document, "command", true, CONTAINER_COMMAND_MAX,
			&spec->command, err);
	if (r == 0)
		r = read_paths(document, "overlays", CONTAINER_OVERLAYS_MAX, &spec->overlays, err);
	if (r == 0)
		r = read_paths(document, "chown", CONTAINER_CHOWN_MAX, &spec->chown, err);
	return r;
}

static int read_flags(const struct json *document, struct container_spec *spec, struct err *err)
{
	const struct {
		const char *key;
		bool *target;
	} flags[] = {
		{"terminal", &spec->terminal},
		{"interactive", &spec->interactive},
		{"autoRemove", &spec->auto_remove},
		{"keepGroups", &spec->keep_groups},
		{"sharePid", &spec->share_pid},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < COUNT_OF(flags); i++)
		r = json_read_bool(document, flags[i].key, true, flags[i].target, err);
	return r;
}

static int read_egress(const struct json *document, struct container_spec *spec, struct err *err)
{
	int r;

	r = record_read_strv(document, "egress", false, EGRESS_RULES_MAX, &spec->egress, err);
	if (r < 0)
		return r;
	r = pod_spec_check_traffic(NULL, spec->egress, err);
	return r < 0 ? err_wrap(err, r, "'egress'") : 0;
}

static int read_network(const struct json *document, struct container_spec *spec, struct err *err)
{
	unsigned net = 0;
	int r;

	r = record_read_enum(document, "net", net_names, COUNT_OF(net_names), &net, err);
	if (r == 0)
		r = record_read_strv(document, "networks", false, RECORD_NETWORKS_MAX,
			&spec->networks, err);
	if (r == 0)
		r = record_read_strv(document, "publish", false, RECORD_PUBLISH_MAX,
			&spec->publish, err);
	if (r == 0)
		r = read_egress(document, spec, err);
	spec->net = (enum container_net)net;
	return r;
}

static int read_limits(const struct json *document, struct container_limits *limits,
	struct err *err)
{
	const struct json *object = NULL;
	int r;

	r = json_read_object(document, "limits", true, &object, err);
	if (r < 0)
		return r;
	r = read_bytes(object, "memory", &limits->memory, err);
	if (r == 0)
		r = json_read_int(object, "swap", true, CONTAINER_SWAP_UNLIMITED, INT64_MAX,
			&limits->swap, err);
	if (r == 0)
		r = read_number(object, "cpuMilli", 0, UINT32_MAX, &limits->cpu_milli, err);
	if (r == 0)
		r = read_number(object, "pids", 0, UINT32_MAX, &limits->pids, err);
	return r < 0 ? err_wrap(err, r, "'limits'") : 0;
}

static int read_health(const struct json *document, struct container_health *health,
	struct err *err)
{
	const struct json *object = NULL;
	int r;

	health->interval_s = HEALTH_INTERVAL_S;
	health->timeout_s = HEALTH_TIMEOUT_S;
	health->retries = HEALTH_RETRIES;
	r = json_read_object(document, "health", false, &object, err);
	if (r < 0 || !object)
		return r;
	r = record_read_strv(object, "command", true, HEALTH_COMMAND_MAX, &health->command, err);
	if (r == 0 && !health->command[0])
		r = err_set(err, -EINVAL, "\"command\" is empty");
	if (r == 0)
		r = read_number(object, "interval", 1, CONTAINER_HEALTH_SECONDS_MAX,
			&health->interval_s, err);
	if (r == 0)
		r = read_number(object, "timeout", 1, CONTAINER_HEALTH_SECONDS_MAX,
			&health->timeout_s, err);
	if (r == 0)
		r = read_number(object, "retries", 1, UINT32_MAX, &health->retries, err);
	if (r == 0)
		r = read_number(object, "startPeriod", 0, CONTAINER_HEALTH_SECONDS_MAX,
			&health->start_period_s, err);
	return r < 0 ? err_wrap(err, r, "'health'") : 0;
}

static int read_end(const struct json *document, struct container_spec *spec, struct err *err)
{
	unsigned restart = 0;
	int r;

	r = record_read_enum(document, "restart", restart_names, COUNT_OF(restart_names), &restart,
		err);
	if (r == 0)
		r = read_number(document, "restartMax", 0, UINT32_MAX, &spec->restart_max, err);
	if (r == 0)
		r = read_number(document, "stopSignal", 1, NSIG - 1, &spec->stop_signal, err);
	if (r == 0)
		r = read_number(document, "stopTimeout", 0, CONTAINER_STOP_SECONDS_MAX,
			&spec->stop_timeout_s, err);
	spec->restart = (enum container_restart)restart;
	return r;
}

static int read_log(const struct json *document, struct container_spec *spec, struct err *err)
{
	unsigned log = 0;
	int r;

	r = record_read_enum(document, "log", log_names, COUNT_OF(log_names), &log, err);
	if (r == 0)
		r = read_path(document, "logPath", false, &spec->log_path, err);
	if (r == 0)
		r = read_bytes(document, "logMaxSize", &spec->log_max_size, err);
	if (r == 0)
		r = read_number(document, "logMaxFiles", 1, CONTAINER_LOG_FILES_MAX,
			&spec->log_max_files, err);
	spec->log = (enum container_log)log;
	return r;
}

static int read_document(const struct json *document, struct container_spec *spec, struct err *err)
{
	int r;

	r = read_names(document, spec, err);
	if (r == 0)
		r = read_origin(document, spec, err);
	if (r == 0)
		r = read_flags(document, spec, err);
	if (r == 0)
		r = read_network(document, spec, err);
	if (r == 0)
		r = read_end(document, spec, err);
	if (r == 0)
		r = read_limits(document, &spec->limits, err);
	if (r == 0)
		r = record_read_string(document, "cgroup", false, &spec->cgroup, err);
	if (r == 0)
		r = check_cgroup(spec->cgroup, err);
	if (r == 0)
		r = read_health(document, &spec->health, err);
	if (r == 0)
		r = read_log(document, spec, err);
	if (r == 0)
		r = read_path(document, "pidfile", false, &spec->pidfile, err);
	if (r == 0)
		r = read_path(document, "cidfile", false, &spec->cidfile, err);
	if (r == 0)
		r = record_read_labels(document, "labels", "label", &spec->labels, err);
	if (r == 0)
		r = record_read_labels(
			document, "annotations", "annotation", &spec->annotations, err);
	return r;
}

int container_spec_load(int childfd, struct container_spec *ret, struct err *err)
{
	autoptr(json) document = NULL;
	struct container_spec spec = {};
	int r;

	r = record_load(childfd, RECORD_CONTAINER, &document, err);
	if (r < 0)
		return r;
	r = read_document(document, &spec, err);
	if (r < 0) {
		container_spec_done(&spec);
		return err_wrap(err, r, "%s", RECORD_CONTAINER);
	}
	*ret = spec;
	return 0;
}

int container_spec_save(int childfd, const struct container_spec *spec, struct err *err)
{
	return record_save(childfd, RECORD_CONTAINER, container_spec_to_json(spec), err);
}

bool container_is_made(int childfd)
{
	return faccessat(childfd, RECORD_CONTAINER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Opened without blocking: anything may be in its place by now, a fifo as well. */
bool container_is_own_file(const char *path, const char *text)
{
	autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	autofree char *found = NULL;
	struct stat st;
	size_t length;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return fd_read_all(fd, strlen(text), &found, &length) == 0 && length == strlen(text) &&
	       memcmp(found, text, length) == 0;
}

void container_remove_own_file(const char *path, const char *text)
{
	if (container_is_own_file(path, text))
		unlink(path);
}
