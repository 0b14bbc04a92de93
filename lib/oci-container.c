/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The config.json of a container in a pod: see oci-container.h. It begins as a copy of a bundle's,
 * or as an empty document; either way the fields that depend on the pod are written anew, and
 * options replace what the base says.
 */

#include "oci-container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oci-container-internal.h"
#include "text.h"

#define OCI_VERSION "1.0.2"
#define UMASK_DEFAULT 0022
#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* What crun reads beyond the specification, see crun(1), "run.oci." */
#define ANNOTATION_KEEP_GROUPS "run.oci.keep_original_groups"
#define ANNOTATION_HOOKS_STDERR "run.oci.hooks.stderr"
#define ANNOTATION_OWN_PREFIX "io.podd."
/* What the kernel counts shares of a CPU against, microseconds. */
#define CPU_PERIOD_US 100000

/* podman's, see podman-run(1), "--security-opt unmask". */
static const char *const masked_paths[] = {"/proc/acpi", "/proc/kcore", "/proc/keys",
	"/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
	"/proc/timer_stats", "/sys/dev/block", "/sys/firmware", "/sys/fs/selinux", NULL};
static const char *const read_only_paths[] = {"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq",
	"/proc/sys", "/proc/sysrq-trigger", NULL};

struct builder {
	const struct oci_container *in;
	struct json *config;
	struct json *process;
	struct json *linux_section;
	struct err *err;
};

/* ---- members, with errors that name the field ---- */

int oci_get_member(const struct json *parent, const char *key, const char *field,
	enum json_type type, struct json **ret, struct err *err)
{
	struct json *value = json_get(parent, key);

	if (value && json_type(value) == JSON_NULL)
		value = NULL;
	if (value && json_type(value) != type)
		return err_set(err, -EINVAL, OCI_CONFIG_SOURCE ": %s must be %s, found %s", field,
			type == JSON_ARRAY ? "an array" : "an object",
			json_type_name(json_type(value)));
	*ret = value;
	return 0;
}

int oci_need_member(struct json *parent, const char *key, const char *field, enum json_type type,
	struct json **ret, struct err *err)
{
	int r = oci_get_member(parent, key, field, type, ret, err);

	if (r < 0 || *ret)
		return r;
	*ret = type == JSON_ARRAY ? json_set_array(parent, key) : json_set_object(parent, key);
	return *ret ? 0 : err_oom(err);
}

/* Sets an array of at most as many strings as there are, or keeps the base's. */
static int keep_or_set(struct json *object, const char *key, const char *field,
	const char *const *strings, struct err *err)
{
	struct json *found;
	int r = oci_get_member(object, key, field, JSON_ARRAY, &found, err);

	if (r == 0 && !found)
		oci_set_strings(object, key, strings);
	return r;
}

/* ---- the process ---- */

/* The base's user, or root. */
static int get_uid(const struct builder *builder, uint32_t *ret)
{
	int64_t uid = 0;
	int r;

	if (builder->in->user) {
		*ret = builder->in->user->uid;
		return 0;
	}
	r = json_read_int(json_get(builder->process, "user"), "uid", false, 0, UINT32_MAX, &uid,
		builder->err);
	*ret = (uint32_t)uid;
	return r;
}

static int set_groups(const struct builder *builder, struct json *user)
{
	struct json *groups;
	int r;

	if (builder->in->n_groups == 0)
		return 0;
	r = oci_need_member(user, "additionalGids", "process.user.additionalGids", JSON_ARRAY,
		&groups, builder->err);
	for (size_t i = 0; r == 0 && i < builder->in->n_groups; i++)
		json_append(groups, json_new_int(builder->in->groups[i]));
	return r;
}

