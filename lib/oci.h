/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * OCI documents: the state that a runtime gives a hook (OCI runtime specification, runtime.md,
 * "State"), annotations, and editing a bundle's config.json.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "idmap.h"
#include "json.h"
#include "ns.h"
#include "record.h"

#define OCI_STATE_BYTES_MAX JSON_BYTES_MAX
#define OCI_ID_MAX 1023

/* A container id: [A-Za-z0-9][A-Za-z0-9_.+-]*, at most OCI_ID_MAX bytes, so that it can be a file
 * name, and CNI_CONTAINERID (CNI specification, "Parameters"). Return: 0 or -EINVAL. */
int oci_check_id(const char *id, struct err *err);

/* What of a container's id is its name in @pod: "net0.web" is "web" in net0. Where the id does not
 * begin with the pod's own, because another tool chose it, all of it is: '.' and '+' become '-',
 * capitals small letters, and what is too long is cut (container managers use 64 hexadecimal
 * digits). Return: 0, or -EINVAL when that is no name. */
int oci_id_to_child(const char *id, const char *pod, char ret_child[NAME_COMPONENT_MAX + 1],
	struct err *err);

struct oci_state {
	char *id;
	char *status;               /* "creating", "created", "stopped" ... or NULL */
	char *bundle;               /* or NULL */
	pid_t pid;                  /* 0 when absent; whose pid namespace it is of, see the hook */
	struct json *annotations;   /* object of strings, never NULL */
};

/* Parses what a hook reads on stdin. Return: 0, -EINVAL (with what is wrong), -EFBIG, -ENOMEM. */
int oci_state_parse(const char *text, size_t length, struct oci_state *ret, struct err *err);
void oci_state_done(struct oci_state *state);

/* Annotations that podd reads. */
#define OCI_ANNOTATION_POD "io.podd.pod"
#define OCI_ANNOTATION_NETWORKS "io.podd.networks"
#define OCI_ANNOTATION_PUBLISH "io.podd.publish"
#define OCI_ANNOTATION_IP "io.podd.ip"
#define OCI_ANNOTATION_MAC "io.podd.mac"
#define OCI_ANNOTATION_HOSTNAME "io.podd.hostname"
#define OCI_ANNOTATION_ALIASES "io.podd.aliases"
#define OCI_ANNOTATION_CAPABILITY_ARGS "io.podd.capability-args"

/* NULL when there is none. */
const char *oci_annotation(const struct oci_state *state, const char *key);

/* "net0:ip=10.88.0.9,mac=02:..": a CNI network that a child asks for. */
struct oci_network {
	char *name;
	char *ip;
	char *mac;
	char *ifname; /* NULL: eth<index> */
};
int oci_network_parse(const char *text, struct oci_network *ret, struct err *err);
void oci_network_done(struct oci_network *network);

/* What "podctl bundle" puts into a config.json. */
struct oci_bundle {
	const char *pod;               /* path */
	const char *root;              /* of the hierarchy, absolute */
	const char *pod_dir;           /* absolute */
	const char *hook;              /* absolute path of podd-hook */
	bool share_net;                /* join the pod's netns, instead of an own one */
	bool host_net;                 /* with share_net: the pod's network is the host's */
	bool share_ipc;
	bool share_uts;
	bool share_pid;
	char *const *networks;         /* as given to --network, may be NULL */
	char *const *publish;
	const char *hostname;          /* or NULL */
	const struct idmap *uids;
	const struct idmap *gids;
};

/* Edits a parsed config.json in place: namespaces, mappings, hooks, annotations, /etc/hosts and
 * /etc/resolv.conf, devpts' gid where it is not mapped. Idempotent; every other field stays.
 * Return: 0, -EINVAL when it is no Linux bundle (names the field), -ENOMEM. */
int oci_bundle_apply(struct json *config, const struct oci_bundle *bundle, struct err *err);
