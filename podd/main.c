/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * podd: the supervisor of one pod. Stays in the host's namespaces as the pod's owner, without
 * privilege; owns the control socket, the state record and the life of podd-outer and podd-uplink.
 * It carries no packet and runs no plugin.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "children.h"
#include "cleanup.h"
#include "containers.h"
#include "events.h"
#include "fd.h"
#include "manager.h"
#include "nested.h"
#include "metrics-server.h"
#include "network.h"
#include "pod.h"
#include "restart.h"
#include "server.h"
#include "text.h"
#include "totals.h"
#include "trim.h"
#include "unit.h"
#include "upgrade.h"

#define STOP_TIMEOUT_S 10
#define EXIT_FAILED 125
/* Worth another try (sysexits.h has it as EX_TEMPFAIL): the pod runs, but could not be taken over, or
 * the pod around it does not run. */
#define EXIT_TRY_AGAIN 75
#define EXIT_USAGE 2

static const char help[] =
	"Usage: podd [--root DIR] [--ready-fd FD] [--no-start] POD\n"
	"       podd --check [--root DIR] POD\n"
	"\n"
	"Supervises one pod, in the foreground; podctl start runs it.\n"
	"\n"
	"  --root DIR     where the pods are recorded\n"
	"  --ready-fd FD  tell by this file descriptor when the pod is ready: lines \"W warning\",\n"
	"                 then \"READY\" or \"E error\"\n"
	"  --no-start     take over what runs; of a pod that does not run remove what is left\n"
	"  --check        only read the records: could this program take the pod over?\n"
	"  --release-cgroup  only make room for podd in its unit's cgroup; for podd@.service\n"
	"  --help         this text\n"
	"  --version      the version\n";

static void tell(int ready_fd, const char *kind, const char *text)
{
	char line[ERR_MSG_MAX + 16];
	int length;

	if (ready_fd < 0)
		return;
	length = snprintf(line, sizeof(line) - 1, "%s%s%s", kind, text ? " " : "", text ? text : "");
	if ((size_t)length >= sizeof(line) - 1)
		length = (int)sizeof(line) - 2;
	/* One message is one line. */
	for (int i = 0; i < length; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[length] = '\n';
	fd_write_all(ready_fd, line, (size_t)length + 1);
}

static void tell_ready(struct pod *pod, int ready_fd)
{
	char **warnings = pod->state.warnings;

	for (size_t i = 0; warnings && warnings[i]; i++)
		tell(ready_fd, "W", warnings[i]);
	tell(ready_fd, "READY", NULL);
	manager_ready(pod);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct pod *pod = userdata;

	pod_stop(pod, STOP_TIMEOUT_S, NULL, NULL);
	return 0;
}

static int make_loop(struct pod *pod, struct err *err)
{
	static const int stops[] = {SIGTERM, SIGINT};
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	for (size_t i = 0; i < 2; i++)
		sigaddset(&mask, stops[i]);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r = sd_event_new(&pod->event);
	for (size_t i = 0; r >= 0 && i < 2; i++)
		r = sd_event_add_signal(pod->event, NULL, stops[i], on_signal, pod);
	if (r >= 0)
		r = sd_event_set_watchdog(pod->event, true);
	if (r < 0)
		return err_set(err, r, "making the event loop: %s", strerror(-r));
	upgrade_adopt_helpers(pod);
	return 0;
}

/* A pidfd for each container: the usual soft limit is lower than CHILDREN_MAX. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Return: 0, 1 when there is nothing to serve (pod->no_start), -errno. */
static int serve(struct pod *pod, struct err *err)
{
	int r;

	r = make_loop(pod, err);
	if (r == 0)
		r = children_new(pod, &pod->children, err);
	if (r == 0)
		r = containers_new(pod, &pod->containers, err);
	if (r == 0)
		r = nested_new(pod, &pod->nested, err);
	if (r == 0)
		r = network_new(pod, &pod->network, err);
	if (r == 0)
		r = events_new(pod, &pod->events, err);
	if (r == 0)
		r = pod_start(pod, err);
	if (r != 0)
		return r;
	r = totals_new(pod, &pod->totals, err);
	if (r == 0)
		r = pod_watch(pod, err);
	if (r == 0)
		r = server_new(pod, &pod->server, err);
	if (r == 0)
		r = metrics_server_new(pod, &pod->metrics, err);
	if (r == 0)
		r = containers_load(pod->containers, err);
	if (r == 0)
		r = children_load(pod->children, err);
	if (r == 0) {
		network_clean(pod->network);
		network_settle(pod->network);
		events_catch_up(pod);
	}
	if (r < 0)
		pod_take_back(pod, err);
	return r;
}

struct options {
	const char *root;
	const char *path;
	int ready_fd; /* -1: none, or it was told */
	bool no_start; /* of the first start only */
};

static void tell_outcome(struct pod *pod, struct options *options)
{
	tell_ready(pod, options->ready_fd);
	cleanup_close(&options->ready_fd);
	options->ready_fd = -1;
	/* It was taken over: whatever becomes of it later, it was to run. */
	options->no_start = false;
}

/* Who wanted the pod to be started has ended without having heard of it. */
static bool is_abandoned(int ready_fd)
{
	struct pollfd poll_fd = {.fd = ready_fd};

	return ready_fd >= 0 && poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLERR);
}

