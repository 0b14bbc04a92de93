/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The options of podctl run and podctl create that say what a container is: their table. */

#include <stdlib.h>
#include <string.h>

#include "text.h"

#include "make-internal.h"

int container_options_new(struct container_options **ret)
{
	struct container_options *options = calloc(1, sizeof(*options));

	if (!options)
		return -ENOMEM;
	options->read_only_tmpfs = true;
	options->stop_timeout = CONTAINER_STOP_SECONDS;
	*ret = options;
	return 0;
}

void container_options_free(struct container_options *options)
{
	if (!options)
		return;
	strv_free(options->labels);
	strv_free(options->label_files);
	strv_free(options->annotations);
	strv_free(options->env);
	strv_free(options->env_files);
	strv_free(options->group_add);
	strv_free(options->cap_add);
	strv_free(options->cap_drop);
	strv_free(options->ulimits);
	strv_free(options->security);
	strv_free(options->volumes);
	strv_free(options->mounts);
	strv_free(options->tmpfs);
	strv_free(options->networks);
	strv_free(options->publish);
	strv_free(options->egress);
	strv_free(options->log_options);
	free(options);
}

struct container_request container_options_request(const struct container_options *options)
{
	return (struct container_request){
		.name = options->name,
		.pod = options->pod,
		.cidfile = options->cidfile,
		.makes_container = options->rootfs || options->bundle,
		.auto_remove = options->auto_remove,
		.terminal = options->terminal,
		.interactive = options->interactive,
	};
}

static void append(struct option *table, size_t *n, const struct option *entries, size_t count)
{
	for (size_t i = 0; i < count && *n < CONTAINER_OPTIONS_MAX; i++)
		table[(*n)++] = entries[i];
}

#define APPEND(entries) append(table, n, entries, sizeof(entries) / sizeof((entries)[0]))

static void add_origin(struct container_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "name", .argument = "POD/NAME", .text = &options->name,
			.help = "the container's path, or with --pod its name"},
		{.name = "pod", .argument = "POD", .text = &options->pod,
			.help = "the pod that it belongs to"},
		{.name = "rootfs", .argument = "DIR[:O]", .text = &options->rootfs,
			.help = "its root file system; :O throws changes away"},
		{.name = "bundle", .argument = "DIR", .text = &options->bundle,
			.help = "an OCI bundle that it is made from"},
		{.name = "entrypoint", .argument = "COMMAND", .text = &options->entrypoint,
			.help = "goes before the command; a JSON array for several words"},
		{.name = "runtime", .argument = "NAME|PATH", .text = &options->runtime,
			.help = "the OCI runtime (default: crun, or runc)"},
		{.name = "interactive", .letter = 'i', .flag = &options->interactive,
			.help = "keep its standard input open"},
		{.name = "tty", .letter = 't', .flag = &options->terminal,
			.help = "give it a terminal"},
		{.name = "rm",
			.flag = &options->auto_remove,
			.help = "remove it when it has ended"},
		{.name = "init",
			.flag = &options->init,
			.help = "have an init program reap and pass signals on"},
		{.name = "label", .letter = 'l', .argument = "KEY=VALUE", .list = &options->labels,
			.help = "attach a label (repeatable)"},
		{.name = "label-file", .argument = "FILE", .list = &options->label_files,
			.help = "attach the labels in its lines (repeatable)"},
		{.name = "annotation", .argument = "KEY=VALUE", .list = &options->annotations,
			.help = "attach an OCI annotation (repeatable)"},
		{.name = "cidfile", .argument = "FILE", .text = &options->cidfile,
			.help = "write its OCI id there"},
		{.name = "pidfile", .argument = "FILE", .text = &options->pidfile,
			.help = "write the pid of its first process there"},
	};

	APPEND(entries);
}

static void add_process(struct container_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "env", .letter = 'e', .argument = "NAME[=VALUE]", .list = &options->env,
			.help = "set a variable, or take over the caller's (repeatable)"},
		{.name = "env-file", .argument = "FILE", .list = &options->env_files,
			.help = "the same for its lines (repeatable)"},
		{.name = "workdir", .letter = 'w', .argument = "DIR", .text = &options->cwd,
			.help = "working directory"},
		{.name = "user", .letter = 'u', .argument = "USER[:GROUP]", .text = &options->user,
			.help = "names in its /etc/passwd and /etc/group, or numbers"},
		{.name = "group-add", .argument = "GROUP|keep-groups", .list = &options->group_add,
			.help = "one more group; or all that the caller has"},
		{.name = "cap-add", .argument = "CAPABILITY", .list = &options->cap_add,
			.help = "add to the default capabilities; all (repeatable)"},
		{.name = "cap-drop", .argument = "CAPABILITY", .list = &options->cap_drop,
			.help = "take from them; all (repeatable)"},
		{.name = "ulimit", .argument = "NAME=SOFT[:HARD]", .list = &options->ulimits,
			.help = "resource limit such as nofile (repeatable)"},
		{.name = "security-opt", .argument = "OPTION", .list = &options->security,
			.help = "seccomp=FILE|unconfined, no-new-privileges, unmask=ALL"},
	};

	APPEND(entries);
}

