/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Reading what a runtime asks: see request.h. The pod is found by the first of: --pod, the
 * annotation io.podd.pod, the id's part before its last dot.
 */

#include "request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cni.h"
#include "deadline.h"
#include "fd.h"
#include "hierarchy.h"
#include "publish.h"
#include "text.h"

#define ALIAS_MAX 253
/* Beside the networks' configurations, the record must have room for it. */
#define CAPABILITY_ARGS_BYTES_MAX (64 * 1024)

static const char *const phase_names[] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_CREATE_CONTAINER] = "createContainer",
	[HOOK_POSTSTOP] = "poststop",
	[HOOK_ATTACH] = "attach",
	[HOOK_DETACH] = "detach",
	[HOOK_CHECK] = "check",
	[HOOK_GC] = "gc",
};

static const char help[] =
	"Usage: podd-hook PHASE [OPTION]... < OCI-state\n"
	"\n"
	"Connects a container to its pod; a container runtime runs it. PHASE is prestart,\n"
	"createRuntime, createContainer or poststop, as in config.json (podctl hooks prints\n"
	"what to put there).\n"
	"\n"
	"  --root DIR      where the pods are recorded\n"
	"  --pod POD       the pod; else annotation io.podd.pod, else the id before its last dot\n"
	"  --network NET   CNI network, may be repeated; NET:ip=ADDRESS,mac=MAC,ifname=NAME\n"
	"  --publish SPEC  port to publish, may be repeated\n"
	"  --help          this text\n"
	"  --version       the version\n"
	"\n"
	"podd runs podd-hook attach --root DIR [--pod POD] --child NAME --network NET for a pod that\n"
	"goes out by a network of POD, or without --pod of the host; and podd-hook detach\n"
	"--root DIR [--pod POD] --child NAME --generation ID for what has ended. podctl doctor runs\n"
	"podd-hook check|gc --root DIR --pod POD, to have the CNI plugins check all attachments, or\n"
	"delete what no attachment has.\n";

const char *hook_phase_name(enum hook_phase phase)
{
	return phase_names[phase];
}

struct arguments {
	const char *root;
	const char *pod;
	const char *child;
	const char *generation;
	char **networks;
	char **publish;
};

static void arguments_done(struct arguments *arguments)
{
	strv_free(arguments->networks);
	strv_free(arguments->publish);
}

static int parse_phase(const char *name, enum hook_phase *ret, struct err *err)
{
	for (size_t i = 0; i < sizeof(phase_names) / sizeof(phase_names[0]); i++) {
		if (text_equal(phase_names[i], name)) {
			*ret = (enum hook_phase)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL,
		"the first argument must be prestart, createRuntime, createContainer or poststop, "
		"not '%s'",
		name ? name : "");
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments, struct err *err)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, 'r'},
		{"pod", required_argument, NULL, 'p'},
		{"child", required_argument, NULL, 'c'},
		{"generation", required_argument, NULL, 'g'},
		{"network", required_argument, NULL, 'n'},
		{"publish", required_argument, NULL, 'P'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{},
	};
	int option, r = 0;

	while (r == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'r')
			arguments->root = optarg;
		else if (option == 'p')
			arguments->pod = optarg;
		else if (option == 'c')
			arguments->child = optarg;
		else if (option == 'g')
			arguments->generation = optarg;
		else if (option == 'n')
			r = strv_add(&arguments->networks, optarg);
		else if (option == 'P')
			r = strv_add(&arguments->publish, optarg);
		else if (option == 'h')
			return fputs(help, stdout) < 0 ? -EIO : 1;
		else if (option == 'V')
			return puts("podd-hook " PACKAGE_VERSION) < 0 ? -EIO : 1;
		else
			return err_set(err, -EINVAL, "see podd-hook --help");
	}
	return r < 0 ? err_oom(err) : 0;
}

static int read_state(struct oci_state *state, struct err *err)
{
	autofree char *text = NULL;
	size_t length;
	int r;

	r = fd_read_all(STDIN_FILENO, OCI_STATE_BYTES_MAX, &text, &length);
	if (r == -EFBIG)
		return err_set(err, r, "the OCI state on stdin is larger than %d bytes",
			OCI_STATE_BYTES_MAX);
	if (r < 0)
		return err_set(err, r, "reading the OCI state on stdin: %s", strerror(-r));
	return oci_state_parse(text, length, state, err);
}

/* Without a pod that is named, the id is that of one of podd's own names. */
static int split_id(struct request *request, const char *id, struct err *err)
{
	char path[NAME_PATH_SIZE];
	int r;

	r = name_id_to_path(id, path, err);
	if (r < 0)
		return err_wrap(err, r, "container id '%s'", id);
	name_split(path, request->pod, request->child);
	return 0;
}

