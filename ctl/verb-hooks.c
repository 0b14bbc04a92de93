/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podctl hooks: prints the OCI hooks that attach a container, for those who write config.json
 * themselves, or who let podman or CRI-O take them from a hooks.d directory.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci.h"
#include "text.h"

#include "options.h"
#include "verbs.h"

/* As "podctl bundle" writes them. */
#define HOOK_TIMEOUT 120

static const char *const stages[] = {"prestart", "createRuntime", "createContainer", "poststop"};

struct hooks_options {
	const char *format;
	const char *stage;
	const char *pod;
	char **networks;
};

/* The hook of one stage. The root is left out where the hook finds the same by itself. */
static struct json *make_hook(const struct ctl *ctl, const struct hooks_options *options,
	const char *stage, bool with_root)
{
	struct json *hook = json_new_object();
	struct json *args, *env;

	json_set_string(hook, "path", PODD_LIBEXECDIR "/podd-hook");
	args = json_set_array(hook, "args");
	json_append(args, json_new_string("podd-hook"));
	json_append(args, json_new_string(stage));
	if (with_root) {
		json_append(args, json_new_string("--root"));
		json_append(args, json_new_string(ctl->root));
	}
	if (options->pod) {
		json_append(args, json_new_string("--pod"));
		json_append(args, json_new_string(options->pod));
	}
	for (size_t i = 0; options->networks && options->networks[i]; i++) {
		json_append(args, json_new_string("--network"));
		json_append(args, json_new_string(options->networks[i]));
	}
	env = json_set_array(hook, "env");
	json_append(env, json_new_string("PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
	json_set_int(hook, "timeout", HOOK_TIMEOUT);
	return hook;
}

static void add_stage(struct json *hooks, const struct ctl *ctl,
	const struct hooks_options *options, const char *stage)
{
	json_append(json_set_array(hooks, stage), make_hook(ctl, options, stage, true));
}

/* The member "hooks" of a config.json. */
static int print_config(const struct ctl *ctl, const struct hooks_options *options)
{
	struct json *hooks = json_new_object();

	if (options->stage) {
		add_stage(hooks, ctl, options, options->stage);
	} else {
		add_stage(hooks, ctl, options, "createContainer");
		add_stage(hooks, ctl, options, "poststop");
	}
	return ctl_print_json(hooks);
}

/* A file of a hooks.d directory: oci-hooks(5). It has one hook for all its stages, and podd-hook
 * has to be told the stage, so that each stage needs a file of its own. */
static int print_hooks_d(const struct ctl *ctl, const struct hooks_options *options)
{
	struct json *document = json_new_object();
	struct json *annotations;

	json_set_string(document, "version", "1.0.0");
	json_set(document, "hook", make_hook(ctl, options, options->stage, ctl->root_chosen));
	annotations = json_set_object(json_set_object(document, "when"), "annotations");
	json_set_string(annotations, "^io\\.podd\\.pod$", ".+");
	json_append(json_set_array(document, "stages"), json_new_string(options->stage));
	return ctl_print_json(document);
}

static int check_options(const struct hooks_options *options, struct err *err)
{
	bool known = !options->stage;
	int r = 0;

	for (size_t i = 0; options->stage && i < sizeof(stages) / sizeof(stages[0]); i++)
		known |= strcmp(options->stage, stages[i]) == 0;
	if (!known)
		return err_set(err, -EINVAL,
			"--stage must be prestart, createRuntime, createContainer or poststop, not "
			"\"%s\"",
			options->stage);
	if (options->pod && name_check_path(options->pod, err) < 0)
		return err_wrap(err, -EINVAL, "--pod");
	for (size_t i = 0; options->networks && options->networks[i]; i++) {
		struct oci_network network;

		r = oci_network_parse(options->networks[i], &network, err);
		if (r < 0)
			return err_wrap(err, r, "--network");
		oci_network_done(&network);
	}
	return 0;
}

static int print_hooks(const struct ctl *ctl, const struct hooks_options *options)
{
	struct err err = {};

	if (check_options(options, &err) < 0)
		return ctl_usage_error(&verb_hooks, "%s", err.msg);
	if (!options->format || strcmp(options->format, "config") == 0 ||
		strcmp(options->format, "json") == 0)
		return print_config(ctl, options);
	if (strcmp(options->format, "hooks.d") != 0)
		return ctl_usage_error(&verb_hooks, "--format must be config or hooks.d");
	if (!options->stage)
		return ctl_usage_error(&verb_hooks,
			"--format hooks.d needs --stage: hooks.d has a file for each stage; make one "
			"for createContainer and one for poststop");
	return print_hooks_d(ctl, options);
}

static int run(const struct ctl *ctl, int argc, char **argv)
{
	struct hooks_options values = {};
	const struct option options[] = {
		{.name = "format", .argument = "config|hooks.d", .text = &values.format,
			.help = "for config.json's \"hooks\" (default), or a file of hooks.d"},
		{.name = "stage", .argument = "STAGE", .text = &values.stage,
			.help = "only this one; hooks.d needs a file for each stage"},
		{.name = "pod", .argument = "POD", .text = &values.pod,
			.help = "attach to this pod, whatever the container's annotations say"},
		{.name = "network", .argument = "NET[:KEY=VALUE,...]", .list = &values.networks,
			.help = "connect to this CNI network (repeatable)"},
		{}};
	size_t n;
	int status = options_parse(&verb_hooks, options, argc, argv, &n);

	if (status < 0)
		status = print_hooks(ctl, &values);
	strv_free(values.networks);
	return status;
}

const struct ctl_verb verb_hooks = {
	.name = "hooks",
	.operands = "",
	.summary = "Print the OCI hooks for config.json or for a hooks.d directory",
	.details = "STAGE is prestart, createRuntime, createContainer or poststop; createContainer\n"
		   "and poststop belong together and work with every runtime, rootless too. A hook\n"
		   "of hooks.d is run for containers with the annotation io.podd.pod.",
	.example = "podctl hooks --format hooks.d --stage poststop > podd-poststop.json",
	.run = run,
};
