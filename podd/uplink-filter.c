/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The uplink's system call filter (seccomp(2)).
 *
 * Three answers. What the uplink's sources say that they call is allowed: each declares it in the
 * comment at its top, and uplink-calls.awk makes the table; what its libraries call is declared
 * below. What no library here ever calls, and what somebody who got in would call next (new programs and processes, other
 * processes' memory, namespaces and mounts, kernel interfaces with a history), kills the process:
 * podd sees it die and starts another. Everything else fails with EPERM: a C library that
 * one day tries a new system call first and falls back must not take the pod's network down.
 *
 * Calls on the packet path have no conditions on their arguments: the kernel then answers from a
 * bitmap (since Linux 5.11) and the filter costs nothing there.
 *
 * It must not allow anything that reaches another process: signals only to itself, no
 * fcntl(F_SETOWN) or ioctl(FIOSETOWN), sockets only of the Internet's families (the host's
 * abstract unix sockets are in its network namespace, where the uplink is).
 */

#include "uplink-filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

#define ANY (-1)
#define OWN_PID (-2)

/* A condition: argument @index, masked with @mask (0: all bits), equals @value. */
struct filter_rule {
	const char *name;
	uint32_t action;
	int index; /* ANY: no condition; OWN_PID: the first argument is the own pid */
	scmp_datum_t mask;
	scmp_datum_t value;
	const char *why;
};

#define KILL(call, reason)                                                                     \
	{                                                                                      \
		.name = (call), .action = SCMP_ACT_KILL_PROCESS, .index = ANY, .why = (reason) \
	}

/*
 * libslirp, its sockets:
 *
 * System calls: socket[0 == AF_INET], socket[0 == AF_INET6], bind, connect, shutdown, close, recvfrom,
 *   sendto, recvmsg, getsockopt, setsockopt, getsockname, getpeername, ioctl[1 == FIONREAD],
 *   ioctl[1 == FIONBIO], fcntl[1 == F_GETFD], fcntl[1 == F_SETFD], fcntl[1 == F_GETFL],
 *   fcntl[1 == F_SETFL], accept4.
 *
 * libslirp, resolv.conf:
 *
 * System calls: openat, open, newfstatat, stat, fstat, statx, lseek, read, close.
 *
 * sd-event:
 *
 * System calls: epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2, timerfd_create,
 *   timerfd_settime, read, close, getpid (has it forked?).
 *
 * The C library and glib: memory, of which none is executable; locks; time; abort, of the own process
 * only; the log.
 *
 * System calls: brk, munmap, mremap, madvise, mmap[2 & PROT_EXEC == 0], mprotect[2 & PROT_EXEC == 0],
 *   getrandom, futex, sched_yield, clock_gettime, clock_getres, gettimeofday, gettid, rt_sigaction,
 *   rt_sigprocmask, rt_sigreturn, restart_syscall, tgkill[OWN_PID], exit, exit_group, write, writev.
 */

static const struct filter_rule rules[] = {
#include "uplink-calls.h"

#ifdef PODD_SANITIZED
	/* AddressSanitizer: shadow memory, reports, its own threads and stacks */
	{.name = "sigaltstack", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "readlink", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "readlinkat", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "prlimit64", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "getrlimit", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "sched_getaffinity", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "prctl", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "dup", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "dup2", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "pipe", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "pipe2", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "geteuid", .action = SCMP_ACT_ALLOW, .index = ANY},
	{.name = "ioctl", .action = SCMP_ACT_ALLOW, .index = ANY},
#else
	KILL("clone", "a new process"),
	KILL("clone3", "a new process"),
	KILL("fork", "a new process"),
	KILL("vfork", "a new process"),
	KILL("ptrace", "another process's memory"),
#endif
	KILL("execve", "a new program"),
	KILL("execveat", "a new program"),
	KILL("process_vm_readv", "another process's memory"),
	KILL("process_vm_writev", "another process's memory"),
	KILL("process_madvise", "another process's memory"),
	KILL("kill", "another process"),
	KILL("tkill", "another process"),
	KILL("pidfd_open", "another process"),
	KILL("pidfd_getfd", "another process's fds"),
	KILL("pidfd_send_signal", "another process"),
	KILL("kcmp", "another process"),
	KILL("unshare", "new capabilities in a new user namespace"),
	KILL("setns", "another namespace"),
	KILL("mount", "another file system"),
	KILL("umount2", "another file system"),
	KILL("pivot_root", "another file system"),
	KILL("chroot", "another file system"),
	KILL("open_tree", "another file system"),
	KILL("move_mount", "another file system"),
	KILL("fsopen", "another file system"),
	KILL("fsconfig", "another file system"),
	KILL("fsmount", "another file system"),
	KILL("fspick", "another file system"),
	KILL("mount_setattr", "another file system"),
	KILL("open_by_handle_at", "another file system"),
	KILL("bpf", "a kernel interface with a history"),
	KILL("perf_event_open", "a kernel interface with a history"),
	KILL("io_uring_setup", "a kernel interface with a history, and a way around this filter"),
	KILL("io_uring_enter", "the same"),
	KILL("io_uring_register", "the same"),
	KILL("userfaultfd", "a kernel interface with a history"),
	KILL("keyctl", "the user's keys"),
	KILL("add_key", "the user's keys"),
	KILL("request_key", "the user's keys"),
	KILL("init_module", "the kernel"),
	KILL("finit_module", "the kernel"),
	KILL("delete_module", "the kernel"),
	KILL("kexec_load", "the kernel"),
	KILL("kexec_file_load", "the kernel"),
	KILL("reboot", "the kernel"),
};

static void filter_free(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static int add_rule(scmp_filter_ctx filter, const struct filter_rule *rule)
{
	int call = seccomp_syscall_resolve_name(rule->name);
	struct scmp_arg_cmp condition = {.arg = (unsigned)rule->index, .op = SCMP_CMP_EQ};

	/* Not a system call of this architecture or not one that libseccomp knows yet: the
	 * default answer holds. */
	if (call < 0)
		return 0;
	if (rule->index == ANY)
		return seccomp_rule_add_array(filter, rule->action, call, 0, NULL);
	condition.datum_a = rule->value;
	if (rule->index == OWN_PID) {
		condition.arg = 0;
		condition.datum_a = (scmp_datum_t)getpid();
	} else if (rule->mask != 0) {
		condition.op = SCMP_CMP_MASKED_EQ;
		condition.datum_a = rule->mask;
		condition.datum_b = rule->value;
	}
	return seccomp_rule_add_array(filter, rule->action, call, 1, &condition);
}

int uplink_filter_install(struct err *err)
{
	cleanup(filter_free) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!filter)
		return err_oom(err);
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; r == 0 && i < sizeof(rules) / sizeof(*rules); i++) {
		r = add_rule(filter, &rules[i]);
		if (r < 0)
			return err_set(err, r, "cannot add %s to the system call filter: %s",
				rules[i].name, strerror(-r));
	}
	if (r == 0)
		r = seccomp_load(filter);
	if (r < 0)
		return err_set(err, r, "cannot install the system call filter: %s", strerror(-r));
	return 0;
}
