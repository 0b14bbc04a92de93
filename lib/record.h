/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The records: what lies in the hierarchy as JSON, each with a "version", each with one writer,
 * described in schemas/. Loading checks every field; what is unknown in a record of a newer minor
 * form is ignored, a newer version is refused.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "idmap.h"
#include "json.h"
#include "name.h"
#include "ns.h"
#include "proc.h"

#define RECORD_VERSION 1

#define RECORD_POD "pod.json"
#define RECORD_STATE "state.json"
#define RECORD_ATTACHMENT "attachment.json"
#define RECORD_ERROR "error.json"

#define RECORD_LABELS_MAX 64
#define RECORD_NETWORKS_MAX 16
#define RECORD_ALIASES_MAX 32
#define RECORD_PUBLISH_MAX 256
#define RECORD_WARNINGS_MAX 16

/* "0.1.0" */
#define RECORD_VERSION_SIZE 32

/* RFC 3339, UTC, microseconds: "2024-01-31T12:00:00.000000Z". */
#define RECORD_TIME_SIZE 32
void record_time_now(char ret[RECORD_TIME_SIZE]);

/* ---- pod.json: the specification, written once by podctl create ---- */

/* POD_NET_CNI: the pod is attached to a CNI network of the pod that it is in, or of the host. */
enum pod_net { POD_NET_SLIRP, POD_NET_NONE, POD_NET_HOST, POD_NET_CNI };
const char *pod_net_name(enum pod_net net);
int pod_net_from_name(const char *name, enum pod_net *ret);

/* How TCP leaves the pod: past libslirp where the kernel allows it, or never. */
enum pod_path { POD_PATH_AUTO, POD_PATH_LIBSLIRP };
const char *pod_path_name(enum pod_path path);
int pod_path_from_name(const char *name, enum pod_path *ret);

/* When the outer container ends though nobody asked for it: what podd does. With ALWAYS the pod is
 * started at the machine's start, too (podctl start --all --filter restart=always). */
enum pod_restart { POD_RESTART_NO, POD_RESTART_ON_FAILURE, POD_RESTART_ALWAYS };
const char *pod_restart_name(enum pod_restart restart);
int pod_restart_from_name(const char *name, enum pod_restart *ret);

#define POD_MTU_DEFAULT 65520
#define POD_MTU_MIN 1280
#define POD_MTU_MAX 65520

struct pod_spec {
	char path[NAME_PATH_SIZE];
	char created[RECORD_TIME_SIZE];
	enum pod_net net;
	char *uplink_network;    /* with POD_NET_CNI: that network's name; otherwise NULL */
	enum pod_path uplink_path;
	bool host_loopback;
	bool ipv6;
	unsigned mtu;
	struct in_addr net4;     /* network address, in network byte order */
	unsigned prefix4;        /* 8 to 25 */
	struct idmap uids;       /* n == 0: chosen at start */
	struct idmap gids;
	uint64_t shm_size;       /* bytes of the children's /dev/shm */
	bool auto_remove;        /* made by podctl run for a container: stops with its last running
				  * container, and is removed with its last one */
	enum pod_restart restart;
	struct json *labels;     /* object of strings, never NULL */
	char **cni_config_dirs;  /* absolute; where conflists are looked up */
	char **cni_plugin_dirs;  /* absolute; trusted, checked when the pod was created */
	char **publish;          /* of the pod's own network, see publish.h; or NULL */
	char **egress;           /* rules as text, see egress.h; or NULL */
	char **stages;           /* see stage.h: absolute, without links; or NULL */
	char *root;              /* the outer container's own root directory, likewise; or NULL */
	char *host_at;           /* where that shows the host's; or NULL */
};

#define POD_SHM_SIZE_DEFAULT (UINT64_C(64) << 20)

/* The defaults of a pod without options, directories from the caller's environment
 * ($XDG_CONFIG_HOME, $CNI_PATH). */
int pod_spec_init(struct pod_spec *spec, struct err *err);
void pod_spec_done(struct pod_spec *spec);
/* True for a pod inside another one. */
bool pod_spec_is_nested(const struct pod_spec *spec);
/* Is there an uplink that publishes its ports: its own, or for a pod inside another one that at the
 * top? */
bool pod_spec_can_publish(const struct pod_spec *spec);
/* What the built-in CNI network is inside of this pod. */
struct cni_builtin;
void pod_spec_builtin(const struct pod_spec *spec, struct cni_builtin *ret);
/* Makes CNI network @network (NULL: the built-in one) the pod's way out. Return: 0 or -ENOMEM. */
int pod_spec_set_cni(struct pod_spec *spec, const char *network, struct err *err);
/* "10.0.2.0/24". Return: 0 or -EINVAL. */
int pod_spec_set_cidr(struct pod_spec *spec, const char *text, struct err *err);
/* Ports and egress rules as people give them (either may be NULL): can each be read, and is there
 * room for what they expand to? Return: 0, -EINVAL, -ENOMEM. */
