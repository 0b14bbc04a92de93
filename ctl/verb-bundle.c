/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl bundle: makes the config.json of a bundle that belongs to the caller one of a pod. The
 * file is replaced as a whole, and only when something in it changes.
 */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni.h"
#include "file.h"
#include "hierarchy.h"
#include "oci.h"
#include "publish.h"
#include "record.h"
#include "text.h"

#include "options.h"
#include "verbs.h"

#define CONFIG_NAME "config.json"

struct bundle_options {
	const char *name;
	const char *share;
	const char *hostname;
	const char *format;
	char **networks;
	char **publish;
	bool share_net;
	bool share_ipc;
	bool share_uts;
	bool share_pid;
};

/* What the edit is made from. */
struct subject {
	const char *pod;
	char *pod_dir;
	char *bundle_dir; /* absolute */
	char path[NAME_PATH_SIZE];
	char id[NAME_PATH_SIZE];
	struct pod_spec spec;
	struct pod_state state;
};

static void subject_done(struct subject *subject)
{
	free(subject->pod_dir);
	free(subject->bundle_dir);
	pod_spec_done(&subject->spec);
	pod_state_done(&subject->state);
}

/* ---- the command line ---- */

static int parse_share(struct bundle_options *options, struct err *err)
{
	autostrv kinds = NULL;

	if (!options->share)
		return 0;
	if (strv_split(options->share, ',', &kinds) < 0)
		return err_oom(err);
	for (size_t i = 0; kinds && kinds[i]; i++) {
		if (strcmp(kinds[i], "net") == 0)
			options->share_net = true;
		else if (strcmp(kinds[i], "ipc") == 0)
			options->share_ipc = true;
		else if (strcmp(kinds[i], "uts") == 0)
			options->share_uts = true;
		else if (strcmp(kinds[i], "pid") == 0)
			options->share_pid = true;
		else
			return err_set(err, -EINVAL,
				"--share takes net, ipc, uts and pid joined by commas, not \"%s\"",
				kinds[i]);
	}
	return 0;
}

/* Both kinds of value end up in one annotation each, joined by spaces. */
static int check_lists(const struct bundle_options *options, struct err *err)
{
	for (size_t i = 0; options->networks && options->networks[i]; i++) {
		struct oci_network network;
		int r = oci_network_parse(options->networks[i], &network, err);

		if (r < 0)
			return err_wrap(err, r, "--network");
		oci_network_done(&network);
	}
	if (strv_length(options->networks) > RECORD_NETWORKS_MAX)
		return err_set(err, -EINVAL, "--network may be given at most %d times",
			RECORD_NETWORKS_MAX);
	for (size_t i = 0; options->publish && options->publish[i]; i++) {
		struct publish checked;
		int r = publish_parse(options->publish[i], &checked, err);

		if (r < 0)
			return err_wrap(err, r, "--publish");
	}
	return 0;
}

static int check_options(struct bundle_options *options, struct err *err)
{
	int r;

	r = parse_share(options, err);
	if (r == 0)
		r = check_lists(options, err);
	if (r < 0)
		return r;
	if (options->hostname) {
		r = name_check_hostname(options->hostname, err);
		if (r < 0)
			return err_wrap(err, r, "--hostname");
	}
	if (options->share_net && options->networks)
		return err_set(err, -EINVAL,
			"--network and --share net exclude each other: a container has a network "
			"namespace of its own or the pod's");
	if (options->share_uts && options->hostname)
		return err_set(err, -EINVAL, "--hostname and --share uts exclude each other");
	return 0;
}

/* ---- the pod ---- */

static int require_namespace(const struct subject *subject, enum ns_kind kind, bool wanted,
	struct err *err)
{
	if (wanted && subject->state.namespaces[kind].inode == 0)
		return err_set(err, -EINVAL, "--share %s: pod %s has no %s namespace of its own",
			ns_name(kind), subject->pod, ns_name(kind));
	return 0;
}

static int check_pod(const struct subject *subject, const struct bundle_options *options,
	struct err *err)
{
	enum pod_phase phase = pod_state_phase_now(&subject->state);
	int r;

	if (phase != POD_RUNNING)
		return err_set(err, -EINVAL,
			"pod %s is %s, and its id mappings are known only while it runs; run "
			"'podctl start %s' first",
			subject->pod, pod_phase_name(phase), subject->pod);
	if (subject->spec.net == POD_NET_HOST && !options->share_net)
		return err_set(err, -EINVAL,
			"pod %s uses the host's network (--net host), where no CNI network can be "
			"made; use --share net",
			subject->pod);
	r = require_namespace(subject, NS_IPC, options->share_ipc, err);
	if (r == 0)
		r = require_namespace(subject, NS_UTS, options->share_uts, err);
	return r < 0 ? r : require_namespace(subject, NS_PID, options->share_pid, err);
}

