/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a hole in libslirp must not reach. The uplink parses what the pod's root sends, so it is
 * treated as lost from the start: what it has is what an attacker gets.
 *
 *   before:        all that podd has. Only podd's first request is read, and nothing of the pod's
 *   after stage 1: the host's network as the user has it, the log (to append 16 MiB at most),
 *                  the control sockets, a file system with nothing but resolv.conf, and the
 *                  administration of the pod's network (CAP_NET_ADMIN in its user namespace)
 *   after stage 2: of these only what the system calls of uplink-filter.c can do with them
 *
 * Every step that fails ends the start: there is no half sandbox. The one exception is Landlock,
 * which kernels may lack; then the empty file system stands alone, as it would have to anyway.
 *
 * The process stays in the host's pid namespace, because podd must see it by pid after a restart;
 * what it could do to other processes there is left to the system call filter. The parent's
 * death does not end it (PR_SET_PDEATHSIG): it carries connections on while podd is replaced.
 *
 * System calls: openat, open, write, close, rename, renameat, renameat2 (resolv.conf).
 */

#include "uplink-sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd.h"
#include "uplink-filter.h"
#include "uplink-polls.h"

/* A directory that every Linux system has: the new root is mounted there before it becomes the
 * root. */
#define MOUNT_POINT "/proc"

#define RESOLV "/etc/resolv.conf"
#define RESOLV_NEW "/etc/resolv.conf.new"

/* For the log: its bytes are the only ones that stay on the host. */
#define FILE_SIZE_MAX (16 * 1024 * 1024)

/* fds beside libslirp's sockets. */
#define OWN_FDS 64

/* ---- stage 1 ---- */

static int write_file(const char *path, const char *text, size_t length, int flags)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, text, length);
}

/* The pod's user namespace: a hole in here reaches no more than what the pod's root has already, and
 * the packet queue of the pod's netns obeys nobody who has no capability there. What the process
 * was before it entered is not the pod's to look at: it is undumpable by now, and its memory
 * belongs to the user namespace in which it was started (ptrace(2), "Ptrace access mode
 * checking"). */
static int enter_namespaces(int userns, struct err *err)
{
	if (setns(userns, CLONE_NEWUSER) < 0)
		return err_errno(err, "cannot enter the pod's user namespace");
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_errno(err, "cannot create namespaces (%s)",
			errno == ENOSPC ? "there are as many as user.max_mnt_namespaces and the "
					  "like allow"
					: "does this system allow them?");
	return 0;
}

/* Leaves a read-only root with nothing in it but a small writable /etc. Should be all that a path
 * can lead to afterwards; must not leave a way back: the old root is detached, and no directory
 * of it is open. */
static int enter_empty_root(struct err *err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(err, "cannot make the mounts private");
	if (mount("root", MOUNT_POINT, "tmpfs", flags, "mode=0700,size=4k,nr_inodes=4") < 0 ||
		chdir(MOUNT_POINT) < 0)
		return err_errno(err, "cannot mount the new root");
	if (mkdir("etc", 0700) < 0 ||
		mount("etc", "etc", "tmpfs", flags, "mode=0700,size=64k,nr_inodes=8") < 0)
		return err_errno(err, "cannot mount the new /etc");
	/* Old and new root in one place: pivot_root(2), "NOTES". */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(err, "cannot change the root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_errno(err, "cannot leave the old root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
		return err_errno(err, "cannot make the new root read-only");
	return 0;
}

/* The capabilities are those of the pod's user namespace only; most were needed for the mounts.
 * Should leave the one that verdicts on the pod's packets need, and none to inherit or to gain. */
static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = {
		{.effective = 1u << CAP_NET_ADMIN, .permitted = 1u << CAP_NET_ADMIN},
	};

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(err, "cannot drop capability %lu", cap);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(err, "cannot drop the ambient capabilities");
	if (syscall(SYS_capset, &header, kept) < 0)
		return err_errno(err, "cannot drop the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "cannot set no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, "cannot become undumpable");
	return 0;
}

static int set_limit(__rlimit_resource_t resource, rlim_t value, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return err_errno(err, "cannot read resource limit %d", (int)resource);
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit) < 0)
		return err_errno(err, "cannot set resource limit %d", (int)resource);
	return 0;
}

/* Should bound what the pod can make the uplink take from the host; must not be so low that a
 * busy pod meets it: an fd for each connection, as many as the user may have at all. */