/* Until the pod has ended, or podd is to do something else with it. Return: the exit status. */
static int run_pod(struct options *options, struct restart *restart, enum pod_next *ret_next)
{
	cleanup(pod_close) struct pod pod = {};
	struct err err = {};
	bool is_there;
	int r;

	*ret_next = POD_NEXT_END;
	r = pod_open(&pod, options->root, options->path, &err);
	/* Else it was removed, or another podd has it by now. */
	is_there = r != -ENOENT && r != -EBUSY;
	pod.no_start = options->no_start || is_abandoned(options->ready_fd);
	pod.restarts = restart->total;
	/* Sockets that it was started with are not for the programs that podd starts either. */
	if (r == 0)
		r = manager_new(&pod, &pod.manager, &err);
	if (r == 0)
		r = serve(&pod, &err);
	if (r < 0) {
		fprintf(stderr, "podd: %s\n", err.msg);
		tell(options->ready_fd, "E", err.msg);
		/* A later try may have it better: a program or a file may be back by then. */
		if (restart->is_due && is_there && !pod.adopted)
			*ret_next = POD_NEXT_WAIT;
		return pod.adopted || r == -EHOSTDOWN ? EXIT_TRY_AGAIN : EXIT_FAILED;
	}
	if (r > 0) {
		/* Who hears that finds nobody here any more. */
		close(take_fd(&pod.lockfd));
		tell(options->ready_fd, "READY", NULL);
		return 0;
	}
	restart_note_start(restart, &pod);
	tell_outcome(&pod, options);
	trim_memory();
	r = sd_event_loop(pod.event);
	pod_remove_if_unused(&pod);
	options->ready_fd = take_fd(&pod.upgrade_fd);
	*ret_next = pod.next;
	return r < 0 ? EXIT_FAILED : r;
}

/* What an earlier podd has left of the pod is in cgroups below the unit's; as long as that has
 * controllers for them, the manager cannot start a process in it (cgroup-v2.rst, "No Internal Process
 * Constraint"). The podd that comes gives the containers their limits back. */
static int release_cgroup(const char *path)
{
	autofree char *cgroup = NULL;
	int r;

	if (unit_cgroup_of(getpid(), path, &cgroup) < 0)
		return 0;
	r = cgroup_release(cgroup);
	if (r < 0)
		fprintf(stderr, "podd: pod %s: turning off the controllers of cgroup %s: %s\n", path,
			cgroup, strerror(-r));
	return 0;
}

/* What cannot be written (the disk is full) does not end the waiting: SIGTERM is heard without it,
 * and the next start writes the record anew. */