static int find_pod(struct request *request, const char *argument, struct err *err)
{
	const char *annotation = oci_annotation(&request->state, OCI_ANNOTATION_POD);
	const char *id = request->state.id;
	const char *pod = argument ? argument : annotation;
	int r;

	if (!pod && strchr(id, '.'))
		return split_id(request, id, err);
	if (!pod)
		return err_set(err, -EINVAL,
			"cannot tell the pod of container '%s': give --pod, or the annotation "
			OCI_ANNOTATION_POD ", or an id of the form POD.NAME",
			id);
	r = name_check_path(pod, err);
	if (r < 0)
		return err_wrap(err, r, "%s", argument ? "--pod" : OCI_ANNOTATION_POD);
	text_copy(request->pod, sizeof(request->pod), pod);
	return oci_id_to_child(id, pod, request->child, err);
}

static int add_network(struct request *request, const char *text, struct err *err)
{
	if (request->n_networks == RECORD_NETWORKS_MAX)
		return err_set(err, -EINVAL, "more than %d networks", RECORD_NETWORKS_MAX);
	return oci_network_parse(text, &request->networks[request->n_networks++], err);
}

/* Arguments come before annotations; without both it is the built-in network. */
static int find_networks(struct request *request, char *const *arguments, struct err *err)
{
	const char *annotation = oci_annotation(&request->state, OCI_ANNOTATION_NETWORKS);
	autostrv annotated = NULL;
	int r = 0;

	if (!arguments && annotation) {
		if (strv_split(annotation, ' ', &annotated) < 0)
			return err_oom(err);
		arguments = annotated;
	}
	for (size_t i = 0; r == 0 && arguments && arguments[i]; i++)
		r = add_network(request, arguments[i], err);
	if (r == 0 && request->n_networks == 0)
		r = add_network(request, CNI_NETWORK_DEFAULT, err);
	return r;
}

/* io.podd.ip and io.podd.mac say it for the first network. */
static int find_addresses(struct request *request, struct err *err)
{
	const char *ip = oci_annotation(&request->state, OCI_ANNOTATION_IP);
	const char *mac = oci_annotation(&request->state, OCI_ANNOTATION_MAC);
	cleanup(oci_network_done) struct oci_network checked = {};
	struct oci_network *first = &request->networks[0];
	autofree char *text = NULL;
	int r;

	if (!ip && !mac)
		return 0;
	text = text_format("%s:%s%s%s%s%s", first->name, ip ? "ip=" : "", ip ? ip : "",
		ip && mac ? "," : "", mac ? "mac=" : "", mac ? mac : "");
	if (!text)
		return err_oom(err);
	r = oci_network_parse(text, &checked, err);
	if (r < 0)
		return err_wrap(err, r, OCI_ANNOTATION_IP " or " OCI_ANNOTATION_MAC);
	if (!first->ip)
		first->ip = take_ptr(checked.ip);
	if (!first->mac)
		first->mac = take_ptr(checked.mac);
	return 0;
}

static int find_names(struct request *request, struct err *err)
{
	const char *hostname = oci_annotation(&request->state, OCI_ANNOTATION_HOSTNAME);
	const char *aliases = oci_annotation(&request->state, OCI_ANNOTATION_ALIASES);

	if (hostname && !(request->hostname = strdup(hostname)))
		return err_oom(err);
	if (aliases && strv_split(aliases, ' ', &request->aliases) < 0)
		return err_oom(err);
	if (strv_length(request->aliases) > RECORD_ALIASES_MAX)
		return err_set(err, -EINVAL, OCI_ANNOTATION_ALIASES ": more than %d",
			RECORD_ALIASES_MAX);
	for (size_t i = 0; request->aliases && request->aliases[i]; i++)
		if (strlen(request->aliases[i]) > ALIAS_MAX)
			return err_set(err, -EINVAL, OCI_ANNOTATION_ALIASES ": one is too long");
	return 0;
}