static int set_user(const struct builder *builder)
{
	struct json *user;
	uint32_t uid = 0;
	int r;

	r = oci_need_member(builder->process, "user", "process.user", JSON_OBJECT, &user,
		builder->err);
	if (r == 0)
		r = get_uid(builder, &uid);
	if (r < 0)
		return r;
	if (builder->in->user)
		oci_set_user(builder->process, builder->in->user);
	if (!json_get(user, "uid"))
		json_set_int(user, "uid", 0);
	if (!json_get(user, "gid"))
		json_set_int(user, "gid", 0);
	if (!json_get(user, "umask"))
		json_set_int(user, "umask", UMASK_DEFAULT);
	/* The groups of the caller cannot be named in here. */
	if (builder->in->spec->keep_groups)
		json_remove(user, "additionalGids");
	else
		r = set_groups(builder, user);
	if (r == 0 && builder->in->capabilities)
		oci_set_capabilities(builder->process, builder->in->capabilities,
			builder->in->added_capabilities, uid == 0);
	return r;
}

const char *oci_container_hostname(const struct oci_container *in)
{
	const char *base = json_string(json_get(in->base, "hostname"));

	if (in->hostname)
		return in->hostname;
	return base && *base ? base : in->spec->name;
}

static int set_pair(char ***env, const char *name, const char *value, struct err *err)
{
	autofree char *entry = text_format("%s=%s", name, value);

	return entry ? oci_env_set(env, entry, err) : err_oom(err);
}

static int default_env(const struct oci_container *in, char ***env, struct err *err)
{
	int r = oci_env_set(env, PATH_DEFAULT, err);

	if (r == 0)
		r = oci_env_set(env, "container=podd", err);
	if (r == 0 && in->spec->terminal)
		r = oci_env_set(env, "TERM=xterm", err);
	if (r == 0 && !(in->share & OCI_SHARE_UTS))
		r = set_pair(env, "HOSTNAME", oci_container_hostname(in), err);
	if (r == 0)
		r = set_pair(env, "HOME", in->user && in->user->home ? in->user->home : "/", err);
	return r;
}

static int merge_env(char *const *more, char ***env, struct err *err)
{
	int r = 0;

	for (; r == 0 && more && *more; more++)
		r = oci_env_set(env, *more, err);
	return r;
}

static int set_env(const struct builder *builder)
{
	autostrv base = NULL;
	autostrv env = NULL;
	int r;

	r = json_read_strv(builder->process, "env", false, &base, builder->err);
	if (r < 0)
		return err_wrap(builder->err, r, OCI_CONFIG_SOURCE ": process");
	r = default_env(builder->in, &env, builder->err);
	if (r == 0)
		r = merge_env(base, &env, builder->err);
	/* A user that was asked for has a home of its own. */
	if (r == 0 && base && builder->in->user && builder->in->user->home)
		r = set_pair(&env, "HOME", builder->in->user->home, builder->err);
	if (r == 0)
		r = merge_env(builder->in->env, &env, builder->err);
	if (r == 0)
		json_set_strv(builder->process, "env", env);
	return r;
}

static int check_args(const struct builder *builder)
{
	const struct json *args = json_get(builder->process, "args");

	if (json_type(args) != JSON_ARRAY || json_length(args) == 0)
		return err_set(builder->err, -EINVAL,
			!builder->in->base ? "the command is missing" : OCI_CONFIG_SOURCE
				": process.args has no command, and none was given");
	for (size_t i = 0; i < json_length(args); i++)
		if (!json_string(json_at(args, i)))
			return err_set(builder->err, -EINVAL,
				OCI_CONFIG_SOURCE ": process.args[%zu] must be a string", i);
	return 0;
}

/* The init program starts the command, and reaps what that leaves. */
static void put_init_before(struct json *process)
{
	const struct json *args = json_get(process, "args");
	struct json *longer = json_new_array();

	json_append(longer, json_new_string(OCI_INIT_PATH));
	json_append(longer, json_new_string("--"));
	for (size_t i = 0; i < json_length(args); i++)
		json_append(longer, json_copy(json_at(args, i)));
	json_set(process, "args", longer);
}

static int set_cwd(const struct builder *builder)
{
	const char *cwd = builder->in->cwd;
	const char *base = NULL;
	int r;

	if (cwd && cwd[0] != '/')
		return err_set(builder->err, -EINVAL,
			"the working directory \"%s\" must be an absolute path", cwd);
	r = json_read_string(builder->process, "cwd", false, &base, builder->err);
	if (r < 0)
		return err_wrap(builder->err, r, OCI_CONFIG_SOURCE ": process");
	if (cwd || !base || !*base)
		json_set_string(builder->process, "cwd", cwd ? cwd : "/");
	return 0;
}

