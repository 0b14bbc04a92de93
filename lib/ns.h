/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Namespaces: what a pod has, how they are named in records, and how a process enters them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "proc.h"

enum ns_kind {
	NS_USER,
	NS_MNT,
	NS_NET,
	NS_IPC,
	NS_UTS,
	NS_PID,
	NS_KINDS,
};

/* An inode of nsfs: names a namespace for as long as anything keeps it. */
struct ns_id {
	uint64_t device;
	uint64_t inode; /* 0: the pod has none of this kind */
};

struct ns_set {
	int fds[NS_KINDS]; /* -1: none */
};

/* "user", "mnt", "net", ...: as in /proc/PID/ns. And the OCI runtime specification's name for it
 * ("user", "mount", "network", ...). */
const char *ns_name(enum ns_kind kind);
const char *ns_oci_name(enum ns_kind kind);
int ns_clone_flag(enum ns_kind kind);

void ns_set_init(struct ns_set *set);
void ns_set_done(struct ns_set *set);

/* Opens the namespaces of a process (proc_open_dir()) that @ids name, and checks that they are
 * those. Return: 0, -ESTALE when one is another than @ids says, -EACCES (needs the ptrace read
 * access of ptrace(2), PTRACE_MODE_READ_FSCREDS), -errno. */
int ns_open(int procdir, const struct ns_id ids[NS_KINDS], struct ns_set *ret, struct err *err);

/* A pod with a root directory of its own has a second mount namespace, with the host's file system;
 * its outer container keeps that one open as this fd. Return: 0 or -errno. */
#define NS_FD_HOST_MOUNT 6
int ns_open_host_mount(int procdir, int *ret_fd);

/* Names all namespaces of a process, or of the caller with -1. */
int ns_identify(int procdir, struct ns_id ret[NS_KINDS], struct err *err);
int ns_identify_fd(int fd, struct ns_id *ret);
bool ns_equal(const struct ns_id *a, const struct ns_id *b);

/* Enters every namespace of the set that the caller is not in yet: user first, then the others;
 * never the pid namespace, which is for containers whose runtime enters it. The caller becomes the
 * pod's root. Only in a single-threaded, short-lived child. Needs CAP_SYS_ADMIN in the target's
 * user namespace (its creator has it, user_namespaces(7)). */
int ns_join(const struct ns_set *set, struct err *err);