int pod_spec_check_traffic(char *const *publish, char *const *egress, struct err *err);
struct json *pod_spec_to_json(const struct pod_spec *spec);
int pod_spec_load(int podfd, struct pod_spec *ret, struct err *err);

/* Addresses in the pod's network, by their place in it: gateway .2, DNS .3, the pod .100. */
#define POD_HOST_GATEWAY 2
#define POD_HOST_DNS 3
#define POD_HOST_SELF 100
struct in_addr pod_address4(const struct pod_spec *spec, unsigned host);
/* The same places in fd00::/64. */
struct in6_addr pod_address6(unsigned host);
#define POD_PREFIX6 64

/* ---- state.json: what is, written by podd ---- */

enum pod_phase {
	POD_CREATED, /* there is no state.json yet */
	POD_STARTING,
	POD_RUNNING,
	POD_STOPPING,
	POD_STOPPED,
	POD_FAILED,
	POD_RESTARTING, /* it failed, and podd waits until it starts it again */
};
const char *pod_phase_name(enum pod_phase phase);

struct pod_state {
	enum pod_phase phase;
	char boot_id[PROC_BOOT_ID_SIZE];
	char since[RECORD_TIME_SIZE]; /* of the phase */
	struct proc_id podd;
	char podd_version[RECORD_VERSION_SIZE]; /* of the program that podd runs; "": older than
						 * that it is recorded */
	uint32_t restarts;            /* by its policy, since it was started */
	struct proc_id outer;
	struct proc_id uplink;        /* pid 0 with --net none and host */
	struct ns_id namespaces[NS_KINDS];
	struct ns_id host_mount;      /* with a root directory of its own: that with the host's */
	struct idmap uids;            /* in force */
	struct idmap gids;
	char *tap;                    /* interface name, or NULL */
	char **warnings;
	char *error;                  /* why it failed, or NULL */
};

void pod_state_init(struct pod_state *state);
void pod_state_done(struct pod_state *state);
struct json *pod_state_to_json(const struct pod_state *state);
/* Without a record the state is POD_CREATED. Return: 0 or -errno. */
int pod_state_load(int podfd, struct pod_state *ret, struct err *err);
int pod_state_save(int podfd, const struct pod_state *state, struct err *err);

/* As ns_open() of the outer container, with those of its namespaces that @ids names, for who needs
 * the host's programs and paths: a pod with a root directory of its own has another mount namespace
 * for that. */
int pod_state_open_host(const struct pod_state *state, int procdir,
	const struct ns_id ids[NS_KINDS], struct ns_set *ret, struct err *err);

/* What is true now, whatever the record says: a state of another boot is POD_STOPPED; a running
 * one whose outer container is gone is POD_FAILED. Looks at /proc only. */
enum pod_phase pod_state_phase_now(const struct pod_state *state);

/* ---- children/NAME/attachment.json: written by the hook ---- */

enum attachment_phase {
	ATTACHMENT_ADDING,
	ATTACHMENT_ATTACHED,
	ATTACHMENT_DETACHING,
};

enum attachment_share { ATTACHMENT_BRIDGED, ATTACHMENT_SHARED };

#define ATTACHMENT_GENERATION_SIZE 33

struct attachment_network {
	char *name;
	char *ifname;
	char *ip;              /* asked for, or NULL */
	char *mac;             /* asked for, or NULL */
	struct json *config;   /* the whole conflist as used for ADD; DEL uses the same */
	char **addresses;      /* "10.88.0.2/16", from the result */
};

struct attachment {
	char pod[NAME_PATH_SIZE];     /* "": the host */
	char child[NAME_COMPONENT_MAX + 1];
	char id[NAME_PATH_SIZE];      /* the OCI id; CNI_CONTAINERID */
	char generation[ATTACHMENT_GENERATION_SIZE];
	char created[RECORD_TIME_SIZE];
	char boot_id[PROC_BOOT_ID_SIZE];
	enum attachment_phase phase;
	enum attachment_share share;
	struct proc_id init;          /* the container's first process, as the host sees it */
	struct ns_id netns;
	char *bundle;
	char *hostname;               /* or NULL */
	char **aliases;
	char **publish;               /* as asked for */
	struct json *capability_args; /* object, as asked for; or NULL */
	size_t n_networks;
	struct attachment_network networks[RECORD_NETWORKS_MAX];
};

void attachment_init(struct attachment *attachment);
void attachment_done(struct attachment *attachment);
/* Leaves the first @n networks. */
void attachment_cut_networks(struct attachment *attachment, size_t n);
struct json *attachment_to_json(const struct attachment *attachment);
/* Return: 0, -ENOENT when the child is not attached, -EINVAL, -errno. */
int attachment_load(int childfd, struct attachment *ret, struct err *err);
int attachment_save(int childfd, const struct attachment *attachment, struct err *err);
