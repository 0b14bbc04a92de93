/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One pod, as its supervisor holds it. The parts have owners of their own: children.c, events.c,
 * server.c, resolv.c; this is what they meet at.
 */

#include <systemd/sd-event.h>

#include "err.h"
#include "outer.h"
#include "record.h"

struct children;
struct containers;
struct events;
struct metrics_server;
struct manager;
struct nested;
struct network;
struct resolv;
struct server;
struct totals;
struct uplink_queue;

/* What comes after the loop. */
enum pod_next {
	POD_NEXT_END,
	POD_NEXT_WAIT,    /* the pod failed, and is started again after a delay */
	POD_NEXT_START,   /* now */
	POD_NEXT_UPGRADE, /* podd's place is taken by the program that is installed now */
};

struct pod {
	enum pod_next next;
	int upgrade_fd;      /* of POD_NEXT_UPGRADE: where the next program says that it is ready */
	uint32_t restarts;   /* for the record of a new start */
	sd_event *event;
	char *root;          /* absolute path of the hierarchy */
	char path[NAME_PATH_SIZE];
	char started[RECORD_TIME_SIZE]; /* this podd */
	int rootfd;
	int podfd;
	int lockfd;          /* held as long as podd lives: one podd for each pod */
	struct pod_spec spec;
	struct pod_state state;

	int outer;           /* seqpacket to podd-outer; asked only while the pod starts */
	int outer_pidfd;     /* -1: adopted, not started by this podd */
	int uplink_pidfd;
	int tap;             /* a copy of the tap's fd, for the next uplink; -1: none */
	int uplink;          /* seqpacket to podd-uplink, or -1 */
	bool uplink_async;   /* answers come by the event loop */
	struct uplink_queue *uplink_queue;
	struct {
		uint32_t queue;       /* enum outer_queue: by what TCP goes past libslirp */
		bool transparent;     /* published ports keep their clients' addresses */
		bool refused;         /* the uplink could not use it */
		char reason[1024];    /* why not */
	} uplink_net;
	sd_event_source *outer_exit;
	sd_event_source *uplink_exit;
	sd_event_source *uplink_reply;
	sd_event_source *uplink_restart;
	unsigned uplink_restarts; /* in all */
	unsigned uplink_failures; /* in a row, for the delay before the next start */
	uint64_t uplink_since;    /* CLOCK_MONOTONIC, microseconds */

	struct children *children;
	struct containers *containers;
	struct events *events;
	struct metrics_server *metrics;
	struct totals *totals;
	struct manager *manager;
	struct nested *nested;
	struct network *network;
	struct resolv *resolv;
	struct server *server;

	void (*stop_done)(void *userdata, int result);
	void *stop_userdata;
	sd_event_source *stop_timer;
	uint64_t stop_deadline;  /* CLOCK_MONOTONIC, microseconds: then children are killed */
	bool stop_armed; /* every child has its signal: the last one's end is the pod's */
	bool is_gone;
	bool had_container; /* since this podd runs */
	bool adopted;
	bool no_start; /* a pod that does not run is cleaned up, not started */
};

/* Opens the pod's directory and takes its lock. Return: 0, -ENOENT, -EBUSY when another podd has
 * it, -errno. */
int pod_open(struct pod *pod, const char *root, const char *path, struct err *err);
void pod_close(struct pod *pod);

