/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The uplink's system call filter (seccomp(2)), in one table.
 *
 * Three answers. What packets, control requests and memory take is allowed. What no library here
 * ever calls, and what somebody who got in would call next (new programs and processes, other
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

#define ALLOW(call, reason)                                                             \
	{                                                                               \
		.name = (call), .action = SCMP_ACT_ALLOW, .index = ANY, .why = (reason) \
	}
#define ALLOW_IF(call, argument, bits, wanted, reason)                                         \
	{                                                                                      \
		.name = (call), .action = SCMP_ACT_ALLOW, .index = (argument), .mask = (bits), \
		.value = (wanted), .why = (reason)                                             \
	}
#define KILL(call, reason)                                                                     \
	{                                                                                      \
		.name = (call), .action = SCMP_ACT_KILL_PROCESS, .index = ANY, .why = (reason) \
	}

static const struct filter_rule rules[] = {
	/* packets */
	ALLOW("read", "frames from the tap; resolv.conf; sd-event's timerfd"),
	ALLOW("write", "frames to the tap; the log; resolv.conf"),
	ALLOW("writev", "the log, as the C library and glib write it"),
	ALLOW("poll", "the loop's wait"),
	ALLOW("ppoll", "the same, where there is no poll"),
	ALLOW("recvfrom", "payload from the host's side"),
	ALLOW("sendto", "payload to the host's side"),
	ALLOW("recvmsg", "ICMP errors of UDP sockets; control requests"),
	ALLOW("sendmsg", "control replies"),
	ALLOW_IF("socket", 0, 0, AF_INET, "a connection of the pod"),
	ALLOW_IF("socket", 0, 0, AF_INET6, "a connection of the pod"),
	ALLOW("connect", "a connection of the pod"),
	ALLOW("shutdown", "a connection's end"),
	ALLOW("splice", "payload past libslirp"),
	ALLOW("pipe2", "the same"),
	ALLOW_IF("fcntl", 1, 0, F_SETPIPE_SZ, "the same"),
	ALLOW_IF("fcntl", 1, 0, F_GETPIPE_SZ, "the same"),
	ALLOW_IF("ioctl", 1, 0, SIOCATMARK, "urgent data"),
	ALLOW("bind", "the address of a published port's client; libslirp's ICMP sockets"),
	ALLOW("recvmmsg", "first packets; datagrams of published ports"),
	ALLOW("sendmmsg", "datagrams of published ports"),
	ALLOW("close", "a connection's end"),
	ALLOW("getsockopt", "why a connection failed; the peer of a control connection"),
	ALLOW("setsockopt", "TCP_NODELAY and the like; the TTL of an echo request"),
	ALLOW("getsockname", "the local end of a socket"),
	ALLOW("getpeername", "whether a socket is still connected"),
	ALLOW_IF("ioctl", 1, 0, FIONREAD, "the size of the next datagram"),
	ALLOW_IF("ioctl", 1, 0, FIONBIO, "non-blocking sockets"),
	ALLOW_IF("fcntl", 1, 0, F_GETFD, "close-on-exec"),
	ALLOW_IF("fcntl", 1, 0, F_SETFD, "close-on-exec"),
	ALLOW_IF("fcntl", 1, 0, F_GETFL, "non-blocking sockets"),
	ALLOW_IF("fcntl", 1, 0, F_SETFL, "non-blocking sockets"),

	/* the event loop and the control socket */
	ALLOW("accept4", "a restarted podd; connections"),
	ALLOW("epoll_create1", "sd-event"),
	ALLOW("epoll_ctl", "sd-event"),
	ALLOW("epoll_wait", "sd-event"),
	ALLOW("epoll_pwait", "sd-event, where there is no epoll_wait"),
	ALLOW("epoll_pwait2", "sd-event, where the kernel has it"),
	ALLOW("timerfd_create", "sd-event's first timer"),
	ALLOW("timerfd_settime", "sd-event's timers"),
	ALLOW("clock_gettime", "where the vDSO has no clock"),
	ALLOW("clock_getres", "the same"),
	ALLOW("gettimeofday", "the same"),

	/* resolv.conf, the only file there is */
	ALLOW("openat", "resolv.conf"),
	ALLOW("open", "resolv.conf"),
	ALLOW("newfstatat", "resolv.conf: has it changed?"),
	ALLOW("stat", "the same, with older C libraries"),
	ALLOW("fstat", "the same; buffered reading"),
	ALLOW("statx", "the same, on 32-bit systems"),
	ALLOW("lseek", "buffered reading"),
	ALLOW("rename", "replacing resolv.conf"),
	ALLOW("renameat", "the same, where there is no rename"),
	ALLOW("renameat2", "the same"),

	/* memory; nothing executable is made */
	ALLOW("brk", "malloc"),
	ALLOW("munmap", "malloc"),
	ALLOW("mremap", "malloc"),
	ALLOW("madvise", "malloc and trim_memory()"),
	ALLOW_IF("mmap", 2, PROT_EXEC, 0, "malloc"),
	ALLOW_IF("mprotect", 2, PROT_EXEC, 0, "malloc"),

	/* the C library */
	ALLOW("getrandom", "seeds"),
	ALLOW("futex", "locks of glib and of the C library, uncontended"),
	ALLOW("getuid", "who may connect to the control socket"),
	ALLOW("getpid", "abort, sd-event's check for a fork"),
	ALLOW("gettid", "the same"),
	ALLOW("rt_sigaction", "abort"),
	ALLOW("rt_sigprocmask", "abort"),
	ALLOW("rt_sigreturn", "the end of a signal handler"),
	ALLOW("restart_syscall", "a wait that was stopped and continued"),
	ALLOW("sched_yield", "locks"),
	ALLOW_IF("tgkill", OWN_PID, 0, 0, "abort: a failed assertion of libslirp's"),
	ALLOW("exit", "the end"),
	ALLOW("exit_group", "the end"),

#ifdef PODD_SANITIZED
	/* AddressSanitizer: shadow memory, reports, its own threads and stacks */
	ALLOW("sigaltstack", "sanitizers"),
	ALLOW("readlink", "sanitizers"),
	ALLOW("readlinkat", "sanitizers"),
	ALLOW("prlimit64", "sanitizers"),
	ALLOW("getrlimit", "sanitizers"),
	ALLOW("sched_getaffinity", "sanitizers"),
	ALLOW("prctl", "sanitizers"),
	ALLOW("dup", "sanitizers"),
	ALLOW("dup2", "sanitizers"),
	ALLOW("pipe", "sanitizers"),
	ALLOW("pipe2", "sanitizers"),
	ALLOW("geteuid", "sanitizers"),
	ALLOW("ioctl", "sanitizers"),
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