static int build_process(const struct builder *builder)
{
	const struct oci_container *in = builder->in;
	int r;

	json_set_bool(builder->process, "terminal", in->spec->terminal);
	json_remove(builder->process, "consoleSize");
	/* Those of other security modules name profiles that only root can load. */
	json_remove(builder->process, "apparmorProfile");
	json_remove(builder->process, "selinuxLabel");
	if (in->args)
		json_set_strv(builder->process, "args", in->args);
	r = check_args(builder);
	if (r < 0)
		return r;
	if (in->init)
		put_init_before(builder->process);
	r = set_cwd(builder);
	if (r == 0)
		r = set_env(builder);
	if (r == 0)
		r = set_user(builder);
	if (r == 0)
		r = oci_set_rlimits(builder->process, in->ulimits, builder->err);
	if (in->no_new_privileges)
		json_set_bool(builder->process, "noNewPrivileges", true);
	return r;
}

/* ---- namespaces ---- */

/* A namespace of its own, or with @name the pod's. */
static void add_namespace(const struct builder *builder, struct json *namespaces, const char *type,
	const char *name)
{
	struct json *entry = json_new_object();
	autofree char *path = NULL;

	json_set_string(entry, "type", type);
	if (name) {
		path = text_format("%s/ns/%s", builder->in->pod_dir, name);
		json_set(entry, "path", json_new_string(path));
	}
	json_append(namespaces, entry);
}

static void set_namespaces(const struct builder *builder)
{
	struct json *namespaces = json_set_array(builder->linux_section, "namespaces");
	unsigned share = builder->in->share;

	add_namespace(builder, namespaces, "mount", NULL);
	add_namespace(builder, namespaces, "pid", share & OCI_SHARE_PID ? "pid" : NULL);
	add_namespace(builder, namespaces, "ipc", share & OCI_SHARE_IPC ? "ipc" : NULL);
	add_namespace(builder, namespaces, "uts", share & OCI_SHARE_UTS ? "uts" : NULL);
	if (builder->in->cgroup2)
		add_namespace(builder, namespaces, "cgroup", NULL);
	/* Nobody in the pod may enter the host's network namespace: the runtime, which has never
	 * left it, passes it on. */
	if (oci_has_own_network(builder->in))
		add_namespace(builder, namespaces, "network",
			builder->in->spec->net == CONTAINER_NET_POD ? "net" : NULL);
}

/* ---- limits ---- */

static void set_memory(struct json *resources, const struct container_limits *limits)
{
	struct json *memory;
	int64_t both;

	if (!limits->memory)
		return;
	memory = json_set_object(resources, "memory");
	json_set_int(memory, "limit", (int64_t)limits->memory);
	/* Memory and swap together (config-linux, "Memory"). */
	if (limits->swap >= 0 &&
		!__builtin_add_overflow((int64_t)limits->memory, limits->swap, &both))
		json_set_int(memory, "swap", both);
}

void oci_set_limits(struct json *linux_section, const struct container_limits *limits)
{
	struct json *resources = json_get(linux_section, "resources");
	struct json *object;

	if (json_type(resources) != JSON_OBJECT)
		resources = json_set_object(linux_section, "resources");
	json_remove(resources, "memory");
	json_remove(resources, "cpu");
	json_remove(resources, "pids");
	set_memory(resources, limits);
	if (limits->cpu_milli) {
		object = json_set_object(resources, "cpu");
		json_set_int(object, "quota", (int64_t)limits->cpu_milli * CPU_PERIOD_US / 1000);
		json_set_int(object, "period", CPU_PERIOD_US);
	}
	if (limits->pids)
		json_set_int(json_set_object(resources, "pids"), "limit", limits->pids);
	if (json_length(resources) == 0)
		json_remove(linux_section, "resources");
}

static void set_resources(const struct builder *builder)
{
	json_remove(builder->linux_section, "cgroupsPath");
	json_remove(builder->linux_section, "resources");
	if (!builder->in->spec->cgroup)
		return;
	json_set_string(builder->linux_section, "cgroupsPath", builder->in->spec->cgroup);
	oci_set_limits(builder->linux_section, &builder->in->spec->limits);
}