/* Writes the record of the state, with the phase and its time. */
int pod_set_phase(struct pod *pod, enum pod_phase phase, struct err *err);
/* Adds a warning to the state, once. */
void pod_warn(struct pod *pod, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- pod-start.c ---- */

/* Makes the pod run: adopts what is there of it, or cleans up what is left and starts it anew.
 * Blocks, with deadlines: nothing is served yet. On failure nothing is left but the record. Return:
 * 0; with pod->no_start 1 once what was left is removed; -errno. */
int pod_start(struct pod *pod, struct err *err);

/* Takes back a start after which podd cannot serve the pod; an adopted pod is left alone. */
void pod_take_back(struct pod *pod, const struct err *err);

/* Has it a podd-uplink of its own? */
bool pod_has_uplink(const struct pod *pod);
/* The uplink cannot take the pod's TCP. There is a way out all the same. */
void pod_refuse_net(struct pod *pod, const struct err *problem);
/* Another uplink, on the same tap: the one before, should it still run, is ended first. */
int pod_replace_uplink(struct pod *pod, struct err *err);
/* Of a tenant: connects it to the uplink at the top, and tells that everything. */
int pod_start_tenant(struct pod *pod, struct err *err);

/* ---- pod-watch.c ---- */

/* Watches the pod's processes and the host's resolv.conf from the event loop. */
int pod_watch(struct pod *pod, struct err *err);

/* Do the pod's connections go past libslirp? */
bool pod_takes_tcp(const struct pod *pod);

/* Does it look up names where the pod around does, which writes its resolv.conf from then on? */
bool pod_has_parents_resolv(const struct pod *pod);

/* Rewrites etc/resolv.conf; *ret_text gets what libslirp shall read (allocated), may be NULL. */
int pod_write_resolv(struct pod *pod, char **ret_text, struct err *err);

/* ---- pod-processes.c ---- */

/* Starts podd-outer in new namespaces with the mappings of pod->state. */
int pod_spawn_outer(struct pod *pod, struct err *err);
/* Starts podd-uplink, which then waits for pod_send_config(). */
int pod_spawn_uplink(struct pod *pod, struct err *err);
/* Ends podd-uplink; whoever watches it starts the next. */
void pod_kill_uplink(struct pod *pod);
/* Ends what nobody watches: the connection of a tenant, or podd-uplink, whose end it waits for. */
void pod_end_uplink(struct pod *pod);
/* Connects to podd-outer or podd-uplink by its socket in the pod's directory. */
int pod_connect(struct pod *pod, const char *name, int *ret_fd);

/* One request to podd-outer and its answer. @fds (may be NULL) gets what came, or -1. */
#define OUTER_REPLY_FDS_MAX 4
int pod_ask_outer(struct pod *pod, enum outer_operation operation,
	const struct outer_setup *setup, int fds[OUTER_REPLY_FDS_MAX], struct err *err);

/* Before OUTER_SETUP. */
int pod_ask_outer_tree(struct pod *pod, const struct outer_tree *tree, struct err *err);

/* From now on podd-outer has to answer at once. */
void pod_hurry_outer(struct pod *pod);

/* ---- pod-parent.c ---- */

/* Of a pod in a pod: the one around it, which must run. @ret_podfd may be NULL. Return: 0,
 * -EHOSTDOWN when it does not run, -errno. */
int pod_load_parent(const struct pod *pod, int *ret_podfd, struct pod_state *ret, struct err *err);
/* Makes podd-outer's process in a new user namespace inside that of the pod around, with the same
 * ids; its working directory is the pod's. Returns twice, in that process with *ret_pid 0, and of
 * podd's fds with pod->podfd and @fds only. Needs what ns_join() needs. */
#define OUTER_START_FDS 3
int pod_clone_in_parent(const struct pod *pod, const int fds[OUTER_START_FDS], pid_t *ret_pid,
	struct err *err);
/* Attaches the pod's netns to the network that is its way out, or detaches it; nothing with another
 * way out. Both run podd-hook and wait for it. */
int pod_attach_outside(const struct pod *pod, struct err *err);
void pod_detach_outside(const struct pod *pod);
/* The resolv.conf of the pod around, allocated. */
int pod_copy_resolv(const struct pod *pod, char **ret, struct err *err);

/* ---- pod-tenant.c ---- */

/* True for a pod whose ports are published by the uplink of the pod at the top. */
bool pod_is_tenant(const struct pod *pod);
/* Makes pod->uplink a connection to that. Blocks, while podd serves a second at most. Return: 0;
 * -EOPNOTSUPP when that pod has none; -errno. */
int pod_connect_tenant(struct pod *pod, struct err *err);
/* Tells it what addresses the pod has got. */
int pod_send_tenants_config(struct pod *pod, struct err *err);
/* Of a tenant: gives up everything there, and waits until that is done, 2 s at most. */
void pod_leave_uplink(struct pod *pod);

/* ---- pod-trees.c ---- */

/* In the pod's directory: what a root directory of its own must have. */
#define POD_SKELETON "skeleton"

/* Tells podd-outer the pod's stages and its root directory. Return: 0 or -errno. */
int pod_send_trees(struct pod *pod, struct err *err);
/* Fills pod->state.host_mount of a pod with a root directory of its own. */
int pod_identify_host_mount(struct pod *pod, struct err *err);

/* ---- pod-uplink.c ---- */

struct uplink_request;
struct uplink_reply;
/* @text says why @result is an error. */
typedef void (*pod_uplink_done)(struct pod *pod, void *opaque, int result, const char *text);
/* Sends a request (request->length is set), with copies of the fds. While the pod starts it waits
 * for the answer, and that is what it returns; later @done (may be NULL) is called with it, or
 * with -ECONNRESET when the uplink ended before it. Return: 0, -ENOTCONN while there is none,
 * -errno. */
int pod_ask_uplink(struct pod *pod, const struct uplink_request *request, const int *fds,
	size_t n_fds, pod_uplink_done done, void *opaque, struct err *err);
/* Calls @done once everything that the uplink was asked so far is answered, at once if that is so
 * already; with -ECONNRESET when the uplink ended before (the next one is told everything anew).
 * Return: 0 or -ENOMEM. */
int pod_await_answers(struct pod *pod, pod_uplink_done done, void *opaque, struct err *err);
/* Is that what the next answer has to be about? */
bool pod_uplink_is_asked(const struct pod *pod, uint32_t operation);
/* An answer came by the event loop. */
void pod_uplink_answered(struct pod *pod, uint32_t operation, int result, const char *text);
/* No more answers come: this uplink is gone. */
void pod_uplink_forget(struct pod *pod);
void pod_uplink_done_queue(struct pod *pod);
/* Asks an uplink that another podd has started what children and ports it has: @has is called for
 * each; fds that it keeps it sets to -1. */
typedef void (*pod_uplink_has)(void *opaque, const struct uplink_reply *reply, int fds[2]);
int pod_adopt_uplink(struct pod *pod, pod_uplink_has has, void *opaque, struct err *err);
/* From now on it carries packets. */
int pod_send_start(struct pod *pod, struct err *err);
/* Sends the nameservers, then the configuration with the tap; two answers come. */
int pod_send_config(struct pod *pod, const char *nameservers, struct err *err);
int pod_send_resolv(struct pod *pod, const char *nameservers, struct err *err);
/* Gives the uplink what it takes the pod's TCP with. Not before OUTER_PROBE was answered. */
int pod_send_net(struct pod *pod, struct err *err);
/* Receives one answer; blocks at most as long as the socket's time-out. *ret_operation (may be
 * NULL) is what it answers, also when that failed. */
int pod_await_uplink(struct pod *pod, uint32_t *ret_operation, struct err *err);
/* ---- pod-stop.c ---- */

/* Ends the children (SIGTERM, after @timeout_s SIGKILL), then the pod; @done is called once, with
 * 0 or -errno. Return: 0, -EALREADY when it stops already: the shorter time counts then. */
int pod_stop(struct pod *pod, unsigned timeout_s, void (*done)(void *userdata, int result),
	void *userdata);

/* Called when a child is detached or a container has ended: the stop may go on. */
void pod_stop_continue(struct pod *pod);

/* Called when a container has ended or was removed: a pod that was made for its containers stops with
 * the last one that runs. */
void pod_consider_end(struct pod *pod);

/* After the loop: removes the directory of such a pod once no container is left in it. */
void pod_remove_if_unused(struct pod *pod);

/* The outer container is gone: removes everything that was the pod's and leaves the loop. */
void pod_gone(struct pod *pod);

/* Kills what is left of the pod's processes, removes links, sockets, leases and the records of its
 * children (with @keep_errors all but what hooks said of failures). */
void pod_clean(struct pod *pod, bool keep_errors);