static void show_waiting(struct pod *pod)
{
	struct err err = {};

	if (server_new(pod, &pod->server, &err) < 0)
		fprintf(stderr, "podd: pod %s: %s\n", pod->path, err.msg);
	if (pod_set_phase(pod, POD_RESTARTING, &err) < 0)
		fprintf(stderr, "podd: pod %s: %s; it is started again nevertheless\n", pod->path,
			err.msg);
	manager_waiting(pod);
}

/* Until the pod is to be started again, or a person stops it. */
static int wait_to_restart(
	const struct options *options, struct restart *restart, enum pod_next *ret_next)
{
	cleanup(pod_close) struct pod pod = {};
	struct err err = {};
	int r;

	*ret_next = POD_NEXT_END;
	r = pod_open(&pod, options->root, options->path, &err);
	if (r == 0)
		r = manager_new(&pod, &pod.manager, &err);
	if (r == 0)
		r = make_loop(&pod, &err);
	if (r == 0)
		r = proc_self(&pod.state.podd);
	if (r == 0)
		r = events_new(&pod, &pod.events, &err);
	if (r == 0)
		r = restart_wait(&pod, restart_delay_us(restart), &err);
	if (r < 0) {
		fprintf(stderr, "podd: pod %s: it is not started again: %s\n", options->path,
			err.msg);
		return EXIT_FAILED;
	}
	pod.state.restarts = restart->total;
	show_waiting(&pod);
	r = sd_event_loop(pod.event);
	*ret_next = pod.next;
	return r < 0 ? EXIT_FAILED : r;
}

static int run(struct options *options)
{
	struct restart restart = {};
	enum pod_next next;
	int status;

	raise_fd_limit();
	/* Not for the programs that podd starts. */
	if (options->ready_fd >= 0)
		fcntl(options->ready_fd, F_SETFD, FD_CLOEXEC);
	do {
		/* What the last round started, and nobody waits for any more. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		status = run_pod(options, &restart, &next);
		if (next == POD_NEXT_WAIT)
			status = wait_to_restart(options, &restart, &next);
		if (next == POD_NEXT_UPGRADE) {
			upgrade_execute(options->root, options->path, options->ready_fd);
			/* It could not be executed: then it goes on as before. */
			close(take_fd(&options->ready_fd));
			next = POD_NEXT_START;
		}
	} while (next == POD_NEXT_START);
	return status;
}

/* podd --check */
static int check(const struct options *options)
{
	struct err err = {};

	if (upgrade_check(options->root, options->path, &err) < 0) {
		fprintf(stderr, "podd: %s\n", err.msg);
		return EXIT_FAILED;
	}
	puts(PACKAGE_VERSION);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option table[] = {
		{"root", required_argument, NULL, 'r'},
		{"ready-fd", required_argument, NULL, 'f'},
		{"release-cgroup", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"no-start", no_argument, NULL, 'n'},
		{"check", no_argument, NULL, 'k'},
		{"upgraded", no_argument, NULL, 'u'},
		{},
	};
	struct options options = {.ready_fd = -1};
	bool only_check = false, release = false;
	uint32_t ready_fd = 0;
	int option;

	while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		switch (option) {
		case 'r':
			options.root = optarg;
			break;
		case 'f':
			if (text_to_uint32(optarg, 3, INT32_MAX, &ready_fd) < 0) {
				fprintf(stderr, "podd: --ready-fd: '%s' is not a file descriptor\n",
					optarg);
				return EXIT_USAGE;
			}
			options.ready_fd = (int)ready_fd;
			break;
		case 'n':
			options.no_start = true;
			break;
		case 'k':
			only_check = true;
			break;
		case 'u':
			/* The program before says so; it makes no difference. */
			break;
		case 'c':
			release = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'V':
			puts("podd " PACKAGE_VERSION);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 1) {
		fputs("podd: needs the name of one pod; see podd --help\n", stderr);
		return EXIT_USAGE;
	}
	options.path = argv[optind];
	if (release)
		return release_cgroup(options.path);
	return only_check ? check(&options) : run(&options);
}