static int build_linux(const struct builder *builder)
{
	/* The runtime is in the user namespace already; the others are written by set_namespaces(). */
	static const char *const gone[] = {
		"uidMappings", "gidMappings", "timeOffsets", "mountLabel", "seccomp", NULL};
	struct json *section = builder->linux_section;
	int r = 0;

	for (size_t i = 0; gone[i]; i++)
		json_remove(section, gone[i]);
	set_namespaces(builder);
	set_resources(builder);
	if (builder->in->seccomp)
		json_set(section, "seccomp", json_copy(builder->in->seccomp));
	if (builder->in->unmask) {
		json_remove(section, "maskedPaths");
		json_remove(section, "readonlyPaths");
		return 0;
	}
	r = keep_or_set(section, "maskedPaths", "linux.maskedPaths", masked_paths, builder->err);
	if (r == 0)
		r = keep_or_set(section, "readonlyPaths", "linux.readonlyPaths", read_only_paths,
			builder->err);
	return r;
}

/* ---- hooks and annotations ---- */

/* Removes podd's hooks, of an earlier life of the bundle, from one phase. */
static int clean_phase(const struct builder *builder, struct json *hooks, const char *phase)
{
	struct json *array;
	int r = oci_get_member(hooks, phase, "hooks", JSON_ARRAY, &array, builder->err);

	for (size_t i = 0; r == 0 && i < json_length(array);)
		if (oci_is_own_hook(json_string(json_get(json_at(array, i), "path"))))
			json_remove_at(array, i);
		else
			i++;
	return r;
}

static int add_hook(const struct builder *builder, struct json *hooks, const char *phase)
{
	struct json *array, *hook;
	int r = oci_need_member(hooks, phase, "hooks", JSON_ARRAY, &array, builder->err);

	if (r < 0)
		return r;
	hook = json_new_object();
	oci_write_hook(hook, builder->in->hook, builder->in->root, builder->in->spec->pod, phase);
	json_append(array, hook);
	return 0;
}

static int build_hooks(const struct builder *builder)
{
	static const char *const phases[] = {"createContainer", "poststop"};
	struct json *hooks;
	int r = oci_get_member(
		builder->config, "hooks", "hooks", JSON_OBJECT, &hooks, builder->err);

	for (size_t i = 0; r == 0 && i < 2; i++)
		r = clean_phase(builder, hooks, phases[i]);
	if (r < 0 || builder->in->spec->net != CONTAINER_NET_CNI)
		return r;
	r = oci_need_member(builder->config, "hooks", "hooks", JSON_OBJECT, &hooks, builder->err);
	for (size_t i = 0; r == 0 && i < 2; i++)
		r = add_hook(builder, hooks, phases[i]);
	return r;
}

static void write_annotations(const struct builder *builder, struct json *target)
{
	const struct container_spec *spec = builder->in->spec;
	autofree char *log = NULL;

	for (size_t i = 0; i < json_length(spec->annotations); i++)
		json_set(target, json_key_at(spec->annotations, i),
			json_copy(json_at(spec->annotations, i)));
	json_set_string(target, OCI_ANNOTATION_POD, spec->pod);
	if (spec->keep_groups)
		json_set_string(target, ANNOTATION_KEEP_GROUPS, "1");
	if (spec->net != CONTAINER_NET_CNI)
		return;
	oci_set_list(target, OCI_ANNOTATION_NETWORKS, spec->networks);
	oci_set_list(target, OCI_ANNOTATION_PUBLISH, spec->publish);
	if (builder->in->hostname)
		json_set_string(target, OCI_ANNOTATION_HOSTNAME, builder->in->hostname);
	log = text_format("%s/" CONTAINER_SHIM_LOG, builder->in->child_dir);
	json_set(target, ANNOTATION_HOOKS_STDERR, json_new_string(log));
}