/* A network may be defined later; that it is not there yet is worth a word. */
static void warn_of_missing_networks(const struct subject *subject,
	const struct bundle_options *options)
{
	for (size_t i = 0; options->networks && options->networks[i]; i++) {
		autoptr(cni_config) config = NULL;
		struct cni_builtin builtin;
		struct oci_network network;
		struct err err = {};

		pod_spec_builtin(&subject->spec, &builtin);
		if (oci_network_parse(options->networks[i], &network, NULL) < 0)
			continue;
		if (cni_config_find(subject->spec.cni_config_dirs, network.name, &builtin, &config,
			    &err) < 0)
			ctl_warning("%s", err.msg);
		oci_network_done(&network);
	}
}

static int load_pod(const struct ctl *ctl, struct subject *subject,
	const struct bundle_options *options, struct err *err)
{
	autoclose int podfd = -1;
	int r;

	r = ctl_open_pod(ctl, subject->pod, &podfd, err);
	if (r == 0)
		r = pod_spec_load(podfd, &subject->spec, err);
	if (r == 0)
		r = pod_state_load(podfd, &subject->state, err);
	if (r == 0)
		r = check_pod(subject, options, err);
	return r;
}

/* ---- names ---- */

/* <root>/a/children/b for the pod a/b. */
static int find_pod_dir(const struct ctl *ctl, struct subject *subject, struct err *err)
{
	autofree char *dir = strdup(ctl->root);
	autostrv names = NULL;

	if (!dir || strv_split(subject->pod, '/', &names) < 0)
		return err_oom(err);
	for (size_t i = 0; names && names[i]; i++) {
		char *longer = text_format("%s%s/%s", dir, i ? "/children" : "", names[i]);

		if (!longer)
			return err_oom(err);
		free(dir);
		dir = longer;
	}
	subject->pod_dir = take_ptr(dir);
	return 0;
}

static int choose_name(const struct ctl *ctl, struct subject *subject, const char *name,
	struct err *err)
{
	const char *base = strrchr(subject->bundle_dir, '/') + 1;
	autofree char *path = text_format("%s/%s", subject->pod, name ? name : base);
	autoclose int podfd = -1;
	int r;

	if (!path)
		return err_oom(err);
	r = name_check_component(name ? name : base, err);
	if (r < 0)
		return name ? err_wrap(err, r, "--name")
			    : err_wrap(err, r, "the directory's name; give another by --name");
	r = name_check_path(path, err);
	if (r < 0)
		return r;
	if (ctl_open_pod(ctl, path, &podfd, NULL) == 0)
		return err_set(err, -EEXIST, "%s is a pod; give the container another --name",
			path);
	text_copy(subject->path, sizeof(subject->path), path);
	name_path_to_id(path, subject->id);
	return 0;
}

/* ---- the file ---- */

static int load_config(int dirfd, const char *dir, struct json **ret, mode_t *ret_mode,
	struct err *err)
{
	autofree char *source = text_format("%s/%s", dir, CONFIG_NAME);
	autofree char *text = NULL;
	struct stat st;
	size_t length;
	int r;

	if (!source)
		return err_oom(err);
	r = file_read(dirfd, CONFIG_NAME, JSON_BYTES_MAX, &text, &length, err);
	if (r < 0)
		return err_wrap(err, r, "%s", dir);
	if (fstatat(dirfd, CONFIG_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "%s", source);
	r = json_parse(source, text, length, ret, err);
	if (r == 0)
		*ret_mode = st.st_mode & 07777;
	return r;
}

static int save_config(int dirfd, const char *dir, const struct json *config, mode_t mode,
	struct err *err)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	r = json_write(config, true, &text, &length);
	if (r < 0)
		return err_set(err, r, "%s/%s: %s", dir, CONFIG_NAME, strerror(-r));
	r = file_write(dirfd, CONFIG_NAME, text, length, mode, err);
	return r < 0 ? err_wrap(err, r, "%s", dir) : 0;
}

static int edit_config(const struct ctl *ctl, const struct subject *subject,
	const struct bundle_options *options, struct err *err)
{
	const struct oci_bundle bundle = {
		.pod = subject->pod,
		.root = ctl->root,
		.pod_dir = subject->pod_dir,
		.hook = PODD_LIBEXECDIR "/podd-hook",
		.share_net = options->share_net,
		.host_net = subject->spec.net == POD_NET_HOST,
		.share_ipc = options->share_ipc,
		.share_uts = options->share_uts,
		.share_pid = options->share_pid,
		.networks = options->networks,
		.publish = options->publish,
		.hostname = options->hostname,
		.uids = &subject->state.uids,
		.gids = &subject->state.gids,
	};
	autoclose int dirfd = open(subject->bundle_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoptr(json) config = NULL;
	autoptr(json) before = NULL;
	mode_t mode = 0;
	int r;

	if (dirfd < 0)
		return err_errno(err, "opening %s", subject->bundle_dir);
	r = load_config(dirfd, subject->bundle_dir, &config, &mode, err);
	if (r < 0)
		return r;
	before = json_copy(config);
	if (!before)
		return err_oom(err);
	r = oci_bundle_apply(config, &bundle, err);
	if (r < 0)
		return err_wrap(err, r, "%s", subject->bundle_dir);
	if (json_equal(before, config))
		return 0;
	return save_config(dirfd, subject->bundle_dir, config, mode, err);
}

/* ---- what to run then ---- */

static const char *find_runtime(void)
{
	static const char *const runtimes[] = {"crun", "runc"};
	const char *path = getenv("PATH");
	autostrv dirs = NULL;

	if (!path || strv_split(path, ':', &dirs) < 0)
		return runtimes[0];
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		for (size_t j = 0; dirs && dirs[j]; j++) {
			autofree char *file = text_format("%s/%s", dirs[j], runtimes[i]);

			if (file && access(file, X_OK) == 0)
				return runtimes[i];
		}
	}
	return runtimes[0];
}