static void add_files(struct container_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "volume", .letter = 'v', .argument = "SRC:DST[:OPTION,...]",
			.list = &options->volumes,
			.help = "bind-mount; ro, U (change the owner), O (throw changes away) ..."},
		{.name = "mount", .argument = "type=TYPE,KEY=VALUE,...", .list = &options->mounts,
			.help = "bind or tmpfs, in keys and values (repeatable)"},
		{.name = "tmpfs", .argument = "DST[:OPTION,...]", .list = &options->tmpfs,
			.help = "mount a tmpfs; size=, mode=, ro ... (repeatable)"},
		{.name = "read-only", .flag = &options->read_only,
			.help = "its root file system cannot be written to"},
		{.name = "read-only-tmpfs", .flag = &options->read_only_tmpfs,
			.help = "with it, but /run, /tmp and /var/tmp can (default: true)"},
		{.name = "shm-size", .argument = "SIZE", .text = &options->shm_size,
			.help = "a /dev/shm of its own (default: the pod's)"},
	};

	APPEND(entries);
}

static void add_network(struct container_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "network", .argument = "pod|none|host|NET[:KEY=VALUE,...]",
			.list = &options->networks,
			.help = "the pod's, or CNI networks; keys: ip, mac, ifname (repeatable)"},
		{.name = "net", .argument = "...", .list = &options->networks,
			.help = "the same as --network"},
		{.name = "publish", .letter = 'p', .argument = "SPEC", .list = &options->publish,
			.help = "publish a port (repeatable)"},
		{.name = "egress", .argument = "RULE", .list = &options->egress,
			.help = "where it may send to: deny to 10.0.0.0/8 (repeatable)"},
		{.name = "hostname", .argument = "NAME", .text = &options->hostname,
			.help = "its host name (default: its name)"},
		{.name = "share", .argument = "ipc,uts,pid", .text = &options->share,
			.help = "use the pod's own namespaces"},
	};

	APPEND(entries);
}

static void add_limits(struct container_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "memory", .letter = 'm', .argument = "SIZE", .text = &options->memory,
			.help = "limit of memory: 64m, 1g; -1: none"},
		{.name = "memory-swap", .argument = "SIZE", .text = &options->memory_swap,
			.help = "of memory and swap together; -1: none (default: twice the memory)"},
		{.name = "cpus", .argument = "N", .text = &options->cpus,
			.help = "limit of CPUs: 0.5; 0: none"},
		{.name = "pids-limit", .argument = "N", .text = &options->pids_limit,
			.help = "limit of processes and threads; -1: none"},
	};

	APPEND(entries);
}

static void add_life(struct container_options *options, struct option *table, size_t *n)
{
	const struct option entries[] = {
		{.name = "restart", .argument = "POLICY", .text = &options->restart,
			.help = "no, on-failure[:N], always, unless-stopped"},
		{.name = "stop-signal", .argument = "SIGNAL", .text = &options->stop_signal,
			.help = "what stop sends first (default: TERM)"},
		{.name = "stop-timeout", .argument = "SECONDS", .number = &options->stop_timeout,
			.max = CONTAINER_STOP_SECONDS_MAX, .help = "until KILL (default: 10)"},
		{.name = "health-cmd", .argument = "COMMAND", .text = &options->health_command,
			.help = "what tells whether it works; none; a JSON array"},
		{.name = "health-interval", .argument = "TIME",
			.text = &options->health_interval, .help = "between checks (default: 30s)"},
		{.name = "health-timeout", .argument = "TIME", .text = &options->health_timeout,
			.help = "that a check may take (default: 30s)"},
		{.name = "health-retries", .argument = "N", .text = &options->health_retries,
			.help = "failures that make it unhealthy (default: 3)"},
		{.name = "health-start-period", .argument = "TIME",
			.text = &options->health_start_period,
			.help = "in which failures do not count (default: 0)"},
		{.name = "no-healthcheck", .flag = &options->no_health, .help = "no check at all"},
		{.name = "log-driver", .argument = "DRIVER", .text = &options->log_driver,
			.help = "k8s-file, json-file, journald or none"},
		{.name = "log-opt", .argument = "KEY=VALUE", .list = &options->log_options,
			.help = "max-size, max-file, path (repeatable)"},
	};

	APPEND(entries);
}

void container_options_table(struct container_options *options, struct option *table, size_t *n)
{
	add_origin(options, table, n);
	add_process(options, table, n);
	add_files(options, table, n);
	add_network(options, table, n);
	add_limits(options, table, n);
	add_life(options, table, n);
}