/* Those of the base come first; what an earlier run of podd's put there goes. */
static int build_annotations(const struct builder *builder)
{
	struct json *annotations, *target;
	int r = oci_get_member(builder->config, "annotations", "annotations", JSON_OBJECT,
		&annotations, builder->err);

	if (r < 0)
		return r;
	target = json_new_object();
	for (size_t i = 0; i < json_length(annotations); i++) {
		const char *key = json_key_at(annotations, i);

		if (!text_starts_with(key, ANNOTATION_OWN_PREFIX))
			json_set(target, key, json_copy(json_at(annotations, i)));
	}
	write_annotations(builder, target);
	json_set(builder->config, "annotations", target);
	return 0;
}

/* ---- all of it ---- */

static int build_root(const struct builder *builder)
{
	struct json *root;
	bool read_only = false;
	int r = oci_need_member(builder->config, "root", "root", JSON_OBJECT, &root, builder->err);

	if (r == 0)
		r = json_read_bool(root, "readonly", false, &read_only, builder->err);
	if (r < 0)
		return r;
	json_set_string(root, "path", builder->in->rootfs);
	json_set_bool(root, "readonly", read_only || builder->in->read_only);
	return 0;
}

static void build_hostname(const struct builder *builder)
{
	json_remove(builder->config, "domainname");
	/* Of a shared namespace only who says so changes the name. */
	if ((builder->in->share & OCI_SHARE_UTS) && !builder->in->hostname)
		json_remove(builder->config, "hostname");
	else
		json_set_string(builder->config, "hostname", oci_container_hostname(builder->in));
}

/* Opens the sections; a base without them is none for Linux. */
static int open_sections(struct builder *builder)
{
	int r;

	if (!json_string(json_get(builder->config, "ociVersion")))
		json_set_string(builder->config, "ociVersion", OCI_VERSION);
	if (builder->in->base && !json_get(builder->config, "linux"))
		return err_set(builder->err, -EINVAL,
			OCI_CONFIG_SOURCE ": linux is missing: podd needs a bundle for Linux");
	r = oci_need_member(builder->config, "process", "process", JSON_OBJECT, &builder->process,
		builder->err);
	if (r == 0)
		r = oci_need_member(builder->config, "linux", "linux", JSON_OBJECT,
			&builder->linux_section, builder->err);
	return r;
}

static int build(struct builder *builder)
{
	int r;

	r = open_sections(builder);
	if (r == 0)
		r = build_process(builder);
	if (r == 0)
		r = build_root(builder);
	if (r < 0)
		return r;
	build_hostname(builder);
	r = oci_container_mounts(builder->config, builder->in, builder->err);
	if (r == 0)
		r = build_linux(builder);
	if (r == 0)
		r = build_hooks(builder);
	return r < 0 ? r : build_annotations(builder);
}

/* The runtime, and podd itself, read it again. */
static int check_size(const struct json *config, struct err *err)
{
	autofree char *text = NULL;
	autoptr(json) again = NULL;
	size_t length;
	int r;

	r = json_write(config, true, &text, &length);
	if (r < 0)
		return err_set(err, r, "writing " OCI_CONFIG_SOURCE ": %s", strerror(-r));
	if (length <= JSON_BYTES_MAX &&
		json_parse(OCI_CONFIG_SOURCE, text, length, &again, NULL) == 0)
		return 0;
	return err_set(err, -E2BIG,
		"the container's " OCI_CONFIG_SOURCE " would be larger than it may be (%d bytes, "
		"%d values): its arguments and its environment are too long",
		JSON_BYTES_MAX, JSON_VALUES_MAX);
}

int oci_container_config(const struct oci_container *container, struct json **ret, struct err *err)
{
	autoptr(json) config = container->base ? json_copy(container->base) : json_new_object();
	struct builder builder = {.in = container, .config = config, .err = err};
	int r;

	if (!config)
		return err_oom(err);
	if (json_type(config) != JSON_OBJECT)
		return err_set(err, -EINVAL, OCI_CONFIG_SOURCE " must be an object, found %s",
			json_type_name(json_type(config)));
	r = build(&builder);
	if (r == 0)
		r = check_size(config, err);
	if (r < 0)
		return r;
	*ret = take_ptr(config);
	return 0;
}