static int find_publish(struct request *request, char *const *arguments, struct err *err)
{
	const char *annotation = oci_annotation(&request->state, OCI_ANNOTATION_PUBLISH);

	if (arguments)
		request->publish = strv_copy(arguments);
	else if (annotation && strv_split(annotation, ' ', &request->publish) < 0)
		return err_oom(err);
	if (arguments && !request->publish)
		return err_oom(err);
	if (strv_length(request->publish) > RECORD_PUBLISH_MAX)
		return err_set(err, -EINVAL, "more than %d ports to publish", RECORD_PUBLISH_MAX);
	for (size_t i = 0; request->publish && request->publish[i]; i++) {
		struct publish checked;
		int r = publish_parse(request->publish[i], &checked, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int find_capability_args(struct request *request, struct err *err)
{
	const char *text = oci_annotation(&request->state, OCI_ANNOTATION_CAPABILITY_ARGS);
	autoptr(json) args = NULL;
	int r;

	if (!text)
		return 0;
	if (strlen(text) > CAPABILITY_ARGS_BYTES_MAX)
		return err_set(err, -EFBIG,
			OCI_ANNOTATION_CAPABILITY_ARGS " has more than %d bytes",
			CAPABILITY_ARGS_BYTES_MAX);
	r = json_parse(OCI_ANNOTATION_CAPABILITY_ARGS, text, strlen(text), &args, err);
	if (r < 0)
		return r;
	if (json_type(args) != JSON_OBJECT)
		return err_set(err, -EINVAL,
			OCI_ANNOTATION_CAPABILITY_ARGS " must be an object, found %s",
			json_type_name(json_type(args)));
	request->capability_args = take_ptr(args);
	return 0;
}

static int read_runtime_request(struct request *request, const struct arguments *arguments,
	struct err *err)
{
	int r;

	r = read_state(&request->state, err);
	if (r == 0)
		r = find_pod(request, arguments->pod, err);
	if (r < 0 || request->phase == HOOK_POSTSTOP)
		return r;
	r = find_networks(request, arguments->networks, err);
	if (r == 0)
		r = find_addresses(request, err);
	if (r == 0)
		r = find_names(request, err);
	if (r == 0)
		r = find_publish(request, arguments->publish, err);
	if (r == 0)
		r = find_capability_args(request, err);
	return r;
}

static int read_survey_request(
	struct request *request, const struct arguments *arguments, struct err *err)
{
	int r;

	if (!arguments->pod)
		return err_set(err, -EINVAL, "%s needs --pod", hook_phase_name(request->phase));
	r = name_check_path(arguments->pod, err);
	return r < 0 ? r : text_copy(request->pod, sizeof(request->pod), arguments->pod);
}

/* Without --pod it is the host's. */
static int read_child(struct request *request, const struct arguments *arguments, struct err *err)
{
	int r = arguments->pod ? name_check_path(arguments->pod, err) : 0;

	if (r == 0)
		r = name_check_component(arguments->child, err);
	if (r < 0)
		return r;
	text_copy(request->pod, sizeof(request->pod), arguments->pod ? arguments->pod : "");
	text_copy(request->child, sizeof(request->child), arguments->child);
	return 0;
}

static int read_detach_request(struct request *request, const struct arguments *arguments,
	struct err *err)
{
	if (!arguments->child || !arguments->generation)
		return err_set(err, -EINVAL, "detach needs --child and --generation");
	request->generation = arguments->generation;
	return read_child(request, arguments, err);
}

/* A pod is known there by its path, as a container is by its id. */
static int read_attach_request(struct request *request, const struct arguments *arguments,
	struct err *err)
{
	autofree char *path = NULL;
	int r;

	if (!arguments->child || !arguments->networks)
		return err_set(err, -EINVAL, "attach needs --child and --network");
	r = read_child(request, arguments, err);
	if (r == 0)
		r = find_networks(request, arguments->networks, err);
	if (r == 0)
		r = find_publish(request, arguments->publish, err);
	if (r < 0)
		return r;
	path = text_format("%s%s%s", request->pod, *request->pod ? "/" : "", request->child);
	request->state.id = path ? malloc(NAME_PATH_SIZE) : NULL;
	if (!request->state.id)
		return err_oom(err);
	name_path_to_id(path, request->state.id);
	return 0;
}

int request_read(int argc, char **argv, struct request *ret, bool *ret_usage, struct err *err)
{
	cleanup(arguments_done) struct arguments arguments = {};
	struct request request = {.deadline = deadline_now_ms() + HOOK_TIME_MS};
	int r;

	r = parse_arguments(argc, argv, &arguments, err);
	if (r == 0)
		r = parse_phase(argv[optind], &request.phase, err);
	if (r == 0 && argc - optind > 1)
		r = err_set(err, -EINVAL, "unexpected argument '%s'", argv[optind + 1]);
	*ret_usage = r < 0;
	if (r != 0)
		return r;
	r = hierarchy_root(arguments.root, &request.root, err);
	if (r == 0 && request.phase == HOOK_DETACH)
		r = read_detach_request(&request, &arguments, err);
	else if (r == 0 && request.phase == HOOK_ATTACH)
		r = read_attach_request(&request, &arguments, err);
	else if (r == 0 && request.phase > HOOK_DETACH)
		r = read_survey_request(&request, &arguments, err);
	else if (r == 0)
		r = read_runtime_request(&request, &arguments, err);
	if (r < 0) {
		request_done(&request);
		return r;
	}
	*ret = request;
	return 0;
}

void request_done(struct request *request)
{
	free(request->root);
	oci_state_done(&request->state);
	for (size_t i = 0; i < request->n_networks; i++)
		oci_network_done(&request->networks[i]);
	free(request->hostname);
	strv_free(request->aliases);
	strv_free(request->publish);
	json_free(request->capability_args);
	memset(request, 0, sizeof(*request));
}