/* Prints one word of a command as a shell reads it. */
static void print_word(const char *word)
{
	if (!word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789/._-+=:,@%")]) {
		printf("%s", word);
		return;
	}
	putchar('\'');
	for (; *word; word++) {
		if (*word == '\'')
			printf("'\\''");
		else
			putchar(*word);
	}
	putchar('\'');
}

static int print_command(const struct subject *subject, const char *dir, bool as_json)
{
	const char *const words[] = {find_runtime(), "run", "--bundle", dir, subject->id};
	struct json *document, *command;

	if (!as_json) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			print_word(words[i]);
			putchar(i + 1 < sizeof(words) / sizeof(words[0]) ? ' ' : '\n');
		}
		return CTL_OK;
	}
	document = json_new_object();
	json_set_string(document, "path", subject->path);
	json_set_string(document, "id", subject->id);
	json_set_string(document, "bundle", subject->bundle_dir);
	command = json_set_array(document, "command");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		json_append(command, json_new_string(words[i]));
	return ctl_print_json(document);
}

static int make_bundle(const struct ctl *ctl, struct subject *subject, const char *dir,
	const struct bundle_options *options, struct err *err)
{
	int r;

	subject->bundle_dir = realpath(dir, NULL);
	if (!subject->bundle_dir)
		return err_errno(err, "the bundle %s", dir);
	r = load_pod(ctl, subject, options, err);
	if (r == 0)
		r = choose_name(ctl, subject, options->name, err);
	if (r == 0)
		r = find_pod_dir(ctl, subject, err);
	if (r == 0)
		r = edit_config(ctl, subject, options, err);
	if (r == 0)
		warn_of_missing_networks(subject, options);
	return r;
}

static int run_with(const struct ctl *ctl, char **operands, struct bundle_options *options)
{
	cleanup(subject_done) struct subject subject = {.pod = operands[0]};
	struct err err = {};
	bool json;
	int r;

	if (ctl_format_is_json(options->format, &json) < 0)
		return ctl_usage_error(&verb_bundle, "--format must be json or table");
	if (check_options(options, &err) < 0)
		return ctl_usage_error(&verb_bundle, "%s", err.msg);
	r = make_bundle(ctl, &subject, operands[1], options, &err);
	return r < 0 ? ctl_fail(r, &err) : print_command(&subject, operands[1], json);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct bundle_options values = {};
	const struct option options[] = {
		{.name = "name", .argument = "NAME", .text = &values.name,
			.help = "the container's name in the pod (default: name of DIR)"},
		{.name = "network", .argument = "NET[:KEY=VALUE,...]", .list = &values.networks,
			.help = "connect to this CNI network; keys: ip, mac, ifname (repeatable)"},
		{.name = "share", .argument = "net[,ipc,uts,pid]", .text = &values.share,
			.help = "use the pod's own namespaces"},
		{.name = "publish", .letter = 'p', .argument = "SPEC", .list = &values.publish,
			.help = "publish a port (repeatable)"},
		{.name = "hostname", .argument = "NAME", .text = &values.hostname,
			.help = "the container's host name"},
		OPTION_FORMAT(&values.format), {}};
	size_t n;
	int status = options_parse(&verb_bundle, options, argc, argv, &n);

	if (status < 0)
		status = run_with(ctl, argv, &values);
	strv_free(values.networks);
	strv_free(values.publish);
	return status;
}

const struct ctl_verb verb_bundle = {
	.name = "bundle",
	.operands = "POD DIR",
	.operands_min = 2,
	.operands_max = 2,
	.summary = "Make an OCI bundle one of a pod and print the command that runs it",
	.details = "Edits DIR/config.json: namespaces, id mappings, hooks, annotations, /etc/hosts\n"
		   "and /etc/resolv.conf. Every other field stays. Doing it again changes nothing.\n"
		   "Without --network and --share net the container is connected to the network\n"
		   "\"podd\".",
	.example = "podctl bundle net0 ./web && crun run --bundle ./web net0.web",
	.run = run,
};