static int set_limits(struct err *err)
{
	const struct {
		__rlimit_resource_t resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, 0},
#ifndef PODD_SANITIZED
		{RLIMIT_NPROC, 0}, /* no second process or thread */
#endif
		{RLIMIT_FSIZE, FILE_SIZE_MAX},
		{RLIMIT_NOFILE, UPLINK_SOCKETS_MAX + OWN_FDS},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		int r = set_limit(limits[i].resource, limits[i].value, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int uplink_sandbox_prepare(int last_fd, struct err *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(err, "cannot become undumpable");
	if (close_range((unsigned)last_fd + 1, ~0U, 0) < 0)
		return err_errno(err, "cannot close inherited fds");
	umask(077);
	return 0;
}

int uplink_sandbox_enter(int userns, struct err *err)
{
	int r;

	r = enter_namespaces(userns, err);
	if (r < 0)
		return r;
	r = enter_empty_root(err);
	if (r < 0)
		return r;
	r = set_limits(err);
	if (r < 0)
		return r;
	return drop_capabilities(err);
}

/* ---- stage 2 ---- */

/* struct landlock_ruleset_attr as of ABI 6; older headers end earlier. */
struct landlock_attributes {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};
#define LANDLOCK_FS_ABI1 ((1ULL << 13) - 1)	    /* execute to make_sym */
#define LANDLOCK_FS_REFER (1ULL << 13)		    /* ABI 2 */
#define LANDLOCK_FS_TRUNCATE (1ULL << 14)	    /* ABI 3 */
#define LANDLOCK_FS_IOCTL_DEV (1ULL << 15)	    /* ABI 5 */
#define LANDLOCK_SCOPES ((1ULL << 0) | (1ULL << 1)) /* ABI 6: abstract unix sockets, signals */

/* What uplink_sandbox_write_resolv() and libslirp's reading of it take. */
#define LANDLOCK_ETC_ACCESS                                             \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* Return: the size of the structure that the kernel knows. */
static size_t landlock_attributes(int abi, struct landlock_attributes *ret)
{
	*ret = (struct landlock_attributes){.handled_access_fs = LANDLOCK_FS_ABI1};
	if (abi >= 2)
		ret->handled_access_fs |= LANDLOCK_FS_REFER;
	if (abi >= 3)
		ret->handled_access_fs |= LANDLOCK_FS_TRUNCATE;
	if (abi >= 5)
		ret->handled_access_fs |= LANDLOCK_FS_IOCTL_DEV;
	if (abi >= 6)
		ret->scoped = LANDLOCK_SCOPES;
	if (abi >= 6)
		return sizeof(*ret);
	return abi >= 4 ? offsetof(struct landlock_attributes, scoped)
			: offsetof(struct landlock_attributes, handled_access_net);
}

/* Should forbid every file but those in /etc, should the empty root ever turn out to be less
 * empty than thought; also to reach abstract unix sockets and processes outside. Not to bind TCP
 * sockets: those that speak for clients of published ports are. landlock(7). */
static int restrict_files(struct err *err)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ETC_ACCESS};
	struct landlock_attributes attributes;
	autoclose int ruleset = -1, etc = -1;
	size_t size;
	long abi;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 0;
	if (abi < 0)
		return err_errno(err, "cannot ask for Landlock's version");
	size = landlock_attributes((int)abi, &attributes);
	if (abi >= 3)
		rule.allowed_access |= LANDLOCK_FS_TRUNCATE;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
	if (ruleset < 0)
		return err_errno(err, "cannot create a Landlock ruleset");
	etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (etc < 0)
		return err_errno(err, "cannot open /etc");
	rule.parent_fd = etc;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_errno(err, "cannot add a Landlock rule");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_errno(err, "cannot enforce Landlock");
	return 0;
}

int uplink_sandbox_seal(struct err *err)
{
	int r = restrict_files(err);

	if (r < 0)
		return r;
	return uplink_filter_install(err);
}

/* ---- resolv.conf ---- */

/* libslirp looks at it once a second and compares the inode, among others: a rename gives it a
 * new one, and never a half-written file. */
int uplink_sandbox_write_resolv(const char *text, size_t length, struct err *err)
{
	int r = write_file(RESOLV_NEW, text, length, O_CREAT | O_TRUNC);

	if (r == 0 && rename(RESOLV_NEW, RESOLV) < 0)
		r = -errno;
	if (r < 0)
		return err_set(
			err, r, "cannot replace the sandbox's resolv.conf: %s", strerror(-r));
	return 0;
}
